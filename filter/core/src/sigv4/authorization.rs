//! What a request says of its signature, in the `Authorization` header or in the query. Nothing of it is verified yet.

mod header;
mod presigned;

use super::AuthError;
use super::canonical_request::{CONTENT_SHA256, SignedHeaders};
use super::query_parameters::QueryParameters;
use super::scope::CredentialScope;
use super::timestamp::Timestamp;
use crate::http::{Headers, RequestHead};

/// Parameters that only a presigned URL has.
const PRESIGNED: [&str; 5] =
    ["X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature", "X-Amz-SignedHeaders", "X-Amz-Expires"];
/// Parameters that only a URL of Signature Version 2 has.
const PRESIGNED_V2: [&str; 2] = ["AWSAccessKeyId", "Signature"];
const SECURITY_TOKEN: &str = "x-amz-security-token";

/// The parts of a signature, wherever they stand. Without `Debug`, because a session token is a secret.
pub struct Authorization {
    /// Whose it is.
    pub access_key_id: String,
    /// For which day, region and service.
    pub scope: CredentialScope,
    /// When it was made.
    pub timestamp: Timestamp,
    /// For how many seconds a presigned URL is good.
    pub expires: Option<u32>,
    /// Which headers it covers.
    pub signed_headers: SignedHeaders,
    /// The signature, as given.
    pub signature: String,
    /// The effective `x-amz-content-sha256`, well-formed.
    pub payload_hash: String,
    /// The session token, if there is one.
    pub session_token: Option<String>,
}

impl Authorization {
    /// Reads the one signature of a request.
    pub fn from_request(
        head: &RequestHead,
        parameters: &QueryParameters,
        regions: Option<&[String]>,
    ) -> Result<Self, AuthError> {
        let has_any = |names: &[&str]| names.iter().any(|name| parameters.has(name));
        match (head.headers.has("authorization"), has_any(&PRESIGNED), has_any(&PRESIGNED_V2)) {
            (true, false, false) => header::read(&head.headers, regions),
            (false, true, false) => presigned::read(&head.headers, parameters, regions),
            (false, false, true) => Err(AuthError::UnsupportedMechanism),
            (false, false, false) => Err(AuthError::Anonymous),
            _ => Err(AuthError::TwoMechanisms),
        }
    }
}

/// The header's value, if it is exactly one of those that S3 knows: how the body is read depends on it elsewhere, too.
fn content_sha256(headers: &Headers) -> Result<Option<&str>, AuthError> {
    let value = headers.text(CONTENT_SHA256).map_err(|_| AuthError::InvalidContentSha256)?;
    match value {
        Some(value) if value.starts_with("STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD") => {
            Err(AuthError::UnsupportedMechanism)
        }
        Some(value) if !is_hash_or_unsigned(value) && !is_streaming(value) => Err(AuthError::InvalidContentSha256),
        value => Ok(value),
    }
}

fn is_hash_or_unsigned(value: &str) -> bool {
    value == "UNSIGNED-PAYLOAD" || (value.len() == 64 && value.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn is_streaming(value: &str) -> bool {
    let forms = ["UNSIGNED-PAYLOAD-TRAILER", "AWS4-HMAC-SHA256-PAYLOAD", "AWS4-HMAC-SHA256-PAYLOAD-TRAILER"];
    value.strip_prefix("STREAMING-").is_some_and(|form| forms.contains(&form))
}

fn session_token(headers: &Headers) -> Result<Option<String>, AuthError> {
    let token = headers.text(SECURITY_TOKEN).map_err(|_| AuthError::InvalidToken)?;
    Ok(token.map(|token| token.trim().to_owned()))
}
