//! ETags in heads: the role of an exchange knows the store's alone, and the client those that it is shown.

use crate::http::{HeadEdits, Headers};
use crate::s3::etag;

/// Headers that name ETags in a request (RFC 9110 section 13.1; Amazon S3 API Reference, CopyObject).
const CONDITIONS: [&str; 5] =
    ["if-match", "if-none-match", "if-range", "x-amz-copy-source-if-match", "x-amz-copy-source-if-none-match"];

/// What a head needs beside the edits of the exchange's role.
pub struct Etags(Vec<(&'static str, String)>);

impl Etags {
    /// Gives a request the store's ETags.
    pub fn of_request(headers: &mut Headers) -> Self {
        let etags = Self::rewritten(headers, &CONDITIONS, etag::stored);
        etags.0.iter().for_each(|(name, value)| headers.set(name, value));
        etags
    }

    /// Gives a response, whose headers are the store's to its role, the client's ETags.
    pub fn of_response(headers: &Headers) -> Self {
        Self::rewritten(headers, &["etag"], etag::shown)
    }

    fn rewritten(headers: &Headers, names: &[&'static str], rewrite: fn(&str) -> String) -> Self {
        let edit = |name: &&'static str| {
            let etags = headers.list(name)?;
            let rewritten = rewrite(&etags);
            (rewritten != etags).then_some((*name, rewritten))
        };
        Self(names.iter().filter_map(edit).collect())
    }

    /// Adds them, once, to the edits of the role. What the role removes or sets is not the other side's any more.
    pub fn add_to(&mut self, edits: &mut HeadEdits) {
        for (name, value) in self.0.drain(..) {
            if !edits.has(name) {
                edits.set(name, value);
            }
        }
    }
}
