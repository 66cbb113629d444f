//! AES-256's key schedule, and what its rounds have in common.

use core::arch::wasm32::{u32x4_extract_lane, u32x4_splat};

use super::sbox::{INTO_BASIS, Inverse};

/// FIPS 197, section 5, table 3.
pub const ROUNDS: usize = 14;
/// What the S-box adds to every byte. It is left out there, and goes into the round keys.
pub const CONSTANT: u8 = 0x63;

/// FIPS 197, section 5.2. Words are little-endian.
pub fn expand(key: &[u8; 32]) -> [u32; 4 * (ROUNDS + 1)] {
    let mut words = [0; 4 * (ROUNDS + 1)];
    for (word, bytes) in words.iter_mut().zip(key.as_chunks().0) {
        *word = u32::from_le_bytes(*bytes);
    }
    let mut round_constant = 1;
    for i in 8..words.len() {
        let previous = words[i - 1];
        let mixed = match i % 8 {
            0 => substitute(previous.rotate_right(8)) ^ round_constant,
            4 => substitute(previous),
            _ => previous,
        };
        if i % 8 == 0 {
            round_constant <<= 1;
        }
        words[i] = words[i - 8] ^ mixed;
    }
    words
}

fn substitute(word: u32) -> u32 {
    let substituted = Inverse::of(INTO_BASIS.of(u32x4_splat(word))).sbox_out();
    u32x4_extract_lane::<0>(substituted) ^ u32::from_le_bytes([CONSTANT; 4])
}
