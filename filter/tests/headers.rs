//! Headers: what is the client's stays as it is, what is the filter's is never seen, what was signed is not passed on.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests")]

mod fake_envoy;

use fake_envoy::{Request, Stack, StoredObject, sample};

#[test]
fn what_the_client_set_is_untouched() {
    let set = [
        ("content-type", "text/x-poem; charset=utf-8"),
        ("cache-control", "max-age=60"),
        ("content-disposition", "attachment; filename=\"a.txt\""),
        ("x-amz-meta-author", "Christine de Pizan"),
        ("x-amz-meta-empty", ""),
    ];
    for configuration in Stack::both_modes() {
        let mut stack = Stack::start(&configuration);
        let request = Request::put("/bucket/key", b"body").header("x-amz-tagging", "a=b");
        let put = stack.send(&set.iter().fold(request, |request, (name, value)| request.header(name, *value)));
        assert_eq!(put.upstream.header("x-amz-tagging"), Some("a=b"));
        assert_eq!(put.client.header("x-amz-version-id"), Some("v1"));
        let (get, head) = (stack.get("/bucket/key"), stack.send(&Request::new("HEAD", "/bucket/key")));
        for (name, value) in set {
            assert_eq!(put.upstream.header(name), Some(value));
            assert_eq!((get.client.header(name), head.client.header(name)), (Some(value), Some(value)));
        }
        for name in ["last-modified", "x-amz-version-id"] {
            let stored = stack.store.object("/bucket/key").headers.text(name).map(str::to_owned);
            assert_eq!((get.client.header(name), head.client.header(name)), (stored.as_deref(), stored.as_deref()));
        }
    }
}

#[test]
fn lengths_are_the_plaintexts() {
    for configuration in Stack::both_modes() {
        for length in [0, 1, 65_536, 65_537] {
            let mut stack = Stack::start(&configuration);
            stack.given("/bucket/key", &sample(length, 1));
            let mut stack = stack.restart(&configuration);
            let head = stack.send(&Request::new("HEAD", "/bucket/key"));
            assert_eq!(head.client.header("content-length"), Some(length.to_string().as_str()));
            assert!(head.client.ended && head.client.body.is_empty());
        }
    }
}

#[test]
fn the_filters_metadata_is_hidden_from_the_client() {
    let mut stack = Stack::envelope();
    let put = stack.put("/bucket/key", b"body");
    let has_ours = |headers: &fake_envoy::Headers| headers.iter().any(|(name, _)| name.contains("s3ep"));
    for exchange in [put, stack.get("/bucket/key"), stack.send(&Request::new("HEAD", "/bucket/key"))] {
        assert!(!has_ours(&exchange.client.headers.unwrap()));
    }
    for name in ["alg", "dek", "kek", "len", "mac"] {
        assert_eq!(stack.store.object("/bucket/key").headers.count(&format!("x-amz-meta-s3ep-{name}")), 1);
    }
}

#[test]
fn the_filters_metadata_is_refused_from_the_client() {
    for name in ["x-amz-meta-s3ep-len", "X-Amz-Meta-S3EP-dek", "x-amz-meta-s3ep-new"] {
        let mut stack = Stack::direct();
        let put = stack.send(&Request::put("/bucket/key", b"body").header(name, "1").header(name, "2"));
        put.assert_error(400, "InvalidArgument");
        assert!(put.upstream.is_nothing());
    }
}

/// S3 clients do send Latin-1 in user metadata, and Envoy passes it on. The SDK's own accessors would panic on it.
#[test]
fn a_header_value_that_is_not_utf_8_passes() {
    const LATIN_1: &[u8] = b"caf\xe9";
    for configuration in Stack::both_modes() {
        let mut stack = Stack::start(&configuration);
        let put = Request::put("/bucket/key", b"body").header("x-amz-meta-place", LATIN_1);
        let put = stack.send(&put.header("user-agent", b"\xff\xfe".as_slice()));
        assert_eq!(put.client.status(), 200);
        assert_eq!(put.upstream.headers.unwrap().get("x-amz-meta-place"), Some(LATIN_1));
        let get = stack.send(&Request::get("/bucket/key").header("user-agent", b"\xff".as_slice()));
        get.assert_delivered(b"body");
        assert_eq!(get.client.headers.unwrap().get("x-amz-meta-place"), Some(LATIN_1));
    }
}

#[test]
fn headers_that_the_filter_reads_are_refused_if_they_are_not_utf_8() {
    for (name, status, code) in [(":path", 400, "InvalidURI"), ("content-length", 400, "InvalidRequest")] {
        let mut stack = Stack::direct();
        let mut request = Request::put("/bucket/key", b"body").without(name);
        request.headers.add(name, b"/bucket/\xff".as_slice());
        let put = stack.send(&request);
        put.assert_error(status, code);
        assert!(put.upstream.is_nothing());
    }
    let mut stack = Stack::direct();
    stack.given("/bucket/key", b"body");
    stack.store.object("/bucket/key").headers.set("x-amz-meta-s3ep-kek", b"\xff".as_slice());
    stack.get("/bucket/key").assert_error(502, "InternalError");
}

#[test]
fn what_the_client_signed_with_is_not_passed_on() {
    let signed = [
        ("authorization", "AWS4-HMAC-SHA256 Credential=AKIA/20240101/us-east-1/s3/aws4_request, Signature=00"),
        ("x-amz-date", "20240101T000000Z"),
        ("x-amz-content-sha256", "UNSIGNED-PAYLOAD"),
        ("x-amz-security-token", "session"),
    ];
    let presigned = "?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIA&X-Amz-Signature=00";
    let mut stack = Stack::direct();
    stack.given("/bucket/key", b"body");
    for method in ["PUT", "GET", "HEAD", "DELETE"] {
        let path = format!("/bucket/key{presigned}");
        let request = if method == "PUT" { Request::put(&path, b"body") } else { Request::new(method, &path) };
        let exchange = stack.send(&signed.iter().fold(request, |request, (name, value)| request.header(name, *value)));
        assert!(exchange.client.ended && exchange.client.status() < 300, "{exchange:?}");
        assert_eq!(exchange.upstream.header(":path"), Some("/bucket/key"));
        for (name, _) in signed {
            assert_eq!(exchange.upstream.header(name), None, "{method}");
        }
    }
}

#[test]
fn what_the_store_says_of_other_things_is_untouched() {
    let mut stack = Stack::envelope();
    stack.given("/bucket/key", b"body");
    let failed = stack.send(&Request::get("/bucket/key").header("if-match", "\"other\""));
    assert_eq!(failed.client.status(), 412);
    let missing = stack.get("/bucket/nothing").client;
    assert_eq!((missing.status(), missing.ended), (404, true));
    assert_eq!(missing.body, b"<?xml version=\"1.0\"?><Error><Code>NoSuchKey</Code></Error>");
    let deleted = stack.send(&Request::new("DELETE", "/bucket/key"));
    assert_eq!((deleted.client.status(), deleted.client.ended), (204, true));
    assert!(stack.store.objects.is_empty());
}

/// An ETag of a single PUT is the MD5 of the ciphertext, which clients would compare with their plaintext's.
#[test]
fn the_client_sees_no_md5_and_the_store_its_own_etag() {
    for configuration in Stack::both_modes() {
        let mut stack = Stack::start(&configuration);
        let put = stack.put("/bucket/key", b"body");
        let stored = stack.store.object("/bucket/key").headers.text("etag").unwrap().to_owned();
        let shown = format!("{}-01\"", stored.trim_end_matches('"'));
        let get = |headers: &[(&str, &str)]| {
            headers.iter().fold(Request::get("/bucket/key"), |request, (name, value)| request.header(name, *value))
        };
        let ranged = [("range", "bytes=0-1"), ("if-match", shown.as_str()), ("if-range", shown.as_str())];
        let cases: [(&[(&str, &str)], u16); 4] =
            [(&[], 200), (&[("if-match", &shown)], 200), (&[("if-none-match", &shown)], 304), (&ranged, 206)];
        assert_eq!(put.client.header("etag"), Some(shown.as_str()));
        for (headers, status) in cases {
            let exchange = stack.send(&get(headers));
            assert_eq!((exchange.client.status(), exchange.client.ended), (status, true));
            assert_eq!(exchange.client.header("etag"), Some(shown.as_str()));
            assert_eq!(exchange.client.headers.unwrap().count("etag"), 1);
        }
    }
}

#[test]
fn the_stores_checksums_of_the_ciphertext_are_hidden_but_not_its_encryption() {
    let mut stack = Stack::direct();
    stack.given("/bucket/key", b"body");
    let StoredObject { headers, .. } = stack.store.object("/bucket/key");
    headers.set("x-amz-checksum-crc32", "AAAAAA==");
    headers.set("x-amz-checksum-type", "FULL_OBJECT");
    headers.set("x-amz-server-side-encryption", "AES256");
    for method in ["GET", "HEAD"] {
        let client = stack.send(&Request::new(method, "/bucket/key")).client;
        assert_eq!((client.header("x-amz-checksum-crc32"), client.header("x-amz-checksum-type")), (None, None));
        assert_eq!(client.header("x-amz-server-side-encryption"), Some("AES256"));
    }
}
