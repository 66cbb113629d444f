//! What an exchange asks of others, what they answer, and what it answers in the store's place.

use std::fmt;

use crate::error::{Error, IntegrityError, InternalError, KmsError};
use crate::format::metadata::WrappedDek;
use crate::http::{Headers, ResponseHead};
use crate::keys::{Dek, ObjectName};
use crate::s3::range::Span;

/// Headers that say on whose behalf a request is made: those of the filter's own repeat the client's.
pub(super) const ON_BEHALF: [&str; 2] = ["x-amz-expected-bucket-owner", "x-amz-request-payer"];

/// What an exchange asks of others.
#[derive(Debug)]
pub enum Call {
    /// Wrap this DEK for this object.
    Wrap(Dek, ObjectName),
    /// Unwrap this DEK, which is this object's.
    Unwrap(WrappedDek, ObjectName),
    /// Send this to the store.
    Store(StoreRequest),
}

/// A request of the filter's own to the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreRequest {
    /// `HEAD`, `GET` or `PUT`.
    pub method: &'static str,
    /// The path, with the query.
    pub path: String,
    /// Headers, without pseudo-headers.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: CallBody,
}

impl StoreRequest {
    /// A HEAD.
    pub fn head(path: String, headers: Vec<(String, String)>) -> Self {
        Self { method: "HEAD", path, headers, body: CallBody::default() }
    }

    /// A GET of some bytes of an object's body, if it is still the one with this ETag.
    pub fn get_range(path: String, etag: String, span: Span) -> Self {
        let headers = vec![("range".to_owned(), span.to_string()), ("if-match".to_owned(), etag)];
        Self { method: "GET", path, headers, body: CallBody::default() }
    }

    /// A PUT, which states its length.
    pub fn put(path: String, mut headers: Vec<(String, String)>, body: Vec<u8>) -> Self {
        headers.push(("content-length".to_owned(), body.len().to_string()));
        Self { method: "PUT", path, headers, body: CallBody(body) }
    }
}

/// The answer to a [`Call`].
#[derive(Debug)]
pub enum Answer {
    /// To [`Call::Wrap`].
    Wrapped(Result<WrappedDek, KmsError>),
    /// To [`Call::Unwrap`].
    Unwrapped(Result<Dek, KmsError>),
    /// To [`Call::Store`]. None: the store did not answer.
    Stored(Option<StoreAnswer>),
}

/// The store's answer to a request of the filter's own.
#[derive(Debug)]
pub struct StoreAnswer {
    /// Its head.
    pub head: ResponseHead,
    /// Its body.
    pub body: CallBody,
}

/// A response in the store's place that is no error of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// Headers, without pseudo-headers.
    pub headers: Vec<(String, String)>,
    /// An XML document.
    pub body: Vec<u8>,
}

/// A body, of which `Debug` shows the length alone.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct CallBody(pub Vec<u8>);

impl fmt::Debug for CallBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl Answer {
    /// The DEK that [`Call::Unwrap`] asked for.
    pub(super) fn unwrapped(self) -> Result<Dek, Error> {
        match self {
            Self::Unwrapped(Ok(dek)) => Ok(dek),
            // The shim did its part: it is the store that hands out another object's DEK.
            Self::Unwrapped(Err(KmsError::ContextMismatch)) => Err(IntegrityError::WrappedDek.into()),
            Self::Unwrapped(Err(error)) => Err(error.into()),
            _ => Err(ANOTHER_QUESTION.into()),
        }
    }

    /// The wrapped DEK that [`Call::Wrap`] asked for.
    pub(super) fn wrapped(self) -> Result<WrappedDek, Error> {
        match self {
            Self::Wrapped(wrapped) => Ok(wrapped?),
            _ => Err(ANOTHER_QUESTION.into()),
        }
    }

    /// The store's answer to [`Call::Store`].
    pub(super) fn stored(self) -> Result<StoreAnswer, Error> {
        match self {
            Self::Stored(answer) => answer.ok_or(Error::StoreUnavailable),
            _ => Err(ANOTHER_QUESTION.into()),
        }
    }
}

const ANOTHER_QUESTION: InternalError = InternalError("the answer is to another question");

/// The headers of these names, for a message of the filter's own that repeats them.
pub(super) fn kept<'a>(headers: &Headers, names: impl IntoIterator<Item = &'a &'a str>) -> Vec<(String, String)> {
    let kept = |name: &&str| Some(((*name).to_owned(), headers.text(name).ok()??.to_owned()));
    names.into_iter().filter_map(kept).collect()
}
