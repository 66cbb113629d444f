//! Tink's JSON keyset (`google.crypto.tink.Keyset` of `tink.proto` in protobuf's JSON mapping), in clear.

use kms_api::Secret;
use prost::Message;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

pub(super) const AES_GCM_KEY: &str = "type.googleapis.com/google.crypto.tink.AesGcmKey";

/// Length of an AES-256 key in bytes.
pub(super) const KEY_LEN: usize = 32;

/// A keyset in clear. `Debug` shows no key.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Keyset {
    pub(super) primary_key_id: u32,
    pub(super) key: Vec<Key>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Key {
    // A destroyed key has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) key_data: Option<KeyData>,
    pub(super) status: Status,
    pub(super) key_id: u32,
    pub(super) output_prefix_type: OutputPrefixType,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct KeyData {
    pub(super) type_url: String,
    pub(super) value: Secret,
    pub(super) key_material_type: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum Status {
    Enabled,
    Disabled,
    Destroyed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum OutputPrefixType {
    Tink,
    Legacy,
    Raw,
    Crunchy,
}

/// `google.crypto.tink.AesGcmKey` of `aes_gcm.proto`.
#[derive(Clone, PartialEq, Message, Zeroize, ZeroizeOnDrop)]
#[prost(skip_debug)]
struct AesGcmKey {
    #[prost(uint32, tag = "1")]
    version: u32,
    #[prost(bytes = "vec", tag = "3")]
    key_value: Vec<u8>,
}

/// A keyset that cannot be used. No message quotes the file, which may hold keys.
#[derive(Debug, thiserror::Error)]
pub enum KeysetError {
    /// The file is not the JSON of a keyset of this kind; keysets in clear and encrypted ones look different.
    #[error("not a Tink JSON keyset {form}: {problem} at line {line}, column {column}")]
    Json {
        /// What was expected: one in clear, or an encrypted one.
        form: &'static str,
        /// What is wrong with it.
        problem: &'static str,
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
    },
    /// What an encrypted keyset decrypts to is no keyset.
    #[error("what is encrypted in the file is not a Tink keyset")]
    Binary,
    /// No key has this id, or it is not enabled.
    #[error("the keyset has no enabled key {0}")]
    NoSuchKey(u32),
    /// No enabled key is the primary, or more than one.
    #[error("the primary key {0} must be there exactly once, and be enabled")]
    Primary(u32),
    /// An enabled key is of a type that wraps no DEKs here.
    #[error("key {key_id} is not a symmetric AES-GCM key (its type is {type_url:?})")]
    KeyType {
        /// The key's id.
        key_id: u32,
        /// The key's type as the keyset names it.
        type_url: String,
    },
    /// An enabled key has a malformed value, or one of a future version.
    #[error("key {0} has no well-formed AesGcmKey, version 0, as its value")]
    KeyValue(u32),
    /// An enabled key is not an AES-256 key.
    #[error("key {key_id} has {bits} bits: only AES-256-GCM keys are taken")]
    KeySize {
        /// The key's id.
        key_id: u32,
        /// The key's size in bits.
        bits: usize,
    },
    /// The operating system gave no randomness.
    #[error("no randomness from the operating system: {0}")]
    Random(#[from] getrandom::Error),
}

impl Keyset {
    /// A new keyset with one AES-256-GCM key of output prefix type `TINK`.
    pub fn generate() -> Result<Self, KeysetError> {
        let key = Key::generate()?;
        Ok(Self { primary_key_id: key.key_id, key: vec![key] })
    }

    /// Adds a new key, which unwraps, but does not wrap until it is [promoted](Self::promote). Returns its id.
    pub fn add_key(&mut self) -> Result<u32, KeysetError> {
        let mut key = Key::generate()?;
        while self.key.iter().any(|other| other.key_id == key.key_id) {
            key = Key::generate()?;
        }
        let key_id = key.key_id;
        self.key.push(key);
        Ok(key_id)
    }

    /// Lets the key of this id wrap.
    pub fn promote(&mut self, key_id: u32) -> Result<(), KeysetError> {
        let is_enabled = self.key.iter().any(|key| key.key_id == key_id && key.status == Status::Enabled);
        if !is_enabled {
            return Err(KeysetError::NoSuchKey(key_id));
        }
        self.primary_key_id = key_id;
        Ok(())
    }

    /// Reads the JSON. What its keys are worth shows when an [`Aead`](super::Aead) is made of it.
    pub fn from_json(json: &str) -> Result<Self, KeysetError> {
        serde_json::from_str(json).map_err(|error| KeysetError::json("in clear", &error))
    }

    /// The JSON as Tink's libraries write it.
    pub fn to_json(&self) -> serde_json::Result<Zeroizing<String>> {
        serde_json::to_string_pretty(self).map(Zeroizing::new)
    }
}

impl KeysetError {
    pub(super) fn json(form: &'static str, error: &serde_json::Error) -> Self {
        Self::Json { form, problem: crate::json::problem(error), line: error.line(), column: error.column() }
    }
}

impl Key {
    fn generate() -> Result<Self, KeysetError> {
        let mut key_value = Zeroizing::new(vec![0; KEY_LEN]);
        getrandom::fill(&mut key_value)?;
        let value = AesGcmKey { version: 0, key_value: key_value.to_vec() }.encode_to_vec();
        Ok(Self {
            key_data: Some(KeyData {
                type_url: AES_GCM_KEY.to_owned(),
                value: Secret::new(value),
                key_material_type: "SYMMETRIC".to_owned(),
            }),
            status: Status::Enabled,
            // Tink takes 0 for "no id".
            key_id: getrandom::u32()?.max(1),
            output_prefix_type: OutputPrefixType::Tink,
        })
    }

    /// The raw AES-256 key.
    pub(super) fn aes_256_key(&self) -> Result<Zeroizing<[u8; KEY_LEN]>, KeysetError> {
        let key_id = self.key_id;
        let data = self.key_data.as_ref().ok_or(KeysetError::KeyValue(key_id))?;
        if data.type_url != AES_GCM_KEY || data.key_material_type != "SYMMETRIC" {
            return Err(KeysetError::KeyType { key_id, type_url: data.type_url.clone() });
        }
        let key = AesGcmKey::decode(data.value.expose())
            .ok()
            .filter(|key| key.version == 0)
            .ok_or(KeysetError::KeyValue(key_id))?;
        let bits = key.key_value.len() * 8;
        let bytes = key.key_value.as_slice().try_into().map_err(|_| KeysetError::KeySize { key_id, bits })?;
        Ok(Zeroizing::new(bytes))
    }
}
