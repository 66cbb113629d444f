//! Tink's JSON of a keyset that a KEK encrypts (`google.crypto.tink.EncryptedKeyset`).
//!
//! What is encrypted is the keyset's binary form, with no associated data, as Tink's libraries do by default. AWS KMS and
//! GCP KMS encrypt it as Tink's own clients of them do, so that those read it too.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::binary;
use super::keyset::{Keyset, KeysetError, OutputPrefixType, Status};
use crate::kek::{Context, Kek, KekError};

/// A keyset that only its KEK opens.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EncryptedKeyset {
    encrypted_keyset: String,
    /// For people; not authenticated, and so not used.
    #[serde(default)]
    keyset_info: Option<serde_json::Value>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct KeysetInfo<'a> {
    primary_key_id: u32,
    key_info: Vec<KeyInfo<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct KeyInfo<'a> {
    type_url: &'a str,
    status: Status,
    key_id: u32,
    output_prefix_type: OutputPrefixType,
}

/// Why a keyset was not encrypted or decrypted.
#[derive(Debug, thiserror::Error)]
pub enum EncryptedKeysetError {
    /// The file is no encrypted keyset, or what is in it is no keyset.
    #[error(transparent)]
    Keyset(#[from] KeysetError),
    /// The KEK did not do it.
    #[error("{kek}: {error}")]
    Kek {
        /// The KEK's id.
        kek: String,
        /// What it said.
        error: KekError,
    },
    /// The keyset could not be written as JSON.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

impl EncryptedKeyset {
    /// Reads the JSON.
    pub fn from_json(json: &str) -> Result<Self, KeysetError> {
        serde_json::from_str(json).map_err(|error| KeysetError::json("encrypted", &error))
    }

    /// The JSON as Tink's libraries write it.
    pub fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self)
    }

    /// Encrypts the keyset: one call of the KEK.
    pub async fn encrypt(keyset: &Keyset, kek: &dyn Kek) -> Result<Self, EncryptedKeysetError> {
        let encrypted = kek.wrap(&binary::encode(keyset), &Context::of_keyset()).await;
        let encrypted = encrypted.map_err(|error| failed(kek, error))?;
        let keyset_info = Some(serde_json::to_value(info(keyset))?);
        Ok(Self { encrypted_keyset: STANDARD.encode(encrypted), keyset_info })
    }

    /// Decrypts the keyset: one call of the KEK.
    pub async fn decrypt(&self, kek: &dyn Kek) -> Result<Keyset, EncryptedKeysetError> {
        let encrypted = STANDARD.decode(&self.encrypted_keyset).map_err(|_| KeysetError::Binary)?;
        let decrypted = kek.unwrap(&encrypted, &Context::of_keyset()).await;
        let decrypted = decrypted.map_err(|error| failed(kek, error))?;
        Ok(binary::decode(&decrypted).ok_or(KeysetError::Binary)?)
    }
}

fn failed(kek: &dyn Kek, error: KekError) -> EncryptedKeysetError {
    EncryptedKeysetError::Kek { kek: kek.id().to_owned(), error }
}

fn info(keyset: &Keyset) -> KeysetInfo<'_> {
    let key_info = keyset.key.iter().map(|key| KeyInfo {
        type_url: key.key_data.as_ref().map_or("", |data| &data.type_url),
        status: key.status,
        key_id: key.key_id,
        output_prefix_type: key.output_prefix_type,
    });
    KeysetInfo { primary_key_id: keyset.primary_key_id, key_info: key_info.collect() }
}
