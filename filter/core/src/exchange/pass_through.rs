//! What moves no object data: the store does it, as itself.

use super::{Env, HeadStep, Role, hide_metadata};
use crate::error::{Error, RequestError};
use crate::http::{HeadEdits, RequestHead, ResponseHead};
use crate::s3::multipart::UploadId;
use crate::sigv4::credentials;

/// Any operation that is the store's own business.
pub struct PassThrough {
    /// The upload that it is about, if it is about one: AbortMultipartUpload.
    pub upload_id: Option<UploadId>,
}

impl Role for PassThrough {
    fn request_head(&mut self, _: &mut Env<'_>, head: &RequestHead) -> Result<HeadStep, Error> {
        let is_chunked = head.headers.all("x-amz-content-sha256").any(|value| value.starts_with(b"STREAMING-"));
        if is_chunked {
            // The framing would end up in what the store takes for the body.
            return Err(RequestError::NotImplemented("aws-chunked for this operation").into());
        }
        let mut edits = HeadEdits::default();
        let path = credentials::remove(&head.path, &mut edits);
        if let Some(upload_id) = &self.upload_id {
            upload_id.address(&path, &mut edits);
        }
        Ok(HeadStep::Forward(edits))
    }

    fn response_head(&mut self, _: &mut Env<'_>, head: &ResponseHead) -> Result<HeadStep, Error> {
        let mut edits = HeadEdits::default();
        hide_metadata(&head.headers, &mut edits);
        Ok(HeadStep::Forward(edits))
    }
}
