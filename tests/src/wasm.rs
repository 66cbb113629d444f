//! Builds what is ours: the filter, kms-shim and s3ep.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::envoy_binary::on_path;
use crate::workspace::{cargo, target_dir};

/// The filter's target.
const TARGET: &str = "wasm32-wasip1";

/// Builds the filter as it is released. Returns the .wasm.
pub fn build_filter() -> Result<PathBuf> {
    ensure_target()?;
    build(&["--package", "s3ep-filter", "--release", "--target", TARGET])?;
    Ok(target_dir()?.join(TARGET).join("release/s3ep_filter.wasm"))
}

/// Builds kms-shim in the development profile. Returns the binary.
pub fn build_shim() -> Result<PathBuf> {
    // Together with this package, as in Cargo.toml: alone, kms-shim would want its dependencies in another form.
    build(&["--package", "kms-shim", "--package", "e2e", "--bin", "kms-shim"])?;
    Ok(target_dir()?.join("debug/kms-shim"))
}

/// Builds kms-shim as it is released, which takes minutes. Returns the binary.
pub fn build_released_shim() -> Result<PathBuf> {
    build(&["--package", "kms-shim", "--release"])?;
    Ok(target_dir()?.join("release/kms-shim"))
}

/// Builds s3ep in the development profile. Returns the binary.
pub fn build_s3ep() -> Result<PathBuf> {
    build(&["--package", "s3ep-cli", "--package", "e2e", "--bin", "s3ep"])?;
    Ok(target_dir()?.join("debug/s3ep"))
}

/// Builds the plugin that measures in Envoy's VM, with a file of `filter/gcm` appended to cargo's configuration, or with none.
/// Returns the .wasm, which the next build replaces.
pub fn build_bench_plugin(configuration: Option<&str>) -> Result<PathBuf> {
    ensure_target()?;
    let configuration = configuration.map(|file| format!("filter/gcm/{file}"));
    let appended = configuration.iter().flat_map(|file| ["--config", file]);
    let arguments = ["--package", "bench-plugin", "--release", "--target", TARGET];
    build(&arguments.into_iter().chain(appended).collect::<Vec<_>>())?;
    Ok(target_dir()?.join(TARGET).join("release/bench_plugin.wasm"))
}

fn build(arguments: &[&str]) -> Result<()> {
    // Cargo knows best what is fresh. What it prints is of interest only if it fails.
    crate::process::run(cargo().args(["build", "--quiet"]).args(arguments)).map(drop)
}

/// Adds the target's standard library where rustup can, and says what to do where it cannot.
fn ensure_target() -> Result<()> {
    if has_target()? {
        return Ok(());
    }
    if on_path("rustup").is_none() {
        bail!(
            "The compiler has no standard library for {TARGET}, and there is no rustup to add it.\n\
             With rustup: rustup target add {TARGET}\n\
             On Debian, without rustup: apt install rustc-web cargo-web rust-web-src wasi-libc lld, and build with\n  \
             RUSTC_BOOTSTRAP=1 CARGO_TARGET_WASM32_WASIP1_LINKER=wasm-ld \\\n  \
             RUSTFLAGS='-C target-feature=+simd128,+relaxed-simd -C link-self-contained=no -L/usr/lib/wasm32-wasi' \\\n  \
             cargo build -Zbuild-std=std,panic_abort --release --target {TARGET} --package s3ep-filter"
        );
    }
    crate::process::run(Command::new("rustup").args(["target", "add", TARGET])).context("rustup target add")?;
    Ok(())
}

fn has_target() -> Result<bool> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc)
        .args(["--print", "target-libdir", "--target", TARGET])
        .stderr(Stdio::null())
        .output()
        .context("rustc")?;
    let folder = String::from_utf8(output.stdout)?;
    Ok(output.status.success() && std::path::Path::new(folder.trim()).exists())
}
