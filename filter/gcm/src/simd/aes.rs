//! AES-256 (FIPS 197) of 16 counter blocks at a time.
//!
//! The state is kept by bytes: register i has byte i of all 16 blocks. So ShiftRows is a choice of registers, and MixColumns
//! needs nothing but XOR, the S-box giving its output doubled and tripled at no more than two lookups each.

use core::arch::wasm32::*;

use ::zeroize::{ZeroizeOnDrop, Zeroizing};

use super::bytes::{load, look_up, transposed, zeroize};
use super::sbox::{INTO_BASIS, Inverse};
use super::schedule::{CONSTANT, ROUNDS, expand};

/// Blocks that are encrypted at a time.
pub const BLOCKS: usize = 16;

/// Byte i of 16 blocks in register i; or 16 blocks.
pub type State = [v128; BLOCKS];
/// Registers that [`encrypt`] works in.
pub const SCRATCH: usize = 16;

/// The round keys.
#[derive(Clone)]
pub struct Key(Box<Schedule>);

#[derive(Clone)]
struct Schedule {
    /// Those of rounds 0 to 2 as rows, with the S-box's constant, in the S-box's basis.
    first: [v128; 3],
    /// Those of rounds 3 to 13, each byte in a register of its own, with the S-box's constant, in its basis, and with the
    /// sum of its column (see [`round`]).
    middle: [State; ROUNDS - 3],
    /// That of round 14, with the S-box's constant.
    last: State,
}

/// What 256 consecutive counter blocks have in common after two rounds: only their last byte differs.
pub struct Prefix {
    /// Byte 15 of round key 0.
    counter_key: v128,
    /// Bytes 0 to 3 after round 1, but for what byte 15 adds.
    first: [v128; 4],
    /// The bytes after round 2, but for what those four add.
    second: State,
}

/// What a byte of the state adds to the four of its column: itself, doubled, and tripled.
struct Multiples {
    one: v128,
    two: v128,
    three: v128,
}

impl Multiples {
    #[inline(always)]
    fn of(byte: v128) -> Self {
        let inverse = Inverse::of(byte);
        let (two, three) = (inverse.doubled(), inverse.tripled());
        Self { one: v128_xor(two, three), two, three }
    }
}

impl Key {
    /// Expands a key.
    pub fn new(key: &[u8; 32]) -> Self {
        let words = Zeroizing::new(expand(key));
        let zero = u8x16_splat(0);
        let mut schedule = Box::new(Schedule { first: [zero; 3], middle: [[zero; 16]; ROUNDS - 3], last: [zero; 16] });
        schedule.fill(&words);
        Self(schedule)
    }
}

impl Schedule {
    fn fill(&mut self, words: &[u32; 4 * (ROUNDS + 1)]) {
        let mut rows = words.chunks_exact(4).map(|word| u32x4(word[0], word[1], word[2], word[3]));
        let constant = u8x16_splat(CONSTANT);
        for (row, key) in rows.by_ref().enumerate().take(3) {
            let key = if row == 0 { key } else { v128_xor(key, constant) };
            self.first[row] = INTO_BASIS.of(key);
        }
        for (slices, key) in self.middle.iter_mut().zip(rows.by_ref()) {
            slice(with_column_sums(INTO_BASIS.of(v128_xor(key, constant))), slices);
        }
        for key in rows {
            slice(v128_xor(key, constant), &mut self.last);
        }
    }
}

impl Drop for Schedule {
    fn drop(&mut self) {
        zeroize(&mut self.first);
        zeroize(self.middle.as_flattened_mut());
        zeroize(&mut self.last);
    }
}

impl ZeroizeOnDrop for Key {}

impl Drop for Prefix {
    fn drop(&mut self) {
        zeroize(core::slice::from_mut(&mut self.counter_key));
        zeroize(&mut self.first);
        zeroize(&mut self.second);
    }
}

/// Spreads the bytes of a row over 16 registers.
fn slice(row: v128, slices: &mut State) {
    for (i, slice) in slices.iter_mut().enumerate() {
        *slice = look_up(row, u8x16_splat(i as u8));
    }
}

/// Adds to each byte the sum of its column.
fn with_column_sums(row: v128) -> v128 {
    let pairs = v128_xor(row, i8x16_shuffle::<1, 2, 3, 0, 5, 6, 7, 4, 9, 10, 11, 8, 13, 14, 15, 12>(row, row));
    let sums = v128_xor(pairs, i8x16_shuffle::<2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13>(pairs, pairs));
    v128_xor(row, sums)
}

impl Prefix {
    /// Prepares the 256 counter blocks from `counter` on, a multiple of 256.
    pub fn new(key: &Key, nonce: &[u8; 12], counter: u32) -> Self {
        let [key_0, key_1, key_2] = key.0.first;
        let mut block = [0; 16];
        block[..12].copy_from_slice(nonce);
        block[12..].copy_from_slice(&counter.to_be_bytes());
        let start = v128_xor(INTO_BASIS.of(load(&block)), key_0);
        let first_row = round_of_row(start, WITHOUT_BYTE_15, key_1);
        let second_row = round_of_row(first_row, WITHOUT_BYTES_0_TO_3, key_2);
        let splat = |row, i| look_up(row, u8x16_splat(i));
        let mut prefix = Self {
            counter_key: splat(key_0, 15),
            first: [splat(first_row, 0), splat(first_row, 1), splat(first_row, 2), splat(first_row, 3)],
            second: [key_0; 16],
        };
        slice(second_row, &mut prefix.second);
        prefix
    }
}

const WITHOUT_BYTE_15: v128 = u64x2(!0, !0 >> 8);
const WITHOUT_BYTES_0_TO_3: v128 = u32x4(0, !0, !0, !0);

/// A round of one block, to which only the bytes add that are in the mask.
fn round_of_row(row: v128, mask: v128, key: v128) -> v128 {
    let Multiples { one, two, three } = Multiples::of(row);
    let [one, two, three] = [v128_and(one, mask), v128_and(two, mask), v128_and(three, mask)];
    // ShiftRows, and in its columns the byte itself, the one below it, and so on.
    let row_0 = i8x16_shuffle::<0, 5, 10, 15, 4, 9, 14, 3, 8, 13, 2, 7, 12, 1, 6, 11>(two, two);
    let row_1 = i8x16_shuffle::<5, 10, 15, 0, 9, 14, 3, 4, 13, 2, 7, 8, 1, 6, 11, 12>(three, three);
    let row_2 = i8x16_shuffle::<10, 15, 0, 5, 14, 3, 4, 9, 2, 7, 8, 13, 6, 11, 12, 1>(one, one);
    let row_3 = i8x16_shuffle::<15, 0, 5, 10, 3, 4, 9, 14, 7, 8, 13, 2, 11, 12, 1, 6>(one, one);
    v128_xor(v128_xor(v128_xor(row_0, row_1), v128_xor(row_2, row_3)), key)
}

/// Encrypts the counter blocks of `prefix` whose last bytes are `counter` to `counter + 15`.
#[inline(never)]
pub fn encrypt(key: &Key, prefix: &Prefix, counter: u8, scratch: &mut [v128; SCRATCH], blocks: &mut State) {
    let (mut from, mut to) = (&mut *blocks, scratch);
    first_rounds(prefix, counter, from);
    for key in &key.0.middle {
        round(key, from, to);
        core::mem::swap(&mut from, &mut to);
    }
    *to = transposed(last_round(&key.0.last, from));
}

/// Rounds 1 and 2. In round 1, byte 15 of the blocks goes to column 0; its bytes go to a column each in round 2.
#[inline(always)]
fn first_rounds(prefix: &Prefix, counter: u8, state: &mut State) {
    const UP: v128 = u8x16(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    let counters = u8x16_add(u8x16_splat(counter), UP);
    let Multiples { one, two, three } = Multiples::of(v128_xor(INTO_BASIS.of(counters), prefix.counter_key));
    let [byte_0, byte_1, byte_2, byte_3] = prefix.first;
    let a = Multiples::of(v128_xor(byte_0, one));
    let b = Multiples::of(v128_xor(byte_1, one));
    let c = Multiples::of(v128_xor(byte_2, three));
    let d = Multiples::of(v128_xor(byte_3, two));
    let added = [
        [a.two, a.one, a.one, a.three],
        [d.one, d.one, d.three, d.two],
        [c.one, c.three, c.two, c.one],
        [b.three, b.two, b.one, b.one],
    ];
    for ((to, constant), added) in state.iter_mut().zip(&prefix.second).zip(added.as_flattened()) {
        *to = v128_xor(*constant, *added);
    }
}

/// SubBytes, ShiftRows, MixColumns, AddRoundKey.
///
/// With a column's bytes s₀ to s₃ after SubBytes, and t their sum, MixColumns is 2sᵢ + 3sᵢ₊₁ + sᵢ₊₂ + sᵢ₊₃ = t + uᵢ, where
/// uᵢ = 3sᵢ + 2sᵢ₊₁, and t is the sum of the uᵢ too. The key is added to the uᵢ, and so its column's sum to t as well: the key
/// schedule has taken that back.
#[inline(always)]
fn round(key: &State, from: &State, to: &mut State) {
    // By hand, because LLVM does not unroll it.
    column::<0>(key, from, to);
    column::<1>(key, from, to);
    column::<2>(key, from, to);
    column::<3>(key, from, to);
}

#[inline(always)]
fn column<const COLUMN: usize>(key: &State, from: &State, to: &mut State) {
    let byte = |row: usize| Inverse::of(from[4 * ((COLUMN + row) % 4) + row]);
    let key = |row: usize| key[4 * COLUMN + row];
    let (a, b) = (byte(0), byte(1));
    let u0 = v128_xor(v128_xor(a.tripled(), b.doubled()), key(0));
    let c = byte(2);
    let u1 = v128_xor(v128_xor(b.tripled(), c.doubled()), key(1));
    let d = byte(3);
    let u2 = v128_xor(v128_xor(c.tripled(), d.doubled()), key(2));
    let u3 = v128_xor(v128_xor(d.tripled(), a.doubled()), key(3));
    let sum = v128_xor(v128_xor(u0, u1), v128_xor(u2, u3));
    to[4 * COLUMN] = v128_xor(u0, sum);
    to[4 * COLUMN + 1] = v128_xor(u1, sum);
    to[4 * COLUMN + 2] = v128_xor(u2, sum);
    to[4 * COLUMN + 3] = v128_xor(u3, sum);
}

/// SubBytes, ShiftRows, AddRoundKey.
#[inline(always)]
fn last_round(key: &State, from: &State) -> State {
    let byte = |i: usize| v128_xor(Inverse::of(from[(5 * i) % 16]).sbox_out(), key[i]);
    [
        byte(0),
        byte(1),
        byte(2),
        byte(3),
        byte(4),
        byte(5),
        byte(6),
        byte(7),
        byte(8),
        byte(9),
        byte(10),
        byte(11),
        byte(12),
        byte(13),
        byte(14),
        byte(15),
    ]
}
