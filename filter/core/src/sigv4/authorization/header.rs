//! "Authenticating Requests: Using the Authorization Header" (Amazon S3 API Reference).

use super::{Authorization, content_sha256, session_token};
use crate::http::Headers;
use crate::sigv4::canonical_request::SignedHeaders;
use crate::sigv4::error::HeaderFault;
use crate::sigv4::scope::CredentialScope;
use crate::sigv4::timestamp::Timestamp;
use crate::sigv4::{ALGORITHM, AuthError};

/// Reads the `Authorization` header, and the headers that go with it.
pub fn read(headers: &Headers, regions: Option<&[String]>) -> Result<Authorization, AuthError> {
    let authorization = headers.text("authorization").ok().flatten().ok_or(AuthError::InvalidAuthorization)?;
    let (algorithm, components) = authorization.trim().split_once(' ').ok_or(AuthError::InvalidAuthorization)?;
    if algorithm != ALGORITHM {
        return Err(AuthError::UnsupportedMechanism);
    }
    let [credential, signed_headers, signature] = split(components)?;
    let (access_key_id, scope) = CredentialScope::parse(credential).map_err(HeaderFault::from)?;
    scope.check(regions).map_err(HeaderFault::from)?;
    let timestamp = timestamp(headers).ok_or(AuthError::InvalidDate)?;
    if scope.date != timestamp.date() {
        return Err(HeaderFault::DateMismatch.into());
    }
    Ok(Authorization {
        access_key_id: access_key_id.to_owned(),
        scope,
        timestamp,
        expires: None,
        signed_headers: SignedHeaders::parse(signed_headers),
        signature: signature.to_owned(),
        payload_hash: content_sha256(headers)?.ok_or(AuthError::MissingContentSha256)?.to_owned(),
        session_token: session_token(headers)?,
    })
}

/// The three components, in any order, with or without spaces after the commas.
fn split(components: &str) -> Result<[&str; 3], HeaderFault> {
    let names = ["Credential", "SignedHeaders", "Signature"];
    let mut values = [None; 3];
    for component in components.split(',') {
        let (name, value) = component.trim().split_once('=').ok_or(HeaderFault::Components)?;
        let place = names.iter().position(|known| *known == name).and_then(|at| values.get_mut(at));
        let place = place.filter(|place| place.is_none()).ok_or(HeaderFault::Components)?;
        *place = Some(value);
    }
    let [credential, signed_headers, signature] = values;
    Ok([
        credential.ok_or(HeaderFault::Missing("Credential"))?,
        signed_headers.ok_or(HeaderFault::Missing("SignedHeaders"))?,
        signature.ok_or(HeaderFault::Missing("Signature"))?,
    ])
}

/// `x-amz-date`, or without it `Date`.
fn timestamp(headers: &Headers) -> Option<Timestamp> {
    match headers.text("x-amz-date").ok()? {
        Some(date) => Timestamp::parse(date.trim()),
        None => Timestamp::parse_date(headers.text("date").ok()??.trim()),
    }
}
