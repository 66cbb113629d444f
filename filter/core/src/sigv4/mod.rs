//! AWS Signature Version 4 as S3 has it: "Authenticating Requests (AWS Signature Version 4)" (Amazon S3 API Reference).
//!
//! [`verify()`] takes a request's head exactly as the client sent it. The other names are AWS's own for the steps in
//! between.

mod authorization;
pub mod aws_chunked;
pub mod canonical_request;
pub mod credentials;
pub mod error;
pub mod query_parameters;
pub mod scope;
pub mod signing_key;
pub mod timestamp;
pub mod verify;

pub use error::AuthError;
pub use verify::{Credential, Payload, Verified, verify};

/// The only algorithm.
const ALGORITHM: &str = "AWS4-HMAC-SHA256";
