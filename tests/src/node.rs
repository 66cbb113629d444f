//! Packages for Node.js, for the tests with real clients.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::envoy_binary::on_path;
use crate::process::run;
use crate::workspace::made_from;

/// The `node_modules` of the `package.json` and `package-lock.json` in a folder. None: there is no Node.js.
pub fn modules(name: &str, project: &Path) -> Result<Option<PathBuf>> {
    if on_path("node").is_none() || on_path("npm").is_none() {
        return Ok(None);
    }
    let lock = fs::read_to_string(project.join("package-lock.json"))?;
    let folder = made_from(&lock, name, |folder| install(folder, project))?;
    Ok(Some(folder.join("node_modules")))
}

fn install(folder: &Path, project: &Path) -> Result<()> {
    for file in ["package.json", "package-lock.json"] {
        fs::copy(project.join(file), folder.join(file)).context(file)?;
    }
    run(Command::new("npm").args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"]).current_dir(folder))?;
    Ok(())
}
