//! A keyset file as the KEK.

use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use kms_api::{ErrorKind, Secret};
use serde::{Deserialize, Serialize, Serializer};

use super::{Aead, Keyset, KeysetError};
use crate::kek::{Context, Kek, KekError};

/// What a keyset's id begins with.
pub const SCHEME: &str = "tink-keyset:";

const MAX_NAME_LEN: usize = 128;

/// A Tink keyset that wraps DEKs. Its id is `tink-keyset:` and the keyset's configured name, so that the file may move
/// and its primary key may change while the id stays. Clones have their keys in common.
#[derive(Debug, Clone)]
pub struct TinkKeysetKek {
    id: String,
    aead: Arc<RwLock<Arc<Aead>>>,
}

impl TinkKeysetKek {
    /// Takes the keyset's enabled keys.
    pub fn new(name: &KeysetName, keyset: &Keyset) -> Result<Self, KeysetError> {
        let aead = Arc::new(Aead::try_from(keyset)?);
        Ok(Self { id: format!("{SCHEME}{name}"), aead: Arc::new(RwLock::new(aead)) })
    }

    /// Takes this keyset's enabled keys instead, for all clones. Calls under way end with the keys that they began with.
    pub fn replace(&self, keyset: &Keyset) -> Result<(), KeysetError> {
        let aead = Arc::new(Aead::try_from(keyset)?);
        *self.aead.write().unwrap_or_else(PoisonError::into_inner) = aead;
        Ok(())
    }

    /// The id of the key that wraps.
    pub fn primary_key_id(&self) -> u32 {
        self.aead().primary_key_id()
    }

    fn aead(&self) -> Arc<Aead> {
        self.aead.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl Kek for TinkKeysetKek {
    fn id(&self) -> &str {
        &self.id
    }

    async fn wrap(&self, dek: &Secret, context: &Context) -> Result<Vec<u8>, KekError> {
        let wrapped = self.aead().encrypt(dek.expose(), &context.canonical_bytes());
        wrapped.map_err(|error| KekError::new(ErrorKind::Unavailable, error.to_string()))
    }

    async fn unwrap(&self, wrapped: &[u8], context: &Context) -> Result<Secret, KekError> {
        self.aead().decrypt(wrapped, &context.canonical_bytes()).ok_or_else(|| {
            let message = "the wrapped DEK belongs to another bucket or key, or was altered, \
                           or its key is not in the keyset or not enabled";
            KekError::new(ErrorKind::ContextMismatch, message)
        })
    }
}

/// The name of a keyset: 1 to 128 ASCII letters, digits, `.`, `_` or `-`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct KeysetName(String);

/// A keyset name of the wrong form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a keyset's name is 1 to {MAX_NAME_LEN} ASCII letters, digits, '.', '_' or '-'")]
pub struct InvalidName;

impl FromStr for KeysetName {
    type Err = InvalidName;

    fn from_str(name: &str) -> Result<Self, InvalidName> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        let well_formed = (1..=MAX_NAME_LEN).contains(&name.len()) && name.bytes().all(allowed);
        well_formed.then(|| Self(name.to_owned())).ok_or(InvalidName)
    }
}

impl TryFrom<String> for KeysetName {
    type Error = InvalidName;

    fn try_from(name: String) -> Result<Self, InvalidName> {
        name.parse()
    }
}

impl Default for KeysetName {
    fn default() -> Self {
        Self("default".to_owned())
    }
}

impl fmt::Display for KeysetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for KeysetName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
