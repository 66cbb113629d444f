//! GetObject and HeadObject of what the store has, whatever that is.

use crate::support::{End, LENGTHS, MODES, Mode, Object, Request, Split, Stack, StoreResponse, both, plaintext};

const KEY: &str = "/bucket/key";

#[test]
fn an_object_that_is_not_encrypted_passes_byte_exact() {
    for (mode, split) in both(Split::samples()) {
        let ends = if split.end == End::Trailers { 32..=100 } else { 0..=100 };
        for len in ends.chain([65_584, 200_000]) {
            let mut stack = Stack::new(mode);
            stack.down = split.clone();
            let plain = plaintext(9, len);
            stack.store.objects.insert(KEY.into(), Object::new(&[("content-type", "a/b")], &plain));
            let response = stack.get(KEY).complete();
            assert_eq!(response.body, plain);
            assert_eq!(response.header("content-length"), Some(len.to_string().as_str()));
            assert_eq!(response.header("x-amz-checksum-crc64nvme"), Some("AAAAAAAAAAA="));
        }
        let mut stack = Stack::new(mode);
        stack.store.objects.insert(KEY.into(), Object::new(&[], b"S3EP is how this text begins"));
        assert_eq!(stack.get(KEY).complete().body, b"S3EP is how this text begins");
        assert_eq!(stack.send(&Request::head(KEY)).complete().header("content-length"), Some("28"));
    }
}

#[test]
fn a_short_object_that_ends_with_trailers_is_whole() {
    for len in 0..32 {
        let mut stack = Stack::new(Mode::Envelope);
        stack.down = Split::new(&[7], End::Trailers);
        let plain = plaintext(9, len);
        stack.store.objects.insert(KEY.into(), Object::new(&[], &plain));
        assert_eq!(stack.get(KEY).complete().body, plain);
    }
}

#[test]
fn an_object_that_is_not_encrypted_is_refused_if_so_configured() {
    let range = |path: &str| Request::get(path).header("range", "bytes=0-1");
    for (mode, len) in both([0, 1, 70_000]) {
        let mut stack = Stack::with(mode, serde_json::json!({ "unencrypted_objects": "refuse" }));
        stack.store.objects.insert(KEY.into(), Object::new(&[], &plaintext(9, len)));
        for request in [Request::get(KEY), Request::head(KEY), range(KEY)] {
            assert_eq!(stack.send(&request).refused(), (403, "AccessDenied"));
        }
        stack.put("/bucket/other", b"body");
        for request in [Request::get("/bucket/other"), Request::head("/bucket/other"), range("/bucket/other")] {
            assert!(matches!(stack.send(&request).complete().status, 200 | 206));
        }
        assert_eq!(stack.get("/bucket/none").complete().status, 404);
    }
}

#[test]
fn ciphertext_that_lost_its_metadata_is_no_object() {
    for (mode, split) in both(Split::samples()) {
        for len in LENGTHS.into_iter().filter(|len| *len > 0) {
            let mut stack = Stack::new(mode);
            stack.down = split.clone();
            stack.put(KEY, &plaintext(1, len));
            stack.store.object(KEY).headers.clear();
            assert!(stack.get(KEY).failed().is_empty(), "{len} bytes");
            for cut in [32, 33, 40] {
                stack.store.object(KEY).body.truncate(cut);
                assert!(stack.get(KEY).failed().is_empty(), "{len} bytes, cut to {cut}");
            }
        }
    }
}

/// As far as it can be told: FORMAT.md section 7 speaks of how a body begins, and other ranges begin elsewhere.
#[test]
fn a_first_range_of_ciphertext_that_lost_its_metadata_is_no_object() {
    for (mode, split) in both(Split::samples()) {
        let mut stack = Stack::new(mode);
        stack.down = split;
        stack.put(KEY, &plaintext(1, 70_000));
        stack.store.object(KEY).headers.clear();
        stack.forget();
        for range in ["bytes=0-31", "bytes=0-199", "bytes=0-", "bytes=-70096"] {
            let outcome = stack.send(&Request::get(KEY).header("range", range));
            assert!(outcome.failed().is_empty(), "{mode:?}, {range}");
        }
    }
}

#[test]
fn what_is_no_object_passes_untouched() {
    for (mode, split) in MODES.into_iter().zip(Split::samples()) {
        let mut stack = Stack::new(mode);
        stack.down = split;
        let etag = stack.put(KEY, b"body").header("etag").unwrap().to_owned();
        let not_modified = stack.send(&Request::get(KEY).header("if-none-match", &etag)).complete();
        assert_eq!((not_modified.status, not_modified.header("etag")), (304, Some(etag.as_str())));
        assert!(not_modified.body.is_empty());
        let failed = stack.send(&Request::get(KEY).header("if-match", "\"other\"")).complete();
        assert_eq!(
            (failed.status, failed.body.as_slice()),
            (412, b"<Error><Code>PreconditionFailed</Code></Error>".as_slice())
        );
        let missing = stack.get("/bucket/none").complete();
        assert_eq!(
            (missing.status, missing.body.as_slice()),
            (404, b"<Error><Code>NoSuchKey</Code></Error>".as_slice())
        );
        assert_eq!(stack.send(&Request::head("/bucket/none")).complete().status, 404);
        for status in [301, 307, 400, 403, 500, 503] {
            let headers = vec![("location".into(), "/elsewhere".into()), ("content-length".into(), "9".into())];
            stack.store.instead.push_back(StoreResponse::new(status, headers, b"<Error/>\n".to_vec()));
            let response = stack.get(KEY).complete();
            assert_eq!((response.status, response.body.as_slice()), (status, b"<Error/>\n".as_slice()));
            assert_eq!(response.header("location"), Some("/elsewhere"));
        }
    }
}

#[test]
fn our_metadata_is_hidden_from_errors_too() {
    let mut stack = Stack::new(Mode::Envelope);
    stack.put(KEY, b"body");
    let headers = stack.store.object(KEY).headers.clone();
    stack.store.instead.push_back(StoreResponse::new(304, headers, Vec::new()));
    let response = stack.get(KEY).complete();
    assert!(!response.headers.iter().any(|(name, _)| name.contains("s3ep")));
}

#[test]
fn a_part_that_nobody_asked_for_is_refused() {
    for mode in MODES {
        let mut stack = Stack::new(mode);
        stack.put(KEY, &plaintext(1, 200_000));
        let object = stack.store.object(KEY).clone();
        let mut headers = object.headers.clone();
        headers.push(("content-range".into(), format!("bytes 0-65583/{}", object.body.len())));
        headers.push(("content-length".into(), "65584".into()));
        let part = StoreResponse::new(206, headers.clone(), object.body[..65_584].to_vec());
        stack.store.instead.push_back(part.clone());
        assert_eq!(stack.get(KEY).refused().0, 502);
        stack.store.instead.push_back(StoreResponse { status: 203, ..part });
        assert_eq!(stack.get(KEY).refused().0, 502);
    }
}

#[test]
fn a_store_that_states_no_length_is_read_all_the_same() {
    for (mode, split) in both(Split::samples()) {
        let mut stack = Stack::new(mode);
        stack.down = split;
        let plain = plaintext(1, 70_000);
        stack.put(KEY, &plain);
        let object = stack.store.object(KEY).clone();
        stack.store.instead.push_back(StoreResponse::new(200, object.headers.clone(), object.body.clone()));
        let response = stack.get(KEY).complete();
        assert_eq!((response.header("content-length"), &response.body), (Some("70000"), &plain));
    }
}

/// HTTP/2 ends a response with its head, and says no length.
#[test]
fn an_answer_without_any_body_is_no_object() {
    for mode in MODES {
        let mut stack = Stack::new(mode);
        stack.put(KEY, b"body");
        let headers = stack.store.object(KEY).headers.clone();
        stack.store.instead.push_back(StoreResponse::new(200, headers, Vec::new()));
        assert_eq!(stack.get(KEY).refused().0, 502);
    }
}

#[test]
fn a_head_may_ask_for_a_range() {
    for mode in MODES {
        let mut stack = Stack::new(mode);
        stack.put(KEY, &plaintext(1, 70_000));
        let response = stack.send(&Request::head(KEY).header("range", "bytes=0-9")).complete();
        // S3 answers with 206 and the range's length; the whole object's is right too (RFC 9110 section 14.2).
        let seen = (response.status, response.header("content-length"));
        assert!([(206, Some("10")), (200, Some("70000"))].contains(&seen), "{seen:?}");
    }
}
