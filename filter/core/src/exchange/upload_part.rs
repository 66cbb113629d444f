//! UploadPart: sealed while it streams, under the upload's DEK, which the UploadId carries.

use std::rc::Rc;

use super::put_object::write_response;
use super::sealing::Sealing;
use super::{Answer, Body, Call, Env, HeadStep, Role};
use crate::error::{Error, InternalError, KmsError, RequestError};
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
    stage: Stage,
}

enum Stage {
    /// Nothing has come yet.
    Start,
    /// The KMS is being asked for the upload's DEK.
    Unwrapping { upload: Upload, token: Token, edits: HeadEdits },
    /// The head went out, the body streams.
    Sealing(Sealing),
}

impl UploadPart {
    /// A write of a part of an upload of `name`.
    pub fn new(name: ObjectName, part: u16, upload_id: UploadId) -> Self {
        Self { name, part, upload_id, stage: Stage::Start }
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
        self.stage = Stage::Sealing(sealing);
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
                self.stage = Stage::Unwrapping { upload, token, edits };
                Ok(HeadStep::Wait(call))
            }
        }
    }

    fn answer(&mut self, env: &mut Env<'_>, answer: Answer) -> Result<HeadStep, Error> {
        match (std::mem::replace(&mut self.stage, Stage::Start), answer) {
            (Stage::Unwrapping { upload, token, edits }, Answer::Unwrapped(dek)) => {
                let dek = dek.map_err(|error| foreign(error.into()))?;
                token.verify(&self.upload_id.upstream, &ObjectKeys::derive(&dek)?)?;
                let keys = env.remember(token.wrapped_dek.clone(), &self.name, &dek)?;
                self.begin_sealing(upload, &token, keys, edits)
            }
            _ => Err(InternalError("an answer came that nobody asked for").into()),
        }
    }

    fn request_body(&mut self, env: &mut Env<'_>, window: &[u8], is_end: bool) -> Result<Body, Error> {
        match &mut self.stage {
            Stage::Sealing(sealing) => sealing.push(env, window, is_end),
            _ => Err(InternalError("a body came before its head").into()),
        }
    }

    fn request_trailers(&mut self) -> Result<(), Error> {
        match &mut self.stage {
            Stage::Sealing(sealing) => sealing.end(),
            _ => Err(InternalError("a body came before its head").into()),
        }
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
