//! A Python environment with boto3, for the tests with a real SDK.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::process::run;
use crate::workspace::{cache_dir, lock_cache, root};

/// The environment's interpreter. The environment is made on first use, and anew when requirements.txt changes.
pub fn python() -> Result<PathBuf> {
    let requirements = root().join("tests/requirements.txt");
    let wanted = fs::read_to_string(&requirements)?;
    let folder = cache_dir()?.join("python");
    let installed = folder.join("installed.txt");
    let _lock = lock_cache()?;
    let python = folder.join("bin/python");
    if fs::read_to_string(&installed).is_ok_and(|installed| installed == wanted) {
        return Ok(python);
    }
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))
        .context("the tests with boto3 need Python 3 with venv (on Debian: apt install python3-venv)")?;
    run(Command::new(&python)
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"])
        .arg(&requirements))?;
    fs::write(installed, wanted)?;
    Ok(python)
}
