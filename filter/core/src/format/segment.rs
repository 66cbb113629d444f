//! A segment's header (FORMAT.md section 1) and its place among the others (section 6).

/// Plaintext bytes in every segment that is not its part's final one.
pub const SEGMENT_LEN: usize = 65_536;
/// Bytes of a segment's header.
pub const HEADER_LEN: usize = 32;
/// Bytes of a segment's tag.
pub const TAG_LEN: usize = 16;
/// Bytes of a segment's nonce.
pub const NONCE_LEN: usize = 12;
/// The highest part number; S3's own limit.
pub const MAX_PART: u16 = 10_000;

const MAGIC: [u8; 4] = *b"S3EP";
const VERSION: u8 = 1;
const FLAG_FINAL: u8 = 1;

/// A header that keeps all rules of FORMAT.md section 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentHeader {
    /// Where the segment belongs.
    pub place: Place,
    /// Whether it is its part's final one.
    pub is_final: bool,
    /// Plaintext bytes in it: 1 to 65,536, and 65,536 unless it is final.
    pub len: u32,
    /// The GCM nonce.
    pub nonce: [u8; NONCE_LEN],
}

/// A segment's part number (from 1) and its index in the part (from 0).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The part number, 1 to 10,000.
    pub part: u16,
    /// The index in the part.
    pub index: u32,
}

impl Place {
    /// Where an object begins (FORMAT 6.3).
    pub const FIRST: Self = Self { part: 1, index: 0 };

    /// The only place that may follow a segment here (FORMAT 6.4). None if the numbers run out.
    pub fn successor(self, is_final: bool) -> Option<Self> {
        match is_final {
            true => Some(Self { part: self.part.checked_add(1)?, index: 0 }),
            false => Some(Self { part: self.part, index: self.index.checked_add(1)? }),
        }
    }
}

/// Why 32 bytes are not a segment's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// FORMAT 1.1.
    #[error("a segment does not begin with S3EP")]
    Magic,
    /// FORMAT 1.1.
    #[error("a segment has the unknown version {0}")]
    Version(u8),
    /// FORMAT 1.2.
    #[error("a segment has an unknown flag set")]
    Flags,
    /// FORMAT 1.3.
    #[error("a segment has the impossible part number {0}")]
    Part(u16),
    /// FORMAT 1.5 and 1.6.
    #[error("a segment has the impossible length {0}")]
    Len(u32),
    /// FORMAT 1.7.
    #[error("a segment's reserved field is not zero")]
    Reserved,
}

impl SegmentHeader {
    /// The header as it is stored, which is also the AAD of the segment.
    pub fn to_bytes(self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        let fields: [&[u8]; 7] = [
            &MAGIC,
            &[VERSION],
            &[if self.is_final { FLAG_FINAL } else { 0 }],
            &self.place.part.to_be_bytes(),
            &self.place.index.to_be_bytes(),
            &self.len.to_be_bytes(),
            &self.nonce,
        ];
        // What the fields leave of the 32 bytes is the reserved zero.
        for (byte, value) in bytes.iter_mut().zip(fields.into_iter().flatten()) {
            *byte = *value;
        }
        bytes
    }

    /// Whether a body that begins with these bytes, fewer than a header has, may begin with a header.
    pub fn may_begin(bytes: &[u8]) -> bool {
        let fixed = MAGIC.iter().chain(&[VERSION]);
        bytes.iter().zip(fixed).all(|(byte, due)| byte == due)
    }

    /// Reads a header and checks every rule of FORMAT.md section 1.
    pub fn parse(bytes: &[u8; HEADER_LEN]) -> Result<Self, HeaderError> {
        let [m0, m1, m2, m3, version, flags, p0, p1, i0, i1, i2, i3, l0, l1, l2, l3, rest @ ..] = *bytes;
        let [nonce @ .., r0, r1, r2, r3] = rest;
        let (part, index, len) =
            (u16::from_be_bytes([p0, p1]), u32::from_be_bytes([i0, i1, i2, i3]), u32::from_be_bytes([l0, l1, l2, l3]));
        let is_final = flags == FLAG_FINAL;
        match () {
            () if [m0, m1, m2, m3] != MAGIC => Err(HeaderError::Magic),
            () if version != VERSION => Err(HeaderError::Version(version)),
            () if flags & !FLAG_FINAL != 0 => Err(HeaderError::Flags),
            () if !(1..=MAX_PART).contains(&part) => Err(HeaderError::Part(part)),
            () if len == 0 || len as usize > SEGMENT_LEN => Err(HeaderError::Len(len)),
            () if !is_final && len as usize != SEGMENT_LEN => Err(HeaderError::Len(len)),
            () if [r0, r1, r2, r3] != [0; 4] => Err(HeaderError::Reserved),
            () => Ok(Self { place: Place { part, index }, is_final, len, nonce }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> SegmentHeader {
        SegmentHeader { place: Place { part: 258, index: 0x0304_0506 }, is_final: true, len: 7, nonce: [9; 12] }
    }

    #[test]
    fn the_bytes_are_the_drawn_ones() {
        let expected = hex::decode("53334550010101020304050600000007090909090909090909090909").unwrap();
        assert_eq!(header().to_bytes()[..28], expected);
        assert_eq!(header().to_bytes()[28..], [0; 4]);
        assert_eq!(SegmentHeader::parse(&header().to_bytes()), Ok(header()));
    }

    #[test]
    fn every_broken_rule_has_its_error() {
        let full = SegmentHeader { is_final: false, len: 65_536, ..header() };
        let cases: [(SegmentHeader, usize, u8, HeaderError); 11] = [
            (full, 0, b's', HeaderError::Magic),
            (full, 3, b'p', HeaderError::Magic),
            (full, 4, 0, HeaderError::Version(0)),
            (full, 4, 2, HeaderError::Version(2)),
            (full, 5, 2, HeaderError::Flags),
            (full, 5, 0x81, HeaderError::Flags),
            (full, 6, 0x28, HeaderError::Part(0x2802)),
            (full, 15, 1, HeaderError::Len(65_537)),
            (header(), 15, 0, HeaderError::Len(0)),
            (header(), 5, 0, HeaderError::Len(7)),
            (full, 31, 1, HeaderError::Reserved),
        ];
        for (header, at, value, error) in cases {
            let mut bytes = header.to_bytes();
            bytes[at] = value;
            assert_eq!(SegmentHeader::parse(&bytes), Err(error), "byte {at} = {value}");
        }
    }

    #[test]
    fn part_numbers_are_1_to_10_000() {
        for (part, is_ok) in [(0, false), (1, true), (10_000, true), (10_001, false)] {
            let header = SegmentHeader { place: Place { part, index: 0 }, ..header() };
            assert_eq!(SegmentHeader::parse(&header.to_bytes()).is_ok(), is_ok, "{part}");
        }
    }

    #[test]
    fn a_place_has_one_successor() {
        let place = Place { part: 3, index: 7 };
        assert_eq!(place.successor(false), Some(Place { part: 3, index: 8 }));
        assert_eq!(place.successor(true), Some(Place { part: 4, index: 0 }));
        assert_eq!(Place { part: 1, index: u32::MAX }.successor(false), None);
    }
}
