//! The one place that decides what a client hears of a failure: S3's status, code and XML
//! (Amazon S3 API Reference, "Error responses").

use crate::error::{Error, KmsError, RequestError};
use crate::s3::range::ContentRange;
use crate::s3::xml::escape;

/// An error as S3 tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct S3Error {
    /// The HTTP status.
    pub status: u16,
    /// S3's error code.
    pub code: &'static str,
    /// A sentence for a person.
    pub message: String,
    /// What a 416 says in its `Content-Range`.
    pub content_range: Option<ContentRange>,
    /// The region to sign for, where another one was signed for. SDKs take it from here and try again.
    pub region: Option<String>,
}

impl From<&Error> for S3Error {
    fn from(error: &Error) -> Self {
        let (status, code) = match error {
            Error::Request(error) => request(error),
            // A 502 says that what is behind us is at fault. S3's own codes know none closer than InternalError.
            Error::Integrity(_) => (502, "InternalError"),
            Error::Kms(KmsError::Unavailable) => (503, "ServiceUnavailable"),
            Error::Kms(KmsError::Denied) => (403, "AccessDenied"),
            Error::Kms(KmsError::ContextMismatch | KmsError::Invalid | KmsError::Garbage) => (502, "InternalError"),
            Error::ObjectChanged | Error::TooManyCopies => (503, "SlowDown"),
            Error::StoreUnavailable => (503, "ServiceUnavailable"),
            Error::Internal(_) => (500, "InternalError"),
        };
        let content_range = match error {
            Error::Request(RequestError::InvalidRange { plain_len }) => Some(ContentRange::Unsatisfied(*plain_len)),
            _ => None,
        };
        let region = match error {
            Error::Request(RequestError::Auth(error)) => error.expected_region().map(str::to_owned),
            _ => None,
        };
        Self { status, code, message: error.to_string(), content_range, region }
    }
}

fn request(error: &RequestError) -> (u16, &'static str) {
    match error {
        RequestError::Auth(error) => (error.status(), error.code()),
        RequestError::AccessDenied => (403, "AccessDenied"),
        RequestError::InvalidUri(_) => (400, "InvalidURI"),
        RequestError::InvalidArgument(_) => (400, "InvalidArgument"),
        RequestError::InvalidRequest(_) => (400, "InvalidRequest"),
        RequestError::AwsChunked(error) => (status(error.code()), error.code()),
        RequestError::NotImplemented(_) => (501, "NotImplemented"),
        RequestError::InvalidRange { .. } => (416, "InvalidRange"),
        RequestError::InvalidPartNumber => (416, "InvalidPartNumber"),
        RequestError::CopyRange { .. } => (400, "InvalidArgument"),
        RequestError::PreconditionFailed => (412, "PreconditionFailed"),
        RequestError::NoSuchSource => (404, "NoSuchKey"),
        RequestError::SourceDenied => (403, "AccessDenied"),
        RequestError::NoSuchUpload => (404, "NoSuchUpload"),
        RequestError::MalformedXml => (400, "MalformedXML"),
        RequestError::InvalidPartOrder => (400, "InvalidPartOrder"),
        RequestError::PartNumberGap => (400, "InvalidPart"),
        RequestError::MissingContentLength => (411, "MissingContentLength"),
        RequestError::EntityTooLarge | RequestError::CopyTooLarge { .. } => (400, "EntityTooLarge"),
        RequestError::IncompleteBody | RequestError::BodyTooLong => (400, "IncompleteBody"),
        RequestError::Checksum(error) => (status(error.code()), error.code()),
        RequestError::Unencrypted => (403, "AccessDenied"),
    }
}

/// The status that goes with a code of the upload's own checks.
fn status(code: &str) -> u16 {
    match code {
        "NotImplemented" => 501,
        "SignatureDoesNotMatch" => 403,
        _ => 400,
    }
}

impl S3Error {
    /// The error document. `resource` is the path that was asked for, `request_id` what the logs know the request by.
    pub fn to_xml(&self, resource: &str, request_id: &str) -> String {
        let region = self.region.as_ref().map(|region| format!("<Region>{}</Region>", escape(region)));
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{}</Code><Message>{}</Message>{}\
             <Resource>{}</Resource><RequestId>{}</RequestId></Error>",
            self.code,
            escape(&self.message),
            region.unwrap_or_default(),
            escape(resource),
            escape(request_id)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_is_xml_whatever_the_path() {
        let code = "AuthorizationHeaderMalformed";
        let region = Some("r".to_owned());
        let error = S3Error { status: 400, code, message: "a < b".into(), content_range: None, region };
        assert_eq!(
            error.to_xml("/b/<&\">\u{1}", "id"),
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>AuthorizationHeaderMalformed</Code>\
             <Message>a &lt; b</Message><Region>r</Region>\
             <Resource>/b/&lt;&amp;&quot;&gt;\u{fffd}</Resource><RequestId>id</RequestId></Error>"
        );
    }
}
