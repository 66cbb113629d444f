//! Measures in Envoy's VM, and logs how fast that was. `cargo bench-wasm` runs it and reads the log: lines of fields after
//! `bench-wasm: `, with `; ` between them.

mod checksums;
mod gcm;

use std::time::{Duration, Instant};

use proxy_wasm::traits::{Context, RootContext};

#[allow(missing_docs, reason = "the macro makes a public `_initialize`")]
mod initialize {
    proxy_wasm::main! {{
        proxy_wasm::set_log_level(proxy_wasm::types::LogLevel::Info);
        proxy_wasm::set_root_context(|_| Box::new(crate::Bench));
    }}
}

struct Bench;

impl Context for Bench {}

impl RootContext for Bench {
    fn on_configure(&mut self, _: usize) -> bool {
        checksums::measure();
        match gcm::measure() {
            Ok(()) => log::warn!("bench-wasm: done"),
            Err(s3ep_gcm::aead::Error) => log::error!("bench-wasm: what was sealed does not open"),
        }
        true
    }
}

/// Bytes that a slice of a measurement takes.
const SLICE: usize = 512 * 1024;
/// Slices of each kind. Kinds take turns, and the fastest slice counts: so all find the machine alike.
const SLICES: usize = 200;

/// How long a slice of messages of `len` bytes takes.
fn time<E>(len: usize, mut step: impl FnMut() -> Result<(), E>) -> Result<Duration, E> {
    let start = Instant::now();
    for _ in 0..SLICE / len {
        step()?;
    }
    Ok(start.elapsed())
}

/// Megabytes a second.
fn rate(slice: Duration) -> f64 {
    SLICE as f64 / slice.as_secs_f64() / 1e6
}
