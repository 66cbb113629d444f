//! CompleteMultipartUpload: its document without what is of the plaintext, in its old length.

use super::document::Document;
use super::put_object::write_response;
use super::rewriting::Rewriting;
use super::{Body, Env, HeadStep, Role};
use crate::error::{Error, RequestError};
use crate::http::{HeadEdits, RequestHead, ResponseHead};
use crate::s3::listing::Rule;
use crate::s3::multipart::{UploadId, complete_body};
use crate::sigv4::credentials;

/// The most that is read of the client's document, in bytes: 10,000 parts with every checksum that S3 knows.
const MAX_BODY: u64 = 8 << 20;

/// The end of an upload.
pub struct CompleteMultipartUpload {
    upload_id: UploadId,
    document: Document,
    answer: Rewriting,
}

impl CompleteMultipartUpload {
    /// The end of an upload.
    pub fn new(upload_id: UploadId) -> Self {
        Self { upload_id, document: Document::default(), answer: Rewriting::default() }
    }
}

impl Role for CompleteMultipartUpload {
    fn request_head(&mut self, _: &mut Env<'_>, head: &RequestHead) -> Result<HeadStep, Error> {
        if self.upload_id.token.is_none() {
            // Not an upload of ours: its parts would be read as ciphertext, which they are not.
            return Err(RequestError::NoSuchUpload.into());
        }
        self.document.expect_length(&head.headers, MAX_BODY)?;
        self.document.expect_checksums(&head.headers, &["content-md5", "x-amz-content-sha256"])?;
        let mut edits = HeadEdits::default();
        let path = credentials::remove(head, &mut edits);
        edits.set(":path", self.upload_id.address(&path));
        Rewriting::prepare(&mut edits);
        // x-amz-checksum-* and the size are the plaintext object's.
        edits.remove_where(&head.headers, |name| name.starts_with("x-amz-checksum-") || name == "x-amz-mp-object-size");
        edits.remove("content-md5");
        Ok(HeadStep::Forward(edits))
    }

    fn request_body(&mut self, _: &mut Env<'_>, window: &[u8], is_end: bool) -> Result<Body, Error> {
        self.document.push(window, is_end, complete_body)
    }

    fn request_trailers(&mut self) -> Result<(), Error> {
        match self.document.is_whole() {
            true => Ok(()),
            false => Err(RequestError::IncompleteBody.into()),
        }
    }

    fn response_head(&mut self, _: &mut Env<'_>, head: &ResponseHead) -> Result<HeadStep, Error> {
        let mut edits = write_response(head);
        if head.status == 200 {
            self.answer.begin(vec![Rule::etags()], &mut edits);
        }
        Ok(HeadStep::Forward(edits))
    }

    fn rewriting(&mut self) -> Option<&mut Rewriting> {
        Some(&mut self.answer)
    }
}
