//! AES-256 (FIPS 197) of 128 counter blocks at a time, by bits: for builds without relaxed SIMD.
//!
//! There V8 spends two instructions on each lookup, and this needs none. The state is kept in 128
//! registers: one has bit b of byte i of all 128 blocks. Block j is bit j / 16 of a register's byte j % 16.

use core::arch::wasm32::*;

use zeroize::{Zeroize as _, ZeroizeOnDrop};

use super::bytes::transposed;
use super::schedule::{CONSTANT, ROUNDS, expand};

/// Blocks that are encrypted at a time.
pub const BLOCKS: usize = 128;

/// The bits of a byte, from the lowest.
type Byte = [v128; 8];
/// Registers that [`encrypt`] works in.
pub const SCRATCH: usize = 256;

/// The round keys: for every bit all ones or none. Those of rounds 1 to 14 with the S-box's constant.
#[derive(Clone)]
pub struct Key(Box<[[[u32; 8]; 16]; ROUNDS + 1]>);

impl Key {
    /// Expands a key.
    pub fn new(key: &[u8; 32]) -> Self {
        let words = expand(key);
        let mut masks = Box::new([[[0; 8]; 16]; ROUNDS + 1]);
        for (round, (masks, words)) in masks.iter_mut().zip(words.as_chunks::<4>().0).enumerate() {
            let constant = if round == 0 { 0 } else { CONSTANT };
            let bytes = words.iter().flat_map(|word| word.to_le_bytes());
            for (masks, byte) in masks.iter_mut().zip(bytes) {
                *masks = bits(byte ^ constant);
            }
        }
        Self(masks)
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        self.0.as_flattened_mut().as_flattened_mut().zeroize();
    }
}

impl ZeroizeOnDrop for Key {}

/// For every bit of a byte all ones or none, without a branch.
fn bits(byte: u8) -> [u32; 8] {
    core::array::from_fn(|bit| 0_u32.wrapping_sub(u32::from(byte >> bit & 1)))
}

/// What 256 consecutive counter blocks have in common: all but their last byte.
pub struct Prefix([u8; 16]);

impl Prefix {
    /// Prepares the 256 counter blocks from `counter` on, a multiple of 256.
    pub fn new(_: &Key, nonce: &[u8; 12], counter: u32) -> Self {
        let mut block = [0; 16];
        block[..12].copy_from_slice(nonce);
        block[12..].copy_from_slice(&counter.to_be_bytes());
        Self(block)
    }
}

/// Encrypts the counter blocks of `prefix` whose last bytes are `counter`, 0 or 128, to `counter + 127`.
#[inline(never)]
pub fn encrypt(key: &Key, prefix: &Prefix, counter: u8, scratch: &mut [v128; SCRATCH], blocks: &mut [v128; BLOCKS]) {
    let [first, middle @ .., last] = &*key.0;
    let ([state, substituted], []) = scratch.as_chunks_mut::<8>().0.as_chunks_mut::<16>() else { return };
    start(first, prefix, counter, state);
    for key in middle {
        substitute(state, substituted);
        mix_columns(key, substituted, state);
    }
    substitute(state, substituted);
    add(last, substituted);
    unslice(substituted, blocks);
}

/// The counter blocks, with round key 0.
fn start(key: &[[u32; 8]; 16], prefix: &Prefix, counter: u8, state: &mut [Byte; 16]) {
    for (byte, value) in state.iter_mut().zip(prefix.0) {
        for (register, mask) in byte.iter_mut().zip(bits(value)) {
            *register = u32x4_splat(mask);
        }
    }
    // Block j's counter ends in j: its low four bits are the byte's number, the next three that of the bit.
    let ascending = u8x16(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    let of_byte = |bit: u8| u8x16_ne(v128_and(ascending, u8x16_splat(1 << bit)), u8x16_splat(0));
    let highest = u8x16_splat(0_u8.wrapping_sub(counter >> 7));
    let of_bit = [u8x16_splat(0xaa), u8x16_splat(0xcc), u8x16_splat(0xf0)];
    state[15] = [of_byte(0), of_byte(1), of_byte(2), of_byte(3), of_bit[0], of_bit[1], of_bit[2], highest];
    add(key, state);
}

/// AddRoundKey.
#[inline(always)]
fn add(key: &[[u32; 8]; 16], state: &mut [Byte; 16]) {
    for (register, mask) in state.as_flattened_mut().iter_mut().zip(key.as_flattened()) {
        *register = v128_xor(*register, u32x4_splat(*mask));
    }
}

/// SubBytes without its constant, and ShiftRows.
#[inline(always)]
fn substitute(from: &[Byte; 16], to: &mut [Byte; 16]) {
    for (i, to) in to.iter_mut().enumerate() {
        *to = sbox(&from[5 * i % 16]);
    }
}

/// MixColumns and AddRoundKey.
#[inline(always)]
fn mix_columns(key: &[[u32; 8]; 16], from: &[Byte; 16], to: &mut [Byte; 16]) {
    let keys = key.as_chunks().0;
    for ((key, from), to) in keys.iter().zip(from.as_chunks().0).zip(to.as_chunks_mut().0) {
        mix_column(key, from, to);
    }
}

/// With t the sum of a column's bytes sᵢ, MixColumns is 2(sᵢ + sᵢ₊₁) + t + sᵢ.
#[inline(always)]
fn mix_column(key: &[[u32; 8]; 4], from: &[Byte; 4], to: &mut [Byte; 4]) {
    let highest = pairs(row_of_bits(from, 7));
    // By hand, because LLVM does not unroll it.
    let below = mix_bit::<0>(key, from, highest, highest, to);
    let below = mix_bit::<1>(key, from, below, highest, to);
    let below = mix_bit::<2>(key, from, below, highest, to);
    let below = mix_bit::<3>(key, from, below, highest, to);
    let below = mix_bit::<4>(key, from, below, highest, to);
    let below = mix_bit::<5>(key, from, below, highest, to);
    let below = mix_bit::<6>(key, from, below, highest, to);
    mix_bit::<7>(key, from, below, highest, to);
}

/// One bit of a column. `below` and `highest` are the next lower bit, and bit 7, of the sᵢ + sᵢ₊₁. Returns this bit of them.
#[inline(always)]
fn mix_bit<const BIT: usize>(
    key: &[[u32; 8]; 4],
    from: &[Byte; 4],
    below: [v128; 4],
    highest: [v128; 4],
    to: &mut [Byte; 4],
) -> [v128; 4] {
    let bits = row_of_bits(from, BIT);
    let pairs = pairs(bits);
    let total = v128_xor(pairs[0], pairs[2]);
    for row in 0..4 {
        // Doubling moves bits up, and the highest to 0, 1, 3 and 4.
        let doubled = if matches!(BIT, 1 | 3 | 4) { v128_xor(below[row], highest[row]) } else { below[row] };
        let rest = v128_xor(bits[row], u32x4_splat(key[row][BIT]));
        to[row][BIT] = v128_xor(v128_xor(doubled, total), rest);
    }
    pairs
}

#[inline(always)]
fn row_of_bits([a, b, c, d]: &[Byte; 4], bit: usize) -> [v128; 4] {
    [a[bit], b[bit], c[bit], d[bit]]
}

#[inline(always)]
fn pairs([a, b, c, d]: [v128; 4]) -> [v128; 4] {
    [v128_xor(a, b), v128_xor(b, c), v128_xor(c, d), v128_xor(d, a)]
}

/// From bits back to blocks.
#[inline(always)]
fn unslice(state: &mut [Byte; 16], blocks: &mut [v128; BLOCKS]) {
    for byte in state.iter_mut() {
        *byte = bits_transposed(byte);
    }
    for (i, blocks) in blocks.as_chunks_mut().0.iter_mut().enumerate() {
        *blocks = transposed(core::array::from_fn(|byte| state[byte][i]));
    }
}

/// Bit t of register b, in every byte, becomes bit b of register t.
#[inline(always)]
fn bits_transposed(bits: &Byte) -> Byte {
    let [a, b, c, d, e, f, g, h] = *bits;
    let ([a, b], [c, d], [e, f], [g, h]) =
        (swapped::<1>(a, b), swapped::<1>(c, d), swapped::<1>(e, f), swapped::<1>(g, h));
    let ([a, c], [b, d], [e, g], [f, h]) =
        (swapped::<2>(a, c), swapped::<2>(b, d), swapped::<2>(e, g), swapped::<2>(f, h));
    let ([a, e], [b, f], [c, g], [d, h]) =
        (swapped::<4>(a, e), swapped::<4>(b, f), swapped::<4>(c, g), swapped::<4>(d, h));
    [a, b, c, d, e, f, g, h]
}

/// Exchanges the bits of `low` whose number has this bit set with those of `high` whose number has not.
#[inline(always)]
fn swapped<const BIT: u32>(low: v128, high: v128) -> [v128; 2] {
    let mask = u8x16_splat(match BIT {
        1 => 0x55,
        2 => 0x33,
        _ => 0x0f,
    });
    let moved = v128_and(v128_xor(u16x8_shr(low, BIT), high), mask);
    [v128_xor(low, u16x8_shl(moved, BIT)), v128_xor(high, moved)]
}

/// The S-box without its constant: 113 gates of Boyar, Peralta and Calik, "SLP_AES_113", in the order of the `aes` crate.
#[inline(always)]
fn sbox(&[u7, u6, u5, u4, u3, u2, u1, u0]: &Byte) -> Byte {
    let y14 = v128_xor(u3, u5);
    let y13 = v128_xor(u0, u6);
    let y12 = v128_xor(y13, y14);
    let t1 = v128_xor(u4, y12);
    let y15 = v128_xor(t1, u5);
    let t2 = v128_and(y12, y15);
    let y6 = v128_xor(y15, u7);
    let y20 = v128_xor(t1, u1);
    let y9 = v128_xor(u0, u3);
    let y11 = v128_xor(y20, y9);
    let t12 = v128_and(y9, y11);
    let y7 = v128_xor(u7, y11);
    let y8 = v128_xor(u0, u5);
    let t0 = v128_xor(u1, u2);
    let y10 = v128_xor(y15, t0);
    let y17 = v128_xor(y10, y11);
    let t13 = v128_and(y14, y17);
    let t14 = v128_xor(t13, t12);
    let y19 = v128_xor(y10, y8);
    let t15 = v128_and(y8, y10);
    let t16 = v128_xor(t15, t12);
    let y16 = v128_xor(t0, y11);
    let y21 = v128_xor(y13, y16);
    let t7 = v128_and(y13, y16);
    let y18 = v128_xor(u0, y16);
    let y1 = v128_xor(t0, u7);
    let y4 = v128_xor(y1, u3);
    let t5 = v128_and(y4, u7);
    let t6 = v128_xor(t5, t2);
    let t18 = v128_xor(t6, t16);
    let t22 = v128_xor(t18, y19);
    let y2 = v128_xor(y1, u0);
    let t10 = v128_and(y2, y7);
    let t11 = v128_xor(t10, t7);
    let t20 = v128_xor(t11, t16);
    let t24 = v128_xor(t20, y18);
    let y5 = v128_xor(y1, u6);
    let t8 = v128_and(y5, y1);
    let t9 = v128_xor(t8, t7);
    let t19 = v128_xor(t9, t14);
    let t23 = v128_xor(t19, y21);
    let y3 = v128_xor(y5, y8);
    let t3 = v128_and(y3, y6);
    let t4 = v128_xor(t3, t2);
    let t17 = v128_xor(t4, y20);
    let t21 = v128_xor(t17, t14);
    let t26 = v128_and(t21, t23);
    let t27 = v128_xor(t24, t26);
    let t31 = v128_xor(t22, t26);
    let t25 = v128_xor(t21, t22);
    let t28 = v128_and(t25, t27);
    let t29 = v128_xor(t28, t22);
    let z14 = v128_and(t29, y2);
    let z5 = v128_and(t29, y7);
    let t30 = v128_xor(t23, t24);
    let t32 = v128_and(t31, t30);
    let t33 = v128_xor(t32, t24);
    let t35 = v128_xor(t27, t33);
    let t36 = v128_and(t24, t35);
    let t38 = v128_xor(t27, t36);
    let t39 = v128_and(t29, t38);
    let t40 = v128_xor(t25, t39);
    let t43 = v128_xor(t29, t40);
    let z3 = v128_and(t43, y16);
    let tc12 = v128_xor(z3, z5);
    let z12 = v128_and(t43, y13);
    let z13 = v128_and(t40, y5);
    let z4 = v128_and(t40, y1);
    let tc6 = v128_xor(z3, z4);
    let t34 = v128_xor(t23, t33);
    let t37 = v128_xor(t36, t34);
    let t41 = v128_xor(t40, t37);
    let z8 = v128_and(t41, y10);
    let z17 = v128_and(t41, y8);
    let t44 = v128_xor(t33, t37);
    let z0 = v128_and(t44, y15);
    let z9 = v128_and(t44, y12);
    let z10 = v128_and(t37, y3);
    let z1 = v128_and(t37, y6);
    let tc5 = v128_xor(z1, z0);
    let tc11 = v128_xor(tc6, tc5);
    let z11 = v128_and(t33, y4);
    let t42 = v128_xor(t29, t33);
    let t45 = v128_xor(t42, t41);
    let z7 = v128_and(t45, y17);
    let tc8 = v128_xor(z7, tc6);
    let z16 = v128_and(t45, y14);
    let z6 = v128_and(t42, y11);
    let tc16 = v128_xor(z6, tc8);
    let z15 = v128_and(t42, y9);
    let tc20 = v128_xor(z15, tc16);
    let tc1 = v128_xor(z15, z16);
    let tc2 = v128_xor(z10, tc1);
    let tc21 = v128_xor(tc2, z11);
    let tc3 = v128_xor(z9, tc2);
    let s0 = v128_xor(tc3, tc16);
    let s3 = v128_xor(tc3, tc11);
    let s1 = v128_xor(s3, tc16);
    let tc13 = v128_xor(z13, tc1);
    let z2 = v128_and(t33, u7);
    let tc4 = v128_xor(z0, z2);
    let tc7 = v128_xor(z12, tc4);
    let tc9 = v128_xor(z8, tc7);
    let tc10 = v128_xor(tc8, tc9);
    let tc17 = v128_xor(z14, tc10);
    let s5 = v128_xor(tc21, tc17);
    let tc26 = v128_xor(tc17, tc20);
    let s2 = v128_xor(tc26, z17);
    let tc14 = v128_xor(tc4, tc12);
    let tc18 = v128_xor(tc13, tc14);
    let s6 = v128_xor(tc10, tc18);
    let s7 = v128_xor(z12, tc18);
    let s4 = v128_xor(tc14, s3);
    [s7, s6, s5, s4, s3, s2, s1, s0]
}
