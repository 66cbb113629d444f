//! The source of a copy: how it is asked for, and what the client hears if it cannot be had.

use crate::error::{Error, RequestError};
use crate::http::{HeadEdits, Headers};

/// Headers about the source, and what they are called in a request for the source itself.
const HEADERS: [(&str, &str); 6] = [
    ("x-amz-copy-source-if-match", "if-match"),
    ("x-amz-copy-source-if-none-match", "if-none-match"),
    ("x-amz-copy-source-if-modified-since", "if-modified-since"),
    ("x-amz-copy-source-if-unmodified-since", "if-unmodified-since"),
    ("x-amz-source-expected-bucket-owner", "x-amz-expected-bucket-owner"),
    ("x-amz-request-payer", "x-amz-request-payer"),
];
const CONDITION: &str = "x-amz-copy-source-if-";

/// The headers of a request for the source's head.
pub fn head_headers(headers: &Headers) -> Vec<(String, String)> {
    let text = |(name, plain): &(&str, &str)| Some(((*plain).to_owned(), headers.text(name).ok()??.to_owned()));
    HEADERS.iter().filter_map(text).collect()
}

/// Whether the client states conditions on the source.
pub fn has_conditions(headers: &Headers) -> bool {
    headers.iter().any(|(name, _)| name.starts_with(CONDITION))
}

/// Takes the conditions on the source out of a request: they were asked together with the source's head.
pub fn remove_conditions(headers: &Headers, edits: &mut HeadEdits) {
    edits.remove_where(headers, |name| name.starts_with(CONDITION));
}

/// What the client hears if the store answers a request for the source with another status than 200.
pub fn refusal(status: u16) -> Error {
    match status {
        304 | 412 => RequestError::PreconditionFailed.into(),
        404 | 405 => RequestError::NoSuchSource.into(),
        403 => RequestError::SourceDenied.into(),
        _ => Error::StoreUnavailable,
    }
}
