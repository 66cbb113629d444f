//! From a DEK, or a master key, to the keys that seal: FORMAT.md section 3.

use std::fmt;

use hkdf::Hkdf;
use s3ep_gcm::Aes256Gcm;
use s3ep_gcm::aead::{AeadInOut, KeyInit};
use sha2::Sha256;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::entropy::{Entropy, EntropyError};
use crate::error::{Error, InternalError};
use crate::format::segment::{NONCE_LEN, TAG_LEN};
use crate::s3::checksum::Checksum;

/// Bytes of a DEK, of a master key, and of every key made from them.
pub const KEY_LEN: usize = 32;
/// Bytes of the salt that direct mode stores in place of a wrapped DEK.
pub const SALT_LEN: usize = 32;

const INFO_CONTENT: &[u8] = b"s3ep/v1 content";
const INFO_METADATA: &[u8] = b"s3ep/v1 metadata";
const INFO_CHECKSUM: &[u8] = b"s3ep/v1 checksum";
const INFO_DIRECT: &[u8] = b"s3ep/v1 direct";
const INFO_DIRECT_WRAP: &[u8] = b"s3ep/v1 direct wrap";

/// What names an object, and what its DEK is bound to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ObjectName {
    /// The bucket.
    pub bucket: String,
    /// The object key, decoded.
    pub object_key: String,
}

impl ObjectName {
    /// The encryption context in bytes (FORMAT 3.4).
    fn context(&self) -> Vec<u8> {
        [self.bucket.as_bytes(), &[0], self.object_key.as_bytes()].concat()
    }
}

/// 32 secret bytes: zeroized on drop, and never shown.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Key([u8; KEY_LEN]);

/// The key that one object's keys are made from (FORMAT 3.1).
pub type Dek = Key;
/// The configured key that direct mode makes its DEKs from (FORMAT 3.6).
pub type MasterKey = Key;

impl Key {
    /// Takes exactly 32 bytes, or says None.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// Draws a new one.
    pub fn generate(entropy: &mut dyn Entropy) -> Result<Self, EntropyError> {
        let mut key = Self([0; KEY_LEN]);
        entropy.fill(&mut key.0)?;
        Ok(key)
    }

    /// The bytes in clear, for whoever wraps them.
    pub fn expose(&self) -> &[u8; KEY_LEN] {
        &self.0
    }

    fn derive(&self, salt: Option<&[u8]>, info: &[&[u8]]) -> Result<Self, InternalError> {
        let mut derived = Self([0; KEY_LEN]);
        self.expand(salt, info, &mut derived.0)?;
        Ok(derived)
    }

    /// Fills `out` with HKDF-SHA256 of this key (RFC 5869).
    fn expand(&self, salt: Option<&[u8]>, info: &[&[u8]], out: &mut [u8]) -> Result<(), InternalError> {
        let hkdf = Hkdf::<Sha256>::new(salt, &self.0);
        hkdf.expand_multi_info(info, out).map_err(|_| InternalError("HKDF refused its output length"))
    }

    /// The DEK of an object in direct mode: no KMS, a salt in place of the wrapped DEK (FORMAT 3.6).
    pub fn direct_dek(&self, salt: &[u8], name: &ObjectName) -> Result<Dek, InternalError> {
        self.derive(Some(salt), &[INFO_DIRECT, &[0], name.bucket.as_bytes(), &[0], name.object_key.as_bytes()])
    }

    /// Wraps the DEK of a copy in direct mode (FORMAT 3.7).
    pub fn wrap(&self, dek: &Dek, name: &ObjectName, entropy: &mut dyn Entropy) -> Result<Vec<u8>, Error> {
        let mut nonce = [0; NONCE_LEN];
        entropy.fill(&mut nonce)?;
        let mut wrapped = dek.clone();
        let tag = self
            .wrapping_cipher()?
            .encrypt_inout_detached(&nonce.into(), &name.context(), wrapped.0.as_mut_slice().into())
            .map_err(|_| InternalError("AES-GCM refused a DEK's length"))?;
        Ok([nonce.as_slice(), &wrapped.0, &tag].concat())
    }

    /// Unwraps the DEK of a copy in direct mode. None if it is not this object's.
    pub fn unwrap(&self, wrapped: &[u8], name: &ObjectName) -> Result<Option<Dek>, InternalError> {
        let split = wrapped
            .split_first_chunk::<NONCE_LEN>()
            .and_then(|(nonce, rest)| Some((nonce, rest.split_last_chunk::<TAG_LEN>()?)));
        let Some((nonce, (ciphertext, tag))) = split else { return Ok(None) };
        let Some(mut dek) = Self::from_slice(ciphertext) else { return Ok(None) };
        let cipher = self.wrapping_cipher()?;
        let opened =
            cipher.decrypt_inout_detached(nonce.into(), &name.context(), dek.0.as_mut_slice().into(), tag.into());
        Ok(opened.is_ok().then_some(dek))
    }

    fn wrapping_cipher(&self) -> Result<Aes256Gcm, InternalError> {
        Ok(Aes256Gcm::new(self.derive(None, &[INFO_DIRECT_WRAP])?.expose().into()))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

/// All that one DEK gives, derived once.
pub struct ObjectKeys {
    /// The DEK itself, to be wrapped again for a copy.
    pub dek: Dek,
    /// Seals and opens the segments (FORMAT 3.2).
    pub content: Aes256Gcm,
    /// Authenticates the metadata (FORMAT 3.3).
    pub metadata: Key,
}

impl ObjectKeys {
    /// Derives the content key and the metadata key.
    pub fn derive(dek: &Dek) -> Result<Self, InternalError> {
        let content = dek.derive(None, &[INFO_CONTENT])?;
        let metadata = dek.derive(None, &[INFO_METADATA])?;
        Ok(Self { dek: dek.clone(), content: Aes256Gcm::new(content.expose().into()), metadata })
    }

    /// Masks a checksum of the plaintext, or shows a masked one: what the store holds in clear, it could try its guesses
    /// at the plaintext against (FORMAT 3.8).
    pub fn mask(&self, checksum: &mut Checksum) -> Result<(), InternalError> {
        let mut mask = Zeroizing::new(vec![0; checksum.digest.len()]);
        self.dek.expand(None, &[INFO_CHECKSUM, &[0], checksum.algorithm.name().as_bytes()], &mut mask)?;
        checksum.digest.iter_mut().zip(mask.iter()).for_each(|(byte, mask)| *byte ^= mask);
        Ok(())
    }
}

impl fmt::Debug for ObjectKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ObjectKeys(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_shows_in_debug() {
        let dek = Key([0x41; 32]);
        assert_eq!(format!("{dek:?}"), "Key(..)");
        assert_eq!(format!("{:?}", ObjectKeys::derive(&dek).unwrap()), "ObjectKeys(..)");
    }

    #[test]
    fn a_wrapped_dek_opens_under_its_own_name_alone() {
        let (master_key, dek) = (Key([7; 32]), Key([8; 32]));
        let name = |object_key: &str| ObjectName { bucket: "b".into(), object_key: object_key.into() };
        let wrapped = master_key.wrap(&dek, &name("k"), &mut getrandom::SysRng).unwrap();
        assert_eq!(wrapped.len(), 60);
        assert_eq!(master_key.unwrap(&wrapped, &name("k")), Ok(Some(dek.clone())));
        assert_eq!(master_key.unwrap(&wrapped, &name("l")), Ok(None));
        assert_eq!(Key([9; 32]).unwrap(&wrapped, &name("k")), Ok(None));
        for at in 0..60 {
            let mut changed = wrapped.clone();
            changed[at] ^= 1;
            assert_eq!(master_key.unwrap(&changed, &name("k")), Ok(None));
            assert_eq!(master_key.unwrap(&wrapped[..at], &name("k")), Ok(None));
        }
    }

    #[test]
    fn a_direct_dek_depends_on_bucket_object_key_and_salt() {
        let master_key = Key([7; 32]);
        let dek = |salt: u8, bucket: &str, object_key: &str| {
            let name = ObjectName { bucket: bucket.into(), object_key: object_key.into() };
            master_key.direct_dek(&[salt; 32], &name).unwrap()
        };
        assert_eq!(dek(1, "b", "k"), dek(1, "b", "k"));
        assert_ne!(dek(1, "b", "k"), dek(2, "b", "k"));
        assert_ne!(dek(1, "b", "k"), dek(1, "b", "l"));
        assert_ne!(dek(1, "bk", "k"), dek(1, "b", "kk"));
    }
}
