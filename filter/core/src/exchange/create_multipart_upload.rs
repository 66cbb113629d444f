//! CreateMultipartUpload: a new DEK in the metadata that the object will have, and in the UploadId that the client gets.

use std::rc::Rc;

use super::dek::NewDek;
use super::rewriting::Rewriting;
use super::{Answer, Call, Env, HeadStep, Role, hide_ciphertext, hide_metadata};
use crate::error::{Error, InternalError};
use crate::format::metadata::{self, Attributes, WrappedDek};
use crate::http::{HeadEdits, RequestHead, ResponseHead};
use crate::keys::{Dek, ObjectKeys, ObjectName};
use crate::s3::listing::{Element, Rule};
use crate::s3::multipart::Token;
use crate::sigv4::credentials;

const UPLOAD_ID: &[Element] = &[("InitiateMultipartUploadResult", "UploadId")];

/// The beginning of an upload.
pub struct CreateMultipartUpload {
    name: ObjectName,
    stage: Stage,
    rewriting: Rewriting,
}

enum Stage {
    /// Nothing has come yet, or the store has answered.
    Start,
    /// The KMS is being asked to wrap the DEK.
    Wrapping(Dek, HeadEdits),
    /// The store is being asked for an UploadId.
    Asking(Rc<ObjectKeys>, WrappedDek),
}

impl CreateMultipartUpload {
    /// The beginning of an upload of `name`.
    pub fn new(name: ObjectName) -> Self {
        Self { name, stage: Stage::Start, rewriting: Rewriting::default() }
    }

    fn ask(&mut self, keys: Rc<ObjectKeys>, wrapped: WrappedDek, mut edits: HeadEdits) -> Result<HeadStep, Error> {
        for (name, value) in metadata::to_headers(&keys, &wrapped, &Attributes::default())? {
            edits.set(name, value);
        }
        self.stage = Stage::Asking(keys, wrapped);
        Ok(HeadStep::Forward(edits))
    }
}

impl Role for CreateMultipartUpload {
    fn request_head(&mut self, env: &mut Env<'_>, head: &RequestHead) -> Result<HeadStep, Error> {
        let mut edits = HeadEdits::default();
        credentials::remove(head, &mut edits);
        Rewriting::prepare(&mut edits);
        // The store must not expect checksums of the parts: it would get those of the plaintext.
        edits.remove_where(&head.headers, |name| name.starts_with("x-amz-checksum-"));
        match env.new_dek(&self.name)? {
            NewDek::Ready(keys, wrapped) => self.ask(keys, wrapped, edits),
            NewDek::ToWrap(dek) => {
                let call = Call::Wrap(dek.clone(), self.name.clone());
                self.stage = Stage::Wrapping(dek, edits);
                Ok(HeadStep::Wait(call))
            }
        }
    }

    fn answer(&mut self, env: &mut Env<'_>, answer: Answer) -> Result<HeadStep, Error> {
        match (std::mem::replace(&mut self.stage, Stage::Start), answer) {
            (Stage::Wrapping(dek, edits), Answer::Wrapped(wrapped)) => {
                let wrapped = wrapped?;
                let keys = Rc::new(ObjectKeys::derive(&dek)?);
                env.remember(wrapped.clone(), &self.name, &keys);
                self.ask(keys, wrapped, edits)
            }
            _ => Err(InternalError("an answer came that nobody asked for").into()),
        }
    }

    fn response_head(&mut self, _: &mut Env<'_>, head: &ResponseHead) -> Result<HeadStep, Error> {
        let mut edits = HeadEdits::default();
        match std::mem::replace(&mut self.stage, Stage::Start) {
            Stage::Asking(keys, wrapped) if head.status == 200 => {
                hide_ciphertext(&head.headers, &mut edits);
                let upload_id = Rule::text(UPLOAD_ID, move |upstream| {
                    Some(format!("{upstream}{}", Token::suffix(upstream, &wrapped, &keys).ok()?))
                });
                self.rewriting.begin(vec![upload_id], &mut edits);
            }
            _ => hide_metadata(&head.headers, &mut edits),
        }
        Ok(HeadStep::Forward(edits))
    }

    fn rewriting(&mut self) -> Option<&mut Rewriting> {
        Some(&mut self.rewriting)
    }
}
