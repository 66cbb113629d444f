//! Byte ranges: what S3 serves, and that the segments of a range give back the range.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use proptest::prelude::*;
use s3ep_core::format::layout::{Layout, OVERHEAD, PLAIN_SEGMENT, SEALED_SEGMENT, plain_len, sealed_len};
use s3ep_core::s3::range::{ByteRange, ContentRange, Resolved, SegmentSpan, Span, resolve};

/// The segments of a single PUT's object.
fn covering(first: u64, last: u64, plain_len: u64) -> Option<SegmentSpan> {
    SegmentSpan::covering(Span::new(first, last).unwrap(), &Layout::single(plain_len)?)
}

/// Numbers of the first and the last segment of a single PUT's object.
fn segments_of(span: SegmentSpan) -> (u64, u64) {
    (span.sealed.first() / SEALED_SEGMENT, span.sealed.last() / SEALED_SEGMENT)
}

fn part(first: u64, last: u64) -> Resolved {
    Resolved::Part(Span::new(first, last).unwrap())
}

#[test]
fn ranges_of_an_object() {
    use Resolved::{Unsatisfiable, Whole};
    let huge = "99999999999999999999999999";
    for (header, len, expected) in [
        ("bytes=0-9", 100, part(0, 9)),
        ("bytes=0-0", 1, part(0, 0)),
        ("Bytes=5-5", 100, part(5, 5)),
        (" bytes= 5-5\t", 100, part(5, 5)),
        ("bytes=007-0008", 100, part(7, 8)),
        ("bytes=90-200", 100, part(90, 99)),
        (&format!("bytes=90-{huge}"), 100, part(90, 99)),
        ("bytes=0-18446744073709551615", 100, part(0, 99)),
        ("bytes=0-", 100, part(0, 99)),
        ("bytes=99-", 100, part(99, 99)),
        ("bytes=-1", 100, part(99, 99)),
        ("bytes=-100", 100, part(0, 99)),
        ("bytes=-101", 100, part(0, 99)),
        (&format!("bytes=-{huge}"), 100, part(0, 99)),
        ("bytes=100-", 100, Unsatisfiable),
        ("bytes=100-200", 100, Unsatisfiable),
        (&format!("bytes={huge}-{huge}"), 100, Unsatisfiable),
        (&format!("bytes={huge}-"), u64::MAX, Unsatisfiable),
        ("bytes=-0", 100, Unsatisfiable),
        ("bytes=0-", 0, Unsatisfiable),
        ("bytes=0-0", 0, Unsatisfiable),
        ("bytes=-5", 0, Unsatisfiable),
        ("bytes=10-9", 100, Whole),
        ("bytes=0-1,3-4", 100, Whole),
        ("bytes=0-1,", 100, Whole),
        ("bytes=-", 100, Whole),
        ("bytes=", 100, Whole),
        ("bytes", 100, Whole),
        ("", 100, Whole),
        ("0-1", 100, Whole),
        ("items=0-1", 100, Whole),
        ("bytes=a-b", 100, Whole),
        ("bytes=+1-2", 100, Whole),
        ("bytes=1-2-3", 100, Whole),
        ("bytes=--1", 100, Whole),
        ("bytes=1 - 2", 100, Whole),
        ("bytes=0x1-2", 100, Whole),
        ("bytes=١-٢", 100, Whole),
    ] {
        assert_eq!(resolve(Some(header), len), expected, "{header:?} of {len}");
    }
    assert_eq!(resolve(None, 100), Whole);
}

#[test]
fn content_ranges() {
    let span = Span::new(0, 9).unwrap();
    for (text, expected) in [
        ("bytes 0-9/100", Some(ContentRange::Part(span, Some(100)))),
        ("bytes 0-9/10", Some(ContentRange::Part(span, Some(10)))),
        ("bytes 0-9/*", Some(ContentRange::Part(span, None))),
        ("bytes */100", Some(ContentRange::Unsatisfied(100))),
        ("bytes */0", Some(ContentRange::Unsatisfied(0))),
        ("bytes 0-9/9", None),
        ("bytes 9-0/100", None),
        ("bytes */*", None),
        ("bytes 0-/100", None),
        ("bytes -9/100", None),
        ("bytes 0-9", None),
        ("bytes=0-9/100", None),
        ("bytes 0-9/99999999999999999999999", None),
        ("bytes  0-9/100", None),
        ("items 0-9/100", None),
        ("", None),
    ] {
        assert_eq!(ContentRange::parse(text), expected, "{text:?}");
        if let Some(parsed) = expected {
            assert_eq!(parsed.to_string(), text);
        }
    }
}

#[test]
fn segments_of_a_range() {
    let plain = 200_000;
    let sealed = sealed_len(plain).unwrap();
    for (first, last, segments, bytes, skip) in [
        (0, 0, (0, 0), (0, 65_583), 0),
        (0, 65_535, (0, 0), (0, 65_583), 0),
        (65_535, 65_536, (0, 1), (0, 131_167), 65_535),
        (65_536, 65_536, (1, 1), (65_584, 131_167), 0),
        (0, 199_999, (0, 3), (0, sealed - 1), 0),
        (196_608, 199_999, (3, 3), (196_752, sealed - 1), 0),
        (199_999, 199_999, (3, 3), (196_752, sealed - 1), 3_391),
    ] {
        let span = covering(first, last, plain).unwrap();
        assert_eq!(segments_of(span), segments, "{first}-{last}");
        assert_eq!(u64::from(span.first.index), segments.0);
        assert_eq!(span.sealed, Span::new(bytes.0, bytes.1).unwrap());
        assert_eq!((span.skip, span.take), (skip, last - first + 1));
    }
    assert_eq!(Span::new(65_584, 131_167).unwrap().to_string(), "bytes=65584-131167");
}

#[test]
fn no_segments_beyond_the_object() {
    let at = covering;
    assert_eq!(at(0, 0, 0), None);
    assert_eq!(at(0, 10, 10), None);
    assert_eq!(at(0, 0, u64::MAX), None);
    assert_eq!(at(0, u64::MAX, u64::MAX), None);
}

/// A stand-in for sealing that keeps its layout: 32 bytes before each segment and 16 behind it.
fn framed(plain: &[u8]) -> Vec<u8> {
    plain.chunks(PLAIN_SEGMENT as usize).flat_map(|segment| [&[0xff; 32], segment, &[0xee; 16]].concat()).collect()
}

/// The plaintext in `sealed`, whose first byte begins a segment.
fn unframed(sealed: &[u8]) -> Vec<u8> {
    let inner = |segment: &[u8]| segment[32..segment.len() - 16].to_vec();
    sealed.chunks(SEALED_SEGMENT as usize).flat_map(inner).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_range_comes_back_from_its_segments(
        len in prop_oneof![1usize..400_000, 65_530usize..65_545, 131_070usize..131_075],
        at in any::<(prop::sample::Index, prop::sample::Index)>(),
    ) {
        let plain: Vec<u8> = (0..len).map(|i| (i % 251) as u8).collect();
        let sealed = framed(&plain);
        let (a, b) = (at.0.index(len), at.1.index(len));
        let (first, last) = (a.min(b), a.max(b));
        let span = covering(first as u64, last as u64, len as u64).unwrap();
        let segments = segments_of(span);
        let got = unframed(&sealed[span.sealed.first() as usize..=span.sealed.last() as usize]);
        prop_assert_eq!(&got[span.skip as usize..][..span.take as usize], &plain[first..=last]);
        // The promise: the range and at most two segments more.
        prop_assert!(span.sealed.len() <= span.take + (segments.1 - segments.0 + 1) * OVERHEAD + 2 * PLAIN_SEGMENT);
        prop_assert!(plain_len(span.sealed.len()).is_some());
    }

    #[test]
    fn what_resolves_lies_within(text in "bytes=[0-9]{0,22}-[0-9]{0,22}", len in any::<u64>()) {
        if let Resolved::Part(span) = resolve(Some(&text), len) {
            prop_assert!(span.first() <= span.last() && span.last() < len);
        }
    }

    #[test]
    fn arbitrary_headers_never_panic(text in ".*", len in any::<u64>()) {
        let _ = (resolve(Some(&text), len), ContentRange::parse(&text));
    }

    #[test]
    fn what_is_written_is_read(first in any::<u64>(), last in any::<u64>(), more in 1u64..1000) {
        prop_assume!(first <= last && last < u64::MAX - 1000);
        let span = Span::new(first, last).unwrap();
        prop_assert_eq!(ByteRange::parse(&span.to_string()), Some(ByteRange::Bounded(span)));
        for range in [ContentRange::Part(span, Some(last + more)), ContentRange::Part(span, None), ContentRange::Unsatisfied(last)] {
            prop_assert_eq!(ContentRange::parse(&range.to_string()), Some(range));
        }
    }
}
