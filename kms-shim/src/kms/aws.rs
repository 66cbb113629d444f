//! AWS KMS. The encryption context is the object's bucket and key, which CloudTrail shows with every call.
//!
//! Credentials come from AWS's default chain (environment, profile, web identity, container, instance); the standard
//! variables, `AWS_ENDPOINT_URL_KMS` among them, hold. A DEK passes through buffers of the SDK that nobody zeroizes.

use std::collections::HashMap;

use async_trait::async_trait;
use aws_config::retry::RetryConfig;
use aws_config::{BehaviorVersion, Region};
use aws_sdk_kms::Client;
use aws_sdk_kms::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kms::primitives::Blob;
use kms_api::{ErrorKind, Secret};

use super::uri::AwsKey;
use super::with_causes;
use crate::kek::{Context, Kek, KekError};

/// A symmetric key in AWS KMS. Its id is its URI, with the ARN of the key even if an alias was configured.
#[derive(Debug)]
pub(super) struct AwsKms {
    id: String,
    arn: String,
    client: Client,
}

impl AwsKms {
    /// Looks an alias up; a key's own ARN needs no call. (An alias may point to another key tomorrow, but only today's
    /// can unwrap what is wrapped today.)
    pub(super) async fn open(key: &AwsKey) -> Result<Self, KekError> {
        let client = client(&key.region).await;
        let arn = if key.is_alias { resolve(&client, &key.arn).await? } else { key.arn.clone() };
        Ok(Self { id: format!("aws-kms://{arn}"), arn, client })
    }

    /// An answer of another key than was asked for is none.
    fn check_key(&self, answered: Option<&str>) -> Result<(), KekError> {
        match answered {
            Some(arn) if arn == self.arn => Ok(()),
            _ => Err(unavailable("AWS KMS answered with another key than was asked for")),
        }
    }
}

#[async_trait]
impl Kek for AwsKms {
    fn id(&self) -> &str {
        &self.id
    }

    async fn wrap(&self, dek: &Secret, context: &Context) -> Result<Vec<u8>, KekError> {
        let call = self.client.encrypt().key_id(&self.arn).plaintext(Blob::new(dek.expose()));
        let answer = call.set_encryption_context(encryption_context(context)).send().await.map_err(failure)?;
        self.check_key(answer.key_id())?;
        let wrapped = answer.ciphertext_blob.ok_or_else(|| unavailable("AWS KMS answered without a ciphertext"))?;
        Ok(wrapped.into_inner())
    }

    async fn unwrap(&self, wrapped: &[u8], context: &Context) -> Result<Secret, KekError> {
        let call = self.client.decrypt().key_id(&self.arn).ciphertext_blob(Blob::new(wrapped));
        let answer = call.set_encryption_context(encryption_context(context)).send().await.map_err(failure)?;
        self.check_key(answer.key_id())?;
        let dek = answer.plaintext.ok_or_else(|| unavailable("AWS KMS answered without a plaintext"))?;
        Ok(Secret::new(dek.into_inner()))
    }
}

async fn client(region: &str) -> Client {
    let config = aws_config::defaults(BehaviorVersion::latest())
        .region(Region::new(region.to_owned()))
        // Whoever asks the KEK says what is tried again, for all kinds of KEKs alike.
        .retry_config(RetryConfig::disabled());
    Client::new(&config.load().await)
}

async fn resolve(client: &Client, alias: &str) -> Result<String, KekError> {
    let answer = client.describe_key().key_id(alias).send().await.map_err(failure)?;
    let arn = answer.key_metadata.and_then(|key| key.arn);
    arn.ok_or_else(|| unavailable("AWS KMS did not say which key the alias is of"))
}

fn encryption_context(context: &Context) -> Option<HashMap<String, String>> {
    let members: HashMap<_, _> = context.members().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    Some(members).filter(|members| !members.is_empty())
}

fn unavailable(message: &str) -> KekError {
    KekError::new(ErrorKind::Unavailable, message)
}

fn failure<E, R>(error: SdkError<E, R>) -> KekError
where
    SdkError<E, R>: std::error::Error,
    E: ProvideErrorMetadata,
{
    let Some(code) = error.as_service_error().and_then(ProvideErrorMetadata::code) else {
        return KekError::new(ErrorKind::Unavailable, format!("AWS KMS could not be asked: {}", with_causes(&error)));
    };
    let message = error.as_service_error().and_then(ProvideErrorMetadata::message).unwrap_or_default();
    KekError::new(kind(code), format!("AWS KMS answered {code}: {message}"))
}

/// The error codes of the operations used, and those common to all of AWS. What is not known is taken for something
/// that passes.
fn kind(code: &str) -> ErrorKind {
    match code {
        "AccessDeniedException"
        | "AccessDenied"
        | "NotAuthorized"
        | "OptInRequired"
        | "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "InvalidSignatureException"
        | "IncompleteSignature"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "ExpiredTokenException"
        // Somebody switched the key off, or has it deleted.
        | "DisabledException"
        | "KMSInvalidStateException" => ErrorKind::Denied,
        "InvalidCiphertextException" | "IncorrectKeyException" => ErrorKind::ContextMismatch,
        "NotFoundException" | "InvalidArnException" | "InvalidKeyUsageException" | "ValidationException"
        | "ValidationError" => ErrorKind::Invalid,
        _ => ErrorKind::Unavailable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_codes_say_who_is_at_fault() {
        for (code, expected) in [
            ("AccessDeniedException", ErrorKind::Denied),
            ("UnrecognizedClientException", ErrorKind::Denied),
            ("DisabledException", ErrorKind::Denied),
            ("KMSInvalidStateException", ErrorKind::Denied),
            ("InvalidCiphertextException", ErrorKind::ContextMismatch),
            ("IncorrectKeyException", ErrorKind::ContextMismatch),
            ("NotFoundException", ErrorKind::Invalid),
            ("InvalidKeyUsageException", ErrorKind::Invalid),
            ("ThrottlingException", ErrorKind::Unavailable),
            ("KMSInternalException", ErrorKind::Unavailable),
            ("KeyUnavailableException", ErrorKind::Unavailable),
            ("DependencyTimeoutException", ErrorKind::Unavailable),
            ("", ErrorKind::Unavailable),
        ] {
            assert_eq!(kind(code), expected, "{code}");
        }
    }
}
