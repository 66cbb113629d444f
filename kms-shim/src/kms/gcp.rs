//! Google Cloud KMS. The context is the additional authenticated data. Whatever goes either way is checked by its CRC32C,
//! as Google asks ("Verifying end-to-end data integrity" in the documentation of Cloud KMS).
//!
//! Credentials are Application Default Credentials (the file in `GOOGLE_APPLICATION_CREDENTIALS`, gcloud's, or the metadata
//! server's). A DEK passes through buffers of the client that nobody zeroizes.

use async_trait::async_trait;
use axum::body::Bytes;
use google_cloud_gax::error::rpc::Code;
use google_cloud_gax::retry_policy::NeverRetry;
use google_cloud_kms_v1::Error;
use google_cloud_kms_v1::client::KeyManagementService;
use kms_api::{ErrorKind, Secret};
use zeroize::{Zeroize, Zeroizing};

use super::gcp_settings::GcpSettings;
use super::uri::GcpKey;
use super::with_causes;
use crate::kek::{Context, Kek, KekError};

/// A symmetric key in Cloud KMS, of whatever version is primary. Its id is its URI.
#[derive(Debug)]
pub(super) struct GcpKms {
    id: String,
    name: String,
    client: KeyManagementService,
}

impl GcpKms {
    /// Asks nothing of Cloud KMS yet.
    pub(super) async fn open(key: &GcpKey, settings: &GcpSettings) -> Result<Self, KekError> {
        // Whoever asks the KEK says what is tried again, for all kinds of KEKs alike.
        let mut builder = KeyManagementService::builder().with_retry_policy(NeverRetry);
        if let Some(endpoint) = &settings.endpoint {
            builder = builder.with_endpoint(endpoint.to_string());
        }
        let client = builder.build().await;
        let client = client.map_err(|error| unavailable(format!("Google's credentials: {}", with_causes(&error))))?;
        Ok(Self { id: format!("gcp-kms://{}", key.name), name: key.name.clone(), client })
    }

    /// Cloud KMS answers with the version that encrypted.
    fn check_key(&self, answered: &str) -> Result<(), KekError> {
        let version = answered.strip_prefix(&*self.name).and_then(|rest| rest.strip_prefix("/cryptoKeyVersions/"));
        version.map(drop).ok_or_else(|| unavailable("Cloud KMS answered with another key than was asked for"))
    }
}

#[async_trait]
impl Kek for GcpKms {
    fn id(&self) -> &str {
        &self.id
    }

    async fn wrap(&self, dek: &Secret, context: &Context) -> Result<Vec<u8>, KekError> {
        let plaintext = Bytes::from_owner(Zeroizing::new(dek.expose().to_vec()));
        let aad = context.canonical_bytes();
        let call = self.client.encrypt().set_name(&self.name);
        let call = call.set_plaintext_crc32c(crc32c(&plaintext)).set_plaintext(plaintext);
        let call = call.set_additional_authenticated_data_crc32c(crc32c(&aad)).set_additional_authenticated_data(aad);
        let answer = call.send().await.map_err(|error| failure(&error, ErrorKind::Invalid))?;
        self.check_key(&answer.name)?;
        let verified = answer.verified_plaintext_crc32c && answer.verified_additional_authenticated_data_crc32c;
        check(verified, "what was sent to it")?;
        check(answer.ciphertext_crc32c == Some(crc32c(&answer.ciphertext)), "the ciphertext that it sent")?;
        Ok(answer.ciphertext.into())
    }

    async fn unwrap(&self, wrapped: &[u8], context: &Context) -> Result<Secret, KekError> {
        let aad = context.canonical_bytes();
        let call = self.client.decrypt().set_name(&self.name);
        let call = call.set_ciphertext_crc32c(crc32c(wrapped)).set_ciphertext(wrapped.to_vec());
        let call = call.set_additional_authenticated_data_crc32c(crc32c(&aad)).set_additional_authenticated_data(aad);
        // Cloud KMS has this answer for a wrong context, a wrong key, and an altered ciphertext alike.
        let answer = call.send().await.map_err(|error| failure(&error, ErrorKind::ContextMismatch))?;
        let is_whole = answer.plaintext_crc32c == Some(crc32c(&answer.plaintext));
        let dek = Secret::new(answer.plaintext.to_vec());
        if let Ok(mut buffer) = answer.plaintext.try_into_mut() {
            buffer.as_mut().zeroize();
        }
        check(is_whole, "the plaintext that it sent").map(|()| dek)
    }
}

/// As Google's API has it: an `int64` that is never negative.
fn crc32c(bytes: &[u8]) -> i64 {
    i64::from(crc32c::crc32c(bytes))
}

fn check(is_whole: bool, what: &str) -> Result<(), KekError> {
    let damaged = || unavailable(format!("Cloud KMS: {what} was damaged on the way, by its CRC32C"));
    is_whole.then_some(()).ok_or_else(damaged)
}

fn unavailable(message: impl Into<String>) -> KekError {
    KekError::new(ErrorKind::Unavailable, message)
}

/// `invalid` is what a request that Cloud KMS calls invalid is.
fn failure(error: &Error, invalid: ErrorKind) -> KekError {
    match error.status() {
        Some(status) => KekError::new(
            kind(status.code, &status.message, invalid),
            format!("Cloud KMS answered {}: {}", status.code, status.message),
        ),
        None => unavailable(format!("Cloud KMS could not be asked: {}", with_causes(error))),
    }
}

/// What is not known is taken for something that passes.
fn kind(code: Code, message: &str, invalid: ErrorKind) -> ErrorKind {
    match code {
        // Somebody switched the key off, or has it destroyed.
        Code::PermissionDenied | Code::Unauthenticated | Code::FailedPrecondition => ErrorKind::Denied,
        // It names the field ending in `_crc32c` that did not match: damaged on the way, and worth another try.
        Code::InvalidArgument if message.contains("_crc32c") => ErrorKind::Unavailable,
        Code::InvalidArgument => invalid,
        Code::NotFound => ErrorKind::Invalid,
        _ => ErrorKind::Unavailable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_say_who_is_at_fault() {
        let decryption = "Decryption failed: verify that 'name' refers to the correct CryptoKey.";
        let checksum = "The checksum in field ciphertext_crc32c did not match the data in field ciphertext.";
        for (code, message, expected) in [
            (Code::PermissionDenied, "", ErrorKind::Denied),
            (Code::Unauthenticated, "", ErrorKind::Denied),
            (Code::FailedPrecondition, "is not enabled, current state is: DISABLED.", ErrorKind::Denied),
            (Code::InvalidArgument, decryption, ErrorKind::ContextMismatch),
            (Code::InvalidArgument, checksum, ErrorKind::Unavailable),
            (Code::NotFound, "", ErrorKind::Invalid),
            (Code::ResourceExhausted, "", ErrorKind::Unavailable),
            (Code::DeadlineExceeded, "", ErrorKind::Unavailable),
            (Code::Internal, "", ErrorKind::Unavailable),
            (Code::Unavailable, "", ErrorKind::Unavailable),
            (Code::Unknown, "", ErrorKind::Unavailable),
        ] {
            assert_eq!(kind(code, message, ErrorKind::ContextMismatch), expected, "{code} {message}");
        }
        assert_eq!(kind(Code::InvalidArgument, "", ErrorKind::Invalid), ErrorKind::Invalid);
    }
}
