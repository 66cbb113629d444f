//! A range of an object that was replaced since its head was looked at: looked at once more, and read in one piece.
//!
//! By then the client's own request has been answered, so the filter asks in its place, and holds what it gets in memory. That is
//! for the ranges that clients ask for all the time; larger ones they have to ask for again themselves.

use super::call::{Answer, Call, CallBody, Reply, StoreAnswer, StoreRequest};
use super::get_range::{Asked, Wanted};
use super::look::{Look, Looked, Seen};
use super::{Env, HeadStep};
use crate::budget::Taken;
use crate::error::{Error, RequestError};
use crate::http::{HeadEdits, ResponseHead};
use crate::keys::ObjectName;
use crate::s3::etag;
use crate::s3::range::Resolved;

/// Plaintext bytes of the largest range. SDKs read large objects in ranges of 8 MiB.
const MAX: u64 = 8 << 20;

/// What a reply has of its own, or what is between the store and Envoy alone (RFC 9110 section 7.6.1).
const NOT_REPEATED: [&str; 6] = ["connection", "content-length", "date", "keep-alive", "server", "transfer-encoding"];

/// A second attempt.
pub struct Again {
    asked: Asked,
    look: Look,
    stage: Stage,
}

enum Stage {
    /// The object is being looked at.
    Looking,
    /// The store is being asked for these segments, which take this much memory.
    Reading(Box<Wanted>, Taken),
}

impl Again {
    /// Begins with a look that trusts no cache.
    pub fn begin(name: ObjectName, asked: Asked) -> (Self, HeadStep) {
        let (look, call) = Look::begin(name, asked.path.clone(), asked.on_behalf.clone());
        (Self { asked, look, stage: Stage::Looking }, HeadStep::Wait(call))
    }

    /// The answer to what was last asked for. [`Error::ObjectChanged`] if the client has to ask again.
    pub fn answered(&mut self, env: &mut Env<'_>, answer: Answer) -> Result<HeadStep, Error> {
        match std::mem::replace(&mut self.stage, Stage::Looking) {
            Stage::Looking => match self.look.answered(env, answer)? {
                Looked::Ask(call) => Ok(HeadStep::Wait(call)),
                Looked::Seen(seen) => self.read(env, *seen),
                Looked::Refused(_) | Looked::Unencrypted(_) => Err(Error::ObjectChanged),
            },
            Stage::Reading(wanted, _taken) => was_read(env, *wanted, answer.stored()?),
        }
    }

    fn read(&mut self, env: &mut Env<'_>, seen: Seen) -> Result<HeadStep, Error> {
        let plain = match self.asked.resolve(&seen.head) {
            Resolved::Part(span) if span.len() <= MAX => span,
            Resolved::Unsatisfiable if self.asked.is_range() => {
                return Err(RequestError::InvalidRange { plain_len: seen.head.layout.plain_len() }.into());
            }
            _ => return Err(Error::ObjectChanged),
        };
        let wanted = Wanted::new(seen, plain)?;
        // The segments, and the plaintext.
        let taken = env.caches.copying.take(2 * wanted.segments.sealed.len()).ok_or(Error::ObjectChanged)?;
        let etag = wanted.head.etag.clone();
        let mut request = StoreRequest::get_range(self.asked.whole_path.clone(), etag, wanted.segments.sealed);
        request.headers.extend(self.asked.on_behalf.clone());
        self.stage = Stage::Reading(Box::new(wanted), taken);
        Ok(HeadStep::Wait(Call::Store(request)))
    }
}

fn was_read(env: &mut Env<'_>, wanted: Wanted, answer: StoreAnswer) -> Result<HeadStep, Error> {
    let StoreAnswer { head, body: CallBody(sealed) } = answer;
    if head.status != 206 {
        return Err(Error::ObjectChanged);
    }
    let (edits, mut opener) = wanted.opened_by(&head)?;
    let mut plain = Vec::with_capacity(sealed.len());
    let opened = opener.push(&sealed, &mut plain).and_then(|()| opener.finish());
    env.account.opened += opener.take_volume();
    opened?;
    Ok(HeadStep::Reply(reply(&head, &edits, plain)))
}

/// The store's answer, as the client would have got it.
fn reply(head: &ResponseHead, edits: &HeadEdits, body: Vec<u8>) -> Reply {
    let repeated = head
        .headers
        .iter()
        .filter(|(name, _)| !name.starts_with(':') && !NOT_REPEATED.contains(name) && !edits.has(name));
    let shown = |(name, value): (&str, &[u8])| {
        let value = String::from_utf8(value.to_vec()).ok()?;
        Some((name.to_owned(), if name == "etag" { etag::shown(&value) } else { value }))
    };
    let set = edits.set.iter().filter(|(name, _)| name != "content-length").cloned();
    Reply { status: head.status, headers: repeated.filter_map(shown).chain(set).collect(), body }
}
