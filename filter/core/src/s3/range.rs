//! Byte ranges: RFC 9110 section 14 as S3 practises it, and what a plaintext range needs of the ciphertext.
//!
//! S3 serves one range a request. A `Range` that is malformed, names several ranges or another unit is ignored: the
//! answer is the whole object with 200, as RFC 9110 section 14.2 allows.

use std::fmt;

use crate::format::layout::Layout;
use crate::format::segment::Place;

/// Offsets of the first and the last byte; `first <= last`, so a span is never empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    first: u64,
    last: u64,
}

impl Span {
    /// None if `first` lies beyond `last`.
    pub fn new(first: u64, last: u64) -> Option<Self> {
        (first <= last).then_some(Self { first, last })
    }

    /// Offset of the first byte.
    pub fn first(self) -> u64 {
        self.first
    }

    /// Offset of the last byte, included.
    pub fn last(self) -> u64 {
        self.last
    }

    /// Bytes in the span, at least 1; `u64::MAX` if they are one more than that.
    #[allow(clippy::len_without_is_empty, reason = "never empty")]
    pub fn len(self) -> u64 {
        (self.last - self.first).saturating_add(1)
    }
}

/// The value of a `Range` header: `bytes=0-9`.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bytes={}-{}", self.first, self.last)
    }
}

/// The one range that a `Range` header asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByteRange {
    /// `bytes=first-last`, `first <= last`. The only form that `x-amz-copy-source-range` may have.
    Bounded(Span),
    /// `bytes=first-`.
    From(u64),
    /// `bytes=-count`: the last `count` bytes.
    Suffix(u64),
}

/// What a range comes to on an object of known length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolved {
    /// No range, or one that is ignored: 200.
    Whole,
    /// 206. The span lies within the object.
    Part(Span),
    /// 416 `InvalidRange`, with [`ContentRange::Unsatisfied`].
    Unsatisfiable,
}

impl ByteRange {
    /// Parses the value of a `Range` header. None: to be ignored.
    pub fn parse(value: &str) -> Option<Self> {
        let (unit, set) = value.trim_matches([' ', '\t']).split_once('=')?;
        if !unit.eq_ignore_ascii_case("bytes") {
            return None;
        }
        let (first, last) = set.trim_matches([' ', '\t']).split_once('-')?;
        match (first.is_empty(), last.is_empty()) {
            (false, false) => Span::new(position(first)?, position(last)?).map(Self::Bounded),
            (false, true) => position(first).map(Self::From),
            (true, false) => position(last).map(Self::Suffix),
            (true, true) => None,
        }
    }

    /// Applies the range to an object of `len` bytes. Of an empty object no range can be had: S3 answers 416.
    pub fn resolve(self, len: u64) -> Resolved {
        let span = len.checked_sub(1).and_then(|end| match self {
            Self::Bounded(span) => Span::new(span.first, span.last.min(end)),
            Self::From(first) => Span::new(first, end),
            Self::Suffix(count) => Span::new(len.saturating_sub(count), end),
        });
        span.map_or(Resolved::Unsatisfiable, Resolved::Part)
    }
}

/// What a request with this `Range` header, if any, gets of an object of `len` bytes.
pub fn resolve(header: Option<&str>, len: u64) -> Resolved {
    header.and_then(ByteRange::parse).map_or(Resolved::Whole, |range| range.resolve(len))
}

/// A `first-pos`, `last-pos` or `suffix-length`. One that no `u64` holds is valid all the same, and beyond any object.
fn position(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

/// The segments of an object that hold a plaintext range, and where the range lies in them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentSpan {
    /// The first segment.
    pub first: Place,
    /// Plaintext bytes of the object before the first segment.
    pub before: u64,
    /// Those segments' bytes in the ciphertext: what to ask of the store.
    pub sealed: Span,
    /// Plaintext bytes of the first segment before the range.
    pub skip: u64,
    /// Plaintext bytes of the range.
    pub take: u64,
}

impl SegmentSpan {
    /// The segments that hold `plain` of an object. None if the range does not lie within it.
    pub fn covering(plain: Span, layout: &Layout) -> Option<Self> {
        let first = layout.locate(plain.first)?;
        let last = layout.locate(plain.last)?;
        Some(Self {
            first: first.place,
            before: first.plain_start,
            sealed: Span::new(first.sealed_start, last.sealed_end.checked_sub(1)?)?,
            skip: plain.first - first.plain_start,
            take: plain.len(),
        })
    }
}

/// The value of a `Content-Range` header, RFC 9110 section 14.4.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContentRange {
    /// `bytes first-last/total`, in a 206. The total is None where the sender writes `*`.
    Part(Span, Option<u64>),
    /// `bytes */total`, in a 416.
    Unsatisfied(u64),
}

impl ContentRange {
    /// Parses a header's value. None if it is malformed, or the range does not lie within the total.
    pub fn parse(value: &str) -> Option<Self> {
        let (unit, rest) = value.trim_matches([' ', '\t']).split_once(' ')?;
        if !unit.eq_ignore_ascii_case("bytes") {
            return None;
        }
        let (range, total) = rest.split_once('/')?;
        let total = if total == "*" { None } else { Some(exact(total)?) };
        if range == "*" {
            return total.map(Self::Unsatisfied);
        }
        let (first, last) = range.split_once('-')?;
        let span = Span::new(exact(first)?, exact(last)?)?;
        total.is_none_or(|total| span.last < total).then_some(Self::Part(span, total))
    }
}

impl fmt::Display for ContentRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Part(span, Some(total)) => write!(f, "bytes {}-{}/{total}", span.first, span.last),
            Self::Part(span, None) => write!(f, "bytes {}-{}/*", span.first, span.last),
            Self::Unsatisfied(total) => write!(f, "bytes */{total}"),
        }
    }
}

/// A number that must fit, unlike [`position`]: a store knows how long its objects are.
fn exact(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}
