//! Python environments, for the tests with real clients.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::process::run;
use crate::workspace::{made_from, root};

/// The interpreter of an environment with boto3, and no more than that needs.
pub fn python() -> Result<PathBuf> {
    Ok(environment("python", "tests/requirements.txt")?.join("python"))
}

/// The folder of the programs of an environment with what the requirements file lists.
pub fn environment(name: &str, requirements: &str) -> Result<PathBuf> {
    let requirements = root().join(requirements);
    let make = |folder: &Path| install(folder, &requirements);
    Ok(made_from(&fs::read_to_string(&requirements)?, name, make)?.join("bin"))
}

fn install(folder: &Path, requirements: &Path) -> Result<()> {
    run(Command::new("python3").args(["-m", "venv"]).arg(folder))
        .context("the tests with real clients need Python 3 with venv (on Debian: apt install python3-venv)")?;
    run(Command::new(folder.join("bin/python"))
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"])
        .arg(requirements))?;
    Ok(())
}
