//! PutObject: sealed while it streams, under a new DEK.

use std::rc::Rc;

use super::dek::NewDek;
use super::{Answer, Body, Call, Env, HeadStep, Role, hide_ciphertext, hide_metadata};
use crate::error::{Error, InternalError, RequestError};
use crate::format::layout::sealed_len;
use crate::format::metadata::{self, WrappedDek};
use crate::http::{HeadEdits, RequestHead, ResponseHead};
use crate::keys::{Dek, ObjectKeys, ObjectName};
use crate::s3::operation;
use crate::s3::upload::Upload;
use crate::seal::Sealer;
use crate::sigv4::credentials;

/// The number of the only part of an object that one PutObject writes (FORMAT.md section 1).
const ONLY_PART: u16 = 1;

/// A write of one object.
pub struct PutObject {
    name: ObjectName,
    stage: Stage,
}

enum Stage {
    /// Nothing has come yet.
    Start,
    /// The KMS is being asked to wrap the DEK.
    Wrapping { dek: Dek, upload: Box<Upload>, edits: HeadEdits },
    /// The head went out, the body streams.
    Sealing { upload: Box<Upload>, sealer: Sealer },
    /// All of the body was sealed.
    Sealed,
}

impl PutObject {
    /// A write of `name`.
    pub fn new(name: ObjectName) -> Self {
        Self { name, stage: Stage::Start }
    }

    fn begin_sealing(
        &mut self,
        upload: Box<Upload>,
        keys: Rc<ObjectKeys>,
        wrapped: &WrappedDek,
        mut edits: HeadEdits,
    ) -> Result<HeadStep, Error> {
        let plain_len = upload.plain_len();
        let body_len = sealed_len(plain_len).ok_or(RequestError::EntityTooLarge)?;
        edits.set("content-length", body_len.to_string());
        for (name, value) in metadata::to_headers(&keys, wrapped, Some(plain_len))? {
            edits.set(name, value);
        }
        self.stage = Stage::Sealing { upload, sealer: Sealer::new(keys, ONLY_PART, plain_len) };
        Ok(HeadStep::Forward(edits))
    }
}

impl Role for PutObject {
    fn request_head(&mut self, env: &mut Env<'_>, head: &RequestHead) -> Result<HeadStep, Error> {
        operation::check_headers(head)?;
        let mut edits = HeadEdits::default();
        let upload = Box::new(Upload::from_head(head, &mut edits)?);
        credentials::remove(&head.path, &mut edits);
        match env.new_dek(&self.name)? {
            NewDek::Ready(keys, wrapped) => self.begin_sealing(upload, keys, &wrapped, edits),
            NewDek::ToWrap(dek) => {
                let call = Call::Wrap(dek.clone(), self.name.clone());
                self.stage = Stage::Wrapping { dek, upload, edits };
                Ok(HeadStep::Wait(call))
            }
        }
    }

    fn answer(&mut self, env: &mut Env<'_>, answer: Answer) -> Result<HeadStep, Error> {
        let Stage::Wrapping { dek, upload, edits } = std::mem::replace(&mut self.stage, Stage::Start) else {
            return Err(InternalError("an answer came that nobody asked for").into());
        };
        let Answer::Wrapped(wrapped) = answer else {
            return Err(InternalError("the answer is to another question").into());
        };
        let wrapped = wrapped?;
        let keys = env.keep(wrapped.clone(), &self.name, &dek)?;
        self.begin_sealing(upload, keys, &wrapped, edits)
    }

    fn request_body(&mut self, env: &mut Env<'_>, window: &[u8], is_end: bool) -> Result<Body, Error> {
        let mut sealed = Vec::new();
        match &mut self.stage {
            Stage::Sealing { upload, sealer } => {
                let is_complete = upload.push(window, |plain| sealer.push(env.entropy, plain, &mut sealed))?;
                if is_complete {
                    // Before the last segment goes out: a bad upload must not become an object.
                    upload.verify()?;
                    sealer.finish(env.entropy, &mut sealed)?;
                    self.stage = Stage::Sealed;
                }
            }
            Stage::Sealed if window.is_empty() => {}
            Stage::Sealed => return Err(RequestError::BodyTooLong.into()),
            Stage::Start | Stage::Wrapping { .. } => return Err(InternalError("a body came before its head").into()),
        }
        if is_end {
            self.request_trailers()?;
        }
        Ok(Body::Replaced(sealed))
    }

    fn request_trailers(&mut self) -> Result<(), Error> {
        match self.stage {
            Stage::Sealed => Ok(()),
            _ => Err(RequestError::IncompleteBody.into()),
        }
    }

    fn response_head(&mut self, _: &mut Env<'_>, head: &ResponseHead) -> Result<HeadStep, Error> {
        let mut edits = HeadEdits::default();
        match head.status {
            200 => hide_ciphertext(&head.headers, &mut edits),
            _ => hide_metadata(&head.headers, &mut edits),
        }
        Ok(HeadStep::Forward(edits))
    }
}
