//! What moves no object data: the store does it, as itself.
//!
//! A body passes only where S3 documents one. Otherwise it could be an object's that S3EP does not recognise as one, such as an
//! upload to a virtual host that is not configured, which looks like CreateBucket.

use super::document::Document;
use super::{Body, Env, HeadStep, Role, hide_metadata, no_body};
use crate::error::{Error, RequestError};
use crate::http::{HeadEdits, RequestHead, ResponseHead};
use crate::s3::etag;
use crate::s3::listing::{Element, Rule, TextRewriter};
use crate::s3::multipart::UploadId;
use crate::s3::operation::RequestBody;
use crate::s3::xml;
use crate::sigv4::credentials;

/// The most that is read of a document, in bytes: what S3 takes for DeleteObjects, 1,000 keys of 1,024 bytes, and for the
/// largest of configurations.
const MAX_DOCUMENT: u64 = 2 << 20;
/// Where DeleteObjects names ETags.
const ETAGS: &[Element] = &[("Object", "ETag")];

/// Any operation that is the store's own business.
pub struct PassThrough {
    /// The upload that it is about, if it is about one: AbortMultipartUpload.
    upload_id: Option<UploadId>,
    allowed: RequestBody,
    document: Document,
    /// Whether the store was told a checksum of the document.
    has_checksum: bool,
}

impl PassThrough {
    /// An operation with such a body.
    pub fn new(allowed: RequestBody) -> Self {
        Self { upload_id: None, allowed, document: Document::default(), has_checksum: false }
    }

    /// AbortMultipartUpload.
    pub fn on_upload(upload_id: UploadId) -> Self {
        Self { upload_id: Some(upload_id), ..Self::new(RequestBody::None) }
    }
}

/// The document with the store's ETags, and white space up to its length, which is promised already. So is its checksum,
/// if the store was told one, which white space cannot keep.
fn with_stored_etags(document: &[u8], has_checksum: bool) -> Result<Vec<u8>, RequestError> {
    let mut written = Vec::with_capacity(document.len());
    let mut rewriter = TextRewriter::new(vec![Rule::text(ETAGS, |etag| Some(etag::stored(etag)))]);
    rewriter.push(document, &mut written);
    rewriter.finish(&mut written);
    if has_checksum && written != document {
        return Err(RequestError::NotImplemented("an ETag in DeleteObjects"));
    }
    written.resize(document.len(), b' ');
    Ok(written)
}

impl Role for PassThrough {
    fn request_head(&mut self, _: &mut Env<'_>, head: &RequestHead) -> Result<HeadStep, Error> {
        let is_chunked = head.headers.all("x-amz-content-sha256").any(|value| value.starts_with(b"STREAMING-"));
        if is_chunked && self.allowed != RequestBody::None {
            // The framing would end up in what the store takes for the body.
            return Err(RequestError::NotImplemented("aws-chunked for this operation").into());
        }
        if self.allowed != RequestBody::None && !head.is_end {
            self.document.expect_length(&head.headers, MAX_DOCUMENT)?;
        }
        // Checksums of other names are the store's to check.
        self.document.expect_checksums(&head.headers, &["x-amz-content-sha256"])?;
        let is_checksum = |name: &str| name == "content-md5" || name.starts_with("x-amz-checksum-");
        self.has_checksum = head.headers.iter().any(|(name, _)| is_checksum(name));
        let mut edits = HeadEdits::default();
        let path = credentials::remove(head, &mut edits);
        if let Some(upload_id) = &self.upload_id {
            edits.set(":path", upload_id.address(&path));
        }
        Ok(HeadStep::Forward(edits))
    }

    fn request_body(&mut self, _: &mut Env<'_>, window: &[u8], is_end: bool) -> Result<Body, Error> {
        let has_checksum = self.has_checksum;
        match self.allowed {
            RequestBody::None => no_body(window),
            RequestBody::Any => self.document.push(window, is_end, |document| Ok(document.to_vec())),
            RequestBody::Document(root) => {
                self.document.push(window, is_end, |document| match xml::has_root(document, root) {
                    true => with_stored_etags(document, has_checksum),
                    false => Err(RequestError::MalformedXml),
                })
            }
        }
    }

    fn response_head(&mut self, _: &mut Env<'_>, head: &ResponseHead) -> Result<HeadStep, Error> {
        let mut edits = HeadEdits::default();
        hide_metadata(&head.headers, &mut edits);
        Ok(HeadStep::Forward(edits))
    }
}
