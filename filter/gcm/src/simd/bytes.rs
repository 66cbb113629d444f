//! Registers of 16 bytes.

use core::arch::wasm32::*;
use core::sync::atomic::{Ordering, compiler_fence};

/// Looks each byte of `indices` up in `table`. 128 and above give 0; 16 to 127 must not occur.
#[inline(always)]
pub fn look_up(table: v128, indices: v128) -> v128 {
    #[cfg(target_feature = "relaxed-simd")]
    return i8x16_relaxed_swizzle(table, indices);
    #[cfg(not(target_feature = "relaxed-simd"))]
    return i8x16_swizzle(table, indices);
}

/// The low and the high nibble of every byte.
#[inline(always)]
pub fn nibbles(bytes: v128) -> (v128, v128) {
    let mask = u8x16_splat(0x0f);
    (v128_and(bytes, mask), v128_and(u16x8_shr(bytes, 4), mask))
}

/// The register with these bytes.
#[inline(always)]
pub const fn from_array(b: [u8; 16]) -> v128 {
    let [b0, b1, b2, b3, b4, b5, b6, b7, b8, b9, b10, b11, b12, b13, b14, b15] = b;
    u8x16(b0, b1, b2, b3, b4, b5, b6, b7, b8, b9, b10, b11, b12, b13, b14, b15)
}

/// Loads 16 bytes.
#[inline(always)]
pub fn load(bytes: &[u8; 16]) -> v128 {
    // SAFETY: a reference to 16 bytes can be read; v128.load takes any alignment.
    unsafe { v128_load(bytes.as_ptr().cast()) }
}

/// Stores 16 bytes.
#[inline(always)]
pub fn store(register: v128, bytes: &mut [u8; 16]) {
    // SAFETY: a mutable reference to 16 bytes can be written; v128.store takes any alignment.
    unsafe { v128_store(bytes.as_mut_ptr().cast(), register) }
}

/// The bytes of a register.
#[inline(always)]
pub fn to_array(register: v128) -> [u8; 16] {
    let mut bytes = [0; 16];
    store(register, &mut bytes);
    bytes
}

/// Byte i of register j becomes byte j of register i.
#[inline(always)]
pub fn transposed(rows: [v128; 16]) -> [v128; 16] {
    // Four times, that exchanges the four bits of a register's number and the four of a byte's.
    interleaved(interleaved(interleaved(interleaved(rows))))
}

/// The first half of the registers, byte by byte in turn with the second half.
#[inline(always)]
fn interleaved(rows: [v128; 16]) -> [v128; 16] {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = rows;
    [
        low(a, i),
        high(a, i),
        low(b, j),
        high(b, j),
        low(c, k),
        high(c, k),
        low(d, l),
        high(d, l),
        low(e, m),
        high(e, m),
        low(f, n),
        high(f, n),
        low(g, o),
        high(g, o),
        low(h, p),
        high(h, p),
    ]
}

/// The lower halves, byte by byte in turn.
#[inline(always)]
fn low(a: v128, b: v128) -> v128 {
    i8x16_shuffle::<0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23>(a, b)
}

/// The upper halves, byte by byte in turn.
#[inline(always)]
fn high(a: v128, b: v128) -> v128 {
    i8x16_shuffle::<8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31>(a, b)
}

/// The bytes of registers.
#[inline(always)]
pub fn as_bytes<const N: usize>(registers: &[v128; N]) -> &[[u8; 16]; N] {
    // SAFETY: a v128 is 16 bytes without padding, and its alignment is more than enough.
    unsafe { &*core::ptr::from_ref(registers).cast() }
}

/// Overwrites secrets.
pub fn zeroize(secrets: &mut [v128]) {
    for secret in secrets {
        // SAFETY: a mutable reference can be written.
        unsafe { core::ptr::write_volatile(secret, u8x16_splat(0)) };
    }
    // As the `zeroize` crate does: no later access is moved before the writes.
    compiler_fence(Ordering::SeqCst);
}
