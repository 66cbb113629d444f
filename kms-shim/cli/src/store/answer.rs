//! What the store answers.

use std::io::Read as _;

use anyhow::{Context as _, Result};
use roxmltree::Document;
use s3ep_core::http::{Headers, parse_length};
use ureq::Body;
use ureq::http::Response;

use crate::sealed::Sealed;

/// The largest document that is read, in bytes: a page of a listing, of names in which every byte is encoded.
const MAX_DOCUMENT: u64 = 16 << 20;

/// An answer, its body not read yet.
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: Headers,
    body: Body,
}

/// The store's refusal of a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the store answers {status} {code} {message}")]
pub struct Refused {
    /// The HTTP status.
    pub status: u16,
    /// S3's code for it; empty in the answer to a HEAD, which has no body.
    pub code: String,
    /// The store's words.
    pub message: String,
}

impl Answer {
    pub(super) fn new(response: Response<Body>) -> Self {
        let (head, body) = response.into_parts();
        let headers = head.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        Self { status: head.status.as_u16(), headers: headers.collect(), body }
    }

    /// Fails as [`Refused`] unless the status is one of these.
    pub fn expect(self, statuses: &[u16]) -> Result<Self> {
        if statuses.contains(&self.status) { Ok(self) } else { Err(self.refused().into()) }
    }

    /// The body, which is a document.
    pub fn document(self) -> Result<String> {
        let mut text = String::new();
        self.body.into_reader().take(MAX_DOCUMENT).read_to_string(&mut text).context("the store's document")?;
        Ok(text)
    }

    /// The object in the answer to a GetObject.
    pub fn into_sealed(self) -> Sealed {
        Sealed { len: self.stated_len(), headers: self.headers, body: Box::new(self.body.into_reader()) }
    }

    /// The length that the answer states, in bytes.
    fn stated_len(&self) -> Option<u64> {
        self.headers.text("content-length").ok().flatten().and_then(parse_length)
    }

    fn refused(self) -> Refused {
        let status = self.status;
        let document = self.document().unwrap_or_default();
        let [code, message] = Document::parse(&document)
            .map(|document| ["Code", "Message"].map(|name| text(&document, name).unwrap_or_default().to_owned()))
            .unwrap_or_default();
        Refused { status, code, message }
    }
}

/// The text of the first element of that name.
pub fn text<'a>(document: &'a Document<'_>, name: &str) -> Option<&'a str> {
    document.descendants().find(|node| node.tag_name().name() == name)?.text()
}
