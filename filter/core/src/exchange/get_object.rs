//! GetObject and HeadObject: opened while it streams, or passed through if it is not ours.
//!
//! The two differ in the body alone, and a HEAD's response has none.

use std::rc::Rc;

use super::{Answer, Body, Call, Env, HeadStep, Role, hide_ciphertext, hide_metadata, unwrapped};
use crate::config::UnencryptedObjects;
use crate::error::{Error, IntegrityError, InternalError, RequestError};
use crate::format::layout::{plain_len, sealed_len};
use crate::format::metadata::{Metadata, Verified};
use crate::format::segment::{HEADER_LEN, Place, SegmentHeader};
use crate::http::{HeadEdits, RequestHead, ResponseHead, parse_length};
use crate::keys::{ObjectKeys, ObjectName};
use crate::open::Opener;
use crate::sigv4::credentials;

/// A read of one object.
pub struct GetObject {
    name: ObjectName,
    body: ResponseBody,
}

enum ResponseBody {
    /// The head has not come yet, or it says that this is no object (an error, a 304).
    Foreign,
    /// Not ours, or ours without its metadata: the first bytes tell.
    Unencrypted(CiphertextGuard),
    /// Ours; the KMS is being asked for the DEK.
    Locked(Box<Locked>),
    /// Ours.
    Open(Opener),
}

/// An encrypted object's head, waiting for its DEK.
struct Locked {
    metadata: Metadata,
    sealed_len: Option<u64>,
    edits: HeadEdits,
}

impl GetObject {
    /// A read of `name`.
    pub fn new(name: ObjectName) -> Self {
        Self { name, body: ResponseBody::Foreign }
    }

    /// Checks the head against the authenticated metadata, and lets it out in plaintext terms.
    fn unlock(&mut self, locked: Locked, keys: Rc<ObjectKeys>) -> Result<HeadStep, Error> {
        let Locked { metadata, sealed_len, mut edits } = locked;
        let verified = metadata.verify(&keys)?;
        match object_len(verified, sealed_len)? {
            Some(length) => edits.set("content-length", length.to_string()),
            None => edits.remove("content-length"),
        }
        self.body = ResponseBody::Open(Opener::new(keys, verified.plain_len));
        Ok(HeadStep::Forward(edits))
    }

    /// Lets an object that is not encrypted through, if it may pass.
    pub fn unencrypted(&mut self, env: &Env<'_>) -> Result<HeadStep, Error> {
        check_unencrypted(env)?;
        self.body = ResponseBody::Unencrypted(CiphertextGuard::default());
        Ok(HeadStep::Forward(HeadEdits::default()))
    }
}

impl Role for GetObject {
    fn request_head(&mut self, _: &mut Env<'_>, head: &RequestHead) -> Result<HeadStep, Error> {
        let mut edits = HeadEdits::default();
        credentials::remove(&head.path, &mut edits);
        Ok(HeadStep::Forward(edits))
    }

    fn response_head(&mut self, env: &mut Env<'_>, head: &ResponseHead) -> Result<HeadStep, Error> {
        let mut edits = HeadEdits::default();
        if !(200..300).contains(&head.status) {
            hide_metadata(&head.headers, &mut edits);
            return Ok(HeadStep::Forward(edits));
        }
        let Some(metadata) = Metadata::from_headers(&head.headers)? else {
            return self.unencrypted(env);
        };
        if head.status != 200 {
            return Err(IntegrityError::Response("the store answers with a part that was not asked for").into());
        }
        hide_ciphertext(&head.headers, &mut edits);
        let locked = Locked { sealed_len: content_length(head)?, metadata, edits };
        match env.find_keys(locked.metadata.wrapped_dek(), &self.name)? {
            Some(keys) => self.unlock(locked, keys),
            None => {
                let call = Call::Unwrap(locked.metadata.wrapped_dek().clone(), self.name.clone());
                self.body = ResponseBody::Locked(Box::new(locked));
                Ok(HeadStep::Wait(call))
            }
        }
    }

    fn answer(&mut self, env: &mut Env<'_>, answer: Answer) -> Result<HeadStep, Error> {
        let ResponseBody::Locked(locked) = std::mem::replace(&mut self.body, ResponseBody::Foreign) else {
            return Err(InternalError("an answer came that nobody asked for").into());
        };
        let dek = unwrapped(answer)?;
        let keys = env.keep(locked.metadata.wrapped_dek().clone(), &self.name, &dek)?;
        self.unlock(*locked, keys)
    }

    fn response_body(&mut self, window: &[u8], is_end: bool) -> Result<Body, Error> {
        match &mut self.body {
            ResponseBody::Foreign => Ok(Body::Unchanged),
            ResponseBody::Unencrypted(guard) => guard.push(window, is_end),
            ResponseBody::Locked(_) => Err(InternalError("a body came before its DEK").into()),
            ResponseBody::Open(opener) => {
                let mut plain = Vec::with_capacity(window.len());
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
}

/// Refuses objects that are not encrypted, if the configuration says so.
pub fn check_unencrypted(env: &Env<'_>) -> Result<(), RequestError> {
    match env.config.unencrypted_objects {
        UnencryptedObjects::Pass => Ok(()),
        UnencryptedObjects::Refuse => Err(RequestError::Unencrypted),
    }
}

/// The plaintext's length: the authenticated one, which the body's must fit (FORMAT 6.7), or what follows from the
/// body's (FORMAT 5.2: right for aligned parts). None if neither is known.
pub fn object_len(verified: Verified, actual: Option<u64>) -> Result<Option<u64>, IntegrityError> {
    match (verified.plain_len, actual) {
        (Some(stated), Some(actual)) if sealed_len(stated) != Some(actual) => {
            Err(IntegrityError::Response("its length is not the one of its metadata"))
        }
        (Some(stated), _) => Ok(Some(stated)),
        (None, actual) => Ok(actual.and_then(plain_len)),
    }
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

/// Holds back the first bytes of an object without metadata until they are sure not to be a first segment's header:
/// ciphertext whose metadata was lost is not handed out as if it were data (FORMAT.md section 7).
#[derive(Default)]
struct CiphertextGuard {
    held: Vec<u8>,
    is_cleared: bool,
}

impl CiphertextGuard {
    fn push(&mut self, window: &[u8], is_end: bool) -> Result<Body, Error> {
        if self.is_cleared {
            return Ok(Body::Unchanged);
        }
        self.held.extend_from_slice(window);
        match self.held.first_chunk::<HEADER_LEN>().map(SegmentHeader::parse) {
            Some(Ok(header)) if header.place == Place::FIRST => return Err(IntegrityError::MetadataLost.into()),
            None if !is_end => return Ok(Body::Replaced(Vec::new())),
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
