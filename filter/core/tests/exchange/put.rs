//! PutObject, and reading back what it wrote.

use s3ep_core::format::layout::sealed_len;
use s3ep_core::s3::checksum::Algorithm;

use crate::support::chunked::{checksum, sha256_hex};
use crate::support::{End, LENGTHS, MODES, Mode, Request, Split, Stack, both, contains, plaintext};

const KEY: &str = "/bucket/a%20key";

/// Nothing of `plain` is in what the store has of an object.
fn assert_sealed(stack: &mut Stack, plain: &[u8]) {
    let object = stack.store.object(KEY);
    assert_eq!(Some(object.body.len() as u64), sealed_len(plain.len() as u64));
    for name in ["alg", "dek", "kek", "len", "mac"] {
        assert!(object.header(&format!("x-amz-meta-s3ep-{name}")).is_some(), "{name} is missing");
    }
    assert!(!plain.chunks(4_096).filter(|chunk| chunk.len() >= 16).any(|chunk| contains(&object.body, &chunk[..16])));
}

#[test]
fn what_was_put_comes_back() {
    for (mode, split) in both(Split::samples()) {
        let mut stack = Stack::new(mode);
        (stack.up, stack.down) = (split.clone(), split);
        for len in LENGTHS {
            let plain = plaintext(len as u32, len);
            stack.put(KEY, &plain);
            assert_sealed(&mut stack, &plain);
            stack.forget();
            let response = stack.get(KEY).complete();
            assert_eq!((response.status, response.header("content-length")), (200, Some(len.to_string().as_str())));
            assert_eq!(response.body, plain, "{mode:?}, {len} bytes");
            response.assert_hides_encryption();
        }
    }
}

#[test]
fn an_empty_object_may_come_without_a_body() {
    for mode in MODES {
        for request in [Request::new("PUT", KEY).header("content-length", "0"), Request::put(KEY, b"")] {
            let mut stack = Stack::new(mode);
            assert_eq!(stack.send(&request).complete().status, 200);
            assert_eq!(stack.store.last().header("content-length"), Some("0"));
            stack.forget();
            assert_eq!(stack.get(KEY).complete().header("content-length"), Some("0"));
        }
    }
}

#[test]
fn a_head_tells_the_plaintext_s_length() {
    for (mode, len) in both(LENGTHS) {
        let mut stack = Stack::new(mode);
        stack.put(KEY, &plaintext(1, len));
        stack.forget();
        let response = stack.send(&Request::head(KEY)).complete();
        assert_eq!((response.status, response.header("content-length")), (200, Some(len.to_string().as_str())));
        response.assert_hides_encryption();
    }
}

#[test]
fn what_the_object_is_besides_its_body_is_kept() {
    let headers = [
        ("content-type", "text/plain; charset=utf-8"),
        ("content-encoding", "gzip"),
        ("cache-control", "no-store"),
        ("content-disposition", "attachment; filename=\"a\""),
        ("x-amz-meta-mine", "1"),
        ("x-amz-meta-s3e", "not ours"),
    ];
    for mode in MODES {
        let mut stack = Stack::new(mode);
        let request = Request::put(KEY, b"body").header("x-amz-storage-class", "STANDARD_IA");
        let request = headers.iter().fold(request, |request, (name, value)| request.header(name, value));
        let put = stack.send(&request).complete();
        put.assert_hides_encryption();
        assert_eq!(stack.store.last().header("x-amz-storage-class"), Some("STANDARD_IA"));
        for response in [stack.get(KEY), stack.send(&Request::head(KEY))].map(|outcome| outcome.complete()) {
            headers.iter().for_each(|(name, value)| assert_eq!(response.header(name), Some(*value)));
            assert_eq!(response.header("etag"), put.header("etag"));
        }
    }
}

#[test]
fn checksums_are_checked_and_not_passed_on() {
    let plain = plaintext(3, 70_000);
    let md5 = checksum(Algorithm::Md5, &plain);
    let other = |algorithm| checksum(algorithm, b"another body");
    let mut cases = vec![
        ("content-md5", md5, None),
        ("content-md5", other(Algorithm::Md5), Some((400, "BadDigest"))),
        ("content-md5", "not base64".into(), Some((400, "InvalidDigest"))),
        ("x-amz-content-sha256", sha256_hex(&plain), None),
        ("x-amz-content-sha256", "UNSIGNED-PAYLOAD".into(), None),
        ("x-amz-content-sha256", sha256_hex(b"another body"), Some((400, "XAmzContentSHA256Mismatch"))),
        ("x-amz-content-sha256", "beef".into(), Some((400, "InvalidArgument"))),
        ("x-amz-checksum-crc32", "AAAA".into(), Some((400, "InvalidRequest"))),
        ("x-amz-checksum-xxhash64", "AAAAAAAAAAA=".into(), Some((501, "NotImplemented"))),
    ];
    for algorithm in Algorithm::ALL {
        cases.push((algorithm.header(), checksum(algorithm, &plain), None));
        cases.push((algorithm.header(), other(algorithm), Some((400, "BadDigest"))));
    }
    for (mode, split) in both(Split::samples()) {
        for (name, value, refused) in &cases {
            let mut stack = Stack::new(mode);
            stack.up = split.clone();
            let outcome = stack.send(&Request::put(KEY, &plain).header(name, value));
            match refused {
                None => assert_eq!(outcome.complete().status, 200, "{name}: {value}"),
                Some(refused) => assert_eq!(outcome.refused(), *refused, "{name}: {value}"),
            }
            assert_eq!(stack.store.objects.contains_key(KEY), refused.is_none(), "{name}: {value}");
            assert!(stack.store.requests.iter().all(|request| !request.headers.has(name)), "{name} went upstream");
        }
    }
}

#[test]
fn checksums_of_an_empty_body_are_checked_too() {
    let name = Algorithm::Crc32.header();
    for (stated, is_right) in [("AAAAAA==", true), ("AAAAAQ==", false)] {
        for request in [Request::put(KEY, b""), Request::new("PUT", KEY).header("content-length", "0")] {
            let mut stack = Stack::new(Mode::Envelope);
            let outcome = stack.send(&request.clone().header(name, stated));
            assert_eq!(outcome.status(), if is_right { 200 } else { 400 });
            // An empty body is whole as soon as it is promised: the refusal must come before the head goes on.
            assert_eq!(stack.store.objects.contains_key(KEY), is_right, "{:?}", request.body);
        }
    }
}

#[test]
fn a_body_that_is_not_as_long_as_stated_makes_no_object() {
    for (mode, split) in both(Split::samples()) {
        for (stated, len) in [(1, 0), (100, 99), (65_536, 65_535), (65_537, 65_536), (200_000, 131_072), (65_536, 0)] {
            let mut stack = Stack::new(mode);
            stack.up = split.clone();
            let request = Request::put(KEY, &plaintext(1, len)).without("content-length");
            let outcome = stack.send(&request.header("content-length", &stated.to_string()));
            assert_eq!(outcome.refused(), (400, "IncompleteBody"), "{len} of {stated}");
            assert!(stack.store.objects.is_empty(), "{len} of {stated}");
        }
    }
}

#[test]
fn a_body_that_goes_on_is_refused() {
    for (mode, split) in both(Split::samples()) {
        for (stated, len) in [(0, 1), (99, 100), (65_535, 65_536), (65_536, 65_537), (65_536, 200_000)] {
            let mut stack = Stack::new(mode);
            stack.up = split.clone();
            let plain = plaintext(1, len);
            let request = Request::put(KEY, &plain).without("content-length");
            let outcome = stack.send(&request.header("content-length", &stated.to_string()));
            assert_eq!(outcome.refused(), (400, "IncompleteBody"), "{len} of {stated}");
            // All of the stated length may have gone before the excess came. It is authentic then, and nothing else.
            if stack.store.objects.contains_key(KEY) {
                assert_eq!(stack.get(KEY).complete().body, plain[..stated]);
            }
        }
    }
}

#[test]
fn no_length_no_object() {
    for mode in MODES {
        let mut stack = Stack::new(mode);
        let refused = [
            Request::put(KEY, b"body").without("content-length"),
            Request::put(KEY, b"body").without("content-length").header("transfer-encoding", "chunked"),
            Request::new("PUT", KEY),
        ];
        for request in refused {
            assert_eq!(stack.send(&request).refused(), (411, "MissingContentLength"));
        }
        for length in ["", "-1", "+4", "4 4", "0x4", "18446744073709551616"] {
            let request = Request::put(KEY, b"body").without("content-length").header("content-length", length);
            assert_eq!(stack.send(&request).refused(), (400, "InvalidArgument"), "{length:?}");
        }
        let request = Request::put(KEY, b"body").without("content-length");
        let request = request.header("content-length", &u64::MAX.to_string());
        assert_eq!(stack.send(&request).refused(), (400, "EntityTooLarge"));
        assert!(stack.store.requests.is_empty());
    }
}

#[test]
fn the_store_s_own_refusals_pass() {
    for (mode, split) in MODES.into_iter().zip(Split::samples()) {
        let mut stack = Stack::new(mode);
        stack.down = split;
        stack.put(KEY, b"body");
        let response = stack.send(&Request::put(KEY, b"body").header("if-none-match", "*")).complete();
        assert_eq!(response.status, 412);
        assert_eq!(response.body, b"<Error><Code>PreconditionFailed</Code></Error>");
    }
}

#[test]
fn trailers_may_end_a_body_of_any_split() {
    let mut stack = Stack::new(Mode::Envelope);
    stack.up = Split::new(&[1], End::Trailers);
    stack.put(KEY, b"body");
    stack.down = Split::new(&[1], End::Trailers);
    assert_eq!(stack.get(KEY).complete().body, b"body");
}
