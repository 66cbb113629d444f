//! ListBuckets: a client sees those that it may use.

use super::{Body, Env, HeadStep, Role};
use crate::clients::Permissions;
use crate::error::{Error, IntegrityError};
use crate::http::{HeadEdits, RequestHead, ResponseHead};
use crate::s3::buckets;
use crate::sigv4::credentials;

/// The most that is read of the store's document, in bytes: 10,000 buckets, which S3 lists at most, take 2 MB.
const MAX_DOCUMENT: usize = 4 << 20;

/// A listing of buckets.
pub struct ListBuckets {
    /// None: all may be seen.
    permissions: Option<Permissions>,
    /// The document as far as it came. None: it passes.
    document: Option<Vec<u8>>,
}

impl ListBuckets {
    /// A listing of those buckets that may be seen.
    pub fn new(permissions: Option<Permissions>) -> Self {
        Self { permissions, document: None }
    }
}

impl Role for ListBuckets {
    fn request_head(&mut self, _: &mut Env<'_>, head: &RequestHead) -> Result<HeadStep, Error> {
        let mut edits = HeadEdits::default();
        credentials::remove(head, &mut edits);
        edits.remove("accept-encoding");
        Ok(HeadStep::Forward(edits))
    }

    fn response_head(&mut self, _: &mut Env<'_>, head: &ResponseHead) -> Result<HeadStep, Error> {
        let mut edits = HeadEdits::default();
        if self.permissions.is_some() && head.status == 200 {
            edits.remove("content-length");
            self.document = Some(Vec::new());
        }
        Ok(HeadStep::Forward(edits))
    }

    fn response_body(&mut self, window: &[u8], is_end: bool) -> Result<Body, Error> {
        let (Some(document), Some(permissions)) = (&mut self.document, &self.permissions) else {
            return Ok(Body::Unchanged);
        };
        document.extend_from_slice(window);
        if document.len() > MAX_DOCUMENT {
            return Err(IntegrityError::Response("its list of buckets is too long").into());
        }
        if !is_end {
            return Ok(Body::Replaced(Vec::new()));
        }
        let document = std::mem::take(document);
        let seen = buckets::retain(&document, |bucket| permissions.includes(bucket));
        Ok(Body::Replaced(seen.ok_or(IntegrityError::Response("its list of buckets is malformed"))?))
    }

    fn response_trailers(&mut self) -> Result<(), Error> {
        match self.document.as_ref().is_none_or(Vec::is_empty) {
            true => Ok(()),
            false => Err(IntegrityError::Response("a list of buckets ends with trailers").into()),
        }
    }
}
