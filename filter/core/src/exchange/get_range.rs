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
//!                                                   └──► 412: replaced since, so everything again, once ([`Again`])
//! ```

use std::rc::Rc;

use super::again::Again;
use super::call::{ON_BEHALF, kept};
use super::get_object::{GetObject, check_unencrypted, object_path, remove_ours};
use super::look::{Look, Looked, Seen};
use super::{Answer, Body, Env, HeadStep, Role, hide_ciphertext};
use crate::account::Account;
use crate::caches::StoredHead;
use crate::error::{Error, IntegrityError, InternalError, RequestError};
use crate::format::metadata::{Attributes, Metadata};
use crate::http::{HeadEdits, RequestHead, ResponseHead};
use crate::keys::{ObjectKeys, ObjectName};
use crate::open::RangeOpener;
use crate::s3::query;
use crate::s3::range::{ByteRange, ContentRange, Resolved, SegmentSpan, Span};

/// Headers of the request that decide whether the store answers at all.
const CONDITIONS: [&str; 4] = ["if-match", "if-none-match", "if-modified-since", "if-unmodified-since"];

/// A read of a part of one object.
pub struct GetRange {
    name: ObjectName,
    /// `partNumber`, if that is what is asked for.
    part: Option<u16>,
    /// HeadObject of a part.
    is_head: bool,
    stage: Stage,
    /// The same read without a range, if it comes to that.
    whole: GetObject,
}

enum Stage {
    /// Nothing has come yet.
    Start,
    /// The object is being looked at.
    Looking(Asked, Look),
    /// The store is being asked for these segments.
    Asking(Asked, Box<Wanted>),
    /// The object was replaced meanwhile, and this reads it again.
    Again(Box<Again>),
    /// The segments stream.
    Opening(RangeOpener),
    /// The store did not let us look, and will say so to the client.
    Refused,
    /// There is nothing to cut: it is read as a whole, or it is not ours.
    Whole,
}

/// What the client asked for.
pub struct Asked {
    what: What,
    /// What the store knows the object by.
    pub path: String,
    /// The request's path without a partNumber: not every store knows parts by number, and of a copy none does.
    pub whole_path: String,
    /// Headers for requests of the filter's own.
    pub on_behalf: Vec<(String, String)>,
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
pub struct Wanted {
    /// Of the object that was looked at.
    pub head: StoredHead,
    attributes: Attributes,
    keys: Rc<ObjectKeys>,
    plain: Span,
    /// Those that hold the range.
    pub segments: SegmentSpan,
}

impl GetRange {
    /// A read of a range of `name`, or of one of its parts.
    pub fn new(name: ObjectName, part: Option<u16>, head: &RequestHead) -> Self {
        Self {
            part,
            is_head: head.method == "HEAD",
            stage: Stage::Start,
            whole: GetObject::new(name.clone(), head),
            name,
        }
    }

    /// Reads the object as if no range had been asked for, as far as S3EP is concerned.
    fn as_whole(&mut self, edits: HeadEdits) -> HeadStep {
        self.stage = Stage::Whole;
        HeadStep::Forward(edits)
    }

    fn looked(&mut self, env: &Env<'_>, asked: Asked, look: Look, looked: Looked) -> Result<HeadStep, Error> {
        match looked {
            Looked::Ask(call) => {
                self.stage = Stage::Looking(asked, look);
                Ok(HeadStep::Wait(call))
            }
            Looked::Refused(_) => {
                // The store will tell the client the same.
                self.stage = Stage::Refused;
                Ok(HeadStep::Forward(asked.edits))
            }
            Looked::Unencrypted(_) => {
                check_unencrypted(env)?;
                Ok(self.as_whole(asked.edits))
            }
            Looked::Seen(seen) => self.ask(asked, *seen),
        }
    }

    /// Turns the plaintext range into the segments to ask for.
    fn ask(&mut self, asked: Asked, seen: Seen) -> Result<HeadStep, Error> {
        let plain = match asked.resolve(&seen.head) {
            Resolved::Part(span) => span,
            Resolved::Unsatisfiable if self.part.is_some() => return Err(RequestError::InvalidPartNumber.into()),
            Resolved::Unsatisfiable => {
                return Err(RequestError::InvalidRange { plain_len: seen.head.layout.plain_len() }.into());
            }
            Resolved::Whole => {
                let mut edits = asked.edits;
                edits.remove("range");
                edits.set(":path", asked.whole_path);
                return Ok(self.as_whole(edits));
            }
        };
        let wanted = Wanted::new(seen, plain)?;
        let mut edits = asked.edits.clone();
        edits.set("range", wanted.segments.sealed.to_string());
        edits.set(":path", asked.whole_path.clone());
        // Ties the segments to the head: both are of one object, or there is no answer.
        edits.set("if-match", wanted.head.etag.clone());
        edits.remove("if-range");
        self.stage = Stage::Asking(asked, Box::new(wanted));
        Ok(HeadStep::Forward(edits))
    }

    fn response_to(
        &mut self,
        env: &mut Env<'_>,
        asked: Asked,
        wanted: Box<Wanted>,
        head: &ResponseHead,
    ) -> Result<HeadStep, Error> {
        let step = match head.status {
            206 => self.part(*wanted, head),
            // Our own range, or our own condition, did not hold.
            416 => Err(Error::ObjectChanged),
            412 if !asked.has_condition => Err(Error::ObjectChanged),
            // The client's own conditions, errors, and a store that ignores ranges.
            _ => {
                self.stage = Stage::Whole;
                return self.whole.response_head(env, head);
            }
        };
        match step {
            // It was replaced since we looked. A HEAD has no body that could go with an answer of ours.
            Err(Error::ObjectChanged) if !asked.has_condition && !self.is_head => {
                let (again, step) = Again::begin(self.name.clone(), asked);
                self.stage = Stage::Again(Box::new(again));
                Ok(step)
            }
            step => step,
        }
    }

    /// The store's 206.
    fn part(&mut self, wanted: Wanted, head: &ResponseHead) -> Result<HeadStep, Error> {
        let (mut edits, opener) = wanted.opened_by(head)?;
        if self.part.is_some() && wanted.head.metadata.is_multipart() {
            edits.set("x-amz-mp-parts-count", wanted.head.layout.parts().to_string());
        }
        self.stage = Stage::Opening(opener);
        Ok(HeadStep::Forward(edits))
    }
}

impl Wanted {
    /// The segments that hold these bytes of an object.
    pub fn new(seen: Seen, plain: Span) -> Result<Self, InternalError> {
        let Seen { head, attributes, keys, .. } = seen;
        let segments = SegmentSpan::covering(plain, &head.layout).ok_or(InternalError("a range beyond its object"))?;
        Ok(Self { head, attributes, keys, plain, segments })
    }

    /// What opens a 206 of the store's, which must be the segments that were asked for, of the object that was looked at; and
    /// what its head needs.
    pub fn opened_by(&self, head: &ResponseHead) -> Result<(HeadEdits, RangeOpener), Error> {
        if Metadata::from_headers(&head.headers)?.as_ref() != Some(&self.head.metadata) {
            return Err(Error::ObjectChanged);
        }
        let due = ContentRange::Part(self.segments.sealed, Some(self.head.sealed_len));
        if head.headers.text("content-range").ok().flatten().and_then(ContentRange::parse) != Some(due) {
            return Err(IntegrityError::Response("the store answers with another range").into());
        }
        let mut edits = HeadEdits::default();
        hide_ciphertext(&head.headers, &mut edits);
        edits.set("content-length", self.plain.len().to_string());
        edits.set("content-range", ContentRange::Part(self.plain, Some(self.head.layout.plain_len())).to_string());
        Ok((edits, RangeOpener::new(Rc::clone(&self.keys), self.attributes.plain_len, self.segments)))
    }
}

impl Role for GetRange {
    fn request_head(&mut self, env: &mut Env<'_>, head: &RequestHead) -> Result<HeadStep, Error> {
        let asked = Asked::from_request(head, self.part);
        let (name, path) = (self.name.clone(), asked.path.clone());
        let known = env.caches.heads.get(&path, env.now).filter(|known| asked.may_use(known)).cloned();
        let (look, looked) = match known {
            Some(known) => Look::known(env, name, path, known)?,
            None => {
                let (look, call) = Look::begin(name, path, kept(&head.headers, CONDITIONS.iter().chain(&ON_BEHALF)));
                (look, Looked::Ask(call))
            }
        };
        self.looked(env, asked, look, looked)
    }

    fn answer(&mut self, env: &mut Env<'_>, answer: Answer) -> Result<HeadStep, Error> {
        match (std::mem::replace(&mut self.stage, Stage::Start), answer) {
            (Stage::Looking(asked, mut look), answer) => {
                let looked = look.answered(env, answer)?;
                self.looked(env, asked, look, looked)
            }
            (Stage::Again(mut again), answer) => {
                let step = again.answered(env, answer)?;
                self.stage = Stage::Again(again);
                Ok(step)
            }
            (Stage::Whole, answer) => {
                self.stage = Stage::Whole;
                self.whole.answer(env, answer)
            }
            _ => Err(InternalError("an answer came that nobody asked for").into()),
        }
    }

    fn response_head(&mut self, env: &mut Env<'_>, head: &ResponseHead) -> Result<HeadStep, Error> {
        let (asked, wanted) = match std::mem::replace(&mut self.stage, Stage::Start) {
            Stage::Asking(asked, wanted) => (asked, wanted),
            Stage::Refused if (200..300).contains(&head.status) && Metadata::from_headers(&head.headers)?.is_some() => {
                // It lets the client read what it did not let us look at a moment ago.
                return Err(Error::ObjectChanged);
            }
            Stage::Refused | Stage::Whole => {
                self.stage = Stage::Whole;
                return self.whole.response_head(env, head);
            }
            _ => return Err(InternalError("a response came before its request").into()),
        };
        let path = asked.path.clone();
        let step = self.response_to(env, asked, wanted, head);
        if step.is_err() || head.status != 206 {
            // What is known of the object has not stood the test.
            env.caches.heads.remove(&path);
        }
        step
    }

    fn response_body(&mut self, window: &[u8], is_end: bool) -> Result<Body, Error> {
        match &mut self.stage {
            Stage::Opening(opener) => {
                let mut plain = Vec::new();
                opener.push(window, &mut plain)?;
                if is_end {
                    opener.finish()?;
                }
                Ok(Body::Replaced(plain))
            }
            Stage::Whole => self.whole.response_body(window, is_end),
            _ => Err(InternalError("a body came before its head").into()),
        }
    }

    fn response_trailers(&mut self) -> Result<(), Error> {
        match &mut self.stage {
            Stage::Opening(opener) => Ok(opener.finish()?),
            Stage::Whole => self.whole.response_trailers(),
            _ => Err(InternalError("a body came before its head").into()),
        }
    }

    fn settle(&mut self, account: &mut Account) {
        match &mut self.stage {
            Stage::Opening(opener) => account.opened += opener.take_volume(),
            _ => self.whole.settle(account),
        }
    }
}

impl Asked {
    fn from_request(head: &RequestHead, part: Option<u16>) -> Self {
        let text = |name| head.headers.text(name).ok().flatten();
        let mut edits = HeadEdits::default();
        let path = remove_ours(head, &mut edits);
        let range = text("range").and_then(ByteRange::parse);
        Self {
            what: part.map(What::Part).or(range.map(What::Range)).unwrap_or(What::Whole),
            path: object_path(&path),
            whole_path: query::retain(&path, |name| name != "partNumber"),
            on_behalf: kept(&head.headers, &ON_BEHALF),
            if_range: text("if-range").map(str::to_owned),
            has_condition: text("if-match").is_some_and(|etags| etags != "*")
                || head.headers.has("if-unmodified-since"),
            edits,
        }
    }

    /// Whether it is a Range.
    pub fn is_range(&self) -> bool {
        matches!(self.what, What::Range(_))
    }

    /// What is asked of the object with this head.
    pub fn resolve(&self, head: &StoredHead) -> Resolved {
        match self.what {
            _ if self.if_range.as_ref().is_some_and(|condition| *condition != head.etag) => Resolved::Whole,
            What::Range(range) => range.resolve(head.layout.plain_len()),
            What::Part(number) => part(number, head),
            What::Whole => Resolved::Whole,
        }
    }

    /// Whether a head that is known needs no second look: only the store can say that a range is beyond the object's
    /// end, or that the client's own conditions hold, which our If-Match would hide.
    fn may_use(&self, known: &StoredHead) -> bool {
        !self.has_condition && self.resolve(known) != Resolved::Unsatisfiable
    }
}

/// An object that no multipart upload made, or that was copied since, is a part by itself.
fn part(number: u16, head: &StoredHead) -> Resolved {
    let found = match head.metadata.is_multipart() {
        true => head.layout.part(number),
        false => (number == 1).then_some((0, head.layout.plain_len())),
    };
    match found {
        // An empty object is its own part 1.
        Some(_) if head.layout.plain_len() == 0 => Resolved::Whole,
        Some((start, end)) if start < end => Span::new(start, end - 1).map_or(Resolved::Unsatisfiable, Resolved::Part),
        _ => Resolved::Unsatisfiable,
    }
}
