//! Who sends a request, found out before anything else happens.

use super::Env;
use crate::clients::Permissions;
use crate::config::Auth;
use crate::error::{Error, InternalError, RequestError};
use crate::http::RequestHead;
use crate::s3::checksum::ChecksumError;
use crate::s3::operation::{Operation, accesses};
use crate::sigv4::{Payload, verify};

/// The SHA-256 of nothing.
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// The sender of a request, and how its body is signed.
pub struct Sender {
    /// None: it may do everything.
    pub permissions: Option<Permissions>,
    /// What is still to be verified.
    pub payload: Payload,
}

impl Sender {
    /// Verifies the signature of a request, which is as the client sent it.
    pub fn of_request(env: &Env<'_>, head: &RequestHead) -> Result<Self, Error> {
        let (Auth::Clients(clients), false) = (&env.config.auth, is_preflight(head)) else {
            return Ok(Self { permissions: None, payload: Payload::Unsigned });
        };
        let credential = |access_key_id: &str| clients.find(access_key_id).map(|client| &client.credential);
        let verified = verify(head, env.now, clients.regions.as_deref(), &credential)?;
        let client = clients.find(&verified.access_key_id).ok_or(InternalError("a client was lost"))?;
        match &verified.payload {
            // Without a body, nobody else would look.
            Payload::Sha256(hash) if head.is_end && hash != EMPTY => Err(ChecksumError::ContentSha256Mismatch.into()),
            _ => Ok(Self { permissions: Some(client.permissions.clone()), payload: verified.payload }),
        }
    }

    /// Whether the sender may do this. The request is in path style.
    pub fn check(&self, head: &RequestHead, operation: &Operation) -> Result<(), RequestError> {
        let Some(permissions) = &self.permissions else { return Ok(()) };
        accesses(head, operation)?.iter().try_for_each(|(access, bucket)| permissions.check(*access, bucket))
    }
}

/// A browser asks so before it sends a request to another site, and cannot sign that (Fetch Standard, "CORS-preflight
/// request"). S3 answers everybody, from the bucket's CORS configuration.
fn is_preflight(head: &RequestHead) -> bool {
    head.method == "OPTIONS"
        && head.is_end
        && head.headers.has("origin")
        && head.headers.has("access-control-request-method")
}
