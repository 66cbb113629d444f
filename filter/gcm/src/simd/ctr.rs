//! Counter mode (SP 800-38D, section 6.5), and the block that masks the tag.

use core::arch::wasm32::{u8x16_splat, v128};

use aes_gcm::aead::consts::U16;
use aes_gcm::aead::inout::InOutBuf;

use super::aes::{self, BLOCKS, Prefix, SCRATCH};
use super::bytes::{as_bytes, zeroize};

/// The first batch has the counters 0 and 1, which data has no use for: so batches begin at multiples of their size, and
/// within one only a counter's last byte changes.
const FIRST_DATA_BLOCK: usize = 2;

/// A message's key stream.
pub struct Ctr<'k> {
    key: &'k aes::Key,
    nonce: [u8; 12],
    /// Of the batch's first block.
    counter: u32,
    prefix: Prefix,
    batch: [v128; BLOCKS],
    scratch: [v128; SCRATCH],
}

impl<'k> Ctr<'k> {
    /// Makes the first batch. Also gives what the tag is masked with.
    pub fn new(key: &'k aes::Key, nonce: &[u8; 12]) -> (Self, v128) {
        let prefix = Prefix::new(key, nonce, 0);
        // Not 0: LLVM would call memory.fill for that, which takes longer than the stores.
        let blank = u8x16_splat(0xff);
        let mut ctr =
            Self { key, nonce: *nonce, counter: 0, prefix, batch: [blank; BLOCKS], scratch: [blank; SCRATCH] };
        ctr.make_batch();
        let tag_mask = ctr.batch[1];
        (ctr, tag_mask)
    }

    /// Adds the key stream to a message. To be called once.
    pub fn apply(&mut self, message: InOutBuf<'_, '_, u8>) {
        let (first, mut rest) = split(message, BLOCKS - FIRST_DATA_BLOCK);
        add(&as_bytes(&self.batch)[FIRST_DATA_BLOCK..], first);
        while !rest.is_empty() {
            self.advance();
            let next;
            (next, rest) = split(rest, BLOCKS);
            add(as_bytes(&self.batch), next);
        }
    }

    /// Goes to the next batch. No message is so long that the counter overflows.
    fn advance(&mut self) {
        self.counter = self.counter.wrapping_add(BLOCKS as u32);
        if self.counter as u8 == 0 {
            self.prefix = Prefix::new(self.key, &self.nonce, self.counter);
        }
        self.make_batch();
    }

    fn make_batch(&mut self) {
        aes::encrypt(self.key, &self.prefix, self.counter as u8, &mut self.scratch, &mut self.batch);
    }
}

impl Drop for Ctr<'_> {
    fn drop(&mut self) {
        zeroize(&mut self.batch);
        zeroize(&mut self.scratch);
    }
}

/// The block of zeros, encrypted.
pub fn encrypted_zero(key: &aes::Key) -> v128 {
    let (ctr, _) = Ctr::new(key, &[0; 12]);
    ctr.batch[0]
}

fn split<'i, 'o>(data: InOutBuf<'i, 'o, u8>, blocks: usize) -> (InOutBuf<'i, 'o, u8>, InOutBuf<'i, 'o, u8>) {
    let at = data.len().min(16 * blocks);
    data.split_at(at)
}

/// Adds key stream to at most as much data.
fn add(key_stream: &[[u8; 16]], data: InOutBuf<'_, '_, u8>) {
    let (blocks, mut tail) = data.into_chunks::<U16>();
    let whole = blocks.len();
    for (mut block, key) in blocks.into_iter().zip(key_stream) {
        block.xor_in2out(key.into());
    }
    if !tail.is_empty() {
        let len = tail.len();
        tail.xor_in2out(&key_stream[whole][..len]);
    }
}
