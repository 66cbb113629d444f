//! A document on its way to the client, with some of its text rewritten.

use super::Body;
use crate::error::{Error, IntegrityError};
use crate::http::HeadEdits;
use crate::s3::listing::{Rule, TextRewriter};

/// Rewrites a response's body, or leaves it as it is.
#[derive(Default)]
pub struct Rewriting(Option<TextRewriter>);

impl Rewriting {
    /// Takes out of a request what would let the store compress its answer, which could not be rewritten then.
    pub fn prepare(edits: &mut HeadEdits) {
        edits.remove("accept-encoding");
    }

    /// From here on, the body is rewritten. Its length is not known any more.
    pub fn begin(&mut self, rules: Vec<Rule>, edits: &mut HeadEdits) {
        edits.remove("content-length");
        self.0 = Some(TextRewriter::new(rules));
    }

    /// Takes a window of the body.
    pub fn push(&mut self, window: &[u8], is_end: bool) -> Result<Body, Error> {
        let Some(rewriter) = &mut self.0 else { return Ok(Body::Unchanged) };
        let mut rewritten = Vec::with_capacity(window.len());
        rewriter.push(window, &mut rewritten);
        if is_end {
            rewriter.finish(&mut rewritten);
        }
        Ok(Body::Replaced(rewritten))
    }

    /// The body ends with trailers, behind which nothing that was held back can be sent.
    pub fn trailers(&mut self) -> Result<(), Error> {
        let mut rest = Vec::new();
        if let Some(rewriter) = &mut self.0 {
            rewriter.finish(&mut rest);
        }
        match rest.is_empty() {
            true => Ok(()),
            false => Err(IntegrityError::Response("a document ends within an element").into()),
        }
    }
}
