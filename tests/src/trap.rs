//! The filter as it is released, but for one function that traps when it is called: a crash at a moment that a test chooses.

use std::fs;
use std::ops::Range;
use std::path::Path;

use anyhow::{Context as _, Result};
use wasmparser::{KnownCustom, Name, NameSectionReader, Parser, Payload, TypeRef};

/// Writes `filter` to `file`, with a trap in the one function whose symbol holds this.
pub fn set_trap(filter: &Path, symbol: &str, file: &Path) -> Result<()> {
    let mut wasm = fs::read(filter)?;
    let code = instructions(&wasm, symbol)?;
    // The opcode of `unreachable` is 0. The `end` behind the instructions stays.
    wasm.get_mut(code).context("code outside of the module")?.fill(0);
    Ok(fs::write(file, wasm)?)
}

/// Where the instructions of a function lie, without the last one, its `end`.
fn instructions(wasm: &[u8], symbol: &str) -> Result<Range<usize>> {
    let (mut imported, mut bodies, mut found) = (0, Vec::new(), Vec::new());
    for payload in Parser::new(0).parse_all(wasm) {
        match payload? {
            Payload::ImportSection(imports) => {
                let imports: Vec<_> = imports.into_imports().collect::<Result<_, _>>()?;
                imported = imports.iter().filter(|import| matches!(import.ty, TypeRef::Func(_))).count();
            }
            Payload::CodeSectionEntry(body) => {
                let start = usize::try_from(body.get_operators_reader()?.original_position())?;
                bodies.push(start..usize::try_from(body.range().end)? - 1);
            }
            Payload::CustomSection(section) => {
                if let KnownCustom::Name(names) = section.as_known() {
                    found.extend(functions(names, symbol)?);
                }
            }
            _ => {}
        }
    }
    let [index] = found.as_slice() else { anyhow::bail!("{} functions are called {symbol}", found.len()) };
    let body = index.checked_sub(imported).and_then(|index| bodies.get(index));
    body.cloned().with_context(|| format!("{symbol} has no body"))
}

/// The indices of the functions whose symbol holds this.
fn functions(names: NameSectionReader<'_>, symbol: &str) -> Result<Vec<usize>> {
    let mut found = Vec::new();
    for names in names {
        if let Name::Function(functions) = names? {
            for function in functions {
                let function = function?;
                found.extend(function.name.contains(symbol).then_some(function.index as usize));
            }
        }
    }
    Ok(found)
}
