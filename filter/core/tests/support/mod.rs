//! One client, one store and one KMS around an [`Exchange`](s3ep_core::exchange::Exchange), all in memory and
//! deterministic.
//!
//! The core sees the same events as in Envoy: heads, windows of bodies cut anywhere, and an end that comes with the last
//! window, in an empty one, or as trailers. [`Stack::send`] carries out whatever the exchange asks for.

pub mod chunked;
mod client;
mod kms;
mod message;
mod noise;
mod stack;
mod store;
pub mod upload;

pub use client::{Message, Outcome};
pub use kms::Mood;
pub use message::{End, Request, Split};
pub use stack::{MASTER_KEY, MODES, Mode, Stack, TOKEN, both};
pub use store::{Object, StoreResponse};

/// Lengths around the borders of segments, and of what a segment's header or tag could be taken for.
pub const LENGTHS: [usize; 14] = [0, 1, 15, 16, 31, 32, 33, 48, 65_535, 65_536, 65_537, 131_072, 131_073, 200_000];

/// Bytes that look like nothing, the same ones every time; other ones for another `seed`.
pub fn plaintext(seed: u32, len: usize) -> Vec<u8> {
    (0..len as u32).map(|at| ((at ^ seed.rotate_left(7)).wrapping_mul(2_654_435_761) >> 11) as u8).collect()
}

/// Whether `window` occurs in `bytes`.
pub fn contains(bytes: &[u8], window: &[u8]) -> bool {
    bytes.windows(window.len()).any(|candidate| candidate == window)
}
