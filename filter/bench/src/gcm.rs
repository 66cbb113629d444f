//! AES-256-GCM: the `aes-gcm` crate beside `s3ep-gcm`.

use std::hint::black_box;
use std::time::Duration;

use aes_gcm::Tag;
use s3ep_gcm::aead::consts::{U12, U16};
use s3ep_gcm::aead::inout::InOutBuf;
use s3ep_gcm::aead::{AeadInOut, Error, KeyInit};

use crate::{SLICES, rate, time};

/// Plaintext bytes of the messages.
const LENGTHS: [usize; 2] = [65_536, 1024];
const NONCE: [u8; 12] = [0; 12];
const ASSOCIATED_DATA: [u8; 32] = [0; 32];

/// Measures both, and logs the megabytes a second of sealing and of opening.
pub fn measure() -> Result<(), Error> {
    LENGTHS.into_iter().try_for_each(compare)
}

fn compare(len: usize) -> Result<(), Error> {
    let mut theirs = Subject::<aes_gcm::Aes256Gcm>::new(len);
    let mut ours = Subject::<s3ep_gcm::Aes256Gcm>::new(len);
    for _ in 0..SLICES {
        theirs.measure()?;
        ours.measure()?;
    }
    theirs.log("aes-gcm");
    ours.log(s3ep_gcm::IMPLEMENTATION);
    Ok(())
}

/// A cipher with messages of one length.
struct Subject<C> {
    cipher: C,
    plain: Vec<u8>,
    sealed: Vec<u8>,
    tag: Tag,
    /// The shortest times that a slice took.
    seal: Duration,
    open: Duration,
}

impl<C: AeadInOut<NonceSize = U12, TagSize = U16> + KeyInit> Subject<C> {
    fn new(len: usize) -> Self {
        let cipher = C::new(&Default::default());
        let (plain, sealed) = (vec![0; len], vec![0; len]);
        Self { cipher, plain, sealed, tag: Tag::default(), seal: Duration::MAX, open: Duration::MAX }
    }

    /// From one buffer to the other, so that there is always something to open.
    fn measure(&mut self) -> Result<(), Error> {
        self.seal = self.seal.min(self.time(|this| {
            let buffers = InOutBuf::new(&this.plain, &mut this.sealed).map_err(|_| Error)?;
            this.tag = this.cipher.encrypt_inout_detached(&NONCE.into(), &ASSOCIATED_DATA, buffers)?;
            Ok(())
        })?);
        self.open = self.open.min(self.time(|this| {
            let buffers = InOutBuf::new(&this.sealed, &mut this.plain).map_err(|_| Error)?;
            this.cipher.decrypt_inout_detached(&NONCE.into(), &ASSOCIATED_DATA, buffers, &this.tag)
        })?);
        Ok(())
    }

    fn time(&mut self, step: impl Fn(&mut Self) -> Result<(), Error>) -> Result<Duration, Error> {
        time(self.plain.len(), || step(black_box(self)))
    }

    fn log(&self, name: &str) {
        let (len, seal, open) = (self.plain.len(), rate(self.seal), rate(self.open));
        log::warn!("bench-wasm: cipher; {name}; {len}; {seal:.1}; {open:.1}");
    }
}
