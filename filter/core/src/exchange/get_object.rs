//! GetObject and HeadObject: opened while it streams, or passed through if it is not ours.
//!
//! The two differ in the body alone, and a HEAD's response has none.

use std::rc::Rc;

use super::survey::{Found, Survey};
use super::{Answer, Body, Call, Env, HeadStep, Role, hide_ciphertext, hide_metadata};
use crate::account::Account;
use crate::caches::StoredHead;
use crate::config::UnencryptedObjects;
use crate::error::{Error, IntegrityError, InternalError, RequestError};
use crate::format::layout::Layout;
use crate::format::metadata::{Attributes, Metadata};
use crate::format::segment::{HEADER_LEN, Place, SegmentHeader};
use crate::http::{HeadEdits, RequestHead, ResponseHead, parse_length};
use crate::keys::{ObjectKeys, ObjectName};
use crate::open::Opener;
use crate::s3::checksum::Checksum;
use crate::s3::query;
use crate::sigv4::credentials;

/// How a client asks for an object's checksum.
const CHECKSUM_MODE: &str = "x-amz-checksum-mode";

/// A read of one object.
pub struct GetObject {
    name: ObjectName,
    /// What the store knows the object by.
    path: String,
    is_checksum_wanted: bool,
    body: ResponseBody,
}

enum ResponseBody {
    /// The head has not come yet, or it says that this is no object (an error, a 304).
    Foreign,
    /// Not ours, or ours without its metadata: the first bytes tell.
    Unencrypted(CiphertextGuard),
    /// Ours; the KMS is being asked for the DEK.
    Locked(Box<Locked>),
    /// Ours, of a multipart upload; the store is being asked where its parts lie.
    Surveying(Box<Locked>, Rc<ObjectKeys>, Survey),
    /// Ours.
    Open(Opener),
}

/// An encrypted object's head, waiting for its DEK.
struct Locked {
    metadata: Metadata,
    sealed_len: Option<u64>,
    etag: Option<String>,
    edits: HeadEdits,
}

impl GetObject {
    /// A read of `name`, which stands in the request's path.
    pub fn new(name: ObjectName, head: &RequestHead) -> Self {
        let is_checksum_wanted = head.headers.all(CHECKSUM_MODE).any(|mode| mode == b"ENABLED");
        Self { name, path: object_path(&head.path), is_checksum_wanted, body: ResponseBody::Foreign }
    }

    /// Checks the head against the authenticated metadata, and finds the plaintext's length.
    fn unlock(&mut self, env: &mut Env<'_>, mut locked: Box<Locked>, keys: Rc<ObjectKeys>) -> Result<HeadStep, Error> {
        let attributes = locked.metadata.verify(&keys)?;
        if self.is_checksum_wanted {
            state_checksum(attributes.checksum.as_ref(), &mut locked.edits);
        }
        if let Some(layout) = stated_layout(&attributes, locked.sealed_len)? {
            let length = layout.plain_len();
            let opener = match attributes.plain_len {
                Some(_) => Opener::new(keys, Some(length)),
                None => Opener::multipart(keys, length),
            };
            return Ok(self.open(locked.edits, opener, Some(length)));
        }
        let (Some(sealed_len), Some(etag)) = (locked.sealed_len, locked.etag.clone()) else {
            return Ok(self.open(locked.edits, Opener::new(keys, None), None));
        };
        let known = env.caches.heads.get(&self.path, env.now).filter(|head| head.etag == etag);
        if let Some(length) = known.map(|head| head.layout.plain_len()) {
            return Ok(self.open_parts(locked.edits, keys, length));
        }
        let (survey, request) = Survey::begin(self.path.clone(), etag, sealed_len);
        self.body = ResponseBody::Surveying(locked, keys, survey);
        Ok(HeadStep::Wait(Call::Store(request)))
    }

    fn surveyed(
        &mut self,
        env: &mut Env<'_>,
        locked: Locked,
        keys: Rc<ObjectKeys>,
        layout: Layout,
    ) -> Result<HeadStep, Error> {
        let Locked { sealed_len: Some(sealed_len), etag: Some(etag), metadata, edits } = locked else {
            return Err(InternalError("a survey of an unknown object").into());
        };
        let length = layout.plain_len();
        env.caches.heads.put(self.path.clone(), StoredHead { metadata, sealed_len, etag, layout }, env.now);
        Ok(self.open_parts(edits, keys, length))
    }

    fn open_parts(&mut self, edits: HeadEdits, keys: Rc<ObjectKeys>, length: u64) -> HeadStep {
        self.open(edits, Opener::multipart(keys, length), Some(length))
    }

    /// Lets the head out in plaintext terms.
    fn open(&mut self, mut edits: HeadEdits, opener: Opener, length: Option<u64>) -> HeadStep {
        match length {
            Some(length) => edits.set("content-length", length.to_string()),
            None => edits.remove("content-length"),
        }
        self.body = ResponseBody::Open(opener);
        HeadStep::Forward(edits)
    }

    /// Lets an object that is not encrypted through, if it may pass.
    fn unencrypted(&mut self, env: &Env<'_>, head: &ResponseHead) -> Result<HeadStep, Error> {
        check_unencrypted(env)?;
        self.body = ResponseBody::Unencrypted(CiphertextGuard::new(content_length(head)?));
        Ok(HeadStep::Forward(HeadEdits::default()))
    }
}

impl Role for GetObject {
    fn request_head(&mut self, _: &mut Env<'_>, head: &RequestHead) -> Result<HeadStep, Error> {
        let mut edits = HeadEdits::default();
        remove_ours(head, &mut edits);
        Ok(HeadStep::Forward(edits))
    }

    fn response_head(&mut self, env: &mut Env<'_>, head: &ResponseHead) -> Result<HeadStep, Error> {
        let mut edits = HeadEdits::default();
        if !(200..300).contains(&head.status) {
            hide_metadata(&head.headers, &mut edits);
            return Ok(HeadStep::Forward(edits));
        }
        let Some(metadata) = Metadata::from_headers(&head.headers)? else {
            return self.unencrypted(env, head);
        };
        if head.status != 200 {
            return Err(IntegrityError::Response("the store answers with a part that was not asked for").into());
        }
        hide_ciphertext(&head.headers, &mut edits);
        let etag = head.headers.text("etag").ok().flatten().map(str::to_owned);
        let locked = Box::new(Locked { sealed_len: content_length(head)?, metadata, etag, edits });
        match env.find_keys(locked.metadata.wrapped_dek(), &self.name)? {
            Some(keys) => self.unlock(env, locked, keys),
            None => {
                let call = Call::Unwrap(locked.metadata.wrapped_dek().clone(), self.name.clone());
                self.body = ResponseBody::Locked(locked);
                Ok(HeadStep::Wait(call))
            }
        }
    }

    fn answer(&mut self, env: &mut Env<'_>, answer: Answer) -> Result<HeadStep, Error> {
        match (std::mem::replace(&mut self.body, ResponseBody::Foreign), answer) {
            (ResponseBody::Locked(locked), answer) => {
                let keys = env.learn(&locked.metadata, &self.name, &answer.unwrapped()?)?;
                self.unlock(env, locked, keys)
            }
            (ResponseBody::Surveying(locked, keys, mut survey), answer) => match survey.answered(&answer.stored()?)? {
                Found::Layout(layout) => self.surveyed(env, *locked, keys, layout),
                Found::Ask(request) => {
                    self.body = ResponseBody::Surveying(locked, keys, survey);
                    Ok(HeadStep::Wait(Call::Store(request)))
                }
            },
            _ => Err(InternalError("an answer came that nobody asked for").into()),
        }
    }

    fn response_body(&mut self, window: &[u8], is_end: bool) -> Result<Body, Error> {
        match &mut self.body {
            ResponseBody::Foreign => Ok(Body::Unchanged),
            ResponseBody::Unencrypted(guard) => guard.push(window, is_end),
            ResponseBody::Locked(_) | ResponseBody::Surveying(..) => {
                Err(InternalError("a body came before its DEK").into())
            }
            ResponseBody::Open(opener) => {
                let mut plain = Vec::new();
                opener.push(window, &mut plain)?;
                if is_end {
                    opener.finish()?;
                }
                Ok(Body::Replaced(plain))
            }
        }
    }

    fn response_trailers(&mut self) -> Result<(), Error> {
        match &mut self.body {
            ResponseBody::Open(opener) => Ok(opener.finish()?),
            ResponseBody::Unencrypted(guard) => guard.trailers(),
            _ => Ok(()),
        }
    }

    fn settle(&mut self, account: &mut Account) {
        if let ResponseBody::Open(opener) = &mut self.body {
            account.opened += opener.take_volume();
        }
    }
}

/// Takes out of a read what the client asks of us alone. Gives the path that is left.
///
/// The store's own checksums are the ciphertext's: it need not look for them.
pub fn remove_ours(head: &RequestHead, edits: &mut HeadEdits) -> String {
    edits.remove_where(&head.headers, |name| name == CHECKSUM_MODE);
    credentials::remove(head, edits)
}

/// States the checksum of a whole object, if there is one, as S3 does.
pub fn state_checksum(checksum: Option<&Checksum>, edits: &mut HeadEdits) {
    if let Some(checksum) = checksum {
        edits.set(checksum.algorithm.header(), checksum.to_base64());
        edits.set("x-amz-checksum-type", "FULL_OBJECT");
    }
}

/// Refuses objects that are not encrypted, if the configuration says so.
pub fn check_unencrypted(env: &Env<'_>) -> Result<(), RequestError> {
    match env.config.unencrypted_objects {
        UnencryptedObjects::Pass => Ok(()),
        UnencryptedObjects::Refuse => Err(RequestError::Unencrypted),
    }
}

/// Where the parts lie, if the metadata says so; a body of that length, if it is known, must fit (FORMAT 6.7).
pub fn stated_layout(attributes: &Attributes, actual: Option<u64>) -> Result<Option<Layout>, IntegrityError> {
    let stated = match (attributes.plain_len, &attributes.parts) {
        (Some(len), _) => Layout::single(len).ok_or(IntegrityError::Response("it is larger than objects can be"))?,
        (None, Some(parts)) => parts.clone(),
        (None, None) => return Ok(None),
    };
    match actual {
        Some(actual) if stated.sealed_len() != actual => {
            Err(IntegrityError::Response("its length is not the one of its metadata"))
        }
        _ => Ok(Some(stated)),
    }
}

/// A request's path with no more of its query than says which object is meant.
pub fn object_path(path: &str) -> String {
    query::retain(path, |name| name == "versionId")
}

/// The body's length that a response states.
pub fn content_length(head: &ResponseHead) -> Result<Option<u64>, IntegrityError> {
    let malformed = IntegrityError::Response("its Content-Length is malformed");
    match head.headers.text("content-length") {
        Ok(None) => Ok(None),
        Ok(Some(text)) => parse_length(text).map(Some).ok_or(malformed),
        Err(_) => Err(malformed),
    }
}

/// Holds back the first bytes of an object without metadata for as long as they may be a first segment's header:
/// ciphertext whose metadata was lost is not handed out as if it were data (FORMAT.md section 7).
pub struct CiphertextGuard {
    held: Vec<u8>,
    is_cleared: bool,
}

impl CiphertextGuard {
    /// Guards a body of that length, if it is known.
    pub fn new(len: Option<u64>) -> Self {
        Self { held: Vec::new(), is_cleared: len.is_some_and(|len| len < HEADER_LEN as u64) }
    }

    /// Takes a window of the body.
    pub fn push(&mut self, window: &[u8], is_end: bool) -> Result<Body, Error> {
        if self.is_cleared {
            return Ok(Body::Unchanged);
        }
        self.held.extend_from_slice(window);
        match self.held.first_chunk::<HEADER_LEN>().map(SegmentHeader::parse) {
            Some(Ok(header)) if header.place == Place::FIRST => return Err(IntegrityError::MetadataLost.into()),
            None if !is_end && SegmentHeader::may_begin(&self.held) => return Ok(Body::Replaced(Vec::new())),
            _ => {}
        }
        self.is_cleared = true;
        Ok(Body::Replaced(std::mem::take(&mut self.held)))
    }

    fn trailers(&self) -> Result<(), Error> {
        match self.held.is_empty() {
            true => Ok(()),
            false => Err(IntegrityError::Response("its body is short and ends with trailers").into()),
        }
    }
}
