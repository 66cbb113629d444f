//! GetObject with a Range: a look at the object's head, then the segments that hold the range, and no others.
//!
//! ```text
//! Range ──► head cached? ──no──► HEAD ──► not ours, or an error: the request goes on as it came
//!               │ yes                │
//!               └──────► DEK ◄───────┘
//!                         ▼
//!            plaintext range ► segments ► GET with their Range and If-Match ──► 206 ► opened, cut to the range
//! ```

use std::rc::Rc;

use super::get_object::{GetObject, check_unencrypted, content_length, object_len};
use super::{Answer, Body, Call, Env, HeadRequest, HeadStep, Role, hide_ciphertext, unwrapped};
use crate::caches::StoredHead;
use crate::error::{Error, IntegrityError, InternalError, RequestError};
use crate::format::metadata::Metadata;
use crate::http::{HeadEdits, Headers, RequestHead, ResponseHead};
use crate::keys::{ObjectKeys, ObjectName};
use crate::open::RangeOpener;
use crate::s3::range::{ByteRange, ContentRange, Resolved, SegmentSpan, Span};
use crate::sigv4::credentials;

/// Headers of the request that decide whether, or for whom, the store answers at all.
const CONDITIONS: [&str; 4] = ["if-match", "if-none-match", "if-modified-since", "if-unmodified-since"];
const ON_BEHALF: [&str; 2] = ["x-amz-expected-bucket-owner", "x-amz-request-payer"];

/// A read of a part of one object.
pub struct GetRange {
    name: ObjectName,
    stage: Stage,
}

enum Stage {
    /// Nothing has come yet.
    Start,
    /// The store is being asked for the object's head.
    Looking(Asked),
    /// The KMS is being asked for the DEK.
    Locked(Asked, StoredHead),
    /// The store is being asked for these segments.
    Asking(Wanted),
    /// The segments stream.
    Opening(RangeOpener),
    /// There is nothing to cut: it is read as a whole, or it is not ours.
    Whole(GetObject),
}

/// What the client asked for.
struct Asked {
    /// None: a Range that S3 ignores.
    range: Option<ByteRange>,
    path: String,
    if_range: Option<String>,
    has_if_match: bool,
    /// What the request needs whatever comes of the range.
    edits: HeadEdits,
}

/// What was asked of the store.
struct Wanted {
    head: StoredHead,
    path: String,
    keys: Rc<ObjectKeys>,
    plain: Span,
    plain_len: u64,
    segments: SegmentSpan,
    has_if_match: bool,
}

impl GetRange {
    /// A ranged read of `name`.
    pub fn new(name: ObjectName) -> Self {
        Self { name, stage: Stage::Start }
    }

    /// Reads the object as if no range had been asked for, as far as S3EP is concerned.
    fn as_whole(&mut self, edits: HeadEdits) -> HeadStep {
        self.stage = Stage::Whole(GetObject::new(self.name.clone()));
        HeadStep::Forward(edits)
    }

    fn looked(&mut self, env: &mut Env<'_>, asked: Asked, head: Option<ResponseHead>) -> Result<HeadStep, Error> {
        let head = head.ok_or(Error::StoreUnavailable)?;
        if head.status != 200 {
            // The store will tell the client the same.
            return Ok(self.as_whole(asked.edits));
        }
        let Some(stored) = stored_head(&head)? else {
            check_unencrypted(env)?;
            return Ok(self.as_whole(asked.edits));
        };
        env.caches.heads.put(asked.path.clone(), stored.clone(), env.now);
        self.found(env, asked, stored)
    }

    fn found(&mut self, env: &mut Env<'_>, asked: Asked, head: StoredHead) -> Result<HeadStep, Error> {
        match env.find_keys(head.metadata.wrapped_dek(), &self.name)? {
            Some(keys) => self.ask(asked, head, keys),
            None => {
                let call = Call::Unwrap(head.metadata.wrapped_dek().clone(), self.name.clone());
                self.stage = Stage::Locked(asked, head);
                Ok(HeadStep::Wait(call))
            }
        }
    }

    /// Turns the plaintext range into the segments to ask for.
    fn ask(&mut self, asked: Asked, head: StoredHead, keys: Rc<ObjectKeys>) -> Result<HeadStep, Error> {
        let Asked { range, path, if_range, has_if_match, mut edits } = asked;
        let verified = head.metadata.verify(&keys)?;
        object_len(verified, Some(head.sealed_len))?;
        let plain_len = verified.plain_len.ok_or(RequestError::NotImplemented("a range of a multipart object"))?;
        let resolved = match (range, if_range) {
            (_, Some(condition)) if condition != head.etag => Resolved::Whole,
            (Some(range), _) => range.resolve(plain_len),
            (None, _) => Resolved::Whole,
        };
        let plain = match resolved {
            Resolved::Part(span) => span,
            Resolved::Unsatisfiable => return Err(RequestError::InvalidRange { plain_len }.into()),
            Resolved::Whole => {
                edits.remove("range");
                return Ok(self.as_whole(edits));
            }
        };
        let segments = SegmentSpan::covering(plain, plain_len).ok_or(InternalError("a range beyond its object"))?;
        edits.set("range", segments.sealed.to_string());
        // Ties the segments to the head: both are of one object, or there is no answer.
        edits.set("if-match", head.etag.clone());
        edits.remove("if-range");
        self.stage = Stage::Asking(Wanted { head, path, keys, plain, plain_len, segments, has_if_match });
        Ok(HeadStep::Forward(edits))
    }

    /// The store's 206: it must be the segments that were asked for, of the object that was looked at.
    fn part(&mut self, wanted: Wanted, head: &ResponseHead) -> Result<HeadStep, Error> {
        let Wanted { head: looked_at, keys, plain, plain_len, segments, .. } = wanted;
        if Metadata::from_headers(&head.headers)?.as_ref() != Some(&looked_at.metadata) {
            return Err(Error::ObjectChanged);
        }
        let due = ContentRange::Part(segments.sealed, Some(looked_at.sealed_len));
        let stated = head.headers.text("content-range").ok().flatten().and_then(ContentRange::parse);
        if stated != Some(due) {
            return Err(IntegrityError::Response("the store answers with another range").into());
        }
        let mut edits = HeadEdits::default();
        hide_ciphertext(&head.headers, &mut edits);
        edits.set("content-length", plain.len().to_string());
        edits.set("content-range", ContentRange::Part(plain, Some(plain_len)).to_string());
        self.stage = Stage::Opening(RangeOpener::new(keys, plain_len, segments)?);
        Ok(HeadStep::Forward(edits))
    }
}

impl Role for GetRange {
    fn request_head(&mut self, env: &mut Env<'_>, head: &RequestHead) -> Result<HeadStep, Error> {
        let asked = Asked::from_request(head);
        if let Some(known) = env.caches.heads.get(&asked.path, env.now).filter(|known| asked.may_use(known)) {
            let known = known.clone();
            return self.found(env, asked, known);
        }
        let request = head_request(&asked.path, &head.headers);
        self.stage = Stage::Looking(asked);
        Ok(HeadStep::Wait(Call::Head(request)))
    }

    fn answer(&mut self, env: &mut Env<'_>, answer: Answer) -> Result<HeadStep, Error> {
        match (std::mem::replace(&mut self.stage, Stage::Start), answer) {
            (Stage::Looking(asked), Answer::Head(head)) => self.looked(env, asked, head),
            (Stage::Locked(asked, head), answer @ Answer::Unwrapped(_)) => {
                let keys = env.keep(head.metadata.wrapped_dek().clone(), &self.name, &unwrapped(answer)?)?;
                self.ask(asked, head, keys)
            }
            (Stage::Whole(mut whole), answer) => {
                let step = whole.answer(env, answer);
                self.stage = Stage::Whole(whole);
                step
            }
            _ => Err(InternalError("an answer came that nobody asked for").into()),
        }
    }

    fn response_head(&mut self, env: &mut Env<'_>, head: &ResponseHead) -> Result<HeadStep, Error> {
        let wanted = match std::mem::replace(&mut self.stage, Stage::Start) {
            Stage::Asking(wanted) => wanted,
            Stage::Whole(mut whole) => {
                let step = whole.response_head(env, head);
                self.stage = Stage::Whole(whole);
                return step;
            }
            _ => return Err(InternalError("a response came before its request").into()),
        };
        match head.status {
            206 => return self.part(wanted, head),
            // Our own condition, or our own range, did not hold: the object was replaced since we looked.
            416 => {}
            412 if !wanted.has_if_match => {}
            // The client's own conditions, errors, and a store that ignores ranges.
            _ => {
                let mut whole = GetObject::new(self.name.clone());
                let step = whole.response_head(env, head);
                self.stage = Stage::Whole(whole);
                return step;
            }
        }
        env.caches.heads.remove(&wanted.path);
        Err(Error::ObjectChanged)
    }

    fn response_body(&mut self, window: &[u8], is_end: bool) -> Result<Body, Error> {
        match &mut self.stage {
            Stage::Opening(opener) => {
                let mut plain = Vec::with_capacity(window.len());
                opener.push(window, &mut plain)?;
                if is_end {
                    opener.finish()?;
                }
                Ok(Body::Replaced(plain))
            }
            Stage::Whole(whole) => whole.response_body(window, is_end),
            _ => Err(InternalError("a body came before its head").into()),
        }
    }

    fn response_trailers(&mut self) -> Result<(), Error> {
        match &mut self.stage {
            Stage::Opening(opener) => Ok(opener.finish()?),
            Stage::Whole(whole) => whole.response_trailers(),
            _ => Err(InternalError("a body came before its head").into()),
        }
    }
}

impl Asked {
    fn from_request(head: &RequestHead) -> Self {
        let text = |name| head.headers.text(name).ok().flatten();
        let mut edits = HeadEdits::default();
        let path = credentials::remove(&head.path, &mut edits);
        Self {
            range: text("range").and_then(ByteRange::parse),
            path,
            if_range: text("if-range").map(str::to_owned),
            has_if_match: head.headers.has("if-match"),
            edits,
        }
    }

    /// Whether a head that is known needs no second look: only the store can say that a range is beyond the object's
    /// end, or that the client's own If-Match holds.
    fn may_use(&self, known: &StoredHead) -> bool {
        let len = crate::format::layout::plain_len(known.sealed_len).unwrap_or(0);
        let is_satisfiable = !matches!(self.range.map(|range| range.resolve(len)), Some(Resolved::Unsatisfiable));
        is_satisfiable && !self.has_if_match
    }
}

fn head_request(path: &str, headers: &Headers) -> HeadRequest {
    let names = CONDITIONS.iter().chain(&ON_BEHALF);
    let kept = names.filter_map(|name| Some(((*name).to_owned(), headers.text(name).ok()??.to_owned())));
    HeadRequest { path: path.to_owned(), headers: kept.collect() }
}

/// The head of an encrypted object. None if it is not ours.
fn stored_head(head: &ResponseHead) -> Result<Option<StoredHead>, Error> {
    let Some(metadata) = Metadata::from_headers(&head.headers)? else { return Ok(None) };
    let sealed_len = content_length(head)?.ok_or(IntegrityError::Response("its head states no length"))?;
    let etag = head.headers.text("etag").ok().flatten().ok_or(IntegrityError::Response("its head has no ETag"))?;
    Ok(Some(StoredHead { metadata, sealed_len, etag: etag.to_owned() }))
}
