//! The checksums of uploads.

use std::convert::Infallible;
use std::hint::black_box;
use std::time::Duration;

use s3ep_core::s3::checksum::{Algorithm, Digest};

use crate::{SLICES, rate, time};

/// Bytes of a window of a body, as Envoy often gives it.
const WINDOW: usize = 16 * 1024;

/// Measures them all, and logs each one's megabytes a second.
pub fn measure() {
    let window = vec![0; WINDOW];
    let mut fastest = Algorithm::ALL.map(|algorithm| (algorithm, Digest::new(algorithm), Duration::MAX));
    for _ in 0..SLICES {
        for (_, digest, slice) in &mut fastest {
            let Ok(took) = time(WINDOW, || {
                digest.update(black_box(&window));
                Ok::<(), Infallible>(())
            });
            *slice = took.min(*slice);
        }
    }
    for (algorithm, digest, slice) in fastest {
        black_box(digest.finish());
        log::warn!("bench-wasm: checksum; {}; {:.1}", algorithm.name(), rate(slice));
    }
}
