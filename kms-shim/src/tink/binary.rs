//! The binary form of a keyset (`google.crypto.tink.Keyset` of `tink.proto`): what Tink encrypts, whatever the form of
//! the file around it.

use kms_api::Secret;
use prost::{Enumeration, Message};
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::keyset::{self, Key, KeyData, Keyset};

#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
struct KeysetMessage {
    #[prost(uint32, tag = "1")]
    primary_key_id: u32,
    #[prost(message, repeated, tag = "2")]
    key: Vec<KeyMessage>,
}

#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
struct KeyMessage {
    #[prost(message, optional, tag = "1")]
    key_data: Option<KeyDataMessage>,
    #[prost(enumeration = "Status", tag = "2")]
    status: i32,
    #[prost(uint32, tag = "3")]
    key_id: u32,
    #[prost(enumeration = "Prefix", tag = "4")]
    output_prefix_type: i32,
}

#[derive(Clone, PartialEq, Message, Zeroize, ZeroizeOnDrop)]
#[prost(skip_debug)]
struct KeyDataMessage {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
    #[prost(enumeration = "Material", tag = "3")]
    key_material_type: i32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Enumeration)]
#[repr(i32)]
enum Status {
    Unknown = 0,
    Enabled = 1,
    Disabled = 2,
    Destroyed = 3,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Enumeration)]
#[repr(i32)]
enum Prefix {
    Unknown = 0,
    Tink = 1,
    Legacy = 2,
    Raw = 3,
    Crunchy = 4,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Enumeration)]
#[repr(i32)]
enum Material {
    Unknown = 0,
    Symmetric = 1,
    AsymmetricPrivate = 2,
    AsymmetricPublic = 3,
    Remote = 4,
}

/// The keyset's binary form.
pub(super) fn encode(keyset: &Keyset) -> Secret {
    let message =
        KeysetMessage { primary_key_id: keyset.primary_key_id, key: keyset.key.iter().map(KeyMessage::from).collect() };
    Secret::new(message.encode_to_vec())
}

/// Reads the binary form. `None`: it is none, or has something in it that this version of Tink's format does not know.
pub(super) fn decode(bytes: &Secret) -> Option<Keyset> {
    let message = KeysetMessage::decode(bytes.expose()).ok()?;
    let key = message.key.iter().map(KeyMessage::to_key).collect::<Option<_>>()?;
    Some(Keyset { primary_key_id: message.primary_key_id, key })
}

impl From<&Key> for KeyMessage {
    fn from(key: &Key) -> Self {
        let status = match key.status {
            keyset::Status::Enabled => Status::Enabled,
            keyset::Status::Disabled => Status::Disabled,
            keyset::Status::Destroyed => Status::Destroyed,
        };
        let prefix = match key.output_prefix_type {
            keyset::OutputPrefixType::Tink => Prefix::Tink,
            keyset::OutputPrefixType::Legacy => Prefix::Legacy,
            keyset::OutputPrefixType::Raw => Prefix::Raw,
            keyset::OutputPrefixType::Crunchy => Prefix::Crunchy,
        };
        Self {
            key_data: key.key_data.as_ref().map(KeyDataMessage::from),
            status: status.into(),
            key_id: key.key_id,
            output_prefix_type: prefix.into(),
        }
    }
}

impl KeyMessage {
    fn to_key(&self) -> Option<Key> {
        let status = match self.status() {
            Status::Enabled => keyset::Status::Enabled,
            Status::Disabled => keyset::Status::Disabled,
            Status::Destroyed => keyset::Status::Destroyed,
            Status::Unknown => return None,
        };
        let output_prefix_type = match self.output_prefix_type() {
            Prefix::Tink => keyset::OutputPrefixType::Tink,
            Prefix::Legacy => keyset::OutputPrefixType::Legacy,
            Prefix::Raw => keyset::OutputPrefixType::Raw,
            Prefix::Crunchy => keyset::OutputPrefixType::Crunchy,
            Prefix::Unknown => return None,
        };
        let key_data = self.key_data.as_ref().map(KeyData::from);
        Some(Key { key_data, status, key_id: self.key_id, output_prefix_type })
    }
}

impl From<&KeyData> for KeyDataMessage {
    fn from(data: &KeyData) -> Self {
        let material = match &*data.key_material_type {
            "SYMMETRIC" => Material::Symmetric,
            "ASYMMETRIC_PRIVATE" => Material::AsymmetricPrivate,
            "ASYMMETRIC_PUBLIC" => Material::AsymmetricPublic,
            "REMOTE" => Material::Remote,
            _ => Material::Unknown,
        };
        Self {
            type_url: data.type_url.clone(),
            value: data.value.expose().to_vec(),
            key_material_type: material.into(),
        }
    }
}

impl From<&KeyDataMessage> for KeyData {
    fn from(message: &KeyDataMessage) -> Self {
        let key_material_type = match message.key_material_type() {
            Material::Unknown => "UNKNOWN_KEYMATERIAL",
            Material::Symmetric => "SYMMETRIC",
            Material::AsymmetricPrivate => "ASYMMETRIC_PRIVATE",
            Material::AsymmetricPublic => "ASYMMETRIC_PUBLIC",
            Material::Remote => "REMOTE",
        };
        Self {
            type_url: message.type_url.clone(),
            value: Secret::new(message.value.clone()),
            key_material_type: key_material_type.to_owned(),
        }
    }
}
