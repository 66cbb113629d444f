//! GHASH (SP 800-38D, section 6.4), up to 16 blocks at a time.
//!
//! A group of n blocks is multiplied by Hⁿ to H¹, and the products are added. For every power of H there is a table of
//! its multiples by the 16 polynomials of degree below 4, kept by bytes: register b has byte b of each. A lookup with the nibbles
//! of a block thus gives byte b of the product of each nibble, 16 nibbles at once. These are added over the blocks of
//! the group first, then moved to their places, and reduced once for the whole group.
//!
//! A block's bytes are in the order of their powers of x, and so are a byte's bits, from its highest: multiplying by x⁸ moves
//! bytes up by one, multiplying by x shifts to the right.

use core::arch::wasm32::*;

use zeroize::ZeroizeOnDrop;

use super::bytes::{from_array, load, look_up, nibbles, to_array, transposed, zeroize};

/// Blocks in a group.
const GROUP: usize = 16;

/// For H¹ to H¹⁶, four bytes of the multiples of each; the bytes 0 to 3, then 4 to 7, and so on.
type Tables = [[[v128; 4]; GROUP]; 4];

/// The tables of H.
#[derive(Clone)]
pub struct Key(Box<Tables>);

impl Drop for Key {
    fn drop(&mut self) {
        zeroize(self.0.as_flattened_mut().as_flattened_mut());
    }
}

impl ZeroizeOnDrop for Key {}

impl Key {
    /// Makes the tables of H.
    pub fn new(h: v128) -> Self {
        let mut key = Self(Box::new([[[u8x16_splat(0); 4]; GROUP]; 4]));
        let mut power = h;
        for i in 0..GROUP {
            let multiples = multiples(power);
            for (quarter, bytes) in key.0.iter_mut().zip(multiples.as_chunks().0) {
                quarter[i] = *bytes;
            }
            power = Group::new().hash(&key.0, power, &[[0; 16]]);
        }
        key
    }

    /// Hashes associated data and ciphertext, each padded to whole blocks, and their lengths.
    pub fn hash(&self, associated_data: &[u8], ciphertext: &[u8]) -> v128 {
        let mut group = Group::new();
        let mut hash = u8x16_splat(0);
        for data in [associated_data, ciphertext] {
            hash = self.update(&mut group, hash, data);
        }
        let bits = |data: &[u8]| (8 * data.len() as u64).swap_bytes();
        let lengths = to_array(u64x2(bits(associated_data), bits(ciphertext)));
        self.update(&mut group, hash, &lengths)
    }

    fn update(&self, group: &mut Group, mut hash: v128, data: &[u8]) -> v128 {
        let (blocks, tail) = data.as_chunks();
        for blocks in blocks.chunks(GROUP) {
            hash = group.hash(&self.0, hash, blocks);
        }
        if !tail.is_empty() {
            let mut block = [0; 16];
            block[..tail.len()].copy_from_slice(tail);
            hash = group.hash(&self.0, hash, &[block]);
        }
        hash
    }
}

/// The multiples of an element; register b has byte b of each.
fn multiples(element: v128) -> [v128; 16] {
    let mut multiples = [u8x16_splat(0); 16];
    let mut element = Element::from(element);
    // The highest bit of a nibble is the coefficient of 1.
    for bit in [8, 4, 2, 1] {
        multiples[bit] = element.into();
        element = element.times_x();
    }
    for i in 3..16_usize {
        let highest = 1 << i.ilog2();
        multiples[i] = v128_xor(multiples[highest], multiples[i - highest]);
    }
    transposed(multiples)
}

/// The low and the high nibbles of a group's blocks, from its last block on: in the order of the powers of H.
struct Group([[v128; 2]; GROUP]);

impl Group {
    fn new() -> Self {
        // Not 0: LLVM would call memory.fill for that, which takes longer than the stores.
        Self([[u8x16_splat(0xff); 2]; GROUP])
    }

    /// Hashes 1 to 16 blocks on.
    #[inline(never)]
    fn hash(&mut self, tables: &Tables, hash: v128, blocks: &[[u8; 16]]) -> v128 {
        let len = blocks.len();
        for (to, block) in self.0.iter_mut().zip(blocks.iter().rev()) {
            *to = nibbles(load(block)).into();
        }
        let [low, high] = nibbles(hash).into();
        let [first_low, first_high] = &mut self.0[len - 1];
        *first_low = v128_xor(*first_low, low);
        *first_high = v128_xor(*first_high, high);

        let mut low = Product::ZERO;
        let mut high = Product::ZERO;
        for powers in tables.iter().rev() {
            let [sums_low, sums_high] = sums(&self.0[..len], &powers[..len]);
            low = low.times_x32_plus(sums_low);
            high = high.times_x32_plus(sums_high);
        }
        reduce(low, high)
    }
}

/// Four bytes of the products of the low and of the high nibbles, added over the blocks.
#[inline(always)]
fn sums(blocks: &[[v128; 2]], powers: &[[v128; 4]]) -> [[v128; 4]; 2] {
    let mut sums = [[u8x16_splat(0); 4]; 2];
    for (nibbles, multiples) in blocks.iter().zip(powers) {
        for (sums, nibbles) in sums.iter_mut().zip(nibbles) {
            for (sum, table) in sums.iter_mut().zip(multiples) {
                *sum = v128_xor(*sum, look_up(*table, *nibbles));
            }
        }
    }
    sums
}

/// A product before it is reduced: 32 bytes, in their order.
#[derive(Clone, Copy)]
struct Product(v128, v128);

impl Product {
    const ZERO: Self = Self(from_array([0; 16]), from_array([0; 16]));

    /// Moves it up by four bytes, and adds four elements, each a byte above the one before.
    #[inline(always)]
    fn times_x32_plus(self, [a, b, c, d]: [v128; 4]) -> Self {
        let zero = u8x16_splat(0);
        // Each is one instruction (palignr).
        let by_1 = i8x16_shuffle::<15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30>;
        let by_2 = i8x16_shuffle::<14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29>;
        let by_3 = i8x16_shuffle::<13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28>;
        let by_4 = i8x16_shuffle::<12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27>;
        let low = v128_xor(v128_xor(a, by_1(zero, b)), v128_xor(by_2(zero, c), by_3(zero, d)));
        let high = v128_xor(v128_xor(by_1(b, zero), by_2(c, zero)), by_3(d, zero));
        Self(v128_xor(by_4(zero, self.0), low), v128_xor(by_4(self.0, self.1), high))
    }
}

/// `high` + `low`·x⁴, modulo x¹²⁸ + x⁷ + x² + x + 1.
#[inline(always)]
fn reduce(low: Product, high: Product) -> v128 {
    let (low_0, low_1) = (Element::from(low.0).0, Element::from(low.1).0);
    let over = Element::from(high.1).0 ^ low_1 >> 4 ^ low_0 << 124;
    let under = Element::from(high.0).0 ^ low_0 >> 4;
    // What x¹²⁸ = x⁷ + x² + x + 1 brings beyond x¹²⁷ is brought down by the same.
    let over = over ^ over << 127 ^ over << 126 ^ over << 121;
    Element(under ^ over ^ over >> 1 ^ over >> 2 ^ over >> 7).into()
}

/// An element of GF(2¹²⁸); its highest bit is the coefficient of 1.
#[derive(Clone, Copy)]
struct Element(u128);

impl Element {
    fn times_x(self) -> Self {
        // A mask for the carry, not a branch.
        let carry = 0_u128.wrapping_sub(self.0 & 1);
        Self(self.0 >> 1 ^ carry & 0xe1 << 120)
    }
}

const REVERSED: v128 = from_array([15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0]);

impl From<v128> for Element {
    #[inline(always)]
    fn from(register: v128) -> Self {
        let reversed = look_up(register, REVERSED);
        let [low, high] = [u64x2_extract_lane::<0>(reversed), u64x2_extract_lane::<1>(reversed)];
        Self(u128::from(high) << 64 | u128::from(low))
    }
}

impl From<Element> for v128 {
    #[inline(always)]
    fn from(Element(bits): Element) -> Self {
        look_up(u64x2(bits as u64, (bits >> 64) as u64), REVERSED)
    }
}
