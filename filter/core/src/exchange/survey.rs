//! Where the parts of a multipart object lie: the store is asked for the heads of single parts.
//!
//! Two answers are enough if all parts but the last are of one length, as nearly all clients send them: the first part's,
//! which also says how many there are, and the last one's. If those two do not add up, every part is asked for. If the
//! store does not know parts by their numbers, the segments say where they lie.

use super::call::{StoreAnswer, StoreRequest};
use super::get_object::content_length;
use super::hop::{Hop, Hopped};
use crate::error::{Error, IntegrityError};
use crate::format::layout::Layout;
use crate::format::segment::MAX_PART;
use crate::http::{ResponseHead, parse_length};

/// Asks for the lengths of an object's parts, one after the other.
pub struct Survey {
    path: String,
    etag: String,
    sealed_len: u64,
    parts: u16,
    /// What is known so far, from the first part on.
    layout: Layout,
    stage: Stage,
}

enum Stage {
    First,
    Last { first: u64 },
    Each { next: u16 },
    Hopping(Hop),
}

/// What a survey came to.
pub enum Found {
    /// This is to be asked next.
    Ask(StoreRequest),
    /// The parts are known.
    Layout(Layout),
}

impl Survey {
    /// Begins with the object at `path`, which has that ETag and a body of that many bytes.
    pub fn begin(path: String, etag: String, sealed_len: u64) -> (Self, StoreRequest) {
        let survey = Self { path, etag, sealed_len, parts: 0, layout: Layout::default(), stage: Stage::First };
        let request = survey.head_of(1);
        (survey, request)
    }

    /// The answer to the request that was last given.
    pub fn answered(&mut self, answer: &StoreAnswer) -> Result<Found, Error> {
        match (&mut self.stage, answer.head.status) {
            (Stage::Hopping(hop), _) => {
                let hopped = hop.answered(answer)?;
                Ok(self.hopped(hopped))
            }
            (_, 404 | 412) => Err(Error::ObjectChanged),
            (Stage::First, 200 | 206) => self.first(&answer.head),
            (Stage::Last { first }, 200 | 206) => {
                let first = *first;
                self.last(first, length(&answer.head)?)
            }
            (Stage::Each { next }, 200 | 206) => {
                let next = *next;
                self.push(1, length(&answer.head)?)?;
                self.each(next + 1)
            }
            // Whatever it says of a parameter that it does not know.
            _ => self.hop(),
        }
    }

    fn hop(&mut self) -> Result<Found, Error> {
        let (hop, hopped) = Hop::begin(self.sealed_len)?;
        self.stage = Stage::Hopping(hop);
        Ok(self.hopped(hopped))
    }

    fn hopped(&self, hopped: Hopped) -> Found {
        match hopped {
            Hopped::Look(span) => Found::Ask(StoreRequest::get_range(self.path.clone(), self.etag.clone(), span)),
            Hopped::Over(layout) => Found::Layout(layout),
        }
    }

    fn first(&mut self, head: &ResponseHead) -> Result<Found, Error> {
        let count = head.headers.text("x-amz-mp-parts-count").ok().flatten().and_then(parse_length);
        let Some(parts) = count.and_then(|count| u16::try_from(count).ok()) else { return self.hop() };
        let len = length(head)?;
        if !(1..=MAX_PART).contains(&parts) {
            return Err(IntegrityError::Response("it has an impossible number of parts").into());
        }
        self.parts = parts;
        self.push(1, len)?;
        if parts == 1 {
            return self.each(2);
        }
        self.stage = Stage::Last { first: len };
        Ok(Found::Ask(self.head_of(parts)))
    }

    fn last(&mut self, first: u64, last: u64) -> Result<Found, Error> {
        let before_last = first.checked_mul(u64::from(self.parts) - 1);
        if before_last.and_then(|before| before.checked_add(last)) == Some(self.sealed_len) {
            self.push(self.parts - 2, first)?;
            self.push(1, last)?;
            return self.each(self.parts + 1);
        }
        self.each(2)
    }

    fn each(&mut self, next: u16) -> Result<Found, Error> {
        if next <= self.parts {
            self.stage = Stage::Each { next };
            return Ok(Found::Ask(self.head_of(next)));
        }
        match self.layout.sealed_len() == self.sealed_len {
            true => Ok(Found::Layout(std::mem::take(&mut self.layout))),
            false => Err(IntegrityError::Response("its parts do not add up to its length").into()),
        }
    }

    fn push(&mut self, count: u16, len: u64) -> Result<(), IntegrityError> {
        if count == 0 {
            return Ok(());
        }
        self.layout.push(count, len).ok_or(IntegrityError::Response("a part has an impossible length"))
    }

    fn head_of(&self, part: u16) -> StoreRequest {
        let separator = if self.path.contains('?') { '&' } else { '?' };
        let path = format!("{}{separator}partNumber={part}", self.path);
        StoreRequest::head(path, vec![("if-match".to_owned(), self.etag.clone())])
    }
}

fn length(head: &ResponseHead) -> Result<u64, IntegrityError> {
    content_length(head)?.ok_or(IntegrityError::Response("a part's head states no length"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::call::CallBody;
    use crate::http::Headers;

    fn answer(status: u16, headers: Headers) -> StoreAnswer {
        StoreAnswer { head: ResponseHead { status, headers, is_end: true }, body: CallBody::default() }
    }

    /// Surveys an object of parts with these body lengths; gives the result and the parts that were asked for.
    fn survey(parts: &[u64]) -> (Layout, Vec<u16>) {
        let (mut survey, mut request) = Survey::begin("/b/k?versionId=1".into(), "\"e\"".into(), parts.iter().sum());
        let mut asked = Vec::new();
        loop {
            let part: u16 = request.path.strip_prefix("/b/k?versionId=1&partNumber=").unwrap().parse().unwrap();
            asked.push(part);
            let headers = [
                ("content-length", parts[usize::from(part) - 1].to_string()),
                ("x-amz-mp-parts-count", parts.len().to_string()),
            ];
            let headers: Headers = headers.into_iter().collect();
            match survey.answered(&answer(206, headers)).unwrap() {
                Found::Ask(next) => request = next,
                Found::Layout(layout) => return (layout, asked),
            }
        }
    }

    #[test]
    fn as_few_parts_are_asked_for_as_can_be() {
        let cases: [(&[u64], &[u16]); 6] = [
            (&[49], &[1]),
            (&[65_584, 49], &[1, 2]),
            (&[65_584, 65_584, 65_584, 100], &[1, 4]),
            (&[100, 100, 49], &[1, 3]),
            (&[100, 200, 300, 49], &[1, 4, 2, 3, 4]),
            (&[100, 200], &[1, 2]),
        ];
        for (parts, expected) in cases {
            let (layout, asked) = survey(parts);
            let mut walked = Layout::default();
            parts.iter().for_each(|part| walked.push(1, *part).unwrap());
            assert_eq!(layout, walked, "{parts:?}");
            assert_eq!(asked, expected, "{parts:?}");
        }
    }

    #[test]
    fn a_store_without_part_numbers_is_asked_for_segments() {
        for status in [200, 400, 501] {
            let (mut survey, _) = Survey::begin("/b/k".into(), "\"e\"".into(), 49);
            let headers: Headers = [("content-length", "49")].into_iter().collect();
            let Found::Ask(request) = survey.answered(&answer(status, headers)).unwrap() else { panic!("{status}") };
            assert_eq!((request.method, request.path.as_str()), ("GET", "/b/k"));
            assert_eq!(request.headers[0], ("range".to_owned(), "bytes=0-31".to_owned()));
        }
    }
}
