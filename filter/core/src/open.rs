//! Opening: segments in, authentic plaintext out.

use std::rc::Rc;

use s3ep_gcm::aead::AeadInOut;
use s3ep_gcm::aead::inout::InOutBuf;

use crate::account::Volume;
use crate::format::segment::{HEADER_LEN, HeaderError, Place, SEGMENT_LEN, SegmentHeader, TAG_LEN};
use crate::keys::ObjectKeys;
use crate::s3::range::SegmentSpan;

/// Why a body was rejected (FORMAT.md section 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// FORMAT 6.1.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// FORMAT 6.2.
    #[error("a segment is not authentic")]
    Authentication,
    /// FORMAT 6.3, 6.4 and 6.6: a segment that does not belong here.
    #[error("segment {found:?} stands where {expected:?} belongs")]
    Order {
        /// The place that the header names.
        found: Place,
        /// The place that was due. None: the object had ended.
        expected: Option<Place>,
    },
    /// FORMAT 6.5: the body ends too early.
    #[error("the body is truncated")]
    Truncated,
    /// FORMAT 6.6: the plaintext is not as long as the metadata says.
    #[error("the body's plaintext is not of the length that the metadata states")]
    Length,
    /// FORMAT 6.6: bytes after the end.
    #[error("the body goes on after its end")]
    Trailing,
}

/// Opens a body, segment by segment, in order.
pub struct Opener {
    keys: Rc<ObjectKeys>,
    /// The place of the next segment.
    due: Option<Place>,
    extent: Extent,
    /// Whether the last opened segment was its part's final one (true before the first: an empty body is whole).
    at_part_end: bool,
    /// The bytes of the segment that is being collected, at most a whole segment.
    pending: Vec<u8>,
    /// What was opened and not accounted for yet.
    volume: Volume,
}

/// A segment's header, the segment, and what follows it.
type Whole<'b> = (SegmentHeader, &'b [u8], &'b [u8]);

/// How far the body goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extent {
    /// One part whose plaintext bytes still to come are known (`len` is in the metadata).
    Single { remaining: u64 },
    /// The parts of a multipart upload, of that many plaintext bytes in all still to come if that is known. The body's
    /// end is the end.
    Multipart { remaining: Option<u64> },
}

impl Opener {
    /// Opens an object from its start; `plain_len` is the authenticated `len`, None for a multipart object.
    pub fn new(keys: Rc<ObjectKeys>, plain_len: Option<u64>) -> Self {
        let multipart = Extent::Multipart { remaining: None };
        Self::with_extent(keys, plain_len.map_or(multipart, |remaining| Extent::Single { remaining }))
    }

    /// Opens a multipart object from its start, of which `plain_len` bytes were promised to the reader.
    pub fn multipart(keys: Rc<ObjectKeys>, plain_len: u64) -> Self {
        Self::with_extent(keys, Extent::Multipart { remaining: Some(plain_len) })
    }

    fn with_extent(keys: Rc<ObjectKeys>, extent: Extent) -> Self {
        Self {
            keys,
            due: Some(Place::FIRST),
            extent,
            at_part_end: true,
            pending: Vec::new(),
            volume: Volume::default(),
        }
    }

    /// What was opened since this was asked last.
    pub fn take_volume(&mut self) -> Volume {
        std::mem::take(&mut self.volume)
    }

    /// Takes body bytes, appends to `plain` the plaintext of every segment that they complete and that is authentic.
    ///
    /// On an error, `plain` has what was authentic before it, and nothing else may be pushed.
    pub fn push(&mut self, mut body: &[u8], plain: &mut Vec<u8>) -> Result<(), OpenError> {
        plain.reserve(self.pending.len() + body.len());
        while !body.is_empty() {
            if self.extent == (Extent::Single { remaining: 0 }) {
                return Err(OpenError::Trailing);
            }
            body = match self.segment_in(body)? {
                Some((header, segment, rest)) => {
                    self.open(header, segment, plain)?;
                    rest
                }
                None => self.collect(body, plain)?,
            };
        }
        Ok(())
    }

    /// The next segment and what follows it, if `body` has the whole of it: only what windows cut is collected first.
    fn segment_in<'b>(&self, body: &'b [u8]) -> Result<Option<Whole<'b>>, OpenError> {
        let Some(header) = body.first_chunk::<HEADER_LEN>().filter(|_| self.pending.is_empty()) else {
            return Ok(None);
        };
        let header = self.expect(SegmentHeader::parse(header)?)?;
        let split = body.split_at_checked(HEADER_LEN + header.len as usize + TAG_LEN);
        Ok(split.map(|(segment, rest)| (header, segment, rest)))
    }

    /// Collects the next segment, and opens it if that makes it whole. Returns what is left of `body`.
    fn collect<'b>(&mut self, mut body: &'b [u8], plain: &mut Vec<u8>) -> Result<&'b [u8], OpenError> {
        self.take(&mut body, HEADER_LEN);
        let Some(header) = self.pending.first_chunk::<HEADER_LEN>() else {
            return Ok(body);
        };
        // Checked before the rest is waited for: a lying header must not make us collect.
        let header = self.expect(SegmentHeader::parse(header)?)?;
        let whole = HEADER_LEN + header.len as usize + TAG_LEN;
        self.take(&mut body, whole);
        if self.pending.len() == whole {
            let segment = std::mem::take(&mut self.pending);
            let result = self.open(header, &segment, plain);
            self.pending = segment;
            result?;
            self.pending.clear();
        }
        Ok(body)
    }

    /// Says whether the body was whole. To be called at its end.
    pub fn finish(&mut self) -> Result<(), OpenError> {
        match self.extent {
            _ if !self.pending.is_empty() || !self.at_part_end => Err(OpenError::Truncated),
            Extent::Single { remaining: 1.. } | Extent::Multipart { remaining: Some(1..) } => Err(OpenError::Length),
            _ => {
                self.volume.bodies += 1;
                Ok(())
            }
        }
    }

    /// Moves bytes from the front of `body` until `pending` has `target` of them.
    fn take(&mut self, body: &mut &[u8], target: usize) {
        let missing = target.saturating_sub(self.pending.len());
        self.pending.reserve(missing);
        let (taken, rest) = body.split_at_checked(missing).unwrap_or((body, &[]));
        self.pending.extend_from_slice(taken);
        *body = rest;
    }

    /// Whether this header may stand here (FORMAT 6.3, 6.4, 6.6).
    fn expect(&self, header: SegmentHeader) -> Result<SegmentHeader, OpenError> {
        let SegmentHeader { place, is_final, len, .. } = header;
        if self.due != Some(place) {
            return Err(OpenError::Order { found: place, expected: self.due });
        }
        match self.extent {
            Extent::Single { remaining } if !is_due(remaining, len, is_final) => Err(OpenError::Length),
            Extent::Multipart { remaining: Some(remaining) } if u64::from(len) > remaining => Err(OpenError::Length),
            _ => Ok(header),
        }
    }

    /// Opens a segment that may stand here.
    fn open(&mut self, header: SegmentHeader, segment: &[u8], plain: &mut Vec<u8>) -> Result<(), OpenError> {
        let opened_from = plain.len();
        let (aad, rest) = segment.split_first_chunk::<HEADER_LEN>().ok_or(OpenError::Truncated)?;
        let (ciphertext, tag) = rest.split_last_chunk::<TAG_LEN>().ok_or(OpenError::Truncated)?;
        plain.resize(opened_from + ciphertext.len(), 0);
        let target = plain.get_mut(opened_from..).unwrap_or_default();
        let opened = InOutBuf::new(ciphertext, target).is_ok_and(|buffers| {
            self.keys.content.decrypt_inout_detached(&header.nonce.into(), aad, buffers, tag.into()).is_ok()
        });
        if !opened {
            // Not a byte of it may stay where the caller would release it.
            plain.truncate(opened_from);
            return Err(OpenError::Authentication);
        }
        self.volume += Volume::segment(header.len as usize);
        self.due = header.place.successor(header.is_final);
        self.at_part_end = header.is_final;
        if let Extent::Single { remaining } | Extent::Multipart { remaining: Some(remaining) } = &mut self.extent {
            *remaining = remaining.saturating_sub(u64::from(header.len));
        }
        Ok(())
    }
}

/// Opens the segments that hold a range, and gives out the range.
pub struct RangeOpener {
    opener: Opener,
    /// Plaintext bytes before the range still to be left out.
    skip: u64,
    /// Plaintext bytes of the range still to come.
    take: u64,
}

impl RangeOpener {
    /// Opens `segments` of an object; `plain_len` is the authenticated `len`, None for a multipart object.
    pub fn new(keys: Rc<ObjectKeys>, plain_len: Option<u64>, segments: SegmentSpan) -> Self {
        let mut opener = Opener::new(keys, plain_len.map(|len| len.saturating_sub(segments.before)));
        opener.due = Some(segments.first);
        Self { opener, skip: segments.skip, take: segments.take }
    }

    /// As [`Opener::take_volume`]: whole segments, even where the range takes less of them.
    pub fn take_volume(&mut self) -> Volume {
        self.opener.take_volume()
    }

    /// As [`Opener::push`], but appends only what belongs to the range.
    pub fn push(&mut self, body: &[u8], plain: &mut Vec<u8>) -> Result<(), OpenError> {
        let start = plain.len();
        let result = self.opener.push(body, plain);
        let opened = plain.len() - start;
        let skipped = usize::try_from(self.skip).unwrap_or(usize::MAX).min(opened);
        self.skip -= skipped as u64;
        let wanted = usize::try_from(self.take).unwrap_or(usize::MAX).min(opened - skipped);
        self.take -= wanted as u64;
        // Only ever the front of a range's first segment.
        plain.drain(start..start + skipped);
        plain.truncate(start + wanted);
        result
    }

    /// Says whether all of the range came. To be called at the body's end.
    pub fn finish(&mut self) -> Result<(), OpenError> {
        match self.take == 0 && self.opener.pending.is_empty() {
            true => {
                self.opener.volume.bodies += 1;
                Ok(())
            }
            false => Err(OpenError::Truncated),
        }
    }
}

/// Whether a segment of `len` bytes, final or not, is the next one where `remaining` plaintext bytes are left.
fn is_due(remaining: u64, len: u32, is_final: bool) -> bool {
    u64::from(len) == remaining.min(SEGMENT_LEN as u64) && is_final == (remaining <= SEGMENT_LEN as u64)
}
