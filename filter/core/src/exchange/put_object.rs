//! PutObject: sealed while it streams, under a new DEK.

use std::rc::Rc;

use super::dek::NewDek;
use super::get_object::state_checksum;
use super::sealing::{Sealing, Writing};
use super::{Answer, Body, Call, Env, HeadStep, Role, hide_ciphertext, hide_metadata};
use crate::account::Account;
use crate::error::Error;
use crate::format::metadata::{self, Attributes, WrappedDek};
use crate::http::{HeadEdits, RequestHead, ResponseHead};
use crate::keys::{Dek, ObjectKeys, ObjectName};
use crate::s3::upload::Upload;
use crate::sigv4::{Payload, credentials};

/// The number of the only part of an object that one PutObject writes (FORMAT.md section 1).
const ONLY_PART: u16 = 1;

/// A write of one object.
pub struct PutObject {
    name: ObjectName,
    payload: Payload,
    writing: Writing<Wrapping>,
}

/// What waits for the KMS to wrap the DEK.
struct Wrapping {
    dek: Dek,
    upload: Upload,
    edits: HeadEdits,
}

impl PutObject {
    /// A write of `name`, whose body is signed so.
    pub fn new(name: ObjectName, payload: Payload) -> Self {
        Self { name, payload, writing: Writing::Start }
    }

    fn begin_sealing(
        &mut self,
        upload: Upload,
        keys: Rc<ObjectKeys>,
        wrapped: &WrappedDek,
        mut edits: HeadEdits,
    ) -> Result<HeadStep, Error> {
        let (plain_len, checksum) = (Some(upload.plain_len()), upload.stated());
        for (name, value) in metadata::to_headers(&keys, wrapped, &Attributes { plain_len, parts: None, checksum })? {
            edits.set(name, value);
        }
        let (sealing, body_len) = Sealing::begin(upload, keys, ONLY_PART)?;
        edits.set("content-length", body_len.to_string());
        self.writing = Writing::Sealing(Box::new(sealing));
        Ok(HeadStep::Forward(edits))
    }
}

impl Role for PutObject {
    fn request_head(&mut self, env: &mut Env<'_>, head: &RequestHead) -> Result<HeadStep, Error> {
        let mut edits = HeadEdits::default();
        let upload = Upload::from_head(head, std::mem::take(&mut self.payload), &mut edits)?;
        credentials::remove(head, &mut edits);
        match env.new_dek(&self.name)? {
            NewDek::Ready(keys, wrapped) => self.begin_sealing(upload, keys, &wrapped, edits),
            NewDek::ToWrap(dek) => {
                let call = Call::Wrap(dek.clone(), self.name.clone());
                self.writing = Writing::Waiting(Wrapping { dek, upload, edits });
                Ok(HeadStep::Wait(call))
            }
        }
    }

    fn answer(&mut self, env: &mut Env<'_>, answer: Answer) -> Result<HeadStep, Error> {
        let Wrapping { dek, upload, edits } = self.writing.take()?;
        let wrapped = answer.wrapped()?;
        let keys = Rc::new(ObjectKeys::derive(&dek)?);
        env.remember(wrapped.clone(), &self.name, &keys);
        self.begin_sealing(upload, keys, &wrapped, edits)
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
        if head.status == 200 {
            state_checksum(self.writing.verified(), &mut edits);
        }
        Ok(HeadStep::Forward(edits))
    }
}

/// Edits to the response to a write of object data.
pub fn write_response(head: &ResponseHead) -> HeadEdits {
    let mut edits = HeadEdits::default();
    match head.status {
        200 => hide_ciphertext(&head.headers, &mut edits),
        _ => hide_metadata(&head.headers, &mut edits),
    }
    edits
}
