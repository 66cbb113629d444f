//! `cargo bench-gcm`: AES-256-GCM in Envoy's VM, the `aes-gcm` crate beside `s3ep-gcm`, in the builds that have SIMD.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Result;
use e2e::envoy_binary::envoy_binary;
use e2e::process::Process;
use e2e::wasm::build_gcm_bench;
use e2e::workspace::run_dir;
use serde_json::json;

/// What cargo's configuration is appended with: nothing for relaxed SIMD. The portable build is `aes-gcm` itself.
const BUILDS: [Option<&str>; 2] = [None, Some("simd.toml")];

fn main() -> Result<()> {
    let envoy = envoy_binary()?;
    println!("| build | message | `aes-gcm`: seal, open | `s3ep-gcm`: seal, open | × |\n|---|---|---|---|---|");
    for build in BUILDS {
        let log = run(&envoy, &build_gcm_bench(build)?)?;
        let measured: Vec<Measured> = log.lines().filter_map(Measured::parse).collect();
        for pair in measured.as_chunks().0 {
            println!("{}", row(pair));
        }
    }
    Ok(())
}

/// Runs the plugin in an Envoy of its own, which does nothing else. Returns what it has logged.
fn run(envoy: &Path, plugin: &Path) -> Result<String> {
    let folder = run_dir()?;
    let file = folder.path().join("envoy.json");
    fs::write(&file, configuration(plugin).to_string())?;
    let mut command = Command::new(envoy);
    command
        .env_clear()
        .args(["--concurrency", "1", "--disable-hot-restart", "--log-level", "warning", "-c"])
        .arg(&file);
    let log = folder.path().join("envoy.log");
    let mut process = Process::spawn("envoy", command, log.clone())?;
    process.wait_until_ready(|| fs::read_to_string(&log).ok().filter(|log| log.contains("bench-gcm: done")))
}

fn configuration(plugin: &Path) -> serde_json::Value {
    let code = json!({ "local": { "filename": plugin } });
    let vm = json!({ "runtime": "envoy.wasm.runtime.v8", "code": code });
    json!({
        "bootstrap_extensions": [{
            "name": "envoy.bootstrap.wasm",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.wasm.v3.WasmService",
                "singleton": true,
                "config": { "name": "bench-gcm", "vm_config": vm },
            },
        }],
    })
}

/// A line of the plugin's.
struct Measured {
    name: String,
    /// Plaintext bytes of a message.
    len: usize,
    /// Megabytes a second.
    seal: f64,
    open: f64,
}

impl Measured {
    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.split_once("bench-gcm: ")?.1.split("; ");
        let name = fields.next()?.to_owned();
        let len = fields.next()?.parse().ok()?;
        let (seal, open) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        Some(Self { name, len, seal, open })
    }
}

fn row([theirs, ours]: &[Measured; 2]) -> String {
    let rates = |measured: &Measured| format!("{:.0}, {:.0} MB/s", measured.seal, measured.open);
    let factors = format!("{:.1}, {:.1}", ours.seal / theirs.seal, ours.open / theirs.open);
    let message = format!("{} KiB", ours.len / 1024);
    format!("| {} | {message} | {} | {} | {factors} |", ours.name, rates(theirs), rates(ours))
}
