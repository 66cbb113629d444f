//! Every way in which an exchange can fail, sorted by whose fault it is.
//!
//! [`crate::s3::error`] alone decides what the client hears of each.

use crate::entropy::EntropyError;
use crate::format::metadata::MetadataError;
use crate::open::OpenError;
use crate::s3::checksum::ChecksumError;
use crate::sigv4::AuthError;
use crate::sigv4::aws_chunked::AwsChunkedError;

/// Why an exchange failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The client's request is at fault.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// What the store holds, or answered, is not what was stored.
    #[error("the stored object is not authentic: {0}")]
    Integrity(#[from] IntegrityError),
    /// The DEK could not be wrapped or unwrapped.
    #[error(transparent)]
    Kms(#[from] KmsError),
    /// The store did not answer a request of the filter's own.
    #[error("the store could not be asked")]
    StoreUnavailable,
    /// The object was replaced between two looks at it. Trying again helps.
    #[error("the object was replaced while it was read")]
    ObjectChanged,
    /// As much is being copied as may be at a time. Trying again helps.
    #[error("too many parts are being copied at the moment")]
    TooManyCopies,
    /// S3EP itself, or its surroundings, failed.
    #[error(transparent)]
    Internal(#[from] InternalError),
}

impl Error {
    /// A word for metrics and access logs.
    pub fn cause(&self) -> &'static str {
        match self {
            Self::Request(error) => error.cause(),
            Self::Integrity(_) => "integrity",
            Self::Kms(error) => error.cause(),
            Self::StoreUnavailable => "store_unavailable",
            Self::ObjectChanged => "object_changed",
            Self::TooManyCopies => "too_many_copies",
            Self::Internal(_) => "internal",
        }
    }
}

/// What is wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// Who sent it is not known, or it was changed since it was signed.
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// The client may not do this here.
    #[error("Access Denied")]
    AccessDenied,
    /// The path is no path of S3's.
    #[error("the URI could not be parsed: {0}")]
    InvalidUri(&'static str),
    /// A header or query parameter is malformed.
    #[error("{0}")]
    InvalidArgument(&'static str),
    /// The request as a whole makes no sense.
    #[error("{0}")]
    InvalidRequest(&'static str),
    /// S3EP does not do this.
    #[error("{0} is not supported through this proxy")]
    NotImplemented(&'static str),
    /// An upload states no length.
    #[error("an upload must state its length, in Content-Length or x-amz-decoded-content-length")]
    MissingContentLength,
    /// No object is that large.
    #[error("the object is larger than S3 allows")]
    EntityTooLarge,
    /// UploadPartCopy holds a whole part in memory, and so the configuration bounds it.
    #[error("through this proxy, UploadPartCopy copies parts of up to {max} bytes")]
    CopyTooLarge {
        /// The largest part, in bytes of plaintext.
        max: u64,
    },
    /// The range of an UploadPartCopy does not lie within its source.
    #[error("the range specified is not valid for the source object of size {plain_len}")]
    CopyRange {
        /// The source's plaintext length.
        plain_len: u64,
    },
    /// The body ended before its stated length.
    #[error("the body is shorter than its stated length")]
    IncompleteBody,
    /// The body goes on after its stated length.
    #[error("the body is longer than its stated length")]
    BodyTooLong,
    /// The range lies beyond the object's end.
    #[error("the requested range is not satisfiable")]
    InvalidRange {
        /// The plaintext's length.
        plain_len: u64,
    },
    /// The object has no part of that number.
    #[error("the requested partnumber is not satisfiable")]
    InvalidPartNumber,
    /// A condition on the source of a copy does not hold.
    #[error("at least one of the pre-conditions you specified did not hold")]
    PreconditionFailed,
    /// The source of a copy does not exist.
    #[error("the specified key does not exist")]
    NoSuchSource,
    /// The source of a copy may not be read.
    #[error("access to the source of the copy was denied")]
    SourceDenied,
    /// No upload has this UploadId, or it was not made here.
    #[error("the specified upload does not exist; the UploadId may be invalid, or the upload was aborted or completed")]
    NoSuchUpload,
    /// A document in the request is not what S3 documents.
    #[error("the XML you provided was not well-formed or did not validate against our published schema")]
    MalformedXml,
    /// CompleteMultipartUpload's parts are not ascending.
    #[error("the list of parts was not in ascending order")]
    InvalidPartOrder,
    /// CompleteMultipartUpload's part numbers are not 1, 2, 3, … (FORMAT.md section 6).
    #[error("through this proxy, the parts of an upload are numbered 1, 2, 3 and so on, without gaps")]
    PartNumberGap,
    /// A checksum does not match the body, or is malformed.
    #[error(transparent)]
    Checksum(#[from] ChecksumError),
    /// The aws-chunked framing is broken.
    #[error(transparent)]
    AwsChunked(#[from] AwsChunkedError),
    /// The object is not encrypted, and the configuration refuses such objects.
    #[error("the object is not encrypted, and this proxy is configured to refuse such objects")]
    Unencrypted,
}

impl RequestError {
    fn cause(&self) -> &'static str {
        match self {
            Self::Auth(_) => "unauthenticated",
            Self::AccessDenied => "forbidden",
            Self::NotImplemented(_) => "not_implemented",
            Self::Checksum(_) => "checksum",
            Self::AwsChunked(_) => "aws_chunked",
            Self::IncompleteBody | Self::BodyTooLong => "incomplete_body",
            Self::Unencrypted => "unencrypted",
            _ => "invalid_request",
        }
    }
}

/// How the store's answer betrays itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IntegrityError {
    /// FORMAT.md section 4.
    #[error(transparent)]
    Metadata(#[from] MetadataError),
    /// FORMAT.md section 6.
    #[error(transparent)]
    Body(#[from] OpenError),
    /// The wrapped DEK was altered, or belongs to another object.
    #[error("the wrapped DEK does not belong to this object")]
    WrappedDek,
    /// The store answers as no S3 store does.
    #[error("{0}")]
    Response(&'static str),
    /// FORMAT.md section 7: ciphertext without its metadata.
    #[error("the object is ciphertext whose metadata was lost")]
    MetadataLost,
}

/// What kept kms-shim from answering.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KmsError {
    /// The KMS, or the shim, refuses us.
    #[error("the KMS denied access")]
    Denied,
    /// No answer, or none in time.
    #[error("the KMS is unavailable")]
    Unavailable,
    /// The DEK is bound to another object, or was altered.
    #[error("the wrapped DEK does not belong to this object")]
    ContextMismatch,
    /// The shim takes the request to be malformed, or does not know the KEK.
    #[error("the KMS does not know the key or takes the request to be invalid")]
    Invalid,
    /// An answer that is none.
    #[error("the KMS gave an answer that could not be understood")]
    Garbage,
}

impl KmsError {
    /// A word for metrics and access logs.
    pub fn cause(&self) -> &'static str {
        match self {
            Self::Denied => "kms_denied",
            Self::Unavailable => "kms_unavailable",
            Self::ContextMismatch => "kms_context_mismatch",
            Self::Invalid => "kms_invalid",
            Self::Garbage => "kms_garbage",
        }
    }
}

/// Nobody's fault but ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("internal error: {0}")]
pub struct InternalError(pub &'static str);

impl From<EntropyError> for Error {
    fn from(_: EntropyError) -> Self {
        InternalError("the random source failed").into()
    }
}

impl From<MetadataError> for Error {
    fn from(error: MetadataError) -> Self {
        Self::Integrity(error.into())
    }
}

impl From<OpenError> for Error {
    fn from(error: OpenError) -> Self {
        Self::Integrity(error.into())
    }
}

impl From<ChecksumError> for Error {
    fn from(error: ChecksumError) -> Self {
        Self::Request(error.into())
    }
}

impl From<AuthError> for Error {
    fn from(error: AuthError) -> Self {
        Self::Request(error.into())
    }
}

impl From<AwsChunkedError> for Error {
    fn from(error: AwsChunkedError) -> Self {
        Self::Request(error.into())
    }
}
