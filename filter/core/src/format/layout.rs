//! Lengths and offsets: FORMAT.md section 5.

use super::segment::{HEADER_LEN, SEGMENT_LEN, TAG_LEN};

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
    }

    proptest! {
        #[test]
        fn the_formulas_are_inverse(plain in 0..u64::MAX / 2) {
            prop_assert_eq!(sealed_len(plain).and_then(plain_len), Some(plain));
        }
    }
}
