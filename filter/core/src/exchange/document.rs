//! A document in a request, held back until it is whole.

use std::cmp::Ordering;

use super::Body;
use crate::error::{Error, RequestError};
use crate::http::{Headers, parse_length};
use crate::s3::checksum::{ChecksumError, Checksums};

/// The document of one request, as far as it came.
#[derive(Default)]
pub struct Document {
    /// Bytes that the request promises; none until it was asked.
    len: u64,
    bytes: Vec<u8>,
    checksums: Checksums,
}

impl Document {
    /// Expects as much as the request states, at most `max` bytes.
    pub fn expect_length(&mut self, headers: &Headers, max: u64) -> Result<(), RequestError> {
        let length = headers.text("content-length").ok().flatten().and_then(parse_length);
        self.len = length.ok_or(RequestError::MissingContentLength)?;
        if self.len <= max { Ok(()) } else { Err(RequestError::MalformedXml) }
    }

    /// Expects the checksums that the headers of these names state.
    pub fn expect_checksums(&mut self, headers: &Headers, names: &[&str]) -> Result<(), ChecksumError> {
        self.checksums = Checksums::expecting(headers.iter().filter(|(name, _)| names.contains(name)))?;
        Ok(())
    }

    /// Whether all of it came.
    pub fn is_whole(&self) -> bool {
        self.bytes.len() as u64 == self.len
    }

    /// Takes a window of the body. What goes on in the document's place, once it is whole and what it should be, `written`
    /// makes of it, in the same length.
    pub fn push(
        &mut self,
        window: &[u8],
        is_end: bool,
        written: impl FnOnce(&[u8]) -> Result<Vec<u8>, RequestError>,
    ) -> Result<Body, Error> {
        self.bytes.extend_from_slice(window);
        match (self.bytes.len() as u64).cmp(&self.len) {
            Ordering::Less if is_end => Err(RequestError::IncompleteBody.into()),
            Ordering::Less => Ok(Body::Replaced(Vec::new())),
            Ordering::Equal if window.is_empty() => Ok(Body::Unchanged),
            Ordering::Equal => {
                self.checksums.update(&self.bytes);
                self.checksums.verify()?;
                Ok(Body::Replaced(written(&self.bytes)?))
            }
            Ordering::Greater => Err(RequestError::BodyTooLong.into()),
        }
    }
}
