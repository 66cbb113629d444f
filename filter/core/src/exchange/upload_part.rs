//! UploadPart: sealed while it streams, under the upload's DEK, which the UploadId carries.

use std::rc::Rc;

use super::put_object::write_response;
use super::sealing::{Sealing, Writing};
use super::{Answer, Body, Call, Env, HeadStep, Role, unwrapped};
use crate::error::{Error, KmsError, RequestError};
use crate::http::{HeadEdits, RequestHead, ResponseHead};
use crate::keys::{ObjectKeys, ObjectName};
use crate::s3::multipart::{Token, UploadId};
use crate::s3::upload::Upload;
use crate::sigv4::credentials;

/// A write of one part.
pub struct UploadPart {
    name: ObjectName,
    part: u16,
    upload_id: UploadId,
    writing: Writing<Unwrapping>,
}

/// What waits for the KMS to unwrap the upload's DEK.
struct Unwrapping {
    upload: Upload,
    token: Token,
    edits: HeadEdits,
}

impl UploadPart {
    /// A write of a part of an upload of `name`.
    pub fn new(name: ObjectName, part: u16, upload_id: UploadId) -> Self {
        Self { name, part, upload_id, writing: Writing::Start }
    }

    fn begin_sealing(
        &mut self,
        upload: Upload,
        token: &Token,
        keys: Rc<ObjectKeys>,
        mut edits: HeadEdits,
    ) -> Result<HeadStep, Error> {
        token.verify(&self.upload_id.upstream, &keys)?;
        let (sealing, body_len) = Sealing::begin(upload, keys, self.part)?;
        edits.set("content-length", body_len.to_string());
        self.writing = Writing::Sealing(Box::new(sealing));
        Ok(HeadStep::Forward(edits))
    }
}

impl Role for UploadPart {
    fn request_head(&mut self, env: &mut Env<'_>, head: &RequestHead) -> Result<HeadStep, Error> {
        let mut edits = HeadEdits::default();
        let upload = Upload::from_head(head, &mut edits)?;
        let path = credentials::remove(&head.path, &mut edits);
        self.upload_id.address(&path, &mut edits);
        let token = self.upload_id.token.take().ok_or(RequestError::NoSuchUpload)?;
        match env.find_keys(&token.wrapped_dek, &self.name).map_err(foreign)? {
            Some(keys) => self.begin_sealing(upload, &token, keys, edits),
            None => {
                let call = Call::Unwrap(token.wrapped_dek.clone(), self.name.clone());
                self.writing = Writing::Waiting(Unwrapping { upload, token, edits });
                Ok(HeadStep::Wait(call))
            }
        }
    }

    fn answer(&mut self, env: &mut Env<'_>, answer: Answer) -> Result<HeadStep, Error> {
        let Unwrapping { upload, token, edits } = self.writing.take()?;
        let dek = unwrapped(answer).map_err(foreign)?;
        let keys = Rc::new(ObjectKeys::derive(&dek)?);
        token.verify(&self.upload_id.upstream, &keys)?;
        env.remember(token.wrapped_dek.clone(), &self.name, &keys);
        self.begin_sealing(upload, &token, keys, edits)
    }

    fn request_body(&mut self, env: &mut Env<'_>, window: &[u8], is_end: bool) -> Result<Body, Error> {
        self.writing.sealing()?.push(env, window, is_end)
    }

    fn request_trailers(&mut self) -> Result<(), Error> {
        self.writing.sealing()?.end()
    }

    fn response_head(&mut self, _: &mut Env<'_>, head: &ResponseHead) -> Result<HeadStep, Error> {
        Ok(HeadStep::Forward(write_response(head)))
    }
}

/// A DEK in an UploadId came from the client: one that does not unwrap is the client's fault, not the store's.
fn foreign(error: Error) -> Error {
    match error {
        Error::Kms(KmsError::ContextMismatch | KmsError::Invalid) | Error::Integrity(_) => {
            RequestError::NoSuchUpload.into()
        }
        other => other,
    }
}
