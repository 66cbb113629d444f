//! A look at a stored object before anything is done with it: its head, its DEK, and where its parts lie.

use std::rc::Rc;

use super::Env;
use super::call::{Answer, Call, StoreRequest};
use super::get_object::{content_length, stated_layout};
use super::survey::{Found, Survey};
use crate::caches::StoredHead;
use crate::error::{Error, IntegrityError, InternalError};
use crate::format::layout::Layout;
use crate::format::metadata::{Attributes, Metadata};
use crate::http::{Headers, ResponseHead};
use crate::keys::{ObjectKeys, ObjectName};

/// A look that is under way.
pub struct Look {
    name: ObjectName,
    /// What the store knows the object by.
    path: String,
    stage: Stage,
}

enum Stage {
    /// The store is being asked for the object's head.
    Head,
    /// The KMS is being asked for the DEK.
    Locked(Box<Stored>),
    /// The store is being asked where the parts lie.
    Surveying(Box<Stored>, Unlocked, Box<Survey>),
    /// It came to an end.
    Over,
}

/// What a look has come to.
pub enum Looked {
    /// This is to be asked next.
    Ask(Call),
    /// The store does not show the object: the status is not 200.
    Refused(ResponseHead),
    /// The object is not encrypted.
    Unencrypted(ResponseHead),
    /// The object is ours.
    Seen(Box<Seen>),
}

/// An encrypted object that was looked at.
pub struct Seen {
    /// The headers that the store answered with; none if the head was known already.
    pub headers: Headers,
    /// What there is to know of the object.
    pub head: StoredHead,
    /// What its authenticated metadata says of the plaintext.
    pub attributes: Attributes,
    /// Its keys.
    pub keys: Rc<ObjectKeys>,
}

/// What the metadata holds once its DEK is known.
struct Unlocked {
    keys: Rc<ObjectKeys>,
    attributes: Attributes,
}

/// An encrypted object's head, not authenticated yet.
struct Stored {
    headers: Headers,
    metadata: Metadata,
    sealed_len: u64,
    etag: String,
    layout: Option<Layout>,
}

impl Look {
    /// Begins with the head of the object `name` at `path`, which is asked for with these headers.
    pub fn begin(name: ObjectName, path: String, headers: Vec<(String, String)>) -> (Self, Call) {
        let call = Call::Store(StoreRequest::head(path.clone(), headers));
        (Self { name, path, stage: Stage::Head }, call)
    }

    /// Begins with a head that is known.
    pub fn known(env: &mut Env<'_>, name: ObjectName, path: String, head: StoredHead) -> Result<(Self, Looked), Error> {
        let StoredHead { metadata, sealed_len, etag, layout } = head;
        let stored = Stored { headers: Headers::default(), metadata, sealed_len, etag, layout: Some(layout) };
        let mut look = Self { name, path, stage: Stage::Over };
        let looked = look.found(env, Box::new(stored))?;
        Ok((look, looked))
    }

    /// The answer to what was last asked for.
    pub fn answered(&mut self, env: &mut Env<'_>, answer: Answer) -> Result<Looked, Error> {
        match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Head => self.head(env, answer.stored()?.head),
            Stage::Locked(stored) => {
                let keys = env.learn(&stored.metadata, &self.name, &answer.unwrapped()?)?;
                self.unlocked(env, stored, keys)
            }
            Stage::Surveying(stored, unlocked, mut survey) => match survey.answered(&answer.stored()?)? {
                Found::Layout(layout) => Ok(self.seen(env, *stored, unlocked, layout)),
                Found::Ask(request) => {
                    self.stage = Stage::Surveying(stored, unlocked, survey);
                    Ok(Looked::Ask(Call::Store(request)))
                }
            },
            Stage::Over => Err(InternalError("an answer came that nobody asked for").into()),
        }
    }

    fn head(&mut self, env: &mut Env<'_>, head: ResponseHead) -> Result<Looked, Error> {
        if head.status != 200 {
            return Ok(Looked::Refused(head));
        }
        let Some(metadata) = Metadata::from_headers(&head.headers)? else { return Ok(Looked::Unencrypted(head)) };
        let sealed_len = content_length(&head)?.ok_or(IntegrityError::Response("its head states no length"))?;
        let etag = head.headers.text("etag").ok().flatten().ok_or(IntegrityError::Response("its head has no ETag"))?;
        let etag = etag.to_owned();
        self.found(env, Box::new(Stored { headers: head.headers, metadata, sealed_len, etag, layout: None }))
    }

    fn found(&mut self, env: &mut Env<'_>, stored: Box<Stored>) -> Result<Looked, Error> {
        match env.find_keys(stored.metadata.wrapped_dek(), &self.name)? {
            Some(keys) => self.unlocked(env, stored, keys),
            None => {
                let call = Call::Unwrap(stored.metadata.wrapped_dek().clone(), self.name.clone());
                self.stage = Stage::Locked(stored);
                Ok(Looked::Ask(call))
            }
        }
    }

    /// Finds out where the parts lie.
    fn unlocked(&mut self, env: &mut Env<'_>, mut stored: Box<Stored>, keys: Rc<ObjectKeys>) -> Result<Looked, Error> {
        let attributes = stored.metadata.verify(&keys)?;
        let stated = stated_layout(&attributes, Some(stored.sealed_len))?;
        let unlocked = Unlocked { keys, attributes };
        if let Some(layout) = stated.or_else(|| stored.layout.take()) {
            return Ok(self.seen(env, *stored, unlocked, layout));
        }
        let (survey, request) = Survey::begin(self.path.clone(), stored.etag.clone(), stored.sealed_len);
        self.stage = Stage::Surveying(stored, unlocked, Box::new(survey));
        Ok(Looked::Ask(Call::Store(request)))
    }

    fn seen(&mut self, env: &mut Env<'_>, stored: Stored, unlocked: Unlocked, layout: Layout) -> Looked {
        let Stored { headers, metadata, sealed_len, etag, .. } = stored;
        let Unlocked { keys, attributes } = unlocked;
        let head = StoredHead { metadata, sealed_len, etag, layout };
        env.caches.heads.put(self.path.clone(), head.clone(), env.now);
        Looked::Seen(Box::new(Seen { headers, head, attributes, keys }))
    }
}
