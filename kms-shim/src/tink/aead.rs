//! Tink's AEAD over a keyset: `prefix ‖ nonce (12) ‖ ciphertext ‖ tag (16)`, AES-256-GCM.
//!
//! The prefix is empty for `RAW` keys, `0x01 ‖ key id (4, big-endian)` for `TINK` keys, and the same with `0x00` for
//! `LEGACY` and `CRUNCHY` keys (<https://developers.google.com/tink/wire-format>). Nonces are random, so a key may wrap
//! 2³² DEKs before two of them collide with a probability above 2⁻³² (NIST SP 800-38D section 8.3).

use std::fmt;

use aes_gcm::aead::{Aead as _, KeyInit as _, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use kms_api::Secret;

use super::keyset::{Key, Keyset, KeysetError, OutputPrefixType, Status};

const NONCE_LEN: usize = 12;
const PREFIX_LEN: usize = 5;

/// A keyset ready for use: the primary encrypts, every enabled key decrypts.
pub struct Aead {
    primary: AeadKey,
    others: Vec<AeadKey>,
}

struct AeadKey {
    id: u32,
    prefix: Option<[u8; PREFIX_LEN]>,
    cipher: Box<Aes256Gcm>,
}

/// Why a plaintext was not encrypted.
#[derive(Debug, thiserror::Error)]
pub enum EncryptError {
    /// The operating system gave no randomness for the nonce.
    #[error("no randomness from the operating system: {0}")]
    Random(#[from] getrandom::Error),
    /// Longer than AES-GCM takes (64 GiB).
    #[error("the plaintext is too long for AES-GCM")]
    TooLong,
}

impl Aead {
    /// Encrypts with the primary key and a fresh random nonce.
    pub fn encrypt(&self, plaintext: &[u8], associated_data: &[u8]) -> Result<Vec<u8>, EncryptError> {
        let mut nonce = [0; NONCE_LEN];
        getrandom::fill(&mut nonce)?;
        self.primary.encrypt(nonce, plaintext, associated_data).ok_or(EncryptError::TooLong)
    }

    /// Decrypts with the enabled key that the prefix names, or else with an enabled `RAW` key. `None` says that no
    /// such key authenticates the ciphertext and the associated data.
    pub fn decrypt(&self, ciphertext: &[u8], associated_data: &[u8]) -> Option<Secret> {
        let (prefixed, raw): (Vec<_>, Vec<_>) = self.keys().partition(|key| key.prefix.is_some());
        prefixed.into_iter().chain(raw).find_map(|key| key.decrypt(ciphertext, associated_data))
    }

    /// The id of the key that encrypts.
    pub fn primary_key_id(&self) -> u32 {
        self.primary.id
    }

    fn keys(&self) -> impl Iterator<Item = &AeadKey> {
        std::iter::once(&self.primary).chain(&self.others)
    }
}

impl TryFrom<&Keyset> for Aead {
    type Error = KeysetError;

    /// Takes the enabled keys, all of which must be AES-256-GCM keys, and checks that there is one primary among them.
    fn try_from(keyset: &Keyset) -> Result<Self, KeysetError> {
        let enabled = keyset.key.iter().filter(|key| key.status == Status::Enabled);
        let keys = enabled.map(AeadKey::try_from).collect::<Result<Vec<_>, _>>()?;
        let (mut primaries, others): (Vec<_>, Vec<_>) =
            keys.into_iter().partition(|key| key.id == keyset.primary_key_id);
        match (primaries.pop(), primaries.is_empty()) {
            (Some(primary), true) => Ok(Self { primary, others }),
            _ => Err(KeysetError::Primary(keyset.primary_key_id)),
        }
    }
}

impl AeadKey {
    fn encrypt(&self, nonce: [u8; NONCE_LEN], plaintext: &[u8], associated_data: &[u8]) -> Option<Vec<u8>> {
        let payload = Payload { msg: plaintext, aad: associated_data };
        let sealed = self.cipher.encrypt(&Nonce::from(nonce), payload).ok()?;
        Some([self.prefix.as_ref().map_or(&[][..], |prefix| prefix), &nonce, &sealed].concat())
    }

    fn decrypt(&self, ciphertext: &[u8], associated_data: &[u8]) -> Option<Secret> {
        let rest = match &self.prefix {
            Some(prefix) => ciphertext.strip_prefix(prefix)?,
            None => ciphertext,
        };
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_LEN>()?;
        let payload = Payload { msg: sealed, aad: associated_data };
        self.cipher.decrypt(&Nonce::from(*nonce), payload).ok().map(Secret::new)
    }
}

impl TryFrom<&Key> for AeadKey {
    type Error = KeysetError;

    fn try_from(key: &Key) -> Result<Self, KeysetError> {
        let version = match key.output_prefix_type {
            OutputPrefixType::Tink => Some(1),
            OutputPrefixType::Legacy | OutputPrefixType::Crunchy => Some(0),
            OutputPrefixType::Raw => None,
        };
        let [a, b, c, d] = key.key_id.to_be_bytes();
        let cipher = Box::new(Aes256Gcm::new((&*key.aes_256_key()?).into()));
        Ok(Self { id: key.key_id, prefix: version.map(|version| [version, a, b, c, d]), cipher })
    }
}

impl fmt::Debug for Aead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids: Vec<u32> = self.keys().map(|key| key.id).collect();
        f.debug_struct("Aead").field("key_ids", &ids).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde_json::Value;

    use super::*;

    /// With Tink's nonce, the ciphertext is Tink's, byte for byte.
    #[test]
    fn encrypts_as_tink_does() {
        let vectors: Vec<Value> = serde_json::from_str(include_str!("../../tests/vectors/tink_keyset.json")).unwrap();
        let mut checked = 0;
        for vector in vectors.iter().filter(|vector| vector["opens"] == true) {
            let text = |member: &str| vector[member].as_str().unwrap();
            let aead = Aead::try_from(&Keyset::from_json(&vector["keyset"].to_string()).unwrap()).unwrap();
            let wrapped = STANDARD.decode(text("wrapped")).unwrap();
            let aad = [text("bucket"), text("key")].join("\0");
            let key = aead.keys().find(|key| key.decrypt(&wrapped, aad.as_bytes()).is_some()).unwrap();
            let prefix_len = key.prefix.map_or(0, |prefix| prefix.len());
            let nonce = wrapped[prefix_len..][..NONCE_LEN].try_into().unwrap();
            let dek = STANDARD.decode(text("dek")).unwrap();
            assert_eq!(key.encrypt(nonce, &dek, aad.as_bytes()).unwrap(), wrapped, "{}", vector["name"]);
            checked += 1;
        }
        assert_eq!(checked, 12);
    }
}
