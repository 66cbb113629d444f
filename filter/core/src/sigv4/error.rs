//! Why a request may not enter, in S3's words.

use super::scope::ScopeError;

/// Why a request is not let in. [`AuthError::code`] and [`AuthError::status`] are S3's ("Error responses", Amazon S3 API
/// Reference).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// It is not signed at all.
    #[error("Access Denied")]
    Anonymous,
    /// It is signed in the header and in the query.
    #[error(
        "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter or the \
         Authorization header should be specified"
    )]
    TwoMechanisms,
    /// It is signed with Signature Version 2 or 4A, or is no signature.
    #[error("The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.")]
    UnsupportedMechanism,
    /// `Authorization` is repeated, not text, or one word.
    #[error("Authorization header is invalid -- one and only one ' ' (space) required.")]
    InvalidAuthorization,
    /// `Authorization` is not as Signature Version 4 has it.
    #[error("The authorization header is malformed; {0}")]
    AuthorizationHeader(#[from] HeaderFault),
    /// The query is not as a presigned URL has it.
    #[error(transparent)]
    AuthorizationQuery(#[from] QueryFault),
    /// The time of signing is missing or malformed.
    #[error("AWS authentication requires a valid Date or x-amz-date header")]
    InvalidDate,
    /// It was signed too long ago, or will be.
    #[error("The difference between the request time and the current time is too large.")]
    RequestTimeTooSkewed,
    /// A presigned URL's time has not come.
    #[error("Request is not yet valid")]
    RequestNotYetValid,
    /// A presigned URL's time is over.
    #[error("Request has expired")]
    RequestExpired,
    /// Headers have to be signed, and are not.
    #[error("There were headers present in the request which were not signed: {}", .0.join(", "))]
    HeadersNotSigned(Vec<String>),
    /// It does not say how its body is signed.
    #[error("Missing required header for this request: x-amz-content-sha256")]
    MissingContentSha256,
    /// What it says of its body is no hash and none of the words.
    #[error(
        "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, \
         STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or a valid sha256 value."
    )]
    InvalidContentSha256,
    /// No client has this access key id; or one has it and a session token, which the request lacks.
    #[error("The AWS Access Key Id you provided does not exist in our records.")]
    InvalidAccessKeyId,
    /// The session token is not the client's.
    #[error("The provided token is malformed or otherwise invalid.")]
    InvalidToken,
    /// The signature is another request's, or another key's.
    #[error(
        "The request signature we calculated does not match the signature you provided. Check your key and signing method."
    )]
    SignatureDoesNotMatch,
    /// The path or the query cannot be decoded.
    #[error("Couldn't parse the specified URI.")]
    InvalidUri,
}

/// What is wrong with an `Authorization` header.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeaderFault {
    /// A component is missing.
    #[error("missing {0}.")]
    Missing(&'static str),
    /// A component is none of the three, or is repeated.
    #[error("the authorization header requires three components: Credential, SignedHeaders, and Signature.")]
    Components,
    /// The credential.
    #[error(transparent)]
    Credential(#[from] ScopeError),
    /// The credential's date.
    #[error("Invalid credential date. Date is not the same as X-Amz-Date.")]
    DateMismatch,
}

/// What is wrong with a presigned URL's parameters.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryFault {
    /// A parameter is missing.
    #[error(
        "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, X-Amz-Date, \
         X-Amz-SignedHeaders, and X-Amz-Expires parameters."
    )]
    Missing,
    /// A parameter is repeated.
    #[error("{0} must be given once")]
    Repeated(&'static str),
    /// Another algorithm.
    #[error("X-Amz-Algorithm only supports \"AWS4-HMAC-SHA256\"")]
    Algorithm,
    /// `X-Amz-Credential`.
    #[error("Error parsing the X-Amz-Credential parameter; {0}")]
    Credential(#[from] ScopeError),
    /// `X-Amz-Date`.
    #[error("X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"")]
    Date,
    /// The credential's date.
    #[error("Invalid credential date. This date is not the same as X-Amz-Date.")]
    DateMismatch,
    /// `X-Amz-Expires`.
    #[error("X-Amz-Expires {0}")]
    Expires(&'static str),
}

impl AuthError {
    /// S3's error code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Anonymous
            | Self::InvalidDate
            | Self::RequestNotYetValid
            | Self::RequestExpired
            | Self::HeadersNotSigned(_) => "AccessDenied",
            Self::TwoMechanisms | Self::InvalidAuthorization | Self::InvalidContentSha256 => "InvalidArgument",
            Self::UnsupportedMechanism | Self::MissingContentSha256 => "InvalidRequest",
            Self::AuthorizationHeader(_) => "AuthorizationHeaderMalformed",
            Self::AuthorizationQuery(_) => "AuthorizationQueryParametersError",
            Self::RequestTimeTooSkewed => "RequestTimeTooSkewed",
            Self::InvalidAccessKeyId => "InvalidAccessKeyId",
            Self::InvalidToken => "InvalidToken",
            Self::SignatureDoesNotMatch => "SignatureDoesNotMatch",
            Self::InvalidUri => "InvalidURI",
        }
    }

    /// The region that the request had to be signed for, if it was signed for another one.
    pub fn expected_region(&self) -> Option<&str> {
        match self {
            Self::AuthorizationHeader(HeaderFault::Credential(ScopeError::Region { expected, .. }))
            | Self::AuthorizationQuery(QueryFault::Credential(ScopeError::Region { expected, .. })) => Some(expected),
            _ => None,
        }
    }

    /// The status that goes with it: 403 for who may not enter, 400 for what cannot be understood.
    pub const fn status(&self) -> u16 {
        match self {
            Self::Anonymous
            | Self::InvalidDate
            | Self::RequestTimeTooSkewed
            | Self::RequestNotYetValid
            | Self::RequestExpired
            | Self::HeadersNotSigned(_)
            | Self::InvalidAccessKeyId
            | Self::SignatureDoesNotMatch => 403,
            Self::TwoMechanisms
            | Self::UnsupportedMechanism
            | Self::InvalidAuthorization
            | Self::AuthorizationHeader(_)
            | Self::AuthorizationQuery(_)
            | Self::MissingContentSha256
            | Self::InvalidContentSha256
            | Self::InvalidToken
            | Self::InvalidUri => 400,
        }
    }
}
