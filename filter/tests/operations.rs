//! What is not PutObject, GetObject or HeadObject: the store's business, or refused. No plaintext goes upstream because
//! an operation is not known.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests")]

mod fake_envoy;

use fake_envoy::{End, Request, Stack};

/// A request with a body, sealed or refused but never passed on.
fn assert_refused(request: &Request, status: u16, code: &str) {
    for end in [End::WithLastWindow, End::EmptyWindow, End::Trailers] {
        for configuration in Stack::both_modes() {
            let mut stack = Stack::start(&configuration);
            let exchange = stack.send(&request.clone().end(end));
            exchange.assert_error(status, code);
            assert!(exchange.upstream.is_nothing(), "{exchange:?}");
            assert!(stack.store.requests.is_empty() && stack.kms.wrapped.is_empty());
        }
    }
}

fn with_body(method: &str, path: &str) -> Request {
    let mut request = Request::put(path, b"plaintext that must not reach the store");
    request.headers.set(":method", method);
    request
}

#[test]
fn writes_that_are_not_known_are_refused() {
    let requests = [
        ("POST", "/bucket"),
        ("POST", "/bucket/key?select&select-type=2"),
        ("PUT", "/bucket/key?renameObject"),
        ("PUT", "/bucket/key?a-new-subresource"),
        ("POST", "/WriteGetObjectResponse"),
        ("PATCH", "/bucket/key"),
    ];
    for (method, path) in requests {
        assert_refused(&with_body(method, path), 501, "NotImplemented");
    }
    for header in ["x-amz-write-offset-bytes", "x-amz-rename-source"] {
        assert_refused(&with_body("PUT", "/bucket/key").header(header, "1"), 501, "NotImplemented");
    }
    let sse_c = "x-amz-server-side-encryption-customer-algorithm";
    assert_refused(&with_body("PUT", "/bucket/key").header(sse_c, "AES256"), 501, "NotImplemented");
}

#[test]
fn a_body_without_a_length_is_refused() {
    assert_refused(&with_body("PUT", "/bucket/key").without("content-length"), 411, "MissingContentLength");
}

#[test]
fn a_length_that_is_none_is_refused() {
    for length in ["", "-1", "1e3", "0x10"] {
        let request = with_body("PUT", "/bucket/key").without("content-length").header("content-length", length);
        assert_refused(&request, 400, "InvalidArgument");
    }
}

#[test]
fn what_carries_no_object_data_passes_as_it_is() {
    let tagging = b"<Tagging><TagSet/></Tagging>";
    let mut stack = Stack::envelope();
    for path in ["/bucket/key?tagging", "/bucket/key?acl&versionId=1", "/bucket?versioning"] {
        let exchange = stack.send(&Request::put(path, tagging));
        assert_eq!((exchange.upstream.body.as_slice(), exchange.client.status()), (tagging.as_slice(), 200));
        assert_eq!(exchange.upstream.header(":path"), Some(path));
    }
    for (method, path) in [("HEAD", "/bucket"), ("GET", "/"), ("DELETE", "/bucket/key"), ("GET", "/bucket/key?acl")] {
        let exchange = stack.send(&Request::new(method, path));
        assert!(exchange.client.ended && exchange.upstream.header(":method") == Some(method), "{exchange:?}");
    }
    assert!(stack.kms.wrapped.is_empty() && stack.kms.unwrapped.is_empty());
}

#[test]
fn buckets_may_be_named_by_the_host() {
    let mut configuration = Stack::envelope_configuration();
    configuration["virtual_host_suffixes"] = serde_json::json!(["s3.example.com"]);
    let mut stack = Stack::start(&configuration);
    let mut put = Request::put("/key", b"body");
    put.headers.set(":authority", "bucket.s3.example.com:443");
    assert_eq!(stack.send(&put).client.status(), 200);
    assert_eq!(stack.kms.wrapped, [[("bucket".into(), "bucket".into()), ("key".into(), "key".into())].into()]);
}

#[test]
fn what_the_filter_answers_by_itself_does_not_go_on() {
    for configuration in Stack::both_modes() {
        let mut stack = Stack::start(&configuration);
        stack.given("/bucket/key", &[7; 70_000]);
        let ask = |path: &str| Request::get(path).header("x-amz-object-attributes", "ObjectSize");
        let exchange = stack.send(&ask("/bucket/key?attributes"));
        assert!(exchange.upstream.is_nothing(), "{exchange:?}");
        assert_eq!((exchange.client.status(), exchange.client.ended), (200, true));
        let document = String::from_utf8(exchange.client.body).unwrap();
        assert!(document.contains("<ObjectSize>70000</ObjectSize>"), "{document}");
        // What is not there, the store says itself.
        let exchange = stack.send(&ask("/bucket/none?attributes"));
        assert_eq!((exchange.upstream.ended, exchange.client.status()), (true, 404));
    }
}
