//! Sealing and opening as streams: lengths around the segment borders × window sizes, and any split by proptest; then
//! every way to tamper with what was sealed.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may panic")]

use std::rc::Rc;

use proptest::prelude::*;
use rand_core::{Infallible, TryCryptoRng, TryRng};
use s3ep_core::error::{Error, RequestError};
use s3ep_core::format::layout::{SEALED_SEGMENT, sealed_len};
use s3ep_core::format::segment::{HEADER_LEN, SEGMENT_LEN};
use s3ep_core::keys::{Dek, ObjectKeys};
use s3ep_core::open::{OpenError, Opener};
use s3ep_core::seal::Sealer;

/// Reproducible, and never the same nonce twice: a counter.
struct Counter(u64);

impl TryRng for Counter {
    type Error = Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.try_next_u64().map(|n| n as u32)
    }
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.0 += 1;
        Ok(self.0)
    }
    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), Infallible> {
        self.0 += 1;
        dest.fill(0);
        dest.iter_mut().zip(self.0.to_be_bytes()).for_each(|(to, from)| *to = from);
        Ok(())
    }
}

impl TryCryptoRng for Counter {}

fn keys(seed: u8) -> Rc<ObjectKeys> {
    Rc::new(ObjectKeys::derive(&Dek::from_slice(&[seed; 32]).unwrap()).unwrap())
}

fn plaintext(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at as u32).wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect()
}

/// Cuts into windows of the given lengths, over and over; a length of 0 is an empty window.
fn windows<'a>(mut bytes: &'a [u8], lengths: &[usize]) -> Vec<&'a [u8]> {
    let mut windows = Vec::new();
    let mut lengths = lengths.iter().cycle();
    while !bytes.is_empty() {
        let (window, rest) = bytes.split_at((*lengths.next().unwrap()).min(bytes.len()));
        windows.push(window);
        bytes = rest;
    }
    windows.push(&[]);
    windows
}

fn seal_part(seed: u8, part: u16, plain: &[u8], lengths: &[usize]) -> Vec<u8> {
    let mut sealer = Sealer::new(keys(seed), part, plain.len() as u64);
    let (mut sealed, mut entropy) = (Vec::new(), Counter(u64::from(part) << 32));
    for window in windows(plain, lengths) {
        sealer.push(&mut entropy, window, &mut sealed).unwrap();
        assert!(sealed.len() as u64 <= sealed_len(plain.len() as u64).unwrap());
    }
    let before_finish = sealed.len();
    sealer.finish(&mut entropy, &mut sealed).unwrap();
    assert!(plain.is_empty() || before_finish < sealed.len(), "the last segment went out before finish");
    sealed
}

fn seal(plain: &[u8], lengths: &[usize]) -> Vec<u8> {
    seal_part(3, 1, plain, lengths)
}

/// What is released, and how it ends.
fn open(sealed: &[u8], plain_len: Option<u64>, lengths: &[usize]) -> (Vec<u8>, Result<(), OpenError>) {
    let mut opener = Opener::new(keys(3), plain_len);
    let mut plain = Vec::new();
    for window in windows(sealed, lengths) {
        if let Err(error) = opener.push(window, &mut plain) {
            return (plain, Err(error));
        }
    }
    let end = opener.finish();
    (plain, end)
}

const LENGTHS: [usize; 19] = [
    0, 1, 2, 31, 32, 33, 47, 48, 49, 65_487, 65_488, 65_535, 65_536, 65_537, 131_071, 131_072, 131_073, 196_608,
    300_000,
];
const STEPS: [usize; 14] = [1, 2, 16, 31, 32, 33, 48, 4_096, 65_535, 65_536, 65_537, 65_584, 65_585, 1_048_576];

#[test]
fn every_length_in_every_step_comes_back() {
    for len in LENGTHS {
        let plain = plaintext(len);
        let reference = seal(&plain, &[usize::MAX]);
        assert_eq!(reference.len() as u64, sealed_len(len as u64).unwrap());
        for step in STEPS {
            assert!(seal(&plain, &[step]) == reference, "sealing {len} in steps of {step}");
            for plain_len in [Some(len as u64), None] {
                let (opened, end) = open(&reference, plain_len, &[step]);
                assert!(opened == plain && end.is_ok(), "opening {len} in steps of {step}: {end:?}");
            }
        }
    }
}

#[test]
fn a_segment_is_released_as_soon_as_it_is_whole() {
    let sealed = seal(&plaintext(200_000), &[usize::MAX]);
    let mut opener = Opener::new(keys(3), Some(200_000));
    let mut plain = Vec::new();
    opener.push(&sealed[..SEALED_SEGMENT as usize - 1], &mut plain).unwrap();
    assert_eq!(plain.len(), 0);
    opener.push(&sealed[SEALED_SEGMENT as usize - 1..SEALED_SEGMENT as usize], &mut plain).unwrap();
    assert_eq!(plain.len(), SEGMENT_LEN);
}

#[test]
fn a_sealer_wants_exactly_what_was_announced() {
    let mut entropy = Counter(0);
    for len in [1, 65_536, 65_537] {
        let mut sealer = Sealer::new(keys(3), 1, len);
        let mut sealed = Vec::new();
        sealer.push(&mut entropy, &plaintext(len as usize - 1), &mut sealed).unwrap();
        let short = sealer.finish(&mut entropy, &mut sealed);
        assert!(matches!(short, Err(Error::Request(RequestError::IncompleteBody))), "{short:?}");
        let long = sealer.push(&mut entropy, &[0; 2], &mut sealed);
        assert!(matches!(long, Err(Error::Request(RequestError::BodyTooLong))), "{long:?}");
    }
}

#[test]
fn without_randomness_nothing_is_sealed() {
    struct Broken;
    impl s3ep_core::entropy::Entropy for Broken {
        fn fill(&mut self, _: &mut [u8]) -> Result<(), s3ep_core::entropy::EntropyError> {
            Err(s3ep_core::entropy::EntropyError)
        }
    }
    let mut sealer = Sealer::new(keys(3), 1, 1);
    let mut sealed = Vec::new();
    sealer.push(&mut Broken, b"p", &mut sealed).unwrap();
    assert!(matches!(sealer.finish(&mut Broken, &mut sealed), Err(Error::Internal(_))));
    assert!(sealed.is_empty());
}

/// A multipart body of parts of these plaintext lengths.
fn multipart(lens: &[usize]) -> (Vec<u8>, Vec<u8>) {
    let (mut plain, mut sealed) = (Vec::new(), Vec::new());
    for (number, len) in (1..).zip(lens) {
        let part = plaintext(*len);
        sealed.extend(seal_part(3, number, &part, &[usize::MAX]));
        plain.extend(part);
    }
    (plain, sealed)
}

/// What must hold of anything that is not what was sealed.
fn assert_rejected(sealed: &[u8], plain: &[u8], plain_len: Option<u64>, lengths: &[usize], what: &str) {
    let (released, end) = open(sealed, plain_len, lengths);
    assert!(end.is_err(), "{what} was accepted");
    assert!(plain.starts_with(&released), "{what}: something was released that is not authentic");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_split_seals_and_opens_the_same(
        len in 0..300_000_usize,
        seal_in in prop::collection::vec(0..90_000_usize, 0..6),
        open_in in prop::collection::vec(0..90_000_usize, 0..6),
    ) {
        let at_least_one = |mut lengths: Vec<usize>| { lengths.push(7_777); lengths };
        let (seal_in, open_in) = (at_least_one(seal_in), at_least_one(open_in));
        let plain = plaintext(len);
        let sealed = seal(&plain, &seal_in);
        prop_assert!(sealed == seal(&plain, &[usize::MAX]));
        let (opened, end) = open(&sealed, Some(len as u64), &open_in);
        prop_assert!(opened == plain && end.is_ok());
    }

    #[test]
    fn multipart_bodies_of_any_part_sizes_come_back(
        lens in prop::collection::vec(1..140_000_usize, 1..5),
        step in 1..200_000_usize,
    ) {
        let (plain, sealed) = multipart(&lens);
        let (opened, end) = open(&sealed, None, &[step]);
        prop_assert!(opened == plain && end.is_ok());
    }

    #[test]
    fn any_flipped_bit_is_found(len in 1..200_000_usize, at: prop::sample::Index, bit in 0..8_u8, step in 1..70_000_usize) {
        let plain = plaintext(len);
        let mut sealed = seal(&plain, &[usize::MAX]);
        let at = at.index(sealed.len());
        sealed[at] ^= 1 << bit;
        for plain_len in [Some(len as u64), None] {
            assert_rejected(&sealed, &plain, plain_len, &[step], &format!("bit {bit} of byte {at} flipped"));
        }
    }

    #[test]
    fn any_flipped_header_bit_is_found(len in 1..200_000_usize, segment: prop::sample::Index, at in 0..HEADER_LEN, bit in 0..8_u8) {
        let plain = plaintext(len);
        let mut sealed = seal(&plain, &[usize::MAX]);
        let segments = len.div_ceil(SEGMENT_LEN);
        sealed[segment.index(segments) * SEALED_SEGMENT as usize + at] ^= 1 << bit;
        for plain_len in [Some(len as u64), None] {
            assert_rejected(&sealed, &plain, plain_len, &[usize::MAX], &format!("bit {bit} of header byte {at} flipped"));
        }
    }

    #[test]
    fn any_truncation_and_extension_is_found(len in 1..200_000_usize, at: prop::sample::Index, extra in prop::collection::vec(any::<u8>(), 1..100)) {
        let plain = plaintext(len);
        let mut sealed = seal(&plain, &[usize::MAX]);
        let cut = at.index(sealed.len());
        assert_rejected(&sealed[..cut], &plain, Some(len as u64), &[usize::MAX], "a truncation");
        // Without `len`, an empty body is an object of no parts (FORMAT.md section 7).
        if cut > 0 {
            assert_rejected(&sealed[..cut], &plain, None, &[usize::MAX], "a truncation");
        }
        sealed.extend(extra);
        for plain_len in [Some(len as u64), None] {
            assert_rejected(&sealed, &plain, plain_len, &[usize::MAX], "an extension");
        }
    }

    #[test]
    fn any_swapped_repeated_or_dropped_segment_is_found(segments in 2..6_usize, tail in 1..SEGMENT_LEN, a: prop::sample::Index, b: prop::sample::Index) {
        let len = (segments - 1) * SEGMENT_LEN + tail;
        let plain = plaintext(len);
        let sealed = seal(&plain, &[usize::MAX]);
        let pieces: Vec<_> = sealed.chunks(SEALED_SEGMENT as usize).collect();
        let (a, b) = (a.index(segments), b.index(segments));
        let mut swapped = pieces.clone();
        swapped.swap(a, b);
        let mut repeated = pieces.clone();
        repeated.insert(a, pieces[a]);
        let mut dropped = pieces.clone();
        dropped.remove(a);
        for plain_len in [Some(len as u64), None] {
            if a != b {
                assert_rejected(&swapped.concat(), &plain, plain_len, &[usize::MAX], "a swap");
            }
            assert_rejected(&repeated.concat(), &plain, plain_len, &[usize::MAX], "a repetition");
            assert_rejected(&dropped.concat(), &plain, plain_len, &[usize::MAX], "an omission");
        }
    }

    #[test]
    fn parts_cannot_be_swapped_and_only_trailing_ones_dropped(lens in prop::collection::vec(1..70_000_usize, 2..5), a: prop::sample::Index) {
        let (plain, _) = multipart(&lens);
        let sealed: Vec<_> = (1..).zip(&lens).map(|(number, len)| seal_part(3, number, &plaintext(*len), &[usize::MAX])).collect();
        let a = a.index(lens.len() - 1);
        let mut swapped = sealed.clone();
        swapped.swap(a, a + 1);
        assert_rejected(&swapped.concat(), &plain, None, &[usize::MAX], "swapped parts");
        let mut dropped = sealed.clone();
        dropped.remove(a);
        assert_rejected(&dropped.concat(), &plain, None, &[usize::MAX], "a dropped part");
    }

    #[test]
    fn a_segment_of_another_object_is_found(len in 1..100_000_usize) {
        let plain = plaintext(len);
        let foreign = seal_part(4, 1, &plain, &[usize::MAX]);
        let (released, end) = open(&foreign, Some(len as u64), &[usize::MAX]);
        prop_assert!(released.is_empty());
        prop_assert_eq!(end, Err(OpenError::Authentication));
    }
}
