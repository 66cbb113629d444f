//! Lengths and offsets: FORMAT.md section 5.

use std::fmt;

use super::segment::{HEADER_LEN, MAX_PART, Place, SEGMENT_LEN, TAG_LEN};

/// Plaintext bytes of a whole segment.
pub const PLAIN_SEGMENT: u64 = SEGMENT_LEN as u64;
/// What a segment adds to its plaintext.
pub const OVERHEAD: u64 = (HEADER_LEN + TAG_LEN) as u64;
/// Body bytes of a whole segment.
pub const SEALED_SEGMENT: u64 = PLAIN_SEGMENT + OVERHEAD;

/// Body bytes of a part with `plain` bytes of plaintext. None if that is beyond `u64`.
pub fn sealed_len(plain: u64) -> Option<u64> {
    plain.checked_add(plain.div_ceil(PLAIN_SEGMENT).checked_mul(OVERHEAD)?)
}

/// Plaintext bytes of a part with a body of `sealed` bytes. None if no part is that long (FORMAT 5.1).
pub fn plain_len(sealed: u64) -> Option<u64> {
    match sealed % SEALED_SEGMENT {
        1..=OVERHEAD => None,
        _ => Some(sealed - sealed.div_ceil(SEALED_SEGMENT) * OVERHEAD),
    }
}

/// Where an object's parts lie.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Layout {
    /// Parts of the same length that follow each other, since nearly all are: 10,000 parts are two runs.
    runs: Vec<Run>,
    plain_len: u64,
    sealed_len: u64,
    parts: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    count: u16,
    /// Plaintext bytes of each.
    plain: u64,
    /// Body bytes of each.
    sealed: u64,
}

/// A segment in an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Located {
    /// What its header says.
    pub place: Place,
    /// Offset of its first plaintext byte.
    pub plain_start: u64,
    /// Offset of its header in the body.
    pub sealed_start: u64,
    /// Offset behind its tag.
    pub sealed_end: u64,
}

impl Layout {
    /// An object of one PutObject. None if no object is that long.
    pub fn single(plain_len: u64) -> Option<Self> {
        let mut layout = Self::default();
        layout.push(1, sealed_len(plain_len)?)?;
        Some(layout)
    }

    /// Reads what `Display` writes: `count x length` runs of body lengths (FORMAT.md section 4). None if it is not just that.
    pub fn parse(text: &str) -> Option<Self> {
        let mut layout = Self::default();
        for run in text.split(',') {
            let (count, sealed) = run.split_once('x')?;
            layout.push(count.parse().ok().filter(|count| *count > 0)?, sealed.parse().ok()?)?;
        }
        (layout.to_string() == text).then_some(layout)
    }

    /// Appends `count` parts with bodies of `sealed` bytes each. None if there are no such parts.
    pub fn push(&mut self, count: u16, sealed: u64) -> Option<()> {
        let plain = plain_len(sealed)?;
        let parts = self.parts.checked_add(count).filter(|parts| *parts <= MAX_PART)?;
        let grown = |len: u64, each: u64| each.checked_mul(count.into())?.checked_add(len);
        let (plain_len, sealed_len) = (grown(self.plain_len, plain)?, grown(self.sealed_len, sealed)?);
        match self.runs.last_mut() {
            Some(last) if last.sealed == sealed => last.count += count,
            _ => self.runs.push(Run { count, plain, sealed }),
        }
        (self.parts, self.plain_len, self.sealed_len) = (parts, plain_len, sealed_len);
        Some(())
    }

    /// Plaintext bytes of the object.
    pub fn plain_len(&self) -> u64 {
        self.plain_len
    }

    /// Body bytes of the object.
    pub fn sealed_len(&self) -> u64 {
        self.sealed_len
    }

    /// The number of parts, 0 to 10,000.
    pub fn parts(&self) -> u16 {
        self.parts
    }

    /// Offsets of a part's first plaintext byte and behind its last. None if there is no such part.
    pub fn part(&self, number: u16) -> Option<(u64, u64)> {
        let mut before = number.checked_sub(1)?;
        let mut start = 0;
        for run in &self.runs {
            if before < run.count {
                start += u64::from(before) * run.plain;
                return Some((start, start + run.plain));
            }
            before -= run.count;
            start += u64::from(run.count) * run.plain;
        }
        None
    }

    /// The segment that holds the plaintext byte at `offset`. None if it is beyond the object's end.
    pub fn locate(&self, offset: u64) -> Option<Located> {
        let (mut part, mut plain_start, mut sealed_start) = (1_u16, 0_u64, 0_u64);
        for run in &self.runs {
            let rest = offset.checked_sub(plain_start)?;
            if rest < u64::from(run.count) * run.plain {
                let before = rest / run.plain;
                let index = rest % run.plain / PLAIN_SEGMENT;
                let part_start = sealed_start + before * run.sealed;
                let start = part_start + index * SEALED_SEGMENT;
                return Some(Located {
                    place: Place {
                        part: part.checked_add(u16::try_from(before).ok()?)?,
                        index: u32::try_from(index).ok()?,
                    },
                    plain_start: plain_start + before * run.plain + index * PLAIN_SEGMENT,
                    sealed_start: start,
                    sealed_end: (start + SEALED_SEGMENT).min(part_start + run.sealed),
                });
            }
            part += run.count;
            plain_start += u64::from(run.count) * run.plain;
            sealed_start += u64::from(run.count) * run.sealed;
        }
        None
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, Run { count, sealed, .. }) in self.runs.iter().enumerate() {
            write!(f, "{}{count}x{sealed}", if at > 0 { "," } else { "" })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_lengths() {
        let cases = [
            (0, 0),
            (1, 49),
            (65_535, 65_583),
            (65_536, 65_584),
            (65_537, 65_633),
            (131_072, 131_168),
            (5 << 30, (5 << 30) + 81_920 * 48),
        ];
        for (plain, sealed) in cases {
            assert_eq!(sealed_len(plain), Some(sealed));
            assert_eq!(plain_len(sealed), Some(plain));
        }
    }

    #[test]
    fn impossible_lengths_are_known() {
        for base in [0, 65_584, 65_584 * 1_000] {
            for rest in 0..=50 {
                assert_eq!(plain_len(base + rest).is_some(), !(1..=48).contains(&rest), "{base} + {rest}");
            }
        }
        assert_eq!(sealed_len(u64::MAX), None);
        assert_eq!(Layout::default().push(1, 48), None);
        assert_eq!(Layout::default().push(10_001, 49), None);
        assert_eq!(Layout::default().push(2, u64::MAX - 48), None);
    }

    #[test]
    fn a_layout_has_one_spelling() {
        assert!(Layout::parse("2x65584,1x49").is_some() && Layout::parse("10000x49").is_some());
        for text in
            ["", "1x48", "0x49", "01x49", "1x+49", "1x49,", "1x49,1x49", "1 x49", "10001x49", "x", "1x49;1x50", "1"]
        {
            assert_eq!(Layout::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn the_formulas_are_inverse(plain in 0..u64::MAX / 2) {
            prop_assert_eq!(sealed_len(plain).and_then(plain_len), Some(plain));
        }

        #[test]
        fn every_byte_is_located_where_a_walk_finds_it(parts in prop::collection::vec(1..200_000_u64, 1..6), at: prop::sample::Index) {
            let mut layout = Layout::default();
            for plain in &parts {
                layout.push(1, sealed_len(*plain).unwrap()).unwrap();
            }
            let total: u64 = parts.iter().sum();
            prop_assert_eq!(layout.plain_len(), total);
            prop_assert_eq!(layout.locate(total), None);
            let offset = at.index(total as usize) as u64;
            let located = layout.locate(offset).unwrap();

            let (mut plain_start, mut sealed_start) = (0, 0);
            'walk: for (part, plain) in (1..).zip(&parts) {
                prop_assert_eq!(layout.part(part), Some((plain_start, plain_start + plain)));
                for index in 0..plain.div_ceil(PLAIN_SEGMENT) {
                    let len = (plain - index * PLAIN_SEGMENT).min(PLAIN_SEGMENT);
                    if offset < plain_start + len {
                        let sealed_end = sealed_start + len + OVERHEAD;
                        let place = Place { part, index: index as u32 };
                        prop_assert_eq!(located, Located { place, plain_start, sealed_start, sealed_end });
                        break 'walk;
                    }
                    plain_start += len;
                    sealed_start += len + OVERHEAD;
                }
            }
        }
    }
}
