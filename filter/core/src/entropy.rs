//! Randomness as an argument.

use rand_core::TryCryptoRng;

/// A cryptographically secure source of random bytes that may fail.
///
/// An object-safe face of [`TryCryptoRng`], which every such generator gets by the blanket implementation.
pub trait Entropy {
    /// Fills `dest`, or says that the source failed, in which case `dest` must not be used.
    fn fill(&mut self, dest: &mut [u8]) -> Result<(), EntropyError>;
}

/// The random source failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the random source failed")]
pub struct EntropyError;

impl<R: TryCryptoRng> Entropy for R {
    fn fill(&mut self, dest: &mut [u8]) -> Result<(), EntropyError> {
        self.try_fill_bytes(dest).map_err(|_| EntropyError)
    }
}
