//! CopyObject: the store copies the ciphertext, and the DEK is wrapped again for the name that it goes to.
//!
//! New metadata can only be given with the directive REPLACE, so COPY is carried out as a REPLACE with what the source has.

use std::rc::Rc;

use super::look::{Look, Looked, Seen};
use super::put_object::write_response;
use super::rewriting::Rewriting;
use super::{Answer, Call, Env, HeadStep, Role, source};
use crate::error::{Error, InternalError, RequestError};
use crate::format::metadata::{self, Attributes, WrappedDek};
use crate::http::{HeadEdits, Headers, RequestHead, ResponseHead};
use crate::keys::{ObjectKeys, ObjectName};
use crate::s3::copy_source::{CopySource, is_carried_over};
use crate::s3::listing::Rule;
use crate::sigv4::credentials;

/// What makes a copy of an object onto itself more than nothing.
const CHANGES: [&str; 3] = ["x-amz-storage-class", "x-amz-server-side-encryption", "x-amz-website-redirect-location"];

/// A copy of one object.
pub struct CopyObject {
    name: ObjectName,
    source: CopySource,
    /// Edits to the client's request so far.
    edits: HeadEdits,
    /// Whether the client wants the source's metadata.
    is_copy: bool,
    has_conditions: bool,
    stage: Stage,
    answer: Rewriting,
}

enum Stage {
    /// Nothing has come yet.
    Start,
    /// The source is being looked at.
    Looking(Look),
    /// The KMS is being asked to wrap the DEK for its new name.
    Wrapping(Rc<ObjectKeys>, Attributes),
    /// The store copies.
    Copying,
}

impl CopyObject {
    /// A copy to `name`.
    pub fn new(name: ObjectName, source: CopySource) -> Self {
        let (stage, answer) = (Stage::Start, Rewriting::default());
        Self { name, source, edits: HeadEdits::default(), is_copy: true, has_conditions: false, stage, answer }
    }

    fn looked(&mut self, env: &mut Env<'_>, look: Look, looked: Looked) -> Result<HeadStep, Error> {
        match looked {
            Looked::Ask(call) => {
                self.stage = Stage::Looking(look);
                Ok(HeadStep::Wait(call))
            }
            Looked::Refused(head) => Err(source::refusal(head.status)),
            Looked::Unencrypted(_) => {
                Err(RequestError::NotImplemented("copying an object that is not encrypted").into())
            }
            Looked::Seen(seen) => self.seen(env, *seen),
        }
    }

    fn seen(&mut self, env: &mut Env<'_>, seen: Seen) -> Result<HeadStep, Error> {
        let Seen { headers, head, mut attributes, keys } = seen;
        if self.is_copy {
            carry_over(&headers, &mut self.edits)?;
        }
        self.edits.set("x-amz-copy-source", self.source.path());
        self.edits.set("x-amz-copy-source-if-match", head.etag);
        if head.metadata.is_multipart() {
            // The copy will be one part to the store: where the parts lie must be known from its metadata.
            if head.layout.to_string().len() > metadata::MAX_PARTS {
                return Err(RequestError::NotImplemented("copying an object of so many different parts").into());
            }
            attributes.parts = Some(head.layout);
        }
        self.wrap(env, keys, attributes)
    }

    fn wrap(&mut self, env: &mut Env<'_>, keys: Rc<ObjectKeys>, attributes: Attributes) -> Result<HeadStep, Error> {
        if let Some(wrapped) = env.wrap_directly(&keys.dek, &self.name)? {
            return self.copy(env, &keys, &attributes, wrapped);
        }
        let call = Call::Wrap(keys.dek.clone(), self.name.clone());
        self.stage = Stage::Wrapping(keys, attributes);
        Ok(HeadStep::Wait(call))
    }

    fn copy(
        &mut self,
        env: &mut Env<'_>,
        keys: &Rc<ObjectKeys>,
        attributes: &Attributes,
        wrapped: WrappedDek,
    ) -> Result<HeadStep, Error> {
        let mut edits = std::mem::take(&mut self.edits);
        for (name, value) in metadata::to_headers(keys, &wrapped, attributes)? {
            edits.set(name, value);
        }
        edits.set("x-amz-metadata-directive", "REPLACE");
        env.remember(wrapped, &self.name, keys);
        self.stage = Stage::Copying;
        Ok(HeadStep::Forward(edits))
    }
}

impl Role for CopyObject {
    fn request_head(&mut self, _: &mut Env<'_>, head: &RequestHead) -> Result<HeadStep, Error> {
        self.is_copy = match head.headers.text("x-amz-metadata-directive").ok().flatten() {
            None | Some("COPY") => true,
            Some("REPLACE") => false,
            Some(_) => return Err(RequestError::InvalidArgument("unknown metadata directive").into()),
        };
        let is_change = CHANGES.iter().any(|name| head.headers.has(name)) || self.source.version_id.is_some();
        if self.is_copy && self.source.name == self.name && !is_change {
            return Err(RequestError::InvalidRequest(
                "This copy request is illegal because it is trying to copy an object to itself without changing the \
                 object's metadata, storage class, website redirect location or encryption attributes.",
            )
            .into());
        }
        credentials::remove(head, &mut self.edits);
        Rewriting::prepare(&mut self.edits);
        let is_copy = self.is_copy;
        // A checksum that the store would compute is the ciphertext's.
        self.edits.remove_where(&head.headers, |name| {
            name.starts_with("x-amz-checksum-") || (is_copy && is_carried_over(name))
        });
        self.has_conditions =
            source::has_conditions(&head.headers) || head.headers.has("if-match") || head.headers.has("if-none-match");
        source::remove_conditions(&head.headers, &mut self.edits);
        let headers = source::head_headers(&head.headers);
        let (look, call) = Look::begin(self.source.name.clone(), self.source.path(), headers);
        self.stage = Stage::Looking(look);
        Ok(HeadStep::Wait(call))
    }

    fn answer(&mut self, env: &mut Env<'_>, answer: Answer) -> Result<HeadStep, Error> {
        match (std::mem::replace(&mut self.stage, Stage::Start), answer) {
            (Stage::Looking(mut look), answer) => {
                let looked = look.answered(env, answer)?;
                self.looked(env, look, looked)
            }
            (Stage::Wrapping(keys, attributes), answer) => self.copy(env, &keys, &attributes, answer.wrapped()?),
            _ => Err(InternalError("an answer came that nobody asked for").into()),
        }
    }

    fn response_head(&mut self, _: &mut Env<'_>, head: &ResponseHead) -> Result<HeadStep, Error> {
        let mut edits = write_response(head);
        match head.status {
            // Our own condition did not hold.
            412 if !self.has_conditions => return Err(Error::ObjectChanged),
            200 => self.answer.begin(vec![Rule::etags()], &mut edits),
            _ => {}
        }
        Ok(HeadStep::Forward(edits))
    }

    fn rewriting(&mut self) -> Option<&mut Rewriting> {
        Some(&mut self.answer)
    }
}

/// Gives the copy what the source has.
fn carry_over(source: &Headers, edits: &mut HeadEdits) -> Result<(), RequestError> {
    let is_ours = |name: &str| name.starts_with(metadata::PREFIX);
    let is_carried = |name: &str| is_carried_over(name) && !is_ours(name);
    for (name, value) in source.iter().filter(|(name, _)| is_carried(name)) {
        let value = std::str::from_utf8(value)
            .map_err(|_| RequestError::InvalidRequest("the source has metadata that is not valid UTF-8"))?;
        edits.set(name, value);
    }
    Ok(())
}
