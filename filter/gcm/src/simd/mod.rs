//! AES-256-GCM out of byte lookups, 16 at a time.
//!
//! `swizzle` looks 16 bytes up in a table of 16, which lies in a register. All that AES and GHASH need is made of it: AES' S-box
//! by inversion in GF((2⁴)²) ([`sbox`]), the products of GHASH by tables of multiples ([`ghash`]). Without relaxed SIMD, where a
//! lookup takes V8 twice as long, AES is done by bits instead (`bitsliced.rs`).
//!
//! # Constant time
//!
//! By construction: no instruction here branches on a secret, and none loads from or stores to an address that depends on
//! one. Every loop's bounds come from lengths and round numbers. The tables that secrets index are in registers, and the
//! lookup is one shuffle instruction (`pshufb`, `tbl`), whose time does not depend on its operands on any CPU that we know.
//! Beyond it, secrets meet only AND, XOR, the subtraction that makes a mask of a bit, and shifts and shuffles by constants.
//! Tags are compared by `subtle`.
//!
//! WebAssembly promises nothing about time. V8 (as in Envoy 1.40, on x86-64) maps each of these instructions to a few of the
//! CPU's, without branches.
//!
//! # Relaxed SIMD
//!
//! Where `relaxed-simd` is enabled, the lookup is `i8x16.relaxed_swizzle`. What that gives for an index of 16 to 127
//! differs by engine and CPU; all of ours are 0 to 15, or 128 and more, which gives 0 everywhere. The inversion in [`sbox`] relies on
//! that 0.

#![allow(clippy::indexing_slicing, reason = "indices are constants and loop counters; the tests reach every one")]

#[cfg(target_feature = "relaxed-simd")]
mod aes;
#[cfg(not(target_feature = "relaxed-simd"))]
#[path = "bitsliced.rs"]
mod aes;
mod bytes;
mod ctr;
mod ghash;
#[cfg_attr(not(target_feature = "relaxed-simd"), expect(dead_code, reason = "only the key schedule uses it there"))]
mod sbox;
mod schedule;

use core::arch::wasm32::{v128, v128_xor};
use core::fmt;

use aes_gcm::aead::consts::{U12, U16, U32};
use aes_gcm::aead::inout::InOutBuf;
use aes_gcm::aead::{AeadCore, AeadInOut, Error, Key, KeyInit, KeySizeUser, Nonce, Result, Tag, TagPosition};
use aes_gcm::{A_MAX, P_MAX};
use subtle::ConstantTimeEq as _;
use zeroize::ZeroizeOnDrop;

use ctr::Ctr;

/// AES-256-GCM, keyed. 8 KiB of round keys and tables on the heap, zeroized on drop.
#[derive(Clone)]
pub struct Aes256Gcm {
    aes: aes::Key,
    ghash: ghash::Key,
}

impl KeySizeUser for Aes256Gcm {
    type KeySize = U32;
}

impl KeyInit for Aes256Gcm {
    fn new(key: &Key<Self>) -> Self {
        let aes = aes::Key::new(key.as_ref());
        let ghash = ghash::Key::new(ctr::encrypted_zero(&aes));
        Self { aes, ghash }
    }
}

impl AeadCore for Aes256Gcm {
    type NonceSize = U12;
    type TagSize = U16;
    const TAG_POSITION: TagPosition = TagPosition::Postfix;
}

impl AeadInOut for Aes256Gcm {
    fn encrypt_inout_detached(
        &self,
        nonce: &Nonce<Self>,
        associated_data: &[u8],
        mut buffer: InOutBuf<'_, '_, u8>,
    ) -> Result<Tag<Self>> {
        check_lengths(associated_data, &buffer)?;
        let (mut ctr, tag_mask) = Ctr::new(&self.aes, nonce.as_ref());
        ctr.apply(buffer.reborrow());
        Ok(self.tag(tag_mask, associated_data, buffer.get_out()))
    }

    fn decrypt_inout_detached(
        &self,
        nonce: &Nonce<Self>,
        associated_data: &[u8],
        buffer: InOutBuf<'_, '_, u8>,
        tag: &Tag<Self>,
    ) -> Result<()> {
        check_lengths(associated_data, &buffer)?;
        let (mut ctr, tag_mask) = Ctr::new(&self.aes, nonce.as_ref());
        let expected = self.tag(tag_mask, associated_data, buffer.get_in());
        // Before anything is decrypted: what is not authentic is not released.
        if !bool::from(expected.ct_eq(tag.as_slice())) {
            return Err(Error);
        }
        ctr.apply(buffer);
        Ok(())
    }
}

impl Aes256Gcm {
    fn tag(&self, mask: v128, associated_data: &[u8], ciphertext: &[u8]) -> Tag<Self> {
        let hash = self.ghash.hash(associated_data, ciphertext);
        bytes::to_array(v128_xor(hash, mask)).into()
    }
}

/// SP 800-38D, section 5.2.1.1.
fn check_lengths(associated_data: &[u8], buffer: &InOutBuf<'_, '_, u8>) -> Result<()> {
    let fits = buffer.len() as u64 <= P_MAX && associated_data.len() as u64 <= A_MAX;
    if fits { Ok(()) } else { Err(Error) }
}

impl fmt::Debug for Aes256Gcm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Aes256Gcm").finish_non_exhaustive()
    }
}

/// Its members are.
impl ZeroizeOnDrop for Aes256Gcm {}
