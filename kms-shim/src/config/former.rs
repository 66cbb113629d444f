//! What s3-encryption-proxy, where S3EP comes from, calls by other names in its configuration file.

use std::fmt;

use serde::de::{Error, IgnoredAny};
use serde::{Deserialize, Deserializer};

use super::Settings;

/// How s3-encryption-proxy gets DEKs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EncryptionType {
    /// A KEK wraps them.
    Tink,
}

/// A name of s3-encryption-proxy that was taken for what it means here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FormerName {
    /// There.
    pub theirs: &'static str,
    /// Here; none: it need not be said.
    pub ours: Option<&'static str>,
}

impl FormerName {
    /// Those in a file.
    pub(super) fn of(file: &Settings) -> Vec<Self> {
        let address = file.bind_address.as_ref().map(|_| Self { theirs: "bind_address", ours: Some("listen") });
        let kind = file.encryption_type.map(|EncryptionType::Tink| Self { theirs: "encryption_type", ours: None });
        address.into_iter().chain(kind).collect()
    }
}

impl fmt::Display for FormerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ours {
            Some(ours) => write!(f, "{} is called {ours} here", self.theirs),
            None => write!(f, "{} need not be said here", self.theirs),
        }
    }
}

impl<'de> Deserialize<'de> for EncryptionType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match String::deserialize(deserializer)?.as_str() {
            "tink" => Ok(Self::Tink),
            "aes256-gcm" => Err(D::Error::custom(
                "encryption_type aes256-gcm takes no kms-shim: give the filter keys.direct.master_keys",
            )),
            _ => Err(D::Error::custom("encryption_type is tink, and need not be said")),
        }
    }
}

/// The message quotes nothing of it.
pub(super) fn refuse_aes_key<'de, D: Deserializer<'de>>(deserializer: D) -> Result<(), D::Error> {
    refuse(deserializer, "aes_key is for direct mode, which takes no kms-shim: give the filter keys.direct.master_keys")
}

/// One file could be for any of several KMS.
pub(super) fn refuse_credentials_path<'de, D: Deserializer<'de>>(deserializer: D) -> Result<(), D::Error> {
    refuse(
        deserializer,
        "credentials_path is, for AWS and GCP, the variable AWS_SHARED_CREDENTIALS_FILE or GOOGLE_APPLICATION_CREDENTIALS, and for Vault vault.token_file",
    )
}

fn refuse<'de, D: Deserializer<'de>>(deserializer: D, why: &str) -> Result<(), D::Error> {
    IgnoredAny::deserialize(deserializer)?;
    Err(D::Error::custom(why))
}
