//! Seals and opens messages in Envoy's VM, and logs how fast that was. `cargo bench-gcm` runs it.

use std::hint::black_box;
use std::time::{Duration, Instant};

use aes_gcm::Tag;
use proxy_wasm::traits::{Context, RootContext};
use s3ep_gcm::aead::consts::{U12, U16};
use s3ep_gcm::aead::inout::InOutBuf;
use s3ep_gcm::aead::{AeadInOut, Error, KeyInit};

#[allow(missing_docs, reason = "the macro makes a public `_initialize`")]
mod initialize {
    proxy_wasm::main! {{
        proxy_wasm::set_log_level(proxy_wasm::types::LogLevel::Info);
        proxy_wasm::set_root_context(|_| Box::new(crate::Bench));
    }}
}

struct Bench;

impl Context for Bench {}

impl RootContext for Bench {
    fn on_configure(&mut self, _: usize) -> bool {
        match LENGTHS.into_iter().try_for_each(compare) {
            Ok(()) => log::warn!("bench-gcm: done"),
            Err(Error) => log::error!("bench-gcm: what was sealed does not open"),
        }
        true
    }
}

fn compare(len: usize) -> Result<(), Error> {
    let mut theirs = Subject::<aes_gcm::Aes256Gcm>::new(len);
    let mut ours = Subject::<s3ep_gcm::Aes256Gcm>::new(len);
    // In turn and in short slices, of which the fastest counts: so both find the machine alike.
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

/// Bytes that are sealed or opened in a slice.
const SLICE: usize = 512 * 1024;
/// Slices of each kind.
const SLICES: usize = 200;
/// Plaintext bytes of the messages.
const LENGTHS: [usize; 2] = [65_536, 1024];
const NONCE: [u8; 12] = [0; 12];
const ASSOCIATED_DATA: [u8; 32] = [0; 32];

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
        let start = Instant::now();
        for _ in 0..SLICE / self.plain.len() {
            step(black_box(self))?;
        }
        Ok(start.elapsed())
    }

    /// What `cargo bench-gcm` reads: megabytes a second.
    fn log(&self, name: &str) {
        let rate = |time: Duration| SLICE as f64 / time.as_secs_f64() / 1e6;
        let (len, seal, open) = (self.plain.len(), rate(self.seal), rate(self.open));
        log::warn!("bench-gcm: {name}; {len}; {seal:.1}; {open:.1}");
    }
}
