//! Multipart uploads, from their first part to ranges of what they made; with a store that knows parts by number, and
//! with one that does not.

use proptest::prelude::*;
use serde_json::json;

use crate::support::{MODES, Mode, Object, Request, Stack, StoreResponse, both, contains, plaintext, upload};

const KEY: &str = "/bucket/key";
const TARGET: &str = "/bucket/target";

/// Parts of these lengths.
fn parts(lengths: &[usize]) -> Vec<Vec<u8>> {
    lengths.iter().zip(1..).map(|(len, seed)| plaintext(seed, *len)).collect()
}

/// A stack with an object of such parts, and nothing remembered or counted of its upload.
fn holding(mode: Mode, lengths: &[usize]) -> (Stack, Vec<u8>) {
    let mut stack = Stack::new(mode);
    let parts = parts(lengths);
    upload::make(&mut stack, KEY, &parts);
    stack.forget();
    stack.store.requests.clear();
    (stack, parts.concat())
}

/// A copy of `source` into a part of an upload to [`TARGET`].
fn copy_request(upload_id: &str, part: u16, source: &str) -> Request {
    Request::new("PUT", &format!("{TARGET}?partNumber={part}&uploadId={upload_id}")).header("x-amz-copy-source", source)
}

/// One part, copied; and what the target then is.
fn copied(stack: &mut Stack, source: &str, range: Option<&str>) -> Vec<u8> {
    let upload_id = upload::create(stack, TARGET);
    let mut request = copy_request(&upload_id, 1, source);
    if let Some(range) = range {
        request = request.header("x-amz-copy-source-range", range);
    }
    let response = stack.send(&request).complete();
    assert_eq!(response.status, 200);
    assert!(contains(&response.body, b"<CopyPartResult xmlns="), "{}", String::from_utf8_lossy(&response.body));
    upload::complete(stack, TARGET, &upload_id, 1);
    stack.forget();
    stack.get(TARGET).complete().body
}

#[test]
fn an_object_of_parts_is_the_parts() {
    let lengths: [&[usize]; 5] = [&[1], &[65_536, 65_536, 5], &[100_000, 7, 65_537], &[65_537; 4], &[1; 9]];
    for (mode, lengths) in both(lengths) {
        for ignores_part_numbers in [false, true] {
            let (mut stack, plain) = holding(mode, lengths);
            stack.store.ignores_part_numbers = ignores_part_numbers;
            let response = stack.get(KEY).complete();
            assert!(response.body == plain);
            assert_eq!(response.header("content-length"), Some(plain.len().to_string().as_str()));
            stack.forget();
            let head = stack.send(&Request::head(KEY)).complete();
            assert_eq!(head.header("content-length"), Some(plain.len().to_string().as_str()));
        }
    }
}

#[test]
fn as_many_parts_as_s3_allows() {
    let lengths: Vec<_> = (0..10_000).map(|number| 1 + number % 3).collect();
    let (mut stack, plain) = holding(Mode::Envelope, &lengths);
    assert!(stack.get(KEY).complete().body == plain);
    let range = Request::get(KEY).header("range", "bytes=19000-19099");
    assert!(stack.send(&range).complete().body == plain[19_000..19_100]);
}

#[test]
fn a_part_is_read_by_its_number() {
    let lengths = [100_000, 7, 65_537];
    for (mode, ignores_part_numbers) in both([false, true]) {
        let (mut stack, plain) = holding(mode, &lengths);
        stack.store.ignores_part_numbers = ignores_part_numbers;
        let mut start = 0;
        for (number, len) in (1..).zip(lengths) {
            let response = stack.get(&format!("{KEY}?partNumber={number}")).complete();
            assert_eq!(response.status, 206);
            assert!(response.body == plain[start..start + len]);
            let range = format!("bytes {start}-{}/{}", start + len - 1, plain.len());
            assert_eq!(response.header("content-range"), Some(range.as_str()));
            assert_eq!(response.header("x-amz-mp-parts-count"), Some("3"));
            start += len;
        }
        assert_eq!(stack.get(&format!("{KEY}?partNumber=4")).refused(), (416, "InvalidPartNumber"));
    }
}

#[test]
fn a_copied_part_is_its_source() {
    let sources: [&[usize]; 3] = [&[200_000], &[65_536, 65_536, 5], &[100_000, 7, 65_537]];
    for (mode, lengths) in both(sources) {
        let (mut stack, plain) = holding(mode, lengths);
        assert!(copied(&mut stack, "bucket/key", None) == plain);
        for (first, last) in [(0, 0), (65_535, 65_536), (1, plain.len() - 1), (100_000, 100_006)] {
            let range = format!("bytes={first}-{last}");
            assert!(copied(&mut stack, "/bucket/key", Some(&range)) == plain[first..=last], "{mode:?} {range}");
        }
    }
}

/// Larger than a window.
#[test]
fn a_large_part_is_copied_window_by_window() {
    let (mut stack, plain) = holding(Mode::Direct, &[9 << 20]);
    assert!(copied(&mut stack, "bucket/key", Some("bytes=70000-9000000")) == plain[70_000..=9_000_000]);
    let windows: Vec<_> = stack.store.requests.iter().filter_map(|request| request.header("range")).collect();
    assert_eq!(windows.len(), 3, "{windows:?}");
    assert!(stack.store.requests.iter().all(|request| request.answered <= 9_100_000));
}

#[test]
fn an_object_of_one_put_and_an_unencrypted_one_are_copied() {
    for mode in MODES {
        let mut stack = Stack::new(mode);
        let plain = plaintext(1, 200_000);
        stack.put(KEY, &plain);
        stack.put("/bucket/empty", b"");
        stack.store.objects.insert("/bucket/plain".into(), Object::new(&[], &plain));
        assert!(copied(&mut stack, "bucket/key", None) == plain);
        assert!(copied(&mut stack, "bucket/plain", Some("bytes=10-70000")) == plain[10..=70_000]);
        assert!(!contains(&stack.store.object(TARGET).body, &plain[100..150]));
        assert!(copied(&mut stack, "bucket/empty", None).is_empty());
    }
}

#[test]
fn an_unencrypted_source_is_refused_where_such_objects_are() {
    let mut stack = Stack::with(Mode::Direct, json!({ "unencrypted_objects": "refuse" }));
    stack.store.objects.insert(KEY.into(), Object::new(&[], b"in clear"));
    let upload_id = upload::create(&mut stack, TARGET);
    assert_eq!(stack.send(&copy_request(&upload_id, 1, "bucket/key")).refused(), (403, "AccessDenied"));
}

#[test]
fn ciphertext_that_lost_its_metadata_is_not_sealed_again() {
    let (mut stack, _) = holding(Mode::Direct, &[100]);
    stack.store.object(KEY).headers.clear();
    let upload_id = upload::create(&mut stack, TARGET);
    assert_eq!(stack.send(&copy_request(&upload_id, 1, "bucket/key")).refused(), (502, "InternalError"));
}

#[test]
fn what_cannot_be_copied_is_refused_and_nothing_is_written() {
    for mode in MODES {
        let (mut stack, _) = holding(mode, &[100_000]);
        let upload_id = upload::create(&mut stack, TARGET);
        let request = |source| copy_request(&upload_id, 1, source);
        let range = |range| request("bucket/key").header("x-amz-copy-source-range", range);
        let cases = [
            (request("bucket/none"), (404, "NoSuchKey")),
            (request("bucket"), (400, "InvalidArgument")),
            (range("bytes=0-100000"), (400, "InvalidArgument")),
            (range("bytes=5-"), (400, "InvalidArgument")),
            (range("bytes=-5"), (400, "InvalidArgument")),
            (range("0-5"), (400, "InvalidArgument")),
            (request("bucket/key").header("x-amz-copy-source-if-match", "\"0\""), (412, "PreconditionFailed")),
            (copy_request("upload.0", 1, "bucket/key"), (404, "NoSuchUpload")),
            (copy_request(&upload_id, 0, "bucket/key"), (400, "InvalidArgument")),
        ];
        stack.store.requests.clear();
        for (request, expected) in cases {
            assert_eq!(stack.send(&request).refused(), expected, "{request:?}");
        }
        assert_eq!(stack.store.count("PUT"), 0);
    }
}

#[test]
fn a_source_that_was_tampered_with_is_not_sealed_again() {
    for mode in MODES {
        let (mut stack, _) = holding(mode, &[100_000]);
        stack.store.object(KEY).body[70_000] ^= 1;
        let upload_id = upload::create(&mut stack, TARGET);
        stack.store.requests.clear();
        assert_eq!(stack.send(&copy_request(&upload_id, 1, "bucket/key")).refused(), (502, "InternalError"));
        assert_eq!(stack.store.count("PUT"), 0);
    }
}

#[test]
fn a_source_that_is_replaced_meanwhile_is_asked_for_again() {
    let (mut stack, _) = holding(Mode::Direct, &[100_000]);
    let upload_id = upload::create(&mut stack, TARGET);
    stack.store.after_head = Some((KEY.into(), Object::new(&[], b"another")));
    assert_eq!(stack.send(&copy_request(&upload_id, 1, "bucket/key")).refused(), (503, "SlowDown"));
}

#[test]
fn the_store_s_refusal_of_a_part_is_the_client_s_answer() {
    let (mut stack, _) = holding(Mode::Direct, &[100]);
    let upload_id = upload::create(&mut stack, TARGET);
    upload::complete(&mut stack, TARGET, &upload_id, 0);
    let response = stack.send(&copy_request(&upload_id, 1, "bucket/key")).complete();
    assert_eq!((response.status, response.body.as_slice()), (404, &b"<Error><Code>NoSuchUpload</Code></Error>"[..]));
}

#[test]
fn copies_are_bounded() {
    let bounds = json!({ "upload_part_copy": { "max_part_bytes": 1000, "max_bytes_in_flight": 1000 } });
    let mut stack = Stack::with(Mode::Direct, bounds);
    stack.put(KEY, &plaintext(1, 1001));
    let upload_id = upload::create(&mut stack, TARGET);
    assert_eq!(stack.send(&copy_request(&upload_id, 1, "bucket/key")).refused(), (400, "EntityTooLarge"));
    let part = copy_request(&upload_id, 1, "bucket/key").header("x-amz-copy-source-range", "bytes=1-1000");
    assert_eq!(stack.send(&part).complete().status, 200);
    let held = stack.caches.copying.take(1).unwrap();
    assert_eq!(stack.send(&part).refused(), (503, "SlowDown"));
    drop(held);
    assert_eq!(stack.send(&part).complete().status, 200);
}

#[test]
fn attributes_are_those_of_the_plaintext() {
    let ask = |wanted| Request::get(&format!("{KEY}?attributes")).header("x-amz-object-attributes", wanted);
    for (mode, ignores_part_numbers) in both([false, true]) {
        let (mut stack, _) = holding(mode, &[100_000, 7]);
        stack.store.ignores_part_numbers = ignores_part_numbers;
        let response = stack.send(&ask("ObjectParts,ObjectSize,Checksum")).complete();
        let document = String::from_utf8(response.body).unwrap();
        assert!(document.contains("<PartNumber>1</PartNumber><Size>100000</Size>"), "{document}");
        assert!(document.contains("<PartsCount>2</PartsCount>"), "{document}");
        assert!(document.contains("<ObjectSize>100007</ObjectSize>"), "{document}");
        stack.store.object(KEY).set("x-amz-meta-s3ep-mac", Some("AAAA"));
        stack.forget();
        assert_eq!(stack.send(&ask("ObjectSize")).refused(), (502, "InternalError"));
        stack.store.objects.clear();
        assert_eq!(stack.send(&ask("ObjectSize")).complete().status, 404);
        assert_eq!(stack.send(&ask("Size")).refused(), (400, "InvalidArgument"));
    }
}

#[test]
fn attributes_that_appear_after_a_refusal_are_not_shown() {
    let mut stack = Stack::new(Mode::Direct);
    let ask = Request::get(&format!("{KEY}?attributes")).header("x-amz-object-attributes", "ObjectSize");
    let forged = b"<GetObjectAttributesResponse><ObjectSize>1</ObjectSize></GetObjectAttributesResponse>".to_vec();
    stack.store.instead.extend([StoreResponse::new(404, vec![], vec![]), StoreResponse::new(200, vec![], forged)]);
    assert_eq!(stack.send(&ask).refused(), (503, "SlowDown"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Ranges, with both kinds of stores, over parts of any lengths.
    #[test]
    fn a_range_of_parts_is_of_the_plaintext(
        lengths in prop::collection::vec(prop_oneof![1..100_usize, 1..200_000_usize, Just(65_536)], 1..5),
        ignores_part_numbers: bool,
        from: prop::sample::Index,
        len in 1..100_000_usize,
    ) {
        let (mut stack, plain) = holding(Mode::Direct, &lengths);
        stack.store.ignores_part_numbers = ignores_part_numbers;
        let first = from.index(plain.len());
        let last = (first + len - 1).min(plain.len() - 1);
        let response = stack.send(&Request::get(KEY).header("range", &format!("bytes={first}-{last}"))).complete();
        prop_assert_eq!(response.status, 206);
        prop_assert!(response.body == plain[first..=last]);
        // The header looks of an unknown layout, and two segments around the range.
        prop_assert!(stack.store.answered() <= len + 3 * 65_584 + 64 * 32);
    }
}
