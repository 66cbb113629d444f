//! What a client gets to see.

use s3ep_core::error::Error;
use s3ep_core::http::Headers;
use s3ep_core::s3::error::S3Error;

/// A response, or as much of one as came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub status: u16,
    pub headers: Headers,
    pub body: Vec<u8>,
}

impl Message {
    /// The one value of a header, as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.text(name).unwrap()
    }

    /// Asserts that nothing in the head tells of the encryption, and that the ETag is not taken for an MD5.
    pub fn assert_hides_encryption(&self) {
        for (name, _) in self.headers.iter() {
            assert!(!name.starts_with("x-amz-meta-s3ep-") && !name.starts_with("x-amz-checksum-"), "{name} shows");
        }
        assert!(
            self.header("etag").is_none_or(|etag| etag.trim_matches('"').len() != 32),
            "the ETag is taken for an MD5"
        );
    }
}

/// The filter's own reply, or its reason to break a transfer.
#[derive(Debug)]
pub struct Refusal {
    pub told: S3Error,
    #[expect(dead_code, reason = "shown where a test fails")]
    error: Error,
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self { told: S3Error::from(&error), error }
    }
}

/// How an exchange ends for the client.
#[derive(Debug)]
pub enum Outcome {
    /// With a response that is whole.
    Complete(Message),
    /// With the filter's own error, before a head went out.
    Refused(Refusal),
    /// With a broken transfer, after this much.
    Broken(Message, Refusal),
    /// With a response that says it is whole, but has not the length that its own head states: the next response on the
    /// connection would be taken for the rest.
    Misframed(Message),
}

impl Outcome {
    /// The response, which must be whole.
    #[track_caller]
    pub fn complete(self) -> Message {
        match self {
            Self::Complete(message) => message,
            other => panic!("no whole response: {}", other.summary()),
        }
    }

    /// Status and code of the filter's own reply.
    #[track_caller]
    pub fn refused(&self) -> (u16, &'static str) {
        match self {
            Self::Refused(refusal) => (refusal.told.status, refusal.told.code),
            other => panic!("not refused: {}", other.summary()),
        }
    }

    /// The status that the client sees first.
    pub fn status(&self) -> u16 {
        match self {
            Self::Complete(message) | Self::Broken(message, _) | Self::Misframed(message) => message.status,
            Self::Refused(refusal) => refusal.told.status,
        }
    }

    /// The body bytes that got out before a failure. Panics if there was none.
    #[track_caller]
    pub fn failed(&self) -> &[u8] {
        match self {
            Self::Refused(_) => &[],
            Self::Broken(message, _) => &message.body,
            other => panic!("no failure: {}", other.summary()),
        }
    }

    /// All but the bodies.
    pub fn summary(&self) -> String {
        match self {
            Self::Complete(m) => format!("complete, {} with {} bytes: {:?}", m.status, m.body.len(), m.headers),
            Self::Misframed(m) => format!("misframed, {} with {} bytes: {:?}", m.status, m.body.len(), m.headers),
            Self::Broken(m, why) => format!("broken, {} after {} bytes: {why:?}", m.status, m.body.len()),
            Self::Refused(why) => format!("refused: {why:?}"),
        }
    }
}
