//! restic, built with Go: no package registry has it as a program.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::envoy_binary::on_path;
use crate::process::run;
use crate::workspace::made_from;

const MODULE: &str = "github.com/restic/restic@v0.19.1";

/// The folder with the program, built on first use. None: there is no Go.
pub fn folder() -> Result<Option<PathBuf>> {
    if on_path("go").is_none() {
        return Ok(None);
    }
    Ok(Some(made_from(MODULE, "restic", build)?))
}

/// Not `go install`, which also wants the list of all versions; not every module proxy has that. And this way restic's
/// own go.sum says what it is built from.
fn build(folder: &Path) -> Result<()> {
    let module = run(Command::new("go").args(["mod", "download", "-json", MODULE])).context(MODULE)?;
    let module: serde_json::Value = serde_json::from_slice(&module.stdout)?;
    let source = module["Dir"].as_str().context("go mod download names no Dir")?;
    run(Command::new("go")
        .args(["build", "-o"])
        .arg(folder.join("restic"))
        .arg("./cmd/restic")
        .current_dir(source)
        .env("CGO_ENABLED", "0"))
    .context("restic could not be built (needs Go 1.25.8 or newer)")?;
    Ok(())
}
