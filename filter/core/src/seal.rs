//! Sealing: plaintext in, segments out.

use std::rc::Rc;

use s3ep_gcm::aead::AeadInOut;
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

    /// Takes plaintext, appends to `sealed` every segment that is sure not to be the last.
    pub fn push(&mut self, entropy: &mut dyn Entropy, mut plain: &[u8], sealed: &mut Vec<u8>) -> Result<(), Error> {
        self.remaining = self.remaining.checked_sub(plain.len() as u64).ok_or(RequestError::BodyTooLong)?;
        while !plain.is_empty() {
            if self.pending.len() == SEGMENT_LEN {
                self.seal_pending(entropy, false, sealed)?;
            }
            let room = SEGMENT_LEN - self.pending.len();
            let (taken, rest) = plain.split_at_checked(room).unwrap_or((plain, &[]));
            self.pending.extend_from_slice(taken);
            plain = rest;
        }
        Ok(())
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
        let mut nonce = [0; NONCE_LEN];
        entropy.fill(&mut nonce)?;
        let header = SegmentHeader { place: self.place, is_final, len: self.pending.len() as u32, nonce }.to_bytes();
        let tag = self
            .keys
            .content
            .encrypt_inout_detached(&nonce.into(), &header, self.pending.as_mut_slice().into())
            .map_err(|_| InternalError("AES-GCM refused a segment's length"))?;
        sealed.reserve(HEADER_LEN + self.pending.len() + TAG_LEN);
        sealed.extend_from_slice(&header);
        sealed.extend_from_slice(&self.pending);
        sealed.extend_from_slice(&tag);
        self.volume += Volume::segment(self.pending.len());
        self.pending.clear();
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
