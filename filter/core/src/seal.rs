//! Sealing: plaintext in, segments out.

use std::rc::Rc;

use s3ep_gcm::aead::AeadInOut;
use s3ep_gcm::aead::inout::InOutBuf;
use zeroize::Zeroize;

use crate::account::Volume;
use crate::entropy::Entropy;
use crate::error::{Error, InternalError, RequestError};
use crate::format::segment::{HEADER_LEN, NONCE_LEN, Place, SEGMENT_LEN, SegmentHeader, TAG_LEN};
use crate::keys::ObjectKeys;

/// Seals one part whose plaintext length is known.
///
/// A part's last segment is never sealed by [`Sealer::push`], only by [`Sealer::finish`]. So whoever has something to
/// verify over the whole plaintext (a checksum, say) does it between the two, and a part that fails lacks its end:
/// the store, which was promised more bytes, makes no object of it.
pub struct Sealer {
    keys: Rc<ObjectKeys>,
    /// Where the next segment goes.
    place: Place,
    /// Plaintext bytes still to come.
    remaining: u64,
    /// The plaintext of the segment that is being filled, at most 65,536 bytes.
    pending: Vec<u8>,
    /// What was sealed and not accounted for yet.
    volume: Volume,
}

impl Sealer {
    /// Begins a part of `plain_len` bytes.
    pub fn new(keys: Rc<ObjectKeys>, part: u16, plain_len: u64) -> Self {
        let pending = Vec::with_capacity(plain_len.min(SEGMENT_LEN as u64) as usize);
        Self { keys, place: Place { part, index: 0 }, remaining: plain_len, pending, volume: Volume::default() }
    }

    /// Plaintext bytes still to come.
    pub fn remaining(&self) -> u64 {
        self.remaining
    }

    /// What was sealed since this was asked last.
    pub fn take_volume(&mut self) -> Volume {
        std::mem::take(&mut self.volume)
    }

    /// What sealing `len` more bytes of plaintext can bring, at most.
    pub fn sealed_len_for(&self, len: usize) -> usize {
        let plain = self.pending.len() + len;
        plain + (plain / SEGMENT_LEN + 1) * (HEADER_LEN + TAG_LEN)
    }

    /// Takes plaintext, appends to `sealed` every segment that is sure not to be the last.
    pub fn push(&mut self, entropy: &mut dyn Entropy, mut plain: &[u8], sealed: &mut Vec<u8>) -> Result<(), Error> {
        self.remaining = self.remaining.checked_sub(plain.len() as u64).ok_or(RequestError::BodyTooLong)?;
        while !plain.is_empty() {
            if self.pending.len() == SEGMENT_LEN {
                self.seal_pending(entropy, false, sealed)?;
            }
            plain = match plain.split_first_chunk::<SEGMENT_LEN>() {
                // Only what windows cut is collected first.
                Some((segment, rest)) if self.pending.is_empty() && !rest.is_empty() => {
                    self.seal(entropy, segment, false, sealed)?;
                    rest
                }
                _ => self.collect(plain),
            };
        }
        Ok(())
    }

    /// Fills the segment that is being collected. Returns what is left.
    fn collect<'p>(&mut self, plain: &'p [u8]) -> &'p [u8] {
        let room = SEGMENT_LEN - self.pending.len();
        let (taken, rest) = plain.split_at_checked(room).unwrap_or((plain, &[]));
        self.pending.extend_from_slice(taken);
        rest
    }

    /// Appends the last segment. Fails if not all of the announced plaintext came.
    pub fn finish(&mut self, entropy: &mut dyn Entropy, sealed: &mut Vec<u8>) -> Result<(), Error> {
        if self.remaining > 0 {
            return Err(RequestError::IncompleteBody.into());
        }
        // An empty part has no segment (FORMAT section 1).
        if !self.pending.is_empty() {
            self.seal_pending(entropy, true, sealed)?;
        }
        self.volume.bodies += 1;
        Ok(())
    }

    fn seal_pending(&mut self, entropy: &mut dyn Entropy, is_final: bool, sealed: &mut Vec<u8>) -> Result<(), Error> {
        let pending = std::mem::take(&mut self.pending);
        let result = self.seal(entropy, &pending, is_final, sealed);
        self.pending = pending;
        self.pending.clear();
        result
    }

    /// Appends a segment. No plaintext is ever in `sealed`.
    fn seal(
        &mut self,
        entropy: &mut dyn Entropy,
        plain: &[u8],
        is_final: bool,
        sealed: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let mut nonce = [0; NONCE_LEN];
        entropy.fill(&mut nonce)?;
        let header = SegmentHeader { place: self.place, is_final, len: plain.len() as u32, nonce }.to_bytes();
        sealed.reserve(HEADER_LEN + plain.len() + TAG_LEN);
        sealed.extend_from_slice(&header);
        let start = sealed.len();
        sealed.resize(start + plain.len(), 0);
        let ciphertext = sealed.get_mut(start..).unwrap_or_default();
        let tag = InOutBuf::new(plain, ciphertext)
            .ok()
            .and_then(|buffers| self.keys.content.encrypt_inout_detached(&nonce.into(), &header, buffers).ok())
            .ok_or(InternalError("AES-GCM refused a segment's length"))?;
        sealed.extend_from_slice(&tag);
        self.volume += Volume::segment(plain.len());
        self.place = self.place.successor(is_final).ok_or(InternalError("segment numbers ran out"))?;
        Ok(())
    }
}

impl Drop for Sealer {
    /// What was not sealed yet is a client's plaintext.
    fn drop(&mut self) {
        self.pending.zeroize();
    }
}
