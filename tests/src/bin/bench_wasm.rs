//! `cargo bench-wasm`: what bytes cost in Envoy's VM, in the builds that have SIMD. AES-256-GCM by the `aes-gcm` crate beside
//! `s3ep-gcm`, and the checksums of uploads.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Result;
use e2e::envoy_binary::envoy_binary;
use e2e::process::Process;
use e2e::wasm::build_bench_plugin;
use e2e::workspace::run_dir;
use serde_json::json;

/// What cargo's configuration is appended with: nothing for relaxed SIMD. The portable build is `aes-gcm` itself.
const BUILDS: [Option<&str>; 2] = [None, Some("simd.toml")];

fn main() -> Result<()> {
    let envoy = envoy_binary()?;
    let logs = BUILDS.iter().map(|build| run(&envoy, &build_bench_plugin(*build)?)).collect::<Result<Vec<_>>>()?;

    println!("| build | message | `aes-gcm`: seal, open | `s3ep-gcm`: seal, open | × |\n|---|---|---|---|---|");
    for pair in logs.iter().flat_map(|log| ciphers(log)) {
        println!("{}", row(&pair));
    }
    println!("\n| checksum | relaxed SIMD, MB/s | SIMD, MB/s |\n|---|---|---|");
    let [relaxed, simd] = [0, 1].map(|build| checksums(&logs[build]));
    for ((name, relaxed), (_, simd)) in relaxed.iter().zip(&simd) {
        println!("| {name} | {relaxed:.0} | {simd:.0} |");
    }
    Ok(())
}

/// What lines of this kind hold, each after the other.
fn fields<'a>(log: &'a str, kind: &str) -> impl Iterator<Item = std::str::Split<'a, &'static str>> {
    log.lines().filter_map(move |line| {
        let mut fields = line.split_once("bench-wasm: ")?.1.split("; ");
        (fields.next()? == kind).then_some(fields)
    })
}

/// The two ciphers, for each length of messages.
fn ciphers(log: &str) -> Vec<[Cipher; 2]> {
    let measured: Vec<Cipher> = fields(log, "cipher").filter_map(Cipher::parse).collect();
    measured.as_chunks().0.to_vec()
}

/// Each checksum's megabytes a second.
fn checksums(log: &str) -> Vec<(&str, f64)> {
    fields(log, "checksum").filter_map(|mut fields| Some((fields.next()?, fields.next()?.parse().ok()?))).collect()
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
    process.wait_until_ready(|| fs::read_to_string(&log).ok().filter(|log| log.contains("bench-wasm: done")))
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
                "config": { "name": "bench-wasm", "vm_config": vm },
            },
        }],
    })
}

/// A cipher, as the plugin measured it.
#[derive(Clone)]
struct Cipher {
    name: String,
    /// Plaintext bytes of a message.
    len: usize,
    /// Megabytes a second.
    seal: f64,
    open: f64,
}

impl Cipher {
    fn parse<'a>(mut fields: impl Iterator<Item = &'a str>) -> Option<Self> {
        let name = fields.next()?.to_owned();
        let len = fields.next()?.parse().ok()?;
        let (seal, open) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        Some(Self { name, len, seal, open })
    }
}

fn row([theirs, ours]: &[Cipher; 2]) -> String {
    let rates = |measured: &Cipher| format!("{:.0}, {:.0} MB/s", measured.seal, measured.open);
    let factors = format!("{:.1}, {:.1}", ours.seal / theirs.seal, ours.open / theirs.open);
    let message = format!("{} KiB", ours.len / 1024);
    format!("| {} | {message} | {} | {} | {factors} |", ours.name, rates(theirs), rates(ours))
}
