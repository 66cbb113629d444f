//! GetObject with a Range: the bytes are those of the plaintext, and few more than needed are asked for.

use std::rc::Rc;

use proptest::prelude::*;
use s3ep_core::format::layout::{Layout, sealed_len};
use s3ep_core::format::metadata::{self, Attributes};
use s3ep_core::keys::{Dek, ObjectKeys, ObjectName};
use s3ep_core::seal::Sealer;

use crate::support::{LENGTHS, MODES, Mode, Object, Outcome, Request, Split, Stack, StoreResponse, both, plaintext};

const KEY: &str = "/bucket/key";

fn ranged(range: &str) -> Request {
    Request::get(KEY).header("range", range)
}

/// A stack with one object of `len` bytes, and nothing remembered or counted of its upload.
fn holding(mode: Mode, len: usize) -> (Stack, Vec<u8>) {
    let mut stack = Stack::new(mode);
    let plain = plaintext(len as u32, len);
    stack.put(KEY, &plain);
    stack.forget();
    stack.store.requests.clear();
    (stack, plain)
}

/// What a range is, said in another way than the core says it. None: not satisfiable.
fn slice(plain: &[u8], first: Option<usize>, last: Option<usize>) -> Option<&[u8]> {
    let end = plain.len();
    let (from, to) = match (first, last) {
        (Some(first), last) => (first, last.map_or(end, |last| end.min(last.saturating_add(1)))),
        (None, count) => (end.saturating_sub(count.unwrap()), end),
    };
    plain.get(from..to).filter(|slice| !slice.is_empty())
}

fn header(first: Option<usize>, last: Option<usize>) -> String {
    let text = |number: Option<usize>| number.map(|n| n.to_string()).unwrap_or_default();
    format!("bytes={}-{}", text(first), text(last))
}

/// One range, cold and then warm.
fn check(stack: &mut Stack, plain: &[u8], first: Option<usize>, last: Option<usize>) {
    let range = header(first, last);
    for is_warm in [false, true] {
        stack.store.requests.clear();
        let outcome = stack.send(&ranged(&range));
        let Some(expected) = slice(plain, first, last) else {
            let Outcome::Refused(refusal) = outcome else {
                panic!("{range} of {}: {}", plain.len(), outcome.summary())
            };
            assert_eq!((refusal.told.status, refusal.told.code), (416, "InvalidRange"));
            assert_eq!(refusal.told.content_range.unwrap().to_string(), format!("bytes */{}", plain.len()));
            continue;
        };
        let response = outcome.complete();
        assert_eq!(response.status, 206);
        assert!(response.body == expected, "{range} of {}: other bytes", plain.len());
        let from = expected.as_ptr() as usize - plain.as_ptr() as usize;
        let content_range = format!("bytes {from}-{}/{}", from + expected.len() - 1, plain.len());
        assert_eq!(response.header("content-range"), Some(content_range.as_str()));
        assert_eq!(response.header("content-length"), Some(expected.len().to_string().as_str()));
        response.assert_hides_encryption();
        // Issue 3: the range, as it is sealed, and two segments.
        let most = sealed_len(expected.len() as u64).unwrap() as usize + 2 * 65_584;
        assert!(stack.store.answered() <= most, "{range}: {} bytes", stack.store.answered());
        assert_eq!(stack.store.count("HEAD"), usize::from(!is_warm), "{range}, warm: {is_warm}");
        assert_eq!(stack.store.count("GET"), 1);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_range_is_a_slice_of_the_plaintext(
        len in prop::sample::select(LENGTHS.to_vec()),
        first in prop::option::of(0_usize..210_000),
        more in prop::option::of(0_usize..150_000),
        split in prop::sample::select(Split::samples()),
        is_direct: bool,
    ) {
        let last = match first { Some(first) => more.map(|more| first + more), None => Some(more.unwrap_or(70_000)) };
        let (mut stack, plain) = holding(MODES[usize::from(is_direct)], len);
        stack.down = split;
        check(&mut stack, &plain, first, last);
    }
}

#[test]
fn ranges_at_borders() {
    let borders = [0, 1, 65_535, 65_536, 65_537, 131_071, 131_072, 199_999, 200_000, usize::MAX];
    for (mode, split) in MODES.into_iter().zip(Split::samples().into_iter().skip(2)) {
        for len in [0, 1, 65_536, 65_537, 200_000] {
            let (mut stack, plain) = holding(mode, len);
            stack.down = split.clone();
            for (at, first) in borders.into_iter().enumerate() {
                let lasts = borders[at..].iter().copied().map(Some).chain([None]);
                for last in lasts {
                    stack.forget();
                    check(&mut stack, &plain, Some(first), last);
                }
                stack.forget();
                check(&mut stack, &plain, None, Some(first));
            }
        }
    }
}

#[test]
fn a_range_that_s3_ignores_gets_all() {
    let ranges = [
        "bytes=",
        "bytes=-",
        "bytes=5-1",
        "bytes=a-b",
        "bytes=0-1,3-4",
        "lines=0-1",
        "0-1",
        "",
        "bytes=+0-1",
        "bytes=0-1-2",
    ];
    for (mode, range) in both(ranges) {
        let (mut stack, plain) = holding(mode, 70_000);
        let response = stack.send(&ranged(range)).complete();
        assert_eq!((response.status, &response.body), (200, &plain), "{range:?}");
        assert_eq!((response.header("content-length"), response.header("content-range")), (Some("70000"), None));
    }
}

#[test]
fn two_range_headers_are_ignored_or_refused() {
    let (mut stack, plain) = holding(Mode::Envelope, 70_000);
    match stack.send(&ranged("bytes=0-1").header("range", "bytes=5-6")) {
        Outcome::Complete(response) => assert_eq!((response.status, &response.body), (200, &plain)),
        outcome => assert_eq!(outcome.refused().0, 400),
    }
}

#[test]
fn a_range_of_an_object_that_is_not_encrypted_is_the_store_s() {
    for mode in MODES {
        let mut stack = Stack::new(mode);
        let plain = plaintext(5, 70_000);
        stack.store.objects.insert(KEY.into(), Object::new(&[], &plain));
        for (range, expected) in
            [("bytes=0-9", &plain[..10]), ("bytes=65530-", &plain[65_530..]), ("bytes=-1", &plain[69_999..])]
        {
            let response = stack.send(&ranged(range)).complete();
            assert_eq!((response.status, response.body.as_slice()), (206, expected), "{range}");
            assert!(response.header("content-range").unwrap().ends_with("/70000"));
        }
        assert_eq!(stack.send(&ranged("bytes=70000-")).complete().status, 416);
    }
}

#[test]
fn a_store_that_ignores_ranges_is_read_as_a_whole() {
    for mode in MODES {
        let (mut stack, plain) = holding(mode, 70_000);
        stack.store.ignores_range = true;
        let response = stack.send(&ranged("bytes=0-9")).complete();
        assert_eq!((response.status, response.body, response.headers.has("content-range")), (200, plain, false));
    }
}

#[test]
fn another_range_or_another_body_than_asked_for_is_refused() {
    for (mode, split) in both(Split::samples()) {
        let (mut stack, plain) = holding(mode, 200_000);
        stack.down = split;
        stack.put("/bucket/other", &plaintext(8, 200_000));
        let [object, other] = [KEY, "/bucket/other"].map(|path| stack.store.object(path).clone());
        let total = object.body.len();
        let answer = |object: &Object, body: &[u8], range: Option<&str>| {
            let mut headers = object.headers.clone();
            headers.extend(range.map(|range| ("content-range".to_owned(), range.to_owned())));
            StoreResponse::new(206, headers, body.to_vec())
        };
        let due = format!("bytes 65584-131167/{total}");
        let segment = 65_584..131_168;
        let cases = [
            (
                "another segment, and says so",
                answer(&object, &object.body[..65_584], Some(&format!("bytes 0-65583/{total}"))),
            ),
            ("another segment, and does not say so", answer(&object, &object.body[..65_584], Some(&due))),
            ("another object's under these headers", answer(&object, &other.body[segment.clone()], Some(&due))),
            ("another total", answer(&object, &object.body[segment.clone()], Some("bytes 65584-131167/200000"))),
            ("no total", answer(&object, &object.body[segment.clone()], Some("bytes 65584-131167/*"))),
            ("no range", answer(&object, &object.body[segment.clone()], None)),
            ("a byte less", answer(&object, &object.body[65_584..131_167], Some(&due))),
            ("a segment's header alone", answer(&object, &object.body[65_584..65_616], Some(&due))),
            ("a byte too many", answer(&object, &object.body[65_584..131_169], Some(&due))),
        ];
        for (name, response) in cases {
            // The look at the head is honest.
            stack.send(&ranged("bytes=0-0")).complete();
            stack.store.instead.push_back(response);
            let outcome = stack.send(&ranged("bytes=70000-70009"));
            let released = outcome.failed();
            assert!(plain[70_000..=70_009].starts_with(released), "{name}");
            stack.forget();
        }
        // As if it had been replaced: it is asked for once more.
        let others = [
            answer(&other, &other.body[segment.clone()], Some(&due)),
            answer(&Object::new(&[], b""), &object.body[segment], Some(&due)),
        ];
        for response in others {
            stack.send(&ranged("bytes=0-0")).complete();
            stack.store.instead.push_back(response);
            assert_eq!(stack.send(&ranged("bytes=70000-70009")).complete().body, plain[70_000..=70_009]);
            stack.forget();
        }
    }
}

/// HTTP/2 ends a response with its head, and says no length.
#[test]
fn an_answer_without_any_body_is_no_range() {
    let (mut stack, _) = holding(Mode::Envelope, 70_000);
    stack.send(&ranged("bytes=0-0")).complete();
    let object = stack.store.object(KEY).clone();
    let mut headers = object.headers;
    headers.push(("content-range".into(), format!("bytes 0-65583/{}", object.body.len())));
    stack.store.instead.push_back(StoreResponse::new(206, headers, Vec::new()));
    assert_eq!(stack.send(&ranged("bytes=0-9")).refused().0, 502);
}

#[test]
fn the_only_part_is_the_object() {
    for mode in MODES {
        let (mut stack, plain) = holding(mode, 70_000);
        let path = format!("{KEY}?partNumber=1");
        let response = stack.send(&Request::get(&path)).complete();
        assert!(matches!(response.status, 200 | 206) && response.body == plain, "{response:?}");
        let response = stack.send(&Request::head(&path)).complete();
        assert_eq!(response.header("content-length"), Some("70000"));
    }
}

/// Download managers ask for part 1 before they know how long an object is.
#[test]
fn the_only_part_of_an_empty_object_is_the_object() {
    let path = format!("{KEY}?response-content-type=a%2Fb&partNumber=1");
    for mode in MODES {
        let (mut stack, _) = holding(mode, 0);
        for request in [Request::get(&path), Request::head(&path), Request::get(&path)] {
            let response = stack.send(&request).complete();
            assert_eq!((response.status, response.header("content-length")), (200, Some("0")), "{request:?}");
            assert_eq!(response.header("content-range"), None);
            // What a store says to a part of nothing is not known.
            assert_eq!(stack.store.last().path, format!("{KEY}?response-content-type=a%2Fb"));
        }
        let second = Request::get(&format!("{KEY}?partNumber=2"));
        assert_eq!(stack.send(&second).refused(), (416, "InvalidPartNumber"));
    }
}

/// A copy of an upload whose last part was empty.
#[test]
fn an_empty_part_of_an_object_that_is_not_empty_cannot_be_had() {
    let mut stack = Stack::new(Mode::Envelope);
    let dek = Dek::from_slice(&[9; 32]).unwrap();
    let wrapped = stack.kms.wrap(&dek, &ObjectName { bucket: "bucket".into(), object_key: "key".into() }).unwrap();
    let keys = Rc::new(ObjectKeys::derive(&dek).unwrap());
    let attributes = Attributes { parts: Layout::parse("1x53,1x0"), ..Attributes::default() };
    let headers = metadata::to_headers(&keys, &wrapped, &attributes).unwrap();
    let mut body = Vec::new();
    let mut sealer = Sealer::new(keys, 1, 5);
    sealer.push(&mut stack.entropy, b"first", &mut body).unwrap();
    sealer.finish(&mut stack.entropy, &mut body).unwrap();
    stack.store.objects.insert(KEY.into(), Object { headers, ..Object::new(&[], &body) });

    assert_eq!(stack.get(KEY).complete().body, b"first");
    let part = |number: u16| Request::get(&format!("{KEY}?partNumber={number}"));
    let first = stack.send(&part(1)).complete();
    assert_eq!((first.status, first.body.as_slice()), (206, b"first".as_slice()));
    assert_eq!(stack.send(&part(2)).refused(), (416, "InvalidPartNumber"));
}
