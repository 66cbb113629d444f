//! ListObjects, ListObjectsV2 and ListObjectVersions: the store's document, with the sizes in plaintext terms.

use super::{Body, Env, HeadStep, Role};
use crate::error::{Error, IntegrityError};
use crate::format::layout::plain_len;
use crate::http::{HeadEdits, RequestHead, ResponseHead};
use crate::s3::listing::{OBJECTS, SizeRewriter};
use crate::sigv4::credentials;

/// A listing of a bucket.
#[derive(Default)]
pub struct ListObjects {
    /// None: the document is left as it is.
    sizes: Option<SizeRewriter>,
}

impl Role for ListObjects {
    fn request_head(&mut self, _: &mut Env<'_>, head: &RequestHead) -> Result<HeadStep, Error> {
        let mut edits = HeadEdits::default();
        credentials::remove(&head.path, &mut edits);
        // A compressed document could not be rewritten.
        edits.remove("accept-encoding");
        Ok(HeadStep::Forward(edits))
    }

    fn response_head(&mut self, env: &mut Env<'_>, head: &ResponseHead) -> Result<HeadStep, Error> {
        let mut edits = HeadEdits::default();
        if head.status == 200 && !env.config.mixed_buckets {
            edits.remove("content-length");
            self.sizes = Some(SizeRewriter::new(OBJECTS, plain_len));
        }
        Ok(HeadStep::Forward(edits))
    }

    fn response_body(&mut self, window: &[u8], is_end: bool) -> Result<Body, Error> {
        let Some(sizes) = &mut self.sizes else { return Ok(Body::Unchanged) };
        let mut rewritten = Vec::with_capacity(window.len());
        sizes.push(window, &mut rewritten);
        if is_end {
            sizes.finish(&mut rewritten);
        }
        Ok(Body::Replaced(rewritten))
    }

    fn response_trailers(&mut self) -> Result<(), Error> {
        let mut rest = Vec::new();
        if let Some(sizes) = &mut self.sizes {
            sizes.finish(&mut rest);
        }
        match rest.is_empty() {
            true => Ok(()),
            false => Err(IntegrityError::Response("a listing ends within an element").into()),
        }
    }
}
