//! ListObjects, ListObjectsV2, ListObjectVersions and ListParts: the store's document, with sizes in plaintext terms
//! and ETags as clients see them. ListMultipartUploads: the store's document as it is, UploadIds and all, which are good
//! for ListParts and AbortMultipartUpload.

use super::rewriting::Rewriting;
use super::{Env, HeadStep, Role};
use crate::error::Error;
use crate::format::layout::plain_len;
use crate::http::{HeadEdits, RequestHead, ResponseHead};
use crate::s3::listing::{Element, OBJECTS, PARTS, Rule};
use crate::s3::multipart::UploadId;
use crate::s3::query;
use crate::sigv4::credentials;

/// A listing.
pub struct List {
    kind: Kind,
    rewriting: Rewriting,
}

enum Kind {
    Objects,
    Uploads,
    Parts(UploadId),
}

impl List {
    /// A listing of a bucket's objects or their versions.
    pub fn objects() -> Self {
        Self { kind: Kind::Objects, rewriting: Rewriting::default() }
    }

    /// A listing of the uploads in progress.
    pub fn uploads() -> Self {
        Self { kind: Kind::Uploads, rewriting: Rewriting::default() }
    }

    /// A listing of an upload's parts.
    pub fn parts(upload_id: UploadId) -> Self {
        Self { kind: Kind::Parts(upload_id), rewriting: Rewriting::default() }
    }

    /// Whose sizes are those of ciphertext. None: one cannot tell.
    fn sealed_sizes(&self, env: &Env<'_>) -> Option<&'static [Element]> {
        match self.kind {
            Kind::Uploads => None,
            Kind::Objects if env.config.mixed_buckets => None,
            Kind::Objects => Some(OBJECTS),
            Kind::Parts(_) => Some(PARTS),
        }
    }
}

impl Role for List {
    fn request_head(&mut self, _: &mut Env<'_>, head: &RequestHead) -> Result<HeadStep, Error> {
        let mut edits = HeadEdits::default();
        let path = credentials::remove(head, &mut edits);
        match &self.kind {
            Kind::Objects => {}
            Kind::Uploads => {
                edits.set(":path", query::map(&path, "upload-id-marker", |id| UploadId::parse(id).upstream))
            }
            Kind::Parts(upload_id) => edits.set(":path", upload_id.address(&path)),
        }
        Rewriting::prepare(&mut edits);
        Ok(HeadStep::Forward(edits))
    }

    fn response_head(&mut self, env: &mut Env<'_>, head: &ResponseHead) -> Result<HeadStep, Error> {
        let mut edits = HeadEdits::default();
        if head.status == 200 {
            let sizes = self.sealed_sizes(env).map(|elements| Rule::sizes(elements, plain_len));
            self.rewriting.begin(sizes.into_iter().chain([Rule::etags()]).collect(), &mut edits);
        }
        Ok(HeadStep::Forward(edits))
    }

    fn rewriting(&mut self) -> Option<&mut Rewriting> {
        Some(&mut self.rewriting)
    }
}
