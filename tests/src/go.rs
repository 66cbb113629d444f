//! Go modules, for what they have beside their code.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::envoy_binary::on_path;
use crate::process::run;
use crate::workspace::cache_dir;

/// The folder with the files of a module, given as `path@version`. None: there is no Go.
///
/// Go knows by its checksum database that they are what everybody else gets.
pub fn module(module: &str) -> Result<Option<PathBuf>> {
    if on_path("go").is_none() {
        return Ok(None);
    }
    // Outside of any module of Go's, and so that the module's own wish for a toolchain does not matter.
    let output = run(Command::new("go").args(["mod", "download", "-json", module]).current_dir(cache_dir()?))?;
    let answer: Value = serde_json::from_slice(&output.stdout)?;
    Ok(Some(answer["Dir"].as_str().context("go mod download names no Dir")?.into()))
}
