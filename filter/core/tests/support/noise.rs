//! Randomness that is the same in every run, and never the same twice in one.

use rand_core::{TryCryptoRng, TryRng};
use sha2::{Digest as _, Sha256};

/// SHA-256 in counter mode, until it is told to fail.
#[derive(Default)]
pub struct Noise {
    drawn: u64,
    /// How many more draws succeed. None: all.
    pub left: Option<u64>,
}

/// The source is exhausted.
#[derive(Debug)]
pub struct Exhausted;

impl std::fmt::Display for Exhausted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("exhausted")
    }
}

impl std::error::Error for Exhausted {}

impl TryRng for Noise {
    type Error = Exhausted;

    fn try_next_u32(&mut self) -> Result<u32, Exhausted> {
        self.try_next_u64().map(|n| n as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Exhausted> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_be_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), Exhausted> {
        for block in dest.chunks_mut(32) {
            self.left = self.left.map(|left| left.checked_sub(1).ok_or(Exhausted)).transpose()?;
            self.drawn += 1;
            block.copy_from_slice(&Sha256::digest(self.drawn.to_be_bytes())[..block.len()]);
        }
        Ok(())
    }
}

impl TryCryptoRng for Noise {}
