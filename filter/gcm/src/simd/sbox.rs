//! AES' S-box in registers, after Mike Hamburg, "Accelerating AES with Vector Permute Instructions" (CHES 2009), with the
//! tables of his `vpaes`.
//!
//! Bytes are kept in a basis of GF((2⁴)²) in which inverting takes five lookups of nibbles. Its other tables each take a nibble
//! of the inverse to what it adds to a linear function of it, in the same basis or in AES' own.

use core::arch::wasm32::{v128, v128_xor};

use super::bytes::{from_array, look_up, nibbles};

/// A linear function of bytes: what the low and the high nibble add.
#[derive(Clone, Copy)]
pub struct Linear(v128, v128);

impl Linear {
    /// Applies it to bytes.
    #[inline(always)]
    pub fn of(self, bytes: v128) -> v128 {
        let (low, high) = nibbles(bytes);
        v128_xor(look_up(self.0, low), look_up(self.1, high))
    }
}

/// From AES' basis into the one of all that follows.
pub const INTO_BASIS: Linear = Linear(
    from_array([0x00, 0x70, 0x2a, 0x5a, 0x98, 0xe8, 0xb2, 0xc2, 0x08, 0x78, 0x22, 0x52, 0x90, 0xe0, 0xba, 0xca]),
    from_array([0x00, 0x4d, 0x7c, 0x31, 0x7d, 0x30, 0x01, 0x4c, 0x81, 0xcc, 0xfd, 0xb0, 0xfc, 0xb1, 0x80, 0xcd]),
);

/// 1/x in GF(2⁴). For 0 it is infinity, 0x80: a lookup of that, or of what is added to it, gives 0.
const INVERSE: v128 =
    from_array([0x80, 0x01, 0x08, 0x0d, 0x0f, 0x06, 0x05, 0x0e, 0x02, 0x0c, 0x0b, 0x0a, 0x09, 0x03, 0x07, 0x04]);
/// a/x in GF(2⁴), a being the basis' constant.
const QUOTIENT: v128 =
    from_array([0x80, 0x07, 0x0b, 0x0f, 0x06, 0x0a, 0x04, 0x01, 0x09, 0x08, 0x05, 0x02, 0x0c, 0x0e, 0x0d, 0x03]);

const ONE: [[u8; 16]; 2] = [
    [0x00, 0x3e, 0x50, 0xcb, 0x8f, 0xe1, 0x9b, 0xb1, 0x44, 0xf5, 0x2a, 0x14, 0x6e, 0x7a, 0xdf, 0xa5],
    [0x00, 0x23, 0xe2, 0xfa, 0x15, 0xd4, 0x18, 0x36, 0xef, 0xd9, 0x2e, 0x0d, 0xc1, 0xcc, 0xf7, 0x3b],
];
const TWO: [[u8; 16]; 2] = [
    [0x00, 0x24, 0x71, 0x0b, 0xc6, 0x93, 0x7a, 0xe2, 0xcd, 0x2f, 0x98, 0xbc, 0x55, 0xe9, 0xb7, 0x5e],
    [0x00, 0x29, 0xe1, 0x0a, 0x40, 0x88, 0xeb, 0x69, 0x4a, 0x23, 0x82, 0xab, 0xc8, 0x63, 0xa1, 0xc2],
];
const THREE: [v128; 2] = [sum(ONE[0], TWO[0]), sum(ONE[1], TWO[1])];
const OUT: [[u8; 16]; 2] = [
    [0x00, 0xc7, 0xbd, 0x6f, 0x17, 0x6d, 0xd2, 0xd0, 0x78, 0xa8, 0x02, 0xc5, 0x7a, 0xbf, 0xaa, 0x15],
    [0x00, 0x6a, 0xbb, 0x5f, 0xa5, 0x74, 0xe4, 0xcf, 0xfa, 0x35, 0x2b, 0x41, 0xd1, 0x90, 0x1e, 0x8e],
];

/// The inverses of 16 bytes, in two parts: nibbles, or 0x80 and above for infinity.
#[derive(Clone, Copy)]
pub struct Inverse(v128, v128);

impl Inverse {
    /// Inverts bytes in our basis.
    #[inline(always)]
    pub fn of(bytes: v128) -> Self {
        let (k, i) = nibbles(bytes);
        let j = v128_xor(i, k);
        let a_over_k = look_up(QUOTIENT, k);
        let over_i = v128_xor(look_up(INVERSE, i), a_over_k);
        let over_j = v128_xor(look_up(INVERSE, j), a_over_k);
        Self(v128_xor(look_up(INVERSE, over_i), j), v128_xor(look_up(INVERSE, over_j), i))
    }

    /// The S-box's output without its constant, doubled, in our basis.
    #[inline(always)]
    pub fn doubled(self) -> v128 {
        self.linear(from_array(TWO[0]), from_array(TWO[1]))
    }

    /// The same, tripled.
    #[inline(always)]
    pub fn tripled(self) -> v128 {
        self.linear(THREE[0], THREE[1])
    }

    /// The S-box's output without its constant, in AES' basis.
    #[inline(always)]
    pub fn sbox_out(self) -> v128 {
        self.linear(from_array(OUT[0]), from_array(OUT[1]))
    }

    #[inline(always)]
    fn linear(self, first: v128, second: v128) -> v128 {
        v128_xor(look_up(first, self.0), look_up(second, self.1))
    }
}

const fn sum(mut a: [u8; 16], b: [u8; 16]) -> v128 {
    let mut i = 0;
    while i < 16 {
        a[i] ^= b[i];
        i += 1;
    }
    from_array(a)
}
