//! GetObject with a Range or a partNumber: a look at the object's head, then the segments that hold the range, and no
//! others. HeadObject with a partNumber likewise.
//!
//! ```text
//! Range ──► head cached? ──no──► HEAD ──► not ours, or an error: the request goes on as it came
//!               │ yes                │
//!               └──────► DEK ◄───────┘
//!                         ├──► of a multipart upload: where do the parts lie? ──┐
//!                         ▼                                                     ▼
//!            plaintext range ► segments ► GET with their Range and If-Match ──► 206 ► opened, cut to the range
//! ```

use std::rc::Rc;

use super::get_object::{GetObject, check_unencrypted, content_length, object_path, stated_layout};
use super::survey::{Found, Survey};
use super::{Answer, Body, Call, Env, HeadRequest, HeadStep, Role, hide_ciphertext, unwrapped};
use crate::caches::StoredHead;
use crate::error::{Error, IntegrityError, InternalError, RequestError};
use crate::format::layout::{Layout, plain_len};
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
    /// `partNumber`, if that is what is asked for.
    part: Option<u16>,
    stage: Stage,
}

enum Stage {
    /// Nothing has come yet.
    Start,
    /// The store is being asked for the object's head.
    Looking(Asked),
    /// The KMS is being asked for the DEK.
    Locked(Asked, StoredHead),
    /// The store is being asked where the parts lie.
    Surveying(Asked, StoredHead, Rc<ObjectKeys>, Survey),
    /// The store is being asked for these segments.
    Asking(Wanted),
    /// The segments stream.
    Opening(RangeOpener),
    /// The store did not let us look, and will say so to the client.
    Refused(GetObject),
    /// There is nothing to cut: it is read as a whole, or it is not ours.
    Whole(GetObject),
}

/// What the client asked for.
struct Asked {
    what: What,
    /// What the store knows the object by.
    path: String,
    if_range: Option<String>,
    has_condition: bool,
    /// What the request needs whatever comes of the range.
    edits: HeadEdits,
}

/// The part of an object that is asked for.
#[derive(Clone, Copy)]
enum What {
    /// A Range.
    Range(ByteRange),
    /// A partNumber.
    Part(u16),
    /// All of it: a Range that S3 ignores.
    Whole,
}

/// What was asked of the store.
struct Wanted {
    head: StoredHead,
    path: String,
    keys: Rc<ObjectKeys>,
    plain: Span,
    layout: Layout,
    segments: SegmentSpan,
    has_condition: bool,
}

impl GetRange {
    /// A read of a range of `name`, or of one of its parts.
    pub fn new(name: ObjectName, part: Option<u16>) -> Self {
        Self { name, part, stage: Stage::Start }
    }

    /// Reads the object as if no range had been asked for, as far as S3EP is concerned.
    fn as_whole(&mut self, path: &str, edits: HeadEdits) -> HeadStep {
        self.stage = Stage::Whole(GetObject::new(self.name.clone(), path));
        HeadStep::Forward(edits)
    }

    fn looked(&mut self, env: &mut Env<'_>, asked: Asked, head: Option<ResponseHead>) -> Result<HeadStep, Error> {
        let head = head.ok_or(Error::StoreUnavailable)?;
        if head.status != 200 {
            // The store will tell the client the same.
            self.stage = Stage::Refused(GetObject::new(self.name.clone(), &asked.path));
            return Ok(HeadStep::Forward(asked.edits));
        }
        let Some(stored) = stored_head(&head)? else {
            check_unencrypted(env)?;
            return Ok(self.as_whole(&asked.path, asked.edits));
        };
        self.found(env, asked, stored)
    }

    fn found(&mut self, env: &mut Env<'_>, asked: Asked, head: StoredHead) -> Result<HeadStep, Error> {
        match env.find_keys(head.metadata.wrapped_dek(), &self.name)? {
            Some(keys) => self.unlocked(env, asked, head, keys),
            None => {
                let call = Call::Unwrap(head.metadata.wrapped_dek().clone(), self.name.clone());
                self.stage = Stage::Locked(asked, head);
                Ok(HeadStep::Wait(call))
            }
        }
    }

    /// Finds out where the parts of the object lie.
    fn unlocked(
        &mut self,
        env: &mut Env<'_>,
        asked: Asked,
        head: StoredHead,
        keys: Rc<ObjectKeys>,
    ) -> Result<HeadStep, Error> {
        if let Some(layout) = stated_layout(head.metadata.verify(&keys)?, Some(head.sealed_len))? {
            env.caches.heads.put(asked.path.clone(), head.clone(), env.now);
            return self.ask(asked, head, keys, layout);
        }
        if let Some(layout) = head.layout.clone() {
            return self.ask(asked, head, keys, layout);
        }
        let (survey, request) = Survey::begin(asked.path.clone(), head.etag.clone(), head.sealed_len);
        self.stage = Stage::Surveying(asked, head, keys, survey);
        Ok(HeadStep::Wait(Call::Head(request)))
    }

    fn surveyed(
        &mut self,
        env: &mut Env<'_>,
        asked: Asked,
        mut head: StoredHead,
        keys: Rc<ObjectKeys>,
        layout: Layout,
    ) -> Result<HeadStep, Error> {
        head.layout = Some(layout.clone());
        env.caches.heads.put(asked.path.clone(), head.clone(), env.now);
        self.ask(asked, head, keys, layout)
    }

    /// Turns the plaintext range into the segments to ask for.
    fn ask(&mut self, asked: Asked, head: StoredHead, keys: Rc<ObjectKeys>, layout: Layout) -> Result<HeadStep, Error> {
        let plain = match asked.resolve(&head.etag, &layout) {
            Resolved::Part(span) => span,
            Resolved::Unsatisfiable => {
                return Err(RequestError::InvalidRange { plain_len: layout.plain_len() }.into());
            }
            Resolved::Whole => {
                let mut edits = asked.edits;
                edits.remove("range");
                return Ok(self.as_whole(&asked.path, edits));
            }
        };
        let segments = SegmentSpan::covering(plain, &layout).ok_or(InternalError("a range beyond its object"))?;
        let Asked { path, has_condition, mut edits, .. } = asked;
        if self.part.is_none() {
            edits.set("range", segments.sealed.to_string());
        }
        // Ties the segments to the head: both are of one object, or there is no answer.
        edits.set("if-match", head.etag.clone());
        edits.remove("if-range");
        self.stage = Stage::Asking(Wanted { head, path, keys, plain, layout, segments, has_condition });
        Ok(HeadStep::Forward(edits))
    }

    fn response_to(&mut self, env: &mut Env<'_>, wanted: Wanted, head: &ResponseHead) -> Result<HeadStep, Error> {
        match head.status {
            206 => self.part(wanted, head),
            // Our own range, or our own condition, did not hold: the object was replaced since we looked.
            416 => Err(Error::ObjectChanged),
            412 if !wanted.has_condition => Err(Error::ObjectChanged),
            // The client's own conditions, errors, and a store that ignores ranges.
            _ => {
                let mut whole = GetObject::new(self.name.clone(), &wanted.path);
                let step = whole.response_head(env, head);
                self.stage = Stage::Whole(whole);
                step
            }
        }
    }

    /// The store's 206: it must be the segments that were asked for, of the object that was looked at.
    fn part(&mut self, wanted: Wanted, head: &ResponseHead) -> Result<HeadStep, Error> {
        let Wanted { head: looked_at, keys, plain, layout, segments, .. } = wanted;
        if Metadata::from_headers(&head.headers)?.as_ref() != Some(&looked_at.metadata) {
            return Err(Error::ObjectChanged);
        }
        let due = ContentRange::Part(segments.sealed, Some(looked_at.sealed_len));
        let is_due = match head.headers.text("content-range").ok().flatten() {
            Some(stated) => ContentRange::parse(stated) == Some(due),
            // Some stores state none for a partNumber.
            None => self.part.is_some() && content_length(head)? == Some(segments.sealed.len()),
        };
        if !is_due {
            return Err(IntegrityError::Response("the store answers with another range").into());
        }
        let mut edits = HeadEdits::default();
        hide_ciphertext(&head.headers, &mut edits);
        edits.set("content-length", plain.len().to_string());
        edits.set("content-range", ContentRange::Part(plain, Some(layout.plain_len())).to_string());
        let stated = looked_at.metadata.verify(&keys)?.plain_len;
        self.stage = Stage::Opening(RangeOpener::new(keys, stated, segments));
        Ok(HeadStep::Forward(edits))
    }
}

impl Role for GetRange {
    fn request_head(&mut self, env: &mut Env<'_>, head: &RequestHead) -> Result<HeadStep, Error> {
        let asked = Asked::from_request(head, self.part);
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
                let keys = env.learn(&head.metadata, &self.name, &unwrapped(answer)?)?;
                self.unlocked(env, asked, head, keys)
            }
            (Stage::Surveying(asked, stored, keys, mut survey), Answer::Head(head)) => match survey.answered(head)? {
                Found::Layout(layout) => self.surveyed(env, asked, stored, keys, layout),
                Found::Nothing => {
                    Err(RequestError::NotImplemented("a range of a multipart object in this store").into())
                }
                Found::Ask(request) => {
                    self.stage = Stage::Surveying(asked, stored, keys, survey);
                    Ok(HeadStep::Wait(Call::Head(request)))
                }
            },
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
            Stage::Refused(_)
                if (200..300).contains(&head.status) && Metadata::from_headers(&head.headers)?.is_some() =>
            {
                // It lets the client read what it did not let us look at a moment ago.
                return Err(Error::ObjectChanged);
            }
            Stage::Refused(mut whole) | Stage::Whole(mut whole) => {
                let step = whole.response_head(env, head);
                self.stage = Stage::Whole(whole);
                return step;
            }
            _ => return Err(InternalError("a response came before its request").into()),
        };
        let path = wanted.path.clone();
        let step = self.response_to(env, wanted, head);
        if step.is_err() || head.status != 206 {
            // What is known of the object has not stood the test.
            env.caches.heads.remove(&path);
        }
        step
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
    fn from_request(head: &RequestHead, part: Option<u16>) -> Self {
        let text = |name| head.headers.text(name).ok().flatten();
        let mut edits = HeadEdits::default();
        let path = credentials::remove(&head.path, &mut edits);
        let range = text("range").and_then(ByteRange::parse);
        Self {
            what: part.map(What::Part).or(range.map(What::Range)).unwrap_or(What::Whole),
            path: object_path(&path),
            if_range: text("if-range").map(str::to_owned),
            has_condition: text("if-match").is_some_and(|etags| etags != "*")
                || head.headers.has("if-unmodified-since"),
            edits,
        }
    }

    /// What is asked of an object with this ETag and layout.
    fn resolve(&self, etag: &str, layout: &Layout) -> Resolved {
        match self.what {
            _ if self.if_range.as_ref().is_some_and(|condition| condition != etag) => Resolved::Whole,
            What::Range(range) => range.resolve(layout.plain_len()),
            What::Part(number) => match layout.part(number).map(|(start, end)| (start, end.checked_sub(1))) {
                Some((start, Some(last))) => Span::new(start, last).map_or(Resolved::Whole, Resolved::Part),
                _ => Resolved::Unsatisfiable,
            },
            What::Whole => Resolved::Whole,
        }
    }

    /// Whether a head that is known needs no second look: only the store can say that a range is beyond the object's
    /// end, or that the client's own conditions hold, which our If-Match would hide.
    fn may_use(&self, known: &StoredHead) -> bool {
        let layout = known.layout.clone().or_else(|| Layout::single(plain_len(known.sealed_len)?));
        let resolved = layout.map(|layout| self.resolve(&known.etag, &layout));
        !self.has_condition && resolved.is_some_and(|resolved| resolved != Resolved::Unsatisfiable)
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
    Ok(Some(StoredHead { metadata, sealed_len, etag: etag.to_owned(), layout: None }))
}
