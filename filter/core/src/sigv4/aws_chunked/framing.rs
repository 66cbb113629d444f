//! Whether a body is aws-chunked, and in which form.

use super::AwsChunkedError;

/// The forms of aws-chunked, as `x-amz-content-sha256` names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// `STREAMING-UNSIGNED-PAYLOAD-TRAILER`.
    UnsignedTrailer,
    /// `STREAMING-AWS4-HMAC-SHA256-PAYLOAD`.
    Signed,
    /// `STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER`.
    SignedTrailer,
}

impl Framing {
    /// The framing of a request's body, from its headers alone. None: the body is not aws-chunked.
    ///
    /// `x-amz-content-sha256` decides. Requests that SigV4 does not sign (anonymous, or signed otherwise) have none, and
    /// presigned ones may say `UNSIGNED-PAYLOAD`: of those, `Content-Encoding` and x-amz-decoded-content-length together
    /// tell the framed ones. A hash of the body says that the body is as it is, so with a decoded length beside it the
    /// request contradicts itself.
    pub fn of_request(
        content_sha256: Option<&str>,
        content_encoding: Option<&str>,
        has_decoded_length: bool,
    ) -> Result<Option<Self>, AwsChunkedError> {
        let is_encoded = content_encoding.is_some_and(names_aws_chunked) && has_decoded_length;
        match content_sha256 {
            Some("STREAMING-UNSIGNED-PAYLOAD-TRAILER") => Ok(Some(Self::UnsignedTrailer)),
            Some("STREAMING-AWS4-HMAC-SHA256-PAYLOAD") => Ok(Some(Self::Signed)),
            Some("STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER") => Ok(Some(Self::SignedTrailer)),
            Some(other) if other.starts_with("STREAMING-") => {
                Err(AwsChunkedError::Unsupported("the value of x-amz-content-sha256"))
            }
            None | Some("UNSIGNED-PAYLOAD") => Ok(is_encoded.then_some(Self::UnsignedTrailer)),
            Some(_) if is_encoded => Err(AwsChunkedError::Unsupported("a hash over the framed body")),
            Some(_) => Ok(None),
        }
    }

    /// Whether each chunk carries a signature.
    pub const fn is_signed(self) -> bool {
        matches!(self, Self::Signed | Self::SignedTrailer)
    }

    /// Whether trailers may follow the last chunk.
    pub const fn has_trailers(self) -> bool {
        matches!(self, Self::UnsignedTrailer | Self::SignedTrailer)
    }
}

fn codings(content_encoding: &str) -> impl Iterator<Item = &str> {
    content_encoding.split(',').map(str::trim).filter(|coding| !coding.is_empty())
}

fn is_aws_chunked(coding: &str) -> bool {
    coding.eq_ignore_ascii_case("aws-chunked")
}

fn names_aws_chunked(content_encoding: &str) -> bool {
    codings(content_encoding).any(is_aws_chunked)
}

/// `Content-Encoding` as the object has it: without `aws-chunked`. None if nothing is left.
pub fn object_encoding(content_encoding: &str) -> Option<String> {
    let left: Vec<&str> = codings(content_encoding).filter(|coding| !is_aws_chunked(coding)).collect();
    (!left.is_empty()).then(|| left.join(", "))
}
