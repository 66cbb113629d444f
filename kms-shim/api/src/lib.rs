//! The JSON that the filter and kms-shim exchange (DESIGN: `POST /v1/wrap`, `POST /v1/unwrap`).
//!
//! Both sides take these types, so that they cannot drift apart. Binary fields are standard base64 with padding. DEKs
//! are zeroized on drop and never shown by `Debug`.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::{Zeroize, Zeroizing};

/// Path of the wrap call.
pub const WRAP_PATH: &str = "/v1/wrap";
/// Path of the unwrap call.
pub const UNWRAP_PATH: &str = "/v1/unwrap";

/// What a wrapped DEK is bound to: `bucket` and `key` of the object, in AWS's words the encryption context.
pub type EncryptionContext = BTreeMap<String, String>;

/// Asks for a DEK to be wrapped under the shim's KEK.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrapRequest {
    /// The DEK in clear.
    pub plaintext: Secret,
    /// What the wrapped DEK is bound to.
    pub context: EncryptionContext,
}

/// The answer to a [`WrapRequest`].
#[derive(Debug, Serialize, Deserialize)]
pub struct WrapResponse {
    /// The wrapped DEK, opaque to everyone but the KEK's owner.
    #[serde(with = "base64_bytes")]
    pub wrapped: Vec<u8>,
    /// Which KEK wrapped it; to be named again in [`UnwrapRequest::kek`].
    pub kek: String,
}

/// Asks for a wrapped DEK to be unwrapped.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnwrapRequest {
    /// The wrapped DEK, as [`WrapResponse::wrapped`] gave it.
    #[serde(with = "base64_bytes")]
    pub wrapped: Vec<u8>,
    /// The KEK, as [`WrapResponse::kek`] gave it.
    pub kek: String,
    /// The same context as when it was wrapped.
    pub context: EncryptionContext,
}

/// The answer to an [`UnwrapRequest`].
#[derive(Debug, Serialize, Deserialize)]
pub struct UnwrapResponse {
    /// The DEK in clear.
    pub plaintext: Secret,
}

/// The body of every answer that is not a 200.
#[derive(Debug, Serialize, Deserialize)]
pub struct ErrorResponse {
    /// What went wrong.
    pub error: ErrorBody,
}

/// What went wrong, for a program and for a person.
#[derive(Debug, Serialize, Deserialize)]
pub struct ErrorBody {
    /// Which kind of failure it is.
    pub kind: ErrorKind,
    /// A sentence for the log; carries no secret.
    pub message: String,
}

/// The failures that a caller can tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// The request, or the wrapped DEK in it, is malformed, or names a KEK that the shim does not have (400).
    Invalid,
    /// The bearer token is missing or wrong (401), or the KMS refuses this caller (403).
    Denied,
    /// The wrapped DEK is bound to another context, or was altered (422).
    ContextMismatch,
    /// The KMS could not be asked; trying again may help (503).
    Unavailable,
}

/// Bytes that are zeroized on drop, hidden from `Debug`, and base64 in JSON.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes the bytes over.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes in clear.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({} bytes)", self.0.len())
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&Zeroizing::new(STANDARD.encode(self.expose())))
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        base64_bytes::deserialize(deserializer).map(Self::new)
    }
}

mod base64_bytes {
    use super::*;

    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let mut text = String::deserialize(deserializer)?;
        let decoded = STANDARD.decode(&text);
        text.zeroize();
        // base64's own message would quote a byte of what may be a DEK.
        decoded.map_err(|_| serde::de::Error::custom("not base64"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrap_request_is_the_documented_json() {
        let json = r#"{"plaintext":"AAEC","context":{"bucket":"b","key":"a/ü"}}"#;
        let request: WrapRequest = serde_json::from_str(json).unwrap();
        assert_eq!(request.plaintext.expose(), [0, 1, 2]);
        assert_eq!(serde_json::to_string(&request).unwrap(), json);
    }

    #[test]
    fn an_error_is_the_documented_json() {
        let json = r#"{"error":{"kind":"context_mismatch","message":"m"}}"#;
        let response: ErrorResponse = serde_json::from_str(json).unwrap();
        assert_eq!(response.error.kind, ErrorKind::ContextMismatch);
        assert_eq!(serde_json::to_string(&response).unwrap(), json);
    }

    #[test]
    fn a_dek_shows_up_in_no_debug_and_no_error() {
        let request: WrapRequest = serde_json::from_str(r#"{"plaintext":"c2VjcmV0","context":{}}"#).unwrap();
        assert!(!format!("{request:?}").contains("secret"));
        let error = serde_json::from_str::<UnwrapResponse>(r#"{"plaintext":"c2VjcmV0!"}"#).unwrap_err();
        assert!(!error.to_string().contains("c2Vjc"));
    }
}
