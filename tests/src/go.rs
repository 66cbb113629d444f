//! Go modules: programs built from them, and what they have beside their code.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::envoy_binary::on_path;
use crate::process::run;
use crate::workspace::{cache_dir, lock_cache};

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

/// The program of a package at a version of its module, built on first use, which takes minutes. None: there is no Go.
pub fn program(package: &str, version: &str) -> Result<Option<PathBuf>> {
    let name = package.rsplit('/').next().unwrap_or(package);
    let folder = cache_dir()?.join(format!("{name}-{version}"));
    let program = folder.join(name);
    let _lock = lock_cache()?;
    if !program.exists() {
        if on_path("go").is_none() {
            return Ok(None);
        }
        // `go install` moves the finished binary into place, so a half-built one is never taken for it.
        run(Command::new("go")
            .args(["install", &format!("{package}@{version}")])
            .env("GOBIN", &folder)
            .env("CGO_ENABLED", "0"))
        .with_context(|| {
            format!("{name} could not be built (needs Go 1.21 or newer, which fetches the version it wants)")
        })?;
    }
    Ok(Some(program))
}
