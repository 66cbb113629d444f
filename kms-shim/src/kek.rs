//! What a key encryption key (KEK) is to the service: something that wraps and unwraps DEKs under an encryption context.

use async_trait::async_trait;
use kms_api::{EncryptionContext, ErrorKind, Secret};

/// Longest id of a KEK in bytes.
pub const MAX_ID_LEN: usize = 256;

/// A KEK, whoever holds it.
#[async_trait]
pub trait Kek: Send + Sync + 'static {
    /// The KEK's name in [`kms_api::WrapResponse::kek`]. It is stored with every object, so it is stable, says nothing
    /// about the machine, and fits into an HTTP header: at most [`MAX_ID_LEN`] bytes of visible ASCII.
    fn id(&self) -> &str;

    /// Wraps a DEK under the context.
    async fn wrap(&self, dek: &Secret, context: &Context) -> Result<Vec<u8>, KekError>;

    /// Unwraps what [`Kek::wrap`] made under the same context.
    async fn unwrap(&self, wrapped: &[u8], context: &Context) -> Result<Secret, KekError>;
}

#[async_trait]
impl<K: Kek + ?Sized> Kek for Box<K> {
    fn id(&self) -> &str {
        (**self).id()
    }

    async fn wrap(&self, dek: &Secret, context: &Context) -> Result<Vec<u8>, KekError> {
        (**self).wrap(dek, context).await
    }

    async fn unwrap(&self, wrapped: &[u8], context: &Context) -> Result<Secret, KekError> {
        (**self).unwrap(wrapped, context).await
    }
}

/// Why a KEK did not wrap or unwrap.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct KekError {
    /// Who is at fault, as the caller will hear it.
    pub kind: ErrorKind,
    /// A sentence for the log and the caller; carries no secret.
    pub message: String,
}

impl KekError {
    /// An error of this kind.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }
}

/// The object that a DEK belongs to, or none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    bucket: String,
    object_key: String,
}

impl Context {
    /// Binds to the object of this bucket and object key. Both must be non-empty, and the bucket free of NUL, which
    /// ends it in [`Context::canonical_bytes`].
    pub fn new(bucket: impl Into<String>, object_key: impl Into<String>) -> Result<Self, ContextError> {
        let (bucket, object_key) = (bucket.into(), object_key.into());
        if bucket.is_empty() {
            return Err(ContextError::Empty("bucket"));
        }
        if object_key.is_empty() {
            return Err(ContextError::Empty("key"));
        }
        if bucket.contains('\0') {
            return Err(ContextError::NulInBucket);
        }
        Ok(Self { bucket, object_key })
    }

    /// What a keyset is encrypted under: no object, hence nothing, as Tink has it. No DEK can be passed off as a keyset,
    /// nor a keyset as a DEK.
    pub fn of_keyset() -> Self {
        Self { bucket: String::new(), object_key: String::new() }
    }

    /// The object's bucket.
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// The object's key within its bucket.
    pub fn object_key(&self) -> &str {
        &self.object_key
    }

    /// The context for a KMS that takes a map: `bucket` and `key`.
    pub fn members(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let members = [("bucket", self.bucket()), ("key", self.object_key())];
        members.into_iter().filter(|_| !self.is_of_keyset())
    }

    /// The context for a KMS that takes bytes: `bucket ‖ 0x00 ‖ object key` in UTF-8 (FORMAT.md 3.4). Two different
    /// contexts never give the same bytes.
    pub fn canonical_bytes(&self) -> Vec<u8> {
        let separator: &[u8] = if self.is_of_keyset() { b"" } else { b"\0" };
        [self.bucket.as_bytes(), separator, self.object_key.as_bytes()].concat()
    }

    /// An object's bucket is never empty.
    fn is_of_keyset(&self) -> bool {
        self.bucket.is_empty()
    }
}

impl TryFrom<EncryptionContext> for Context {
    type Error = ContextError;

    fn try_from(mut map: EncryptionContext) -> Result<Self, ContextError> {
        match (map.remove("bucket"), map.remove("key"), map.is_empty()) {
            (Some(bucket), Some(object_key), true) => Self::new(bucket, object_key),
            _ => Err(ContextError::Members),
        }
    }
}

/// An encryption context that names no object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ContextError {
    /// Something else than `bucket` and `key` is in it, or one of them is missing.
    #[error("the context must have exactly the members bucket and key")]
    Members,
    /// The named member is the empty string.
    #[error("the context's {0} is empty")]
    Empty(&'static str),
    /// The bucket's name has a NUL in it.
    #[error("the context's bucket has a NUL in it")]
    NulInBucket,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(members: &[(&str, &str)]) -> Result<Context, ContextError> {
        let map: EncryptionContext =
            members.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        Context::try_from(map)
    }

    #[test]
    fn a_context_has_exactly_bucket_and_key() {
        use ContextError::*;
        let cases: &[(&[(&str, &str)], ContextError)] = &[
            (&[], Members),
            (&[("bucket", "b")], Members),
            (&[("key", "k")], Members),
            (&[("Bucket", "b"), ("key", "k")], Members),
            (&[("bucket", "b"), ("key", "k"), ("version", "1")], Members),
            (&[("bucket", ""), ("key", "k")], Empty("bucket")),
            (&[("bucket", "b"), ("key", "")], Empty("key")),
            (&[("bucket", "b\0c"), ("key", "k")], NulInBucket),
        ];
        for (members, error) in cases {
            assert_eq!(context(members).unwrap_err(), *error, "{members:?}");
        }
    }

    #[test]
    fn canonical_bytes_are_bucket_nul_key_in_utf_8() {
        let context = context(&[("bucket", "photos"), ("key", "ü/\0.jpg")]).unwrap();
        assert_eq!(context.canonical_bytes(), b"photos\0\xc3\xbc/\0.jpg");
        assert!(context.members().eq([("bucket", "photos"), ("key", "ü/\0.jpg")]));
    }

    #[test]
    fn a_keyset_has_no_context() {
        assert_eq!(Context::of_keyset().canonical_bytes(), b"");
        assert_eq!(Context::of_keyset().members().count(), 0);
    }
}
