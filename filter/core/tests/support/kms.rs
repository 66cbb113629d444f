//! A KMS with real AES-256-GCM inside: the encryption context is its AAD.

use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{Aes256Gcm, Nonce, Tag};
use s3ep_core::error::KmsError;
use s3ep_core::format::metadata::WrappedDek;
use s3ep_core::keys::{Dek, ObjectName};

const KEK_ID: &str = "fake-kms://kek/1";

/// How the KMS answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mood {
    /// As it should.
    #[default]
    Honest,
    /// Not at all, but with this error.
    Failing(KmsError),
    /// With a DEK, or a wrapped DEK, that is another one's.
    Confused,
}

/// Wraps, unwraps, and counts.
pub struct FakeKms {
    kek: Aes256Gcm,
    pub mood: Mood,
    pub wraps: usize,
    pub unwraps: usize,
    /// Every DEK that it saw.
    pub deks: Vec<Vec<u8>>,
}

impl FakeKms {
    pub fn new() -> Self {
        Self { kek: Aes256Gcm::new(&[0x4b; 32].into()), mood: Mood::Honest, wraps: 0, unwraps: 0, deks: Vec::new() }
    }

    pub fn wrap(&mut self, dek: &Dek, name: &ObjectName) -> Result<WrappedDek, KmsError> {
        self.wraps += 1;
        self.deks.push(dek.expose().to_vec());
        let nonce = nonce(self.wraps as u64);
        let mut bytes = dek.expose().to_vec();
        match self.mood {
            Mood::Honest => {}
            Mood::Failing(error) => return Err(error),
            Mood::Confused => bytes.fill(0x55),
        }
        let tag = self.kek.encrypt_inout_detached(&nonce, &context(name), bytes.as_mut_slice().into()).unwrap();
        let wrapped = [nonce.as_slice(), &bytes, tag.as_slice()].concat();
        Ok(WrappedDek::new(wrapped, KEK_ID.into()).unwrap())
    }

    pub fn unwrap(&mut self, wrapped: &WrappedDek, name: &ObjectName) -> Result<Dek, KmsError> {
        self.unwraps += 1;
        match self.mood {
            Mood::Honest if wrapped.kek == KEK_ID => self.open(&wrapped.bytes, name),
            Mood::Honest => Err(KmsError::Invalid),
            Mood::Failing(error) => Err(error),
            Mood::Confused => Ok(Dek::from_slice(&[0x55; 32]).unwrap()),
        }
    }

    fn open(&self, wrapped: &[u8], name: &ObjectName) -> Result<Dek, KmsError> {
        let (nonce, rest) = wrapped.split_first_chunk::<12>().ok_or(KmsError::Invalid)?;
        let (ciphertext, tag) = rest.split_last_chunk::<16>().ok_or(KmsError::Invalid)?;
        let mut dek = ciphertext.to_vec();
        let (nonce, tag) = (Nonce::from(*nonce), Tag::from(*tag));
        self.kek
            .decrypt_inout_detached(&nonce, &context(name), dek.as_mut_slice().into(), &tag)
            .map_err(|_| KmsError::ContextMismatch)?;
        Dek::from_slice(&dek).ok_or(KmsError::Garbage)
    }
}

fn nonce(number: u64) -> Nonce<aes_gcm::aead::consts::U12> {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&number.to_be_bytes());
    nonce.into()
}

/// FORMAT 3.4.
fn context(name: &ObjectName) -> Vec<u8> {
    [name.bucket.as_bytes(), &[0], name.object_key.as_bytes()].concat()
}
