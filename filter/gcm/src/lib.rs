//! AES-256-GCM (NIST SP 800-38D; 96-bit nonce, 128-bit tag) for WebAssembly, which has no AES instructions.
//!
//! [`Aes256Gcm`] is a drop-in for `aes_gcm::Aes256Gcm`. It *is* that type on native targets, which have AES instructions, and
//! in WebAssembly without SIMD. With SIMD it is a kernel of our own, several times as fast.

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod simd;

pub use aes_gcm::aead;

#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
pub use aes_gcm::Aes256Gcm;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
pub use simd::Aes256Gcm;

/// What this build's [`Aes256Gcm`] is made of, for people: `relaxed SIMD`, `SIMD`, or `portable` (the `aes-gcm` crate).
pub const IMPLEMENTATION: &str = match () {
    () if cfg!(not(all(target_arch = "wasm32", target_feature = "simd128"))) => "portable",
    () if cfg!(target_feature = "relaxed-simd") => "relaxed SIMD",
    () => "SIMD",
};
