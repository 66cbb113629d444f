//! What a client uploads: how long it is, how it is framed, and what it is said to hash to.

use zeroize::Zeroizing;

use crate::error::{Error, RequestError};
use crate::http::{HeadEdits, Headers, RequestHead, parse_length};
use crate::s3::checksum::{Checksum, Checksums};
use crate::sigv4::Payload;
use crate::sigv4::aws_chunked::{Decoder, Framing, object_encoding};

/// Headers that describe the body as the client sends it, and nothing of what goes upstream. All `x-amz-checksum-*` are
/// of their kind.
const CLIENT_BODY_HEADERS: [&str; 6] = [
    "content-md5",
    "transfer-encoding",
    "x-amz-decoded-content-length",
    "x-amz-sdk-checksum-algorithm",
    "x-amz-trailer",
    "content-length",
];

/// A body of known length on its way in.
pub struct Upload {
    plain_len: u64,
    /// Plaintext bytes still to come.
    remaining: u64,
    /// None: the body is the plaintext.
    decoder: Option<Decoder>,
    checksums: Checksums,
    verified: Option<Checksum>,
}

impl Upload {
    /// Reads what the request's head says of its body, and takes that out of the head.
    pub fn from_head(head: &RequestHead, payload: Payload, edits: &mut HeadEdits) -> Result<Self, Error> {
        let framing = Framing::of_request(
            text(&head.headers, "x-amz-content-sha256")?,
            text(&head.headers, "content-encoding")?,
            head.headers.has("x-amz-decoded-content-length"),
        )?;
        let length_header = if framing.is_some() { "x-amz-decoded-content-length" } else { "content-length" };
        let plain_len = length(&head.headers, length_header)?.ok_or(RequestError::MissingContentLength)?;
        let checksums = Checksums::expecting(head.headers.iter())?;
        remove_client_headers(&head.headers, framing, edits)?;
        let decoder = framing.map(|framing| Decoder::new(framing, plain_len, payload.into_chunk_verifier()));
        let mut upload = Self { plain_len, remaining: plain_len, decoder, checksums, verified: None };
        let is_empty = plain_len == 0 && framing.is_none();
        if head.is_end || is_empty {
            // The head that goes upstream is then the whole request: what is wrong with it must show now.
            upload.push(&[], |_| Ok(()))?.then_some(()).ok_or(RequestError::IncompleteBody)?;
            upload.verify()?;
        }
        Ok(upload)
    }

    /// Plaintext bytes in all.
    pub fn plain_len(&self) -> u64 {
        self.plain_len
    }

    /// Takes a window of the body and shows `sink` the plaintext in it. Says whether that was the last of the body,
    /// framing and trailers included.
    pub fn push(&mut self, window: &[u8], sink: impl FnOnce(&[u8]) -> Result<(), Error>) -> Result<bool, Error> {
        let Some(decoder) = &mut self.decoder else {
            self.take(window, sink)?;
            return Ok(self.remaining == 0);
        };
        let mut plain = Zeroizing::new(Vec::with_capacity(window.len()));
        decoder.push(window, &mut plain)?;
        let is_complete = decoder.is_complete();
        self.take(&plain, sink)?;
        if is_complete {
            self.take_trailers()?;
        }
        Ok(is_complete)
    }

    /// Whether the whole body is what the request said it hashes to.
    pub fn verify(&mut self) -> Result<(), Error> {
        self.checksums.verify()?;
        self.verified = self.checksums.stated();
        Ok(())
    }

    /// The `x-amz-checksum-*` of the request's head: what the body has to come to. One in a trailer comes too late for that.
    pub fn stated(&self) -> Option<Checksum> {
        self.checksums.stated()
    }

    /// The `x-amz-checksum-*`, in header or trailer, that the body was found to have.
    pub fn verified(&self) -> Option<&Checksum> {
        self.verified.as_ref()
    }

    fn take(&mut self, plain: &[u8], sink: impl FnOnce(&[u8]) -> Result<(), Error>) -> Result<(), Error> {
        self.remaining = self.remaining.checked_sub(plain.len() as u64).ok_or(RequestError::BodyTooLong)?;
        self.checksums.update(plain);
        sink(plain)
    }

    fn take_trailers(&mut self) -> Result<(), Error> {
        for (name, value) in self.decoder.iter().flat_map(Decoder::trailers) {
            self.checksums.trailer(name, value)?;
        }
        Ok(())
    }
}

fn remove_client_headers(
    headers: &Headers,
    framing: Option<Framing>,
    edits: &mut HeadEdits,
) -> Result<(), RequestError> {
    edits.remove_where(headers, |name| CLIENT_BODY_HEADERS.contains(&name) || name.starts_with("x-amz-checksum-"));
    if framing.is_some() {
        match text(headers, "content-encoding")?.and_then(object_encoding) {
            Some(coding) => edits.set("content-encoding", coding),
            None => edits.remove("content-encoding"),
        }
    }
    Ok(())
}

fn text<'a>(headers: &'a Headers, name: &str) -> Result<Option<&'a str>, RequestError> {
    headers.text(name).map_err(|_| RequestError::InvalidRequest("a header is repeated or not UTF-8"))
}

fn length(headers: &Headers, name: &str) -> Result<Option<u64>, RequestError> {
    match text(headers, name)? {
        None => Ok(None),
        Some(text) => parse_length(text).map(Some).ok_or(RequestError::InvalidArgument("a length is not a number")),
    }
}
