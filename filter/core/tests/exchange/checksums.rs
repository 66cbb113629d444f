//! `x-amz-checksum-*`: kept with an object, hidden from the store, and given back to whoever asks for it.

use s3ep_core::s3::checksum::Algorithm;

use crate::support::chunked::{self, checksum};
use crate::support::{LENGTHS, MODES, Message, Mode, Request, Split, Stack, both, contains, plaintext, upload};

const KEY: &str = "/bucket/key";
const STORED: &str = "x-amz-meta-s3ep-checksum";

/// A PUT that states a checksum in its head.
fn put(path: &str, plain: &[u8], algorithm: Algorithm) -> Request {
    Request::put(path, plain).header(algorithm.header(), &checksum(algorithm, plain))
}

fn asking(request: Request) -> Request {
    request.header("x-amz-checksum-mode", "ENABLED")
}

/// All that a response says of checksums.
fn stated(message: &Message) -> Vec<(&str, &str)> {
    let text = |value| std::str::from_utf8(value).unwrap();
    let mut stated: Vec<_> = message.headers.iter().map(|(name, value)| (name, text(value))).collect();
    stated.retain(|(name, _)| name.starts_with("x-amz-checksum-"));
    stated
}

/// Whether a response states this checksum of the whole object, and nothing else.
#[track_caller]
fn assert_states(message: &Message, algorithm: Algorithm, plain: &[u8]) {
    let value = checksum(algorithm, plain);
    assert_eq!(stated(message), [(algorithm.header(), value.as_str()), ("x-amz-checksum-type", "FULL_OBJECT")]);
}

#[test]
fn a_checksum_in_the_head_is_given_back() {
    for (mode, split) in both(Split::samples()) {
        for (len, algorithm) in LENGTHS.into_iter().zip(Algorithm::ALL.into_iter().cycle()) {
            let mut stack = Stack::new(mode);
            (stack.up, stack.down) = (split.clone(), split.clone());
            let plain = plaintext(1, len);
            assert_states(&stack.send(&put(KEY, &plain, algorithm)).complete(), algorithm, &plain);
            for cold in [true, false] {
                if cold {
                    stack.forget();
                }
                for request in [Request::get(KEY), Request::head(KEY)] {
                    assert_eq!(stated(&stack.send(&request).complete()), []);
                    assert_states(&stack.send(&asking(request)).complete(), algorithm, &plain);
                    assert!(!stack.store.last().headers.has("x-amz-checksum-mode"));
                }
            }
        }
    }
}

/// It would confirm the store's guesses at the plaintext, and tell which objects are equal.
#[test]
fn the_store_does_not_see_it() {
    for (mode, algorithm) in both(Algorithm::ALL) {
        let mut stack = Stack::new(mode);
        stack.send(&put(KEY, b"1234", algorithm)).complete();
        stack.send(&put("/bucket/equal", b"1234", algorithm)).complete();
        let [one, equal] =
            [KEY, "/bucket/equal"].map(|path| stack.store.object(path).header(STORED).unwrap().to_owned());
        assert!(one.starts_with(&format!("{}:", algorithm.name())), "{one}");
        assert_ne!(one, equal);
        let value = checksum(algorithm, b"1234");
        for request in &stack.store.requests {
            assert!(!request.headers.iter().any(|(_, stored)| contains(stored, value.as_bytes())), "{algorithm:?}");
        }
    }
}

#[test]
fn a_checksum_of_nothing_is_kept_too() {
    for mode in MODES {
        let mut stack = Stack::new(mode);
        let request = Request::new("PUT", KEY).header("content-length", "0");
        let request = request.header(Algorithm::Sha256.header(), &checksum(Algorithm::Sha256, b""));
        assert_states(&stack.send(&request).complete(), Algorithm::Sha256, b"");
        assert_states(&stack.send(&asking(Request::head(KEY))).complete(), Algorithm::Sha256, b"");
    }
}

#[test]
fn a_part_of_an_object_has_no_checksum() {
    for mode in MODES {
        let mut stack = Stack::new(mode);
        let plain = plaintext(1, 70_000);
        stack.send(&put(KEY, &plain, Algorithm::Crc32)).complete();
        let part = format!("{KEY}?partNumber=1");
        let requests = [Request::get(KEY).header("range", "bytes=0-"), Request::get(&part), Request::head(&part)];
        for request in requests.map(asking) {
            let response = stack.send(&request).complete();
            assert_eq!((response.status, stated(&response)), (206, vec![]), "{request:?}");
            assert!(stack.store.requests.iter().all(|request| !request.headers.has("x-amz-checksum-mode")));
        }
        // A range that S3 ignores: it is the whole object after all.
        let request = asking(Request::get(KEY).header("range", "bytes=5-1"));
        assert_states(&stack.send(&request).complete(), Algorithm::Crc32, &plain);
    }
}

#[test]
fn a_checksum_in_a_trailer_is_repeated_and_not_kept() {
    for (mode, algorithm) in both(Algorithm::ALL) {
        let mut stack = Stack::new(mode);
        let plain = plaintext(1, 70_000);
        let response = stack.send(&chunked::put(KEY, &plain, algorithm, &checksum(algorithm, &plain))).complete();
        assert_states(&response, algorithm, &plain);
        assert_eq!(stack.store.object(KEY).header(STORED), None);
        assert_eq!(stated(&stack.send(&asking(Request::get(KEY))).complete()), []);
    }
}

#[test]
fn nothing_is_stated_of_what_was_not_stored() {
    let mut stack = Stack::new(Mode::Envelope);
    stack.put(KEY, b"old");
    let request = put(KEY, b"new", Algorithm::Crc32).header("if-none-match", "*");
    let response = stack.send(&request).complete();
    assert_eq!((response.status, stated(&response)), (412, vec![]));
}

#[test]
fn a_checksum_that_the_store_changed_is_found_out() {
    let changes: [fn(String) -> Option<String>; 5] = [
        |_| None,
        |_| Some(String::new()),
        |_| Some("CRC32:AAAAAA==".into()),
        |value| Some(value.to_lowercase()),
        |value| Some(value.replace("CRC32:", "CRC32C:")),
    ];
    for (mode, change) in both(changes) {
        let mut stack = Stack::new(mode);
        stack.send(&put(KEY, b"body", Algorithm::Crc32)).complete();
        let changed = change(stack.store.object(KEY).header(STORED).unwrap().to_owned());
        stack.store.object(KEY).set(STORED, changed.as_deref());
        for request in [Request::get(KEY), asking(Request::get(KEY)), asking(Request::head(KEY))] {
            assert_eq!(stack.send(&request).refused().0, 502, "{changed:?}");
        }
    }
}

#[test]
fn a_copy_has_its_source_s_checksum() {
    let copy = |from: &str, to: &str| Request::new("PUT", to).header("x-amz-copy-source", from);
    for mode in MODES {
        let mut stack = Stack::new(mode);
        let plain = plaintext(1, 70_000);
        stack.send(&put(KEY, &plain, Algorithm::Crc64Nvme)).complete();
        let replacing = copy("/bucket/copy", "/bucket/again").header("x-amz-metadata-directive", "REPLACE");
        // Another one would have to be computed.
        let replacing = replacing.header("x-amz-checksum-algorithm", "SHA256");
        for request in [copy(KEY, "/bucket/copy"), replacing] {
            assert_eq!(stack.send(&request).complete().status, 200);
            stack.forget();
            let response = stack.send(&asking(Request::get(&request.path))).complete();
            assert_eq!(response.body, plain);
            assert_states(&response, Algorithm::Crc64Nvme, &plain);
        }
        stack.put("/bucket/without", &plain);
        stack.send(&copy("/bucket/without", "/bucket/copy")).complete();
        assert_eq!(stated(&stack.send(&asking(Request::get("/bucket/copy"))).complete()), []);
    }
}

/// S3 says of a part what its checksum is, and not of which type.
#[test]
fn a_part_s_checksum_is_repeated() {
    let mut stack = Stack::new(Mode::Envelope);
    let upload_id = upload::create(&mut stack, KEY);
    let (path, plain) = (format!("{KEY}?partNumber=2&uploadId={upload_id}"), plaintext(1, 70_000));
    for algorithm in Algorithm::ALL {
        let value = checksum(algorithm, &plain);
        for request in [put(&path, &plain, algorithm), chunked::put(&path, &plain, algorithm, &value)] {
            let response = stack.send(&request).complete();
            assert_eq!((response.status, stated(&response)), (200, vec![(algorithm.header(), value.as_str())]));
        }
    }
}
