//! Where the parts of a multipart object lie, in a store that does not know them by number: what the headers of some
//! segments say.
//!
//! The segments of a part lie on a grid of 65,584 bytes from the part's start (FORMAT.md section 5), so that the last of
//! them is found by bisection: 14 looks in a part of 1 GiB. A part that is as long as the one before it takes one, and
//! a run of equal parts up to the last one takes one more. (Parts of different lengths that end where equal ones would
//! are taken for equal: a range in them breaks off.) The headers are not authenticated here, and need not be: who reads
//! at an offset checks that the segment there is the one that belongs there.

use super::call::StoreAnswer;
use crate::error::{Error, IntegrityError};
use crate::format::layout::{Layout, OVERHEAD, SEALED_SEGMENT};
use crate::format::segment::{HEADER_LEN, Place, SegmentHeader};
use crate::s3::range::Span;

/// Finds the parts of an object one after the other.
pub struct Hop {
    sealed_len: u64,
    /// The parts before the current one.
    layout: Layout,
    /// The current part's number.
    part: u16,
    /// Where the current part starts.
    start: u64,
    looking: Looking,
}

/// At what the store is being asked.
#[derive(Clone, Copy)]
enum Looking {
    /// Whether the object's last part starts behind `count` more parts of `len` bytes.
    AtLastPart { count: u16, len: u64 },
    /// Segment `index` of the current part, whose last one is between `low` and `high`.
    At { index: u64, low: u64, high: u64 },
}

/// What came of a look.
pub enum Hopped {
    /// These bytes are to be looked at.
    Look(Span),
    /// All parts are known.
    Over(Layout),
}

impl Hop {
    /// Begins in an object of that many bytes.
    pub fn begin(sealed_len: u64) -> Result<(Self, Hopped), Error> {
        let looking = Looking::At { index: 0, low: 0, high: 0 };
        let mut hop = Self { sealed_len, layout: Layout::default(), part: 1, start: 0, looking };
        if sealed_len == 0 {
            // One part, and no segment in it.
            return Ok((hop, Hopped::Over(Layout::single(0).unwrap_or_default())));
        }
        hop.enter(None)?;
        let span = hop.span()?;
        Ok((hop, Hopped::Look(span)))
    }

    /// The answer to the look that was last asked for.
    pub fn answered(&mut self, answer: &StoreAnswer) -> Result<Hopped, Error> {
        match answer.head.status {
            206 => {}
            404 | 412 => return Err(Error::ObjectChanged),
            _ => return Err(Error::StoreUnavailable),
        }
        let bytes = answer.body.0.as_slice().try_into();
        let bytes: &[u8; HEADER_LEN] = bytes.map_err(|_| broken("the store answers with another range"))?;
        match (self.looking, SegmentHeader::parse(bytes).ok()) {
            (Looking::AtLastPart { count, len }, header) => self.leapt(count, len, header)?,
            (Looking::At { index, low, high }, header) => match header.filter(|header| self.is_at(header, index)) {
                Some(header) if header.is_final => {
                    let len = index * SEALED_SEGMENT + OVERHEAD + u64::from(header.len);
                    return self.found(len);
                }
                Some(_) => self.bisect(index + 1, high)?,
                None => self.bisect(low, index.checked_sub(1).ok_or(broken("a part has no beginning"))?)?,
            },
        }
        Ok(Hopped::Look(self.span()?))
    }

    fn is_at(&self, header: &SegmentHeader, index: u64) -> bool {
        header.place.part == self.part && u64::from(header.place.index) == index
    }

    /// The current part is of `len` bytes.
    fn found(&mut self, len: u64) -> Result<Hopped, Error> {
        self.push(1, len)?;
        if self.start == self.sealed_len {
            return Ok(Hopped::Over(std::mem::take(&mut self.layout)));
        }
        match u16::try_from(self.room()? / len) {
            Ok(0) | Err(_) => self.enter(Some(len))?,
            Ok(count) => self.looking = Looking::AtLastPart { count, len },
        }
        Ok(Hopped::Look(self.span()?))
    }

    fn leapt(&mut self, count: u16, len: u64, header: Option<SegmentHeader>) -> Result<(), Error> {
        let last = self.part.checked_add(count).map(|part| Place { part, index: 0 });
        if header.map(|header| header.place) == last {
            self.push(count, len)?;
        }
        self.enter(Some(len))
    }

    fn push(&mut self, count: u16, len: u64) -> Result<(), Error> {
        self.layout.push(count, len).ok_or(broken("its parts are impossible"))?;
        self.part = self.part.checked_add(count).ok_or(broken("it has too many parts"))?;
        self.start = self.layout.sealed_len();
        Ok(())
    }

    /// Begins with the current part, which may be as long as the one before it, or else be the last one.
    fn enter(&mut self, guess: Option<u64>) -> Result<(), Error> {
        let high = self.room()? / SEALED_SEGMENT;
        let index = guess.map_or(high, |len| ((len - 1) / SEALED_SEGMENT).min(high));
        self.looking = Looking::At { index, low: 0, high };
        Ok(())
    }

    /// Bytes from the current part's start to where the smallest of last segments would start.
    fn room(&self) -> Result<u64, IntegrityError> {
        let rest = self.sealed_len.checked_sub(self.start);
        rest.and_then(|rest| rest.checked_sub(OVERHEAD + 1)).ok_or(broken("it ends in the middle of a segment"))
    }

    fn bisect(&mut self, low: u64, high: u64) -> Result<(), Error> {
        if low > high {
            return Err(broken("a part has no end").into());
        }
        self.looking = Looking::At { index: low.midpoint(high), low, high };
        Ok(())
    }

    /// The header to look at.
    fn span(&self) -> Result<Span, Error> {
        let first = match self.looking {
            Looking::AtLastPart { count, len } => self.start + u64::from(count) * len,
            Looking::At { index, .. } => self.start + index * SEALED_SEGMENT,
        };
        Ok(Span::new(first, first + HEADER_LEN as u64 - 1).ok_or(broken("an offset is impossible"))?)
    }
}

fn broken(how: &'static str) -> IntegrityError {
    IntegrityError::Response(how)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::call::CallBody;
    use crate::format::layout::plain_len;
    use crate::format::segment::SEGMENT_LEN;
    use crate::http::{Headers, ResponseHead};
    use proptest::prelude::*;

    /// The headers of an object's segments, by offset; all its other bytes are 0xee.
    fn headers(parts: &[u64]) -> Vec<(u64, [u8; HEADER_LEN])> {
        let mut headers = Vec::new();
        let mut start = 0;
        for (part, sealed) in (1..).zip(parts) {
            let mut rest = plain_len(*sealed).unwrap();
            for index in 0.. {
                let len = rest.min(SEGMENT_LEN as u64) as u32;
                rest -= u64::from(len);
                let header = SegmentHeader { place: Place { part, index }, is_final: rest == 0, len, nonce: [0; 12] };
                headers.push((start + u64::from(index) * SEALED_SEGMENT, header.to_bytes()));
                if rest == 0 {
                    break;
                }
            }
            start += sealed;
        }
        headers
    }

    fn answer(body: Vec<u8>) -> StoreAnswer {
        let head = ResponseHead { status: 206, headers: Headers::default(), is_end: false };
        StoreAnswer { head, body: CallBody(body) }
    }

    /// Hops through an object of such parts; gives what was found and how many looks it took.
    fn hop(parts: &[u64]) -> (Layout, usize) {
        let headers = headers(parts);
        let sealed_len = parts.iter().sum();
        let (mut hop, Hopped::Look(mut span)) = Hop::begin(sealed_len).unwrap() else { panic!("it is empty") };
        for looks in 1.. {
            assert!(span.last() < sealed_len);
            let found = headers.iter().find(|(at, _)| *at == span.first());
            let bytes = found.map_or(vec![0xee; HEADER_LEN], |(_, header)| header.to_vec());
            match hop.answered(&answer(bytes)).unwrap() {
                Hopped::Look(next) => span = next,
                Hopped::Over(layout) => return (layout, looks),
            }
        }
        unreachable!()
    }

    fn layout(parts: &[u64]) -> Layout {
        let mut layout = Layout::default();
        parts.iter().for_each(|part| layout.push(1, *part).unwrap());
        layout
    }

    #[test]
    fn a_few_looks_are_enough() {
        let mebibytes_8 = 128 * SEALED_SEGMENT;
        let cases: [(&[u64], usize); 6] = [
            (&[49], 1),
            (&[100 * SEALED_SEGMENT + 50], 1),
            (&[SEALED_SEGMENT, 49], 3),
            (&[mebibytes_8; 100], 16),
            (&[100, 200, 300, 49], 7),
            (&[49; 1_000], 11),
        ];
        for (parts, most) in cases {
            let (found, looks) = hop(parts);
            assert_eq!(found, layout(parts), "{parts:?}");
            assert!(looks <= most, "{looks} looks at {} parts of {}", parts.len(), parts[0]);
        }
    }

    #[test]
    fn what_is_no_body_of_parts_is_rejected() {
        let first_look = |sealed_len: u64, body: Vec<u8>| {
            let mut hop = Hop::begin(sealed_len)?.0;
            hop.answered(&answer(body)).map(|_| ())
        };
        assert!(matches!(first_look(48, Vec::new()), Err(Error::Integrity(_))));
        assert!(matches!(first_look(49, vec![0; 32]), Err(Error::Integrity(_))));
        assert!(matches!(first_look(49, vec![0; 49]), Err(Error::Integrity(_))));
        let unfinished = SegmentHeader { place: Place::FIRST, is_final: false, len: 65_536, nonce: [0; 12] };
        assert!(matches!(first_look(65_584, unfinished.to_bytes().to_vec()), Err(Error::Integrity(_))));
    }

    proptest! {
        #[test]
        fn all_parts_are_found(parts in prop::collection::vec(
            prop_oneof![1..20_u64, Just(65_536), 1..400_000_u64, Just(3 * 65_536)].prop_map(
                |plain| crate::format::layout::sealed_len(plain).unwrap()), 1..8)) {
            let (found, expected) = (hop(&parts).0, layout(&parts));
            // Two parts that differ by as much from those around them, one way and the other, are not seen.
            let is_coincidence = found.parts() == expected.parts() && found.plain_len() == expected.plain_len();
            prop_assert!(found == expected || (parts.len() > 3 && is_coincidence), "{} for {}", found, expected);
        }
    }
}
