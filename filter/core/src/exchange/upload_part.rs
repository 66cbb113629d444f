//! UploadPart: sealed while it streams, under the upload's DEK, which the UploadId carries.

use std::rc::Rc;

use super::put_object::write_response;
use super::sealing::{Sealing, Writing};
use super::upload_keys::{Found, UploadKeys};
use super::{Answer, Body, Env, HeadStep, Role};
use crate::account::Account;
use crate::error::Error;
use crate::http::{HeadEdits, RequestHead, ResponseHead};
use crate::keys::{ObjectKeys, ObjectName};
use crate::s3::multipart::UploadId;
use crate::s3::upload::Upload;
use crate::sigv4::{Payload, credentials};

/// A write of one part.
pub struct UploadPart {
    name: ObjectName,
    part: u16,
    upload_id: UploadId,
    payload: Payload,
    writing: Writing<Unwrapping>,
}

/// What waits for the KMS to unwrap the upload's DEK.
struct Unwrapping {
    upload: Upload,
    asked: Box<UploadKeys>,
    edits: HeadEdits,
}

impl UploadPart {
    /// A write of a part of an upload of `name`, whose body is signed so.
    pub fn new(name: ObjectName, part: u16, upload_id: UploadId, payload: Payload) -> Self {
        Self { name, part, upload_id, payload, writing: Writing::Start }
    }

    fn begin_sealing(&mut self, upload: Upload, keys: Rc<ObjectKeys>, mut edits: HeadEdits) -> Result<HeadStep, Error> {
        let (sealing, body_len) = Sealing::begin(upload, keys, self.part)?;
        edits.set("content-length", body_len.to_string());
        self.writing = Writing::Sealing(Box::new(sealing));
        Ok(HeadStep::Forward(edits))
    }
}

impl Role for UploadPart {
    fn request_head(&mut self, env: &mut Env<'_>, head: &RequestHead) -> Result<HeadStep, Error> {
        let mut edits = HeadEdits::default();
        let upload = Upload::from_head(head, std::mem::take(&mut self.payload), &mut edits)?;
        let path = credentials::remove(head, &mut edits);
        edits.set(":path", self.upload_id.address(&path));
        match UploadKeys::find(env, &self.name, &self.upload_id)? {
            Found::Keys(keys) => self.begin_sealing(upload, keys, edits),
            Found::Ask(asked, call) => {
                self.writing = Writing::Waiting(Unwrapping { upload, asked, edits });
                Ok(HeadStep::Wait(call))
            }
        }
    }

    fn answer(&mut self, env: &mut Env<'_>, answer: Answer) -> Result<HeadStep, Error> {
        let Unwrapping { upload, asked, edits } = self.writing.take()?;
        let keys = asked.answered(env, answer)?;
        self.begin_sealing(upload, keys, edits)
    }

    fn request_body(&mut self, env: &mut Env<'_>, window: &[u8], is_end: bool) -> Result<Body, Error> {
        self.writing.sealing()?.push(env, window, is_end)
    }

    fn request_trailers(&mut self) -> Result<(), Error> {
        self.writing.sealing()?.end()
    }

    fn settle(&mut self, account: &mut Account) {
        self.writing.settle(account);
    }

    fn response_head(&mut self, _: &mut Env<'_>, head: &ResponseHead) -> Result<HeadStep, Error> {
        let mut edits = write_response(head);
        if let (200, Some(checksum)) = (head.status, self.writing.verified()) {
            edits.set(checksum.algorithm.header(), checksum.to_base64());
        }
        Ok(HeadStep::Forward(edits))
    }
}
