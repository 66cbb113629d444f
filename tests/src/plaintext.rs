//! Test data: random, so that none of it appears in ciphertext by chance, and seeded, so that a failure repeats.

use std::io::{self, Read, Write};

use fastrand::Rng;

const BLOCK: usize = 1 << 20;

/// So many random bytes.
pub fn random(len: usize, seed: u64) -> Vec<u8> {
    let mut bytes = vec![0; len];
    Rng::with_seed(seed).fill(&mut bytes);
    bytes
}

/// A body too large for memory: one random block over and over, each time with its number at its start.
#[derive(Debug)]
pub struct Large {
    block: Vec<u8>,
    position: u64,
    length: u64,
}

impl Large {
    /// A body of so many bytes.
    pub fn new(length: u64) -> Self {
        Self { block: random(BLOCK, 0), position: 0, length }
    }

    /// How many bytes have been read, or compared.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// What comes next, at most to the block's end.
    fn window(&mut self) -> &[u8] {
        let (number, offset) = (self.position / BLOCK as u64, (self.position % BLOCK as u64) as usize);
        self.block[..8].copy_from_slice(&number.to_be_bytes());
        let left = self.length - self.position;
        let end = BLOCK.min(offset.saturating_add(usize::try_from(left).unwrap_or(BLOCK)));
        &self.block[offset..end]
    }
}

impl Read for Large {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let window = self.window();
        let len = window.len().min(buffer.len());
        buffer[..len].copy_from_slice(&window[..len]);
        self.position += len as u64;
        Ok(len)
    }
}

/// Compares what is written with what this would have read.
impl Write for Large {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let window = self.window();
        let len = window.len().min(buffer.len());
        if window[..len] != buffer[..len] {
            return Err(io::Error::other(format!("differs within {len} bytes after {}", self.position)));
        }
        self.position += len as u64;
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
