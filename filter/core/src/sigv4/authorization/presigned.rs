//! "Authenticating Requests: Using Query Parameters" (Amazon S3 API Reference).

use super::{Authorization, content_sha256, is_hash_or_unsigned, session_token};
use crate::http::Headers;
use crate::sigv4::canonical_request::SignedHeaders;
use crate::sigv4::error::QueryFault;
use crate::sigv4::query_parameters::QueryParameters;
use crate::sigv4::scope::CredentialScope;
use crate::sigv4::timestamp::Timestamp;
use crate::sigv4::{ALGORITHM, AuthError};

/// A week, in seconds.
const MAX_EXPIRES: u32 = 604_800;

/// Reads the parameters of a presigned URL.
pub fn read(
    headers: &Headers,
    parameters: &QueryParameters,
    regions: Option<&[String]>,
) -> Result<Authorization, AuthError> {
    let required = |name| optional(parameters, name)?.ok_or(QueryFault::Missing);
    check_algorithm(required("X-Amz-Algorithm")?)?;
    let (access_key_id, scope) = CredentialScope::parse(required("X-Amz-Credential")?).map_err(QueryFault::from)?;
    scope.check(regions).map_err(QueryFault::from)?;
    let timestamp = Timestamp::parse(required("X-Amz-Date")?).ok_or(QueryFault::Date)?;
    if scope.date != timestamp.date() {
        return Err(QueryFault::DateMismatch.into());
    }
    let session_token = match optional(parameters, "X-Amz-Security-Token")? {
        Some(token) => Some(token.to_owned()),
        None => session_token(headers)?,
    };
    Ok(Authorization {
        access_key_id: access_key_id.to_owned(),
        scope,
        timestamp,
        expires: Some(expires(required("X-Amz-Expires")?)?),
        signed_headers: SignedHeaders::parse(required("X-Amz-SignedHeaders")?),
        signature: required("X-Amz-Signature")?.to_owned(),
        payload_hash: payload_hash(headers, parameters)?.to_owned(),
        session_token,
    })
}

fn optional<'a>(parameters: &'a QueryParameters, name: &'static str) -> Result<Option<&'a str>, QueryFault> {
    parameters.value(name).map_err(|_| QueryFault::Repeated(name))
}

fn check_algorithm(algorithm: &str) -> Result<(), AuthError> {
    match algorithm {
        ALGORITHM => Ok(()),
        "AWS4-ECDSA-P256-SHA256" => Err(AuthError::UnsupportedMechanism),
        _ => Err(QueryFault::Algorithm.into()),
    }
}

fn expires(text: &str) -> Result<u32, QueryFault> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(QueryFault::Expires("should be a number"));
    }
    match text.parse() {
        _ if text.starts_with('-') => Err(QueryFault::Expires("must be non-negative")),
        Ok(seconds) if seconds <= MAX_EXPIRES => Ok(seconds),
        _ => Err(QueryFault::Expires(
            "must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than 604800 seconds",
        )),
    }
}

/// The header if there is one, else the parameter, else nothing is said of the body. What tells how a body is framed has
/// to stand in the header, where everybody looks for it.
fn payload_hash<'a>(headers: &'a Headers, parameters: &'a QueryParameters) -> Result<&'a str, AuthError> {
    let parameter = optional(parameters, "X-Amz-Content-Sha256")?;
    match (content_sha256(headers)?, parameter) {
        (Some(header), Some(parameter)) if header != parameter => Err(AuthError::InvalidContentSha256),
        (Some(header), _) => Ok(header),
        (None, Some(parameter)) if !is_hash_or_unsigned(parameter) => Err(AuthError::InvalidContentSha256),
        (None, parameter) => Ok(parameter.unwrap_or("UNSIGNED-PAYLOAD")),
    }
}
