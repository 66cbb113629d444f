//! UploadPartCopy: opened under the source's DEK and sealed under the upload's.
//!
//! The store cannot do it, because the two DEKs differ; and a request without a body, as this one is, cannot gain one on
//! its way. So the filter reads the source window by window, holds the sealed part in memory, within the configured
//! bounds, writes it with a request of its own, and answers the client itself.
//!
//! ```text
//! upload's DEK ► look at the source ► GET window ► open, seal ─┬► PUT part ► CopyPartResult
//!                                        ▲                     │
//!                                        └── more to read ─────┘
//! ```

use std::rc::Rc;

use zeroize::Zeroizing;

use super::call::{Answer, Call, CallBody, ON_BEHALF, Reply, StoreAnswer, StoreRequest, kept};
use super::get_object::{CiphertextGuard, check_unencrypted, content_length};
use super::look::{Look, Looked, Seen};
use super::upload_keys::{Found, UploadKeys};
use super::{Body, Env, HeadStep, Role, source};
use crate::account::Account;
use crate::budget::Taken;
use crate::date::iso_8601;
use crate::error::{Error, IntegrityError, InternalError, RequestError};
use crate::format::layout::{Layout, sealed_len};
use crate::http::{HeadEdits, Headers, RequestHead, ResponseHead};
use crate::keys::{ObjectKeys, ObjectName};
use crate::open::RangeOpener;
use crate::s3::copy_source::CopySource;
use crate::s3::etag;
use crate::s3::multipart::UploadId;
use crate::s3::range::{ByteRange, ContentRange, SegmentSpan, Span};
use crate::s3::xml;
use crate::seal::Sealer;
use crate::sigv4::credentials;

/// Body bytes of the source that are asked for at a time.
const WINDOW: u64 = 4 << 20;

/// A copy of an object, or of a range of it, into a part of an upload.
pub struct UploadPartCopy {
    name: ObjectName,
    part: u16,
    source: CopySource,
    upload_id: UploadId,
    /// The range of the source, if it is not all of it.
    range: Option<Span>,
    /// Headers of the requests for the source's head, and for the part.
    read_headers: Vec<(String, String)>,
    write_headers: Vec<(String, String)>,
    /// Where the part is written.
    path: String,
    stage: Stage,
}

enum Stage {
    /// Nothing has come yet.
    Start,
    /// The KMS is being asked for the upload's DEK.
    Unlocking(Box<UploadKeys>),
    /// The source is being looked at.
    Looking(Rc<ObjectKeys>, Look),
    /// The store is being asked for a window of the source.
    Reading(Box<Reading>),
    /// The store is being given the part.
    Writing { source_version: Option<String>, _held: Taken },
}

/// A source that is being read.
struct Reading {
    etag: String,
    version: Option<String>,
    /// Bytes of the source's body.
    sealed_len: u64,
    /// What is being asked for.
    window: Span,
    /// Offset of the last byte to ask for.
    last: u64,
    opener: Opener,
    sealer: Sealer,
    sealed: Vec<u8>,
    held: Taken,
}

/// What makes plaintext of the source's bytes.
enum Opener {
    Segments(RangeOpener),
    /// It is plaintext.
    Unencrypted(CiphertextGuard),
}

impl UploadPartCopy {
    /// A copy of `source` to a part of an upload of `name`.
    pub fn new(name: ObjectName, part: u16, upload_id: UploadId, source: CopySource) -> Self {
        Self {
            name,
            part,
            source,
            upload_id,
            range: None,
            read_headers: Vec::new(),
            write_headers: Vec::new(),
            path: String::new(),
            stage: Stage::Start,
        }
    }

    fn unlocked(&mut self, keys: Rc<ObjectKeys>) -> HeadStep {
        let headers = std::mem::take(&mut self.read_headers);
        let (look, call) = Look::begin(self.source.name.clone(), self.source.path(), headers);
        self.stage = Stage::Looking(keys, look);
        HeadStep::Wait(call)
    }

    fn looked(
        &mut self,
        env: &mut Env<'_>,
        keys: Rc<ObjectKeys>,
        look: Look,
        looked: Looked,
    ) -> Result<HeadStep, Error> {
        match looked {
            Looked::Ask(call) => {
                self.stage = Stage::Looking(keys, look);
                Ok(HeadStep::Wait(call))
            }
            Looked::Refused(head) => Err(source::refusal(head.status)),
            Looked::Unencrypted(head) => self.unencrypted(env, keys, &head),
            Looked::Seen(seen) => self.seen(env, keys, *seen),
        }
    }

    fn seen(&mut self, env: &mut Env<'_>, keys: Rc<ObjectKeys>, seen: Seen) -> Result<HeadStep, Error> {
        let plain = self.plain_span(seen.head.layout.plain_len())?;
        let segments = plain.map(|plain| covering(plain, &seen.head.layout)).transpose()?;
        let of_source = Source {
            etag: seen.head.etag,
            version: version(&seen.headers),
            len: seen.head.sealed_len,
            wanted: segments.map(|segments| segments.sealed),
        };
        let opener = segments.map(|segments| RangeOpener::new(seen.keys, seen.attributes.plain_len, segments));
        self.begin(env, keys, plain, of_source, opener.map(Opener::Segments))
    }

    /// An object that is not encrypted is sealed on its way.
    fn unencrypted(&mut self, env: &mut Env<'_>, keys: Rc<ObjectKeys>, head: &ResponseHead) -> Result<HeadStep, Error> {
        check_unencrypted(env)?;
        let len = content_length(head)?.ok_or(IntegrityError::Response("its head states no length"))?;
        let plain = self.plain_span(len)?;
        let etag = head.headers.text("etag").ok().flatten().ok_or(IntegrityError::Response("its head has no ETag"))?;
        let of_source = Source { etag: etag.to_owned(), version: version(&head.headers), len, wanted: plain };
        let opener = Opener::Unencrypted(CiphertextGuard::new(Some(len)));
        self.begin(env, keys, plain, of_source, Some(opener))
    }

    /// The plaintext bytes to copy. None: there are none.
    fn plain_span(&self, plain_len: u64) -> Result<Option<Span>, RequestError> {
        match self.range {
            None => Ok(plain_len.checked_sub(1).and_then(|last| Span::new(0, last))),
            Some(span) if span.last() < plain_len => Ok(Some(span)),
            Some(_) => Err(RequestError::CopyRange { plain_len }),
        }
    }

    fn begin(
        &mut self,
        env: &mut Env<'_>,
        keys: Rc<ObjectKeys>,
        plain: Option<Span>,
        of_source: Source,
        opener: Option<Opener>,
    ) -> Result<HeadStep, Error> {
        let len = plain.map_or(0, Span::len);
        let max = env.config.upload_part_copy.max_part_bytes;
        let due = sealed_len(len).filter(|_| len <= max).ok_or(RequestError::CopyTooLarge { max })?;
        let held = env.caches.copying.take(len).ok_or(Error::TooManyCopies)?;
        let Source { etag, version, len: source_len, wanted } = of_source;
        let (Some(wanted), Some(opener)) = (wanted, opener) else {
            return Ok(self.write(Vec::new(), version, held));
        };
        let window = window_from(wanted.first(), wanted.last())?;
        let sealer = Sealer::new(keys, self.part, len);
        let sealed = Vec::with_capacity(usize::try_from(due).unwrap_or_default());
        let (sealed_len, last) = (source_len, wanted.last());
        Ok(self.read(Box::new(Reading { etag, version, sealed_len, window, last, opener, sealer, sealed, held })))
    }

    fn read(&mut self, reading: Box<Reading>) -> HeadStep {
        let request = StoreRequest::get_range(self.source.path(), reading.etag.clone(), reading.window);
        self.stage = Stage::Reading(reading);
        HeadStep::Wait(Call::Store(request))
    }

    fn was_read(
        &mut self,
        env: &mut Env<'_>,
        mut reading: Box<Reading>,
        answer: &StoreAnswer,
    ) -> Result<HeadStep, Error> {
        reading.check(answer)?;
        let resealed = reading.reseal(env, &answer.body);
        reading.settle(env.account);
        resealed?;
        if reading.window.last() < reading.last {
            reading.window = window_from(reading.window.last() + 1, reading.last)?;
            return Ok(self.read(reading));
        }
        if let Opener::Segments(opener) = &mut reading.opener {
            opener.finish()?;
        }
        reading.sealer.finish(env.entropy, &mut reading.sealed)?;
        reading.settle(env.account);
        let Reading { sealed, version, held, .. } = *reading;
        Ok(self.write(sealed, version, held))
    }

    fn write(&mut self, sealed: Vec<u8>, source_version: Option<String>, held: Taken) -> HeadStep {
        let headers = std::mem::take(&mut self.write_headers);
        self.stage = Stage::Writing { source_version, _held: held };
        HeadStep::Wait(Call::Store(StoreRequest::put(self.path.clone(), headers, sealed)))
    }
}

/// What a look at the source came to.
struct Source {
    etag: String,
    version: Option<String>,
    /// Bytes of its body.
    len: u64,
    /// Those to read.
    wanted: Option<Span>,
}

impl Reading {
    /// Whether the store answers with the window that was asked for.
    fn check(&self, answer: &StoreAnswer) -> Result<(), Error> {
        match answer.head.status {
            206 => {}
            404 | 412 | 416 => return Err(Error::ObjectChanged),
            _ => return Err(Error::StoreUnavailable),
        }
        let stated = answer.head.headers.text("content-range").ok().flatten().and_then(ContentRange::parse);
        let is_due = stated == Some(ContentRange::Part(self.window, Some(self.sealed_len)));
        match is_due && answer.body.0.len() as u64 == self.window.len() {
            true => Ok(()),
            false => Err(IntegrityError::Response("the store answers with another range").into()),
        }
    }

    fn settle(&mut self, account: &mut Account) {
        if let Opener::Segments(opener) = &mut self.opener {
            account.opened += opener.take_volume();
        }
        account.sealed += self.sealer.take_volume();
    }

    fn reseal(&mut self, env: &mut Env<'_>, CallBody(bytes): &CallBody) -> Result<(), Error> {
        match &mut self.opener {
            Opener::Segments(opener) => {
                let mut plain = Zeroizing::new(Vec::with_capacity(bytes.len()));
                opener.push(bytes, &mut plain)?;
                self.sealer.push(env.entropy, &plain, &mut self.sealed)
            }
            Opener::Unencrypted(guard) => match guard.push(bytes, self.window.last() == self.last)? {
                Body::Unchanged => self.sealer.push(env.entropy, bytes, &mut self.sealed),
                Body::Replaced(plain) => self.sealer.push(env.entropy, &plain, &mut self.sealed),
            },
        }
    }
}

impl Role for UploadPartCopy {
    fn request_head(&mut self, env: &mut Env<'_>, head: &RequestHead) -> Result<HeadStep, Error> {
        self.range = match head.headers.text("x-amz-copy-source-range") {
            Ok(None) => None,
            Ok(Some(text)) => Some(bounded(text)?),
            Err(_) => return Err(BAD_RANGE.into()),
        };
        self.read_headers = source::head_headers(&head.headers);
        self.write_headers = kept(&head.headers, &ON_BEHALF);
        let path = credentials::remove(head, &mut HeadEdits::default());
        self.path = self.upload_id.address(&path);
        match UploadKeys::find(env, &self.name, &self.upload_id)? {
            Found::Keys(keys) => Ok(self.unlocked(keys)),
            Found::Ask(asked, call) => {
                self.stage = Stage::Unlocking(asked);
                Ok(HeadStep::Wait(call))
            }
        }
    }

    fn answer(&mut self, env: &mut Env<'_>, answer: Answer) -> Result<HeadStep, Error> {
        match std::mem::replace(&mut self.stage, Stage::Start) {
            Stage::Unlocking(asked) => {
                let keys = asked.answered(env, answer)?;
                Ok(self.unlocked(keys))
            }
            Stage::Looking(keys, mut look) => {
                let looked = look.answered(env, answer)?;
                self.looked(env, keys, look, looked)
            }
            Stage::Reading(reading) => self.was_read(env, reading, &answer.stored()?),
            Stage::Writing { source_version, .. } => written(env, answer.stored()?, source_version),
            Stage::Start => Err(InternalError("an answer came that nobody asked for").into()),
        }
    }

    fn response_head(&mut self, _: &mut Env<'_>, _: &ResponseHead) -> Result<HeadStep, Error> {
        Err(InternalError("a copy of a part went on to the store").into())
    }
}

const BAD_RANGE: RequestError = RequestError::InvalidArgument(
    "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based \
     offsets of the first and last bytes to copy",
);

fn bounded(text: &str) -> Result<Span, RequestError> {
    match ByteRange::parse(text) {
        Some(ByteRange::Bounded(span)) => Ok(span),
        _ => Err(BAD_RANGE),
    }
}

fn covering(plain: Span, layout: &Layout) -> Result<SegmentSpan, InternalError> {
    SegmentSpan::covering(plain, layout).ok_or(InternalError("a range beyond its object"))
}

/// The window from `first` on, of what ends at `last`.
fn window_from(first: u64, last: u64) -> Result<Span, InternalError> {
    Span::new(first, last.min(first.saturating_add(WINDOW - 1))).ok_or(InternalError("a window beyond its object"))
}

fn version(headers: &Headers) -> Option<String> {
    headers.text("x-amz-version-id").ok().flatten().map(str::to_owned)
}

/// What the client hears of the store's answer to the part. An error is the store's own.
fn written(env: &Env<'_>, answer: StoreAnswer, source_version: Option<String>) -> Result<HeadStep, Error> {
    let StoreAnswer { head, body: CallBody(document) } = answer;
    let mut headers = vec![("content-type".to_owned(), "application/xml".to_owned())];
    if head.status != 200 {
        return Ok(HeadStep::Reply(Reply { status: head.status, headers, body: document }));
    }
    let etag = head.headers.text("etag").ok().flatten().ok_or(IntegrityError::Response("a part has no ETag"))?;
    let encryption = head.headers.iter().filter(|(name, _)| name.starts_with("x-amz-server-side-encryption"));
    headers.extend(
        encryption.filter_map(|(name, value)| Some((name.to_owned(), String::from_utf8(value.to_vec()).ok()?))),
    );
    headers.extend(source_version.map(|version| ("x-amz-copy-source-version-id".to_owned(), version)));
    let body = xml::document(
        "CopyPartResult",
        &format!("<LastModified>{}</LastModified><ETag>{}</ETag>", iso_8601(env.now), xml::escape(&etag::shown(etag))),
    );
    Ok(HeadStep::Reply(Reply { status: 200, headers, body: body.into_bytes() }))
}
