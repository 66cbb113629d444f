//! Where things lie: the workspace, its target folder, and the harness's own folders in it.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context as _, Result, ensure};
use rustix::process::{Pid, test_kill_process};
use tempfile::TempDir;

/// The workspace's root.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package lies in the workspace")
}

/// Cargo, in the version that builds this workspace.
pub fn cargo() -> Command {
    let program = env::var_os("CARGO").unwrap_or_else(|| env!("CARGO").into());
    let mut command = Command::new(program);
    command.current_dir(root());
    command
}

/// The target folder, wherever the user's configuration puts it.
pub fn target_dir() -> Result<&'static Path> {
    static TARGET_DIR: OnceLock<PathBuf> = OnceLock::new();
    if let Some(known) = TARGET_DIR.get() {
        return Ok(known);
    }
    let output = cargo().args(["metadata", "--no-deps", "--format-version", "1"]).output().context("cargo metadata")?;
    ensure!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let folder = metadata["target_directory"].as_str().context("cargo metadata names no target_directory")?;
    Ok(TARGET_DIR.get_or_init(|| folder.into()))
}

/// What is fetched once and stays: Envoy, the full store, Python packages.
pub fn cache_dir() -> Result<PathBuf> {
    created(target_dir()?.join("e2e/cache"))
}

/// Held while something is put into the cache, so that a demo and a test run do not both fetch it.
pub fn lock_cache() -> Result<File> {
    let lock = File::create(cache_dir()?.join("lock"))?;
    lock.lock()?;
    Ok(lock)
}

/// A folder of the cache that `make` fills on first use, and anew whenever the specification changes.
pub fn made_from(specification: &str, name: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let folder = cache_dir()?.join(name);
    let _lock = lock_cache()?;
    let made = folder.join("made-from.txt");
    if fs::read_to_string(&made).is_ok_and(|made| made == specification) {
        return Ok(folder);
    }
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    make(&created(folder.clone())?)?;
    fs::write(made, specification)?;
    Ok(folder)
}

/// A new folder for one run's data and logs. It goes when dropped; what a killed process left goes with a later run.
pub fn run_dir() -> Result<TempDir> {
    let runs = created(target_dir()?.join("e2e/run"))?;
    sweep(&runs)?;
    let prefix = format!("{}.", std::process::id());
    Ok(tempfile::Builder::new().prefix(&prefix).tempdir_in(runs)?)
}

fn created(folder: PathBuf) -> Result<PathBuf> {
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    Ok(folder)
}

/// Removes the folders of processes that are no more. (Statics, in which tests share stacks, are never dropped.)
fn sweep(runs: &Path) -> Result<()> {
    for entry in fs::read_dir(runs)? {
        let entry = entry?;
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| name.split('.').next()?.parse().ok());
        let is_alive = owner.and_then(Pid::from_raw).is_some_and(|pid| test_kill_process(pid).is_ok());
        if !is_alive {
            // Another process may be sweeping as well.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    Ok(())
}
