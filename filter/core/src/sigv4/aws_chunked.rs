//! aws-chunked bodies: "Signature Calculations for the Authorization Header: Transferring Payload in Multiple Chunks" and
//! "Signature calculations for trailing headers" (Amazon S3 API Reference).
//!
//! ```text
//! body      = *chunk last [ 1*trailer [ signature ] ] CRLF
//! chunk     = 1*16HEXDIG [ ";chunk-signature=" 64HEXDIG ] CRLF data CRLF
//! last      = 1*16"0"    [ ";chunk-signature=" 64HEXDIG ] CRLF
//! trailer   = name ":" value eol
//! signature = "x-amz-trailer-signature:" 64HEXDIG eol
//! eol       = CRLF / LF / LF CRLF
//! ```
//!
//! S3's reference ends a trailer with `LF CRLF` and its SDKs with `CRLF`; minio-go writes `LF` between trailers. Nothing
//! else is lenient here.

mod framing;
mod signatures;

use std::fmt;

pub use framing::{Framing, object_encoding};
pub use signatures::{ChunkSignatures, ChunkVerifier, SignatureMismatch, Unverified};

/// Longest line before a chunk's data. The longest that is right has 99 bytes.
const MAX_CHUNK_HEADER: usize = 128;
/// All trailers together, line ends included.
const MAX_TRAILERS: usize = 16 * 1024;
const CHUNK_SIGNATURE: &str = "chunk-signature=";
const TRAILER_SIGNATURE: &str = "x-amz-trailer-signature";

/// Why an aws-chunked body is refused. [`AwsChunkedError::code`] is S3's error code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AwsChunkedError {
    /// A `STREAMING-` form that S3EP does not know, such as those with ECDSA signatures, or a contradiction.
    #[error("this form of aws-chunked upload is not implemented: {0}")]
    Unsupported(&'static str),
    /// The framing is not aws-chunked's.
    #[error("the aws-chunked body is malformed: {0}")]
    Malformed(&'static str),
    /// The chunks hold more or less than x-amz-decoded-content-length.
    #[error("the chunks' length is not that of x-amz-decoded-content-length")]
    Length,
    /// The body ended within its framing.
    #[error("the request body terminated unexpectedly")]
    Truncated,
    /// The trailers are malformed, too long, repeated or unsigned.
    #[error("The request contained trailing data that was not well-formed or did not conform to our published schema.")]
    MalformedTrailer,
    /// A chunk's or the trailers' signature is wrong.
    #[error("a chunk's signature does not match the signature calculated")]
    Signature,
}

impl AwsChunkedError {
    /// S3's error code. `NotImplemented` goes with status 501, `SignatureDoesNotMatch` with 403, the others with 400.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Unsupported(_) => "NotImplemented",
            Self::Malformed(_) | Self::Length | Self::Truncated => "IncompleteBody",
            Self::MalformedTrailer => "MalformedTrailerError",
            Self::Signature => "SignatureDoesNotMatch",
        }
    }
}

impl From<SignatureMismatch> for AwsChunkedError {
    fn from(_: SignatureMismatch) -> Self {
        Self::Signature
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    ChunkHeader,
    Data { left: u64 },
    DataEnd,
    Trailers { after_lf: bool },
    Complete,
    Failed(AwsChunkedError),
}

/// Takes an aws-chunked body apart, in windows of any length. Holds one line and the trailers, 17 KiB at most.
///
/// A chunk's bytes come out before its signature was seen to be right: nothing that came out is good before
/// [`finish`](Self::finish) says so.
pub struct Decoder {
    framing: Framing,
    state: State,
    /// What x-amz-decoded-content-length leaves for chunks to come.
    left: u64,
    line: Vec<u8>,
    trailers: Vec<(String, String)>,
    trailer_signature: Option<String>,
    trailer_bytes: usize,
    verifier: Box<dyn ChunkVerifier>,
}

impl Decoder {
    /// For a body that holds `decoded_len` bytes, the request's x-amz-decoded-content-length.
    pub fn new(framing: Framing, decoded_len: u64, verifier: Box<dyn ChunkVerifier>) -> Self {
        Self {
            framing,
            state: State::ChunkHeader,
            left: decoded_len,
            line: Vec::new(),
            trailers: Vec::new(),
            trailer_signature: None,
            trailer_bytes: 0,
            verifier,
        }
    }

    /// Takes the next window and appends the object's bytes to `out`. After an error, every call gives that error.
    pub fn push(&mut self, mut input: &[u8], out: &mut Vec<u8>) -> Result<(), AwsChunkedError> {
        while !input.is_empty() {
            if let Err(error) = self.advance(&mut input, out) {
                self.state = State::Failed(error);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Whether the body has come to its end. Whatever follows is an error.
    pub fn is_complete(&self) -> bool {
        self.state == State::Complete
    }

    /// The request has ended: was the body whole, and all of it right?
    pub fn finish(&self) -> Result<(), AwsChunkedError> {
        match self.state {
            State::Complete => Ok(()),
            State::Failed(error) => Err(error),
            _ => Err(AwsChunkedError::Truncated),
        }
    }

    /// Names in lower case, and values, once the body is complete; without `x-amz-trailer-signature`.
    pub fn trailers(&self) -> impl Iterator<Item = (&str, &str)> {
        let trailers = if self.is_complete() { self.trailers.as_slice() } else { &[] };
        trailers.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    fn advance(&mut self, input: &mut &[u8], out: &mut Vec<u8>) -> Result<(), AwsChunkedError> {
        match self.state {
            State::ChunkHeader => {
                let too_long = AwsChunkedError::Malformed("a chunk header is too long");
                let Some(line) = self.line(input, MAX_CHUNK_HEADER, too_long)? else {
                    return Ok(());
                };
                self.state = self.chunk_header(&line)?;
            }
            State::Data { left } => {
                let take = usize::try_from(left).unwrap_or(usize::MAX).min(input.len());
                let (data, rest) = input.split_at_checked(take).unwrap_or((input, &[]));
                *input = rest;
                self.state = self.data(data, left, out)?;
            }
            State::DataEnd => {
                let no_end = AwsChunkedError::Malformed("a chunk is longer than its stated size");
                let Some(line) = self.line(input, 2, no_end)? else {
                    return Ok(());
                };
                self.state = if line == b"\r\n" {
                    State::ChunkHeader
                } else {
                    return Err(no_end);
                };
            }
            State::Trailers { after_lf } => {
                let limit = MAX_TRAILERS.saturating_sub(self.trailer_bytes);
                let Some(line) = self.line(input, limit, AwsChunkedError::MalformedTrailer)? else {
                    return Ok(());
                };
                self.trailer_bytes = self.trailer_bytes.saturating_add(line.len());
                self.state = self.trailer_line(&line, after_lf)?;
            }
            State::Complete => return Err(AwsChunkedError::Malformed("bytes after its end")),
            State::Failed(error) => return Err(error),
        }
        Ok(())
    }

    /// The next line with its end, None if more bytes are needed, or `too_long` if it has more than `limit` bytes.
    fn line(
        &mut self,
        input: &mut &[u8],
        limit: usize,
        too_long: AwsChunkedError,
    ) -> Result<Option<Vec<u8>>, AwsChunkedError> {
        let end = input.iter().position(|&byte| byte == b'\n');
        let take = end.map_or(input.len(), |at| at.saturating_add(1));
        if self.line.len().saturating_add(take) > limit {
            return Err(too_long);
        }
        let (line, rest) = input.split_at_checked(take).unwrap_or((input, &[]));
        self.line.extend_from_slice(line);
        *input = rest;
        Ok(end.map(|_| std::mem::take(&mut self.line)))
    }

    fn chunk_header(&mut self, line: &[u8]) -> Result<State, AwsChunkedError> {
        let malformed = AwsChunkedError::Malformed("a chunk header");
        let (size, signature) = parse_chunk_header(line).ok_or(malformed)?;
        if signature.is_some() != self.framing.is_signed() {
            return Err(malformed);
        }
        if let Some(signature) = signature {
            self.verifier.chunk_begin(signature);
        }
        self.left = self.left.checked_sub(size).ok_or(AwsChunkedError::Length)?;
        if size > 0 {
            return Ok(State::Data { left: size });
        }
        if self.left > 0 {
            return Err(AwsChunkedError::Length);
        }
        self.chunk_end()?;
        Ok(State::Trailers { after_lf: false })
    }

    fn data(&mut self, data: &[u8], left: u64, out: &mut Vec<u8>) -> Result<State, AwsChunkedError> {
        out.extend_from_slice(data);
        if self.framing.is_signed() {
            self.verifier.data(data);
        }
        let left = left.saturating_sub(data.len() as u64);
        if left > 0 {
            return Ok(State::Data { left });
        }
        self.chunk_end()?;
        Ok(State::DataEnd)
    }

    fn chunk_end(&mut self) -> Result<(), AwsChunkedError> {
        if self.framing.is_signed() {
            self.verifier.chunk_end()?;
        }
        Ok(())
    }

    fn trailer_line(&mut self, line: &[u8], after_lf: bool) -> Result<State, AwsChunkedError> {
        match line {
            b"\r\n" if after_lf => return Ok(State::Trailers { after_lf: false }),
            b"\r\n" => return self.end_trailers(),
            _ => {}
        }
        let (text, is_crlf) = match line.strip_suffix(b"\r\n") {
            Some(text) => (text, true),
            None => (line.strip_suffix(b"\n").unwrap_or(line), false),
        };
        let (name, value) = parse_trailer(text).ok_or(AwsChunkedError::MalformedTrailer)?;
        self.trailer(name, value)?;
        Ok(State::Trailers { after_lf: !is_crlf })
    }

    fn trailer(&mut self, name: String, value: String) -> Result<(), AwsChunkedError> {
        let is_repeated = self.trailers.iter().any(|(known, _)| *known == name);
        if !self.framing.has_trailers() || is_repeated || self.trailer_signature.is_some() {
            return Err(AwsChunkedError::MalformedTrailer);
        }
        if name != TRAILER_SIGNATURE {
            self.trailers.push((name, value));
        } else if self.framing == Framing::SignedTrailer && !self.trailers.is_empty() && is_signature(&value) {
            self.trailer_signature = Some(value);
        } else {
            return Err(AwsChunkedError::MalformedTrailer);
        }
        Ok(())
    }

    fn end_trailers(&mut self) -> Result<State, AwsChunkedError> {
        if self.framing == Framing::SignedTrailer && !self.trailers.is_empty() {
            let signature = self.trailer_signature.as_deref().ok_or(AwsChunkedError::MalformedTrailer)?;
            let mut lines: Vec<String> =
                self.trailers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
            lines.sort();
            self.verifier.trailers(lines.concat().as_bytes(), signature)?;
        }
        Ok(State::Complete)
    }
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder").field("framing", &self.framing).field("state", &self.state).finish_non_exhaustive()
    }
}

/// The size, and the signature if there is one.
fn parse_chunk_header(line: &[u8]) -> Option<(u64, Option<&str>)> {
    let line = std::str::from_utf8(line.strip_suffix(b"\r\n")?).ok()?;
    let (size, signature) = match line.split_once(';') {
        None => (line, None),
        Some((size, extension)) => {
            (size, Some(extension.strip_prefix(CHUNK_SIGNATURE).filter(|text| is_signature(text))?))
        }
    };
    let is_size = (1..=16).contains(&size.len()) && size.bytes().all(|byte| byte.is_ascii_hexdigit());
    let size = is_size.then(|| u64::from_str_radix(size, 16).ok())??;
    Some((size, signature))
}

fn is_signature(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// A name of RFC 9110's token characters in lower case, and a value of printable ASCII without the white space around it.
fn parse_trailer(line: &[u8]) -> Option<(String, String)> {
    let (name, value) = std::str::from_utf8(line).ok()?.split_once(':')?;
    let value = value.trim_matches([' ', '\t']);
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    let is_value = value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
    (is_name && is_value).then(|| (name.to_ascii_lowercase(), value.to_owned()))
}
