//! Whether a request comes from a client that the configuration knows, unchanged and in time.

use std::fmt;
use std::time::Duration;

use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::AuthError;
use super::authorization::Authorization;
use super::aws_chunked::{ChunkSignatures, ChunkVerifier, Unverified};
use super::canonical_request::CanonicalRequest;
use super::query_parameters::QueryParameters;
use super::signing_key::{SigningKey, string_to_sign};
use crate::http::RequestHead;

/// The secrets of one client.
pub struct Credential {
    /// The secret access key.
    pub secret_access_key: Zeroizing<String>,
    /// What a temporary credential has besides. A request must bring it if, and only if, it is here.
    pub session_token: Option<Zeroizing<String>>,
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential(..)")
    }
}

/// A request that is whose it says.
#[derive(Debug)]
pub struct Verified {
    /// The client.
    pub access_key_id: String,
    /// What is still to be verified: the body.
    pub payload: Payload,
}

/// How a body is signed.
#[derive(Debug, Default)]
pub enum Payload {
    /// It must have this SHA-256, in lower-case hexadecimal.
    Sha256(String),
    /// Not at all, framed (`STREAMING-UNSIGNED-PAYLOAD-TRAILER`) or not.
    #[default]
    Unsigned,
    /// Chunk by chunk, and the trailers: `STREAMING-AWS4-HMAC-SHA256-PAYLOAD(-TRAILER)`. The request's signature is the
    /// seed.
    Chunks(Box<ChunkSignatures>),
}

impl Payload {
    /// What [`Decoder`](super::aws_chunked::Decoder) needs: only [`Chunks`](Self::Chunks) have anything to verify.
    pub fn into_chunk_verifier(self) -> Box<dyn ChunkVerifier> {
        match self {
            Self::Chunks(signatures) => signatures,
            Self::Sha256(_) | Self::Unsigned => Box::new(Unverified),
        }
    }
}

/// Verifies a request's signature. `head` is as the client sent it, before any rewriting; `now` counts from the Unix epoch;
/// `regions` are those that may be signed for, None is any; `credential` finds a client by its access key id.
///
/// Whatever is not understood is refused.
pub fn verify<'c>(
    head: &RequestHead,
    now: Duration,
    regions: Option<&[String]>,
    credential: &dyn Fn(&str) -> Option<&'c Credential>,
) -> Result<Verified, AuthError> {
    let (_, query) = head.path.split_once('?').unwrap_or((&head.path, ""));
    let parameters = QueryParameters::parse(query)?;
    let authorization = Authorization::from_request(head, &parameters, regions)?;
    match authorization.expires {
        None => authorization.timestamp.check_skew(now)?,
        Some(expires) => authorization.timestamp.check_expiry(expires, now)?,
    }
    let credential = credential(&authorization.access_key_id).ok_or(AuthError::InvalidAccessKeyId)?;
    let signing_key = SigningKey::derive(&credential.secret_access_key, &authorization.scope);
    check_signature(head, &parameters, &authorization, &signing_key)?;
    check_session_token(authorization.session_token.as_deref(), credential)?;
    Ok(Verified { payload: payload(&authorization, &signing_key), access_key_id: authorization.access_key_id })
}

fn check_signature(
    head: &RequestHead,
    parameters: &QueryParameters,
    authorization: &Authorization,
    signing_key: &SigningKey,
) -> Result<(), AuthError> {
    let Authorization { timestamp, scope, signed_headers, payload_hash, signature, .. } = authorization;
    let not_signed = signed_headers.lacks(&head.headers);
    if !not_signed.is_empty() {
        return Err(AuthError::HeadersNotSigned(not_signed));
    }
    let request = CanonicalRequest::new(head, parameters, signed_headers, payload_hash)?;
    let calculated = signing_key.sign(&string_to_sign(timestamp, scope, &request));
    if !bool::from(calculated.as_bytes().ct_eq(signature.as_bytes())) {
        return Err(AuthError::SignatureDoesNotMatch);
    }
    Ok(())
}

fn check_session_token(given: Option<&str>, credential: &Credential) -> Result<(), AuthError> {
    match (given, &credential.session_token) {
        (None, None) => Ok(()),
        (Some(given), Some(expected)) if bool::from(given.as_bytes().ct_eq(expected.as_bytes())) => Ok(()),
        (Some(_), _) => Err(AuthError::InvalidToken),
        // S3 knows a temporary access key id only together with its token.
        (None, Some(_)) => Err(AuthError::InvalidAccessKeyId),
    }
}

fn payload(authorization: &Authorization, signing_key: &SigningKey) -> Payload {
    let Authorization { timestamp, scope, signature, payload_hash, .. } = authorization;
    match payload_hash.as_str() {
        "UNSIGNED-PAYLOAD" | "STREAMING-UNSIGNED-PAYLOAD-TRAILER" => Payload::Unsigned,
        streaming if streaming.starts_with("STREAMING-") => Payload::Chunks(Box::new(ChunkSignatures::new(
            signing_key.expose(),
            &timestamp.to_string(),
            &scope.to_string(),
            signature,
        ))),
        hash => Payload::Sha256(hash.to_ascii_lowercase()),
    }
}
