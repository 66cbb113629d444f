//! CopyObject: the store copies the ciphertext, and the DEK is wrapped again for the name that it goes to.
//!
//! New metadata can only be given with the directive REPLACE, so COPY is carried out as a REPLACE with what the source has.

use std::rc::Rc;

use super::get_object::{content_length, stated_layout};
use super::put_object::write_response;
use super::survey::{Found, Survey};
use super::{Answer, Call, Env, HeadRequest, HeadStep, Role, unwrapped};
use crate::error::{Error, IntegrityError, InternalError, RequestError};
use crate::format::layout::Layout;
use crate::format::metadata::{self, Extent, Metadata, WrappedDek};
use crate::http::{HeadEdits, Headers, RequestHead, ResponseHead};
use crate::keys::{ObjectKeys, ObjectName};
use crate::s3::copy_source::CopySource;
use crate::sigv4::credentials;

/// Conditions on the source, and what they are called in a request for the source itself.
const CONDITIONS: [(&str, &str); 4] = [
    ("x-amz-copy-source-if-match", "if-match"),
    ("x-amz-copy-source-if-none-match", "if-none-match"),
    ("x-amz-copy-source-if-modified-since", "if-modified-since"),
    ("x-amz-copy-source-if-unmodified-since", "if-unmodified-since"),
];
/// What CopyObject copies beside the body, with all of `x-amz-meta-`.
const COPIED: [&str; 6] =
    ["cache-control", "content-disposition", "content-encoding", "content-language", "content-type", "expires"];
const USER_METADATA: &str = "x-amz-meta-";
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
}

enum Stage {
    /// Nothing has come yet.
    Start,
    /// The store is being asked for the source's head.
    Looking,
    /// The KMS is being asked for the source's DEK.
    Locked(Source),
    /// The store is being asked where the source's parts lie.
    Surveying(Source, Rc<ObjectKeys>, Survey),
    /// The KMS is being asked to wrap the DEK for its new name.
    Wrapping(Rc<ObjectKeys>, Extent),
    /// The store copies.
    Copying,
}

/// The object that is copied.
struct Source {
    metadata: Metadata,
    sealed_len: u64,
    etag: String,
}

impl CopyObject {
    /// A copy to `name`.
    pub fn new(name: ObjectName, source: CopySource) -> Self {
        let stage = Stage::Start;
        Self { name, source, edits: HeadEdits::default(), is_copy: true, has_conditions: false, stage }
    }

    fn looked(&mut self, env: &mut Env<'_>, head: Option<ResponseHead>) -> Result<HeadStep, Error> {
        let head = head.ok_or(Error::StoreUnavailable)?;
        check_found(head.status)?;
        let metadata = Metadata::from_headers(&head.headers)?
            .ok_or(RequestError::NotImplemented("copying an object that is not encrypted"))?;
        let sealed_len = content_length(&head)?.ok_or(IntegrityError::Response("its head states no length"))?;
        let etag = head.headers.text("etag").ok().flatten().ok_or(IntegrityError::Response("its head has no ETag"))?;
        if self.is_copy {
            carry_over(&head.headers, &mut self.edits)?;
        }
        let source = Source { metadata, sealed_len, etag: etag.to_owned() };
        match env.find_keys(source.metadata.wrapped_dek(), &self.source.name)? {
            Some(keys) => self.unlocked(env, source, keys),
            None => {
                let call = Call::Unwrap(source.metadata.wrapped_dek().clone(), self.source.name.clone());
                self.stage = Stage::Locked(source);
                Ok(HeadStep::Wait(call))
            }
        }
    }

    fn unlocked(&mut self, env: &mut Env<'_>, source: Source, keys: Rc<ObjectKeys>) -> Result<HeadStep, Error> {
        let extent = source.metadata.verify(&keys)?.clone();
        let stated = stated_layout(&extent, Some(source.sealed_len))?;
        self.edits.set("x-amz-copy-source-if-match", source.etag.clone());
        if stated.is_some() {
            return self.wrap(env, keys, extent);
        }
        // The copy will be one part to the store: where the parts lie must be known from its metadata.
        let (survey, request) = Survey::begin(self.source.path(), source.etag.clone(), source.sealed_len);
        self.stage = Stage::Surveying(source, keys, survey);
        Ok(HeadStep::Wait(Call::Head(request)))
    }

    fn surveyed(&mut self, env: &mut Env<'_>, keys: Rc<ObjectKeys>, layout: Layout) -> Result<HeadStep, Error> {
        if layout.to_string().len() > metadata::MAX_PARTS {
            return Err(RequestError::NotImplemented("copying an object of so many different parts").into());
        }
        self.wrap(env, keys, Extent { plain_len: None, parts: Some(layout) })
    }

    fn wrap(&mut self, env: &mut Env<'_>, keys: Rc<ObjectKeys>, extent: Extent) -> Result<HeadStep, Error> {
        if let Some(wrapped) = env.wrap_directly(&keys.dek, &self.name)? {
            return self.copy(env, &keys, &extent, wrapped);
        }
        let call = Call::Wrap(keys.dek.clone(), self.name.clone());
        self.stage = Stage::Wrapping(keys, extent);
        Ok(HeadStep::Wait(call))
    }

    fn copy(
        &mut self,
        env: &mut Env<'_>,
        keys: &Rc<ObjectKeys>,
        extent: &Extent,
        wrapped: WrappedDek,
    ) -> Result<HeadStep, Error> {
        let mut edits = std::mem::take(&mut self.edits);
        for (name, value) in metadata::to_headers(keys, &wrapped, extent)? {
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
        credentials::remove(&head.path, &mut self.edits);
        let is_replaced = |name: &str| COPIED.contains(&name) || name.starts_with(USER_METADATA);
        let is_copy = self.is_copy;
        // A checksum that the store would compute is the ciphertext's.
        self.edits
            .remove_where(&head.headers, |name| name.starts_with("x-amz-checksum-") || (is_copy && is_replaced(name)));
        let condition =
            |(name, plain): &(&str, &str)| Some(((*plain).to_owned(), head.headers.text(name).ok()??.to_owned()));
        let headers: Vec<_> = CONDITIONS.iter().filter_map(condition).collect();
        self.has_conditions = !headers.is_empty() || head.headers.has("if-match") || head.headers.has("if-none-match");
        CONDITIONS.iter().for_each(|(name, _)| self.edits.remove(*name));
        self.stage = Stage::Looking;
        Ok(HeadStep::Wait(Call::Head(HeadRequest { path: self.source.path(), headers })))
    }

    fn answer(&mut self, env: &mut Env<'_>, answer: Answer) -> Result<HeadStep, Error> {
        match (std::mem::replace(&mut self.stage, Stage::Start), answer) {
            (Stage::Looking, Answer::Head(head)) => self.looked(env, head),
            (Stage::Locked(source), answer @ Answer::Unwrapped(_)) => {
                let keys = env.learn(&source.metadata, &self.source.name, &unwrapped(answer)?)?;
                self.unlocked(env, source, keys)
            }
            (Stage::Surveying(source, keys, mut survey), Answer::Head(head)) => match survey.answered(head)? {
                Found::Layout(layout) => self.surveyed(env, keys, layout),
                Found::Nothing => Err(RequestError::NotImplemented("copying a multipart object in this store").into()),
                Found::Ask(request) => {
                    self.stage = Stage::Surveying(source, keys, survey);
                    Ok(HeadStep::Wait(Call::Head(request)))
                }
            },
            (Stage::Wrapping(keys, extent), Answer::Wrapped(wrapped)) => self.copy(env, &keys, &extent, wrapped?),
            _ => Err(InternalError("an answer came that nobody asked for").into()),
        }
    }

    fn response_head(&mut self, _: &mut Env<'_>, head: &ResponseHead) -> Result<HeadStep, Error> {
        match head.status {
            // Our own condition did not hold.
            412 if !self.has_conditions => Err(Error::ObjectChanged),
            _ => Ok(HeadStep::Forward(write_response(head))),
        }
    }
}

/// Whether the source can be copied at all.
fn check_found(status: u16) -> Result<(), Error> {
    match status {
        200 => Ok(()),
        304 | 412 => Err(RequestError::PreconditionFailed.into()),
        404 | 405 => Err(RequestError::NoSuchSource.into()),
        403 => Err(RequestError::SourceDenied.into()),
        _ => Err(Error::StoreUnavailable),
    }
}

/// Gives the copy what the source has.
fn carry_over(source: &Headers, edits: &mut HeadEdits) -> Result<(), RequestError> {
    let is_ours = |name: &str| name.starts_with(metadata::PREFIX);
    let is_carried = |name: &str| COPIED.contains(&name) || (name.starts_with(USER_METADATA) && !is_ours(name));
    for (name, value) in source.iter().filter(|(name, _)| is_carried(name)) {
        let value = std::str::from_utf8(value)
            .map_err(|_| RequestError::InvalidRequest("the source has metadata that is not valid UTF-8"))?;
        edits.set(name, value);
    }
    Ok(())
}
