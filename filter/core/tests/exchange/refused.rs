//! What is refused before a byte of it goes upstream, and what of a request never does.

use crate::support::{MODES, Mode, Request, Stack, both, contains};

const BODY: &[u8] = b"a plaintext that must not reach the store";

/// Refused so, in either mode, without a word to the store or the KMS.
#[track_caller]
fn assert_refused(request: &Request, expected: (u16, &'static str)) {
    for mode in MODES {
        let mut stack = Stack::new(mode);
        let refused = stack.send(request).refused();
        assert_eq!(refused, expected, "{request:?}");
        assert!(stack.store.requests.is_empty() && stack.kms.wraps == 0, "{request:?}");
    }
}

fn with_body(method: &str, path: &str) -> Request {
    Request { method: method.into(), ..Request::put(path, BODY) }
}

#[test]
fn writes_that_are_not_known() {
    let requests = [
        ("POST", "/bucket"),
        ("POST", "/bucket/"),
        ("POST", "/bucket/key?select&select-type=2"),
        ("POST", "/WriteGetObjectResponse"),
        ("POST", "/bucket/key"),
        ("PUT", "/bucket/key?append&position=0"),
        ("PUT", "/bucket/key?renameObject"),
        ("PUT", "/bucket/key?encryption"),
        ("PUT", "/bucket/key?a-new-subresource"),
        ("PUT", "/bucket/key?x-amz-meta-s3ep-len=1"),
        ("PUT", "/bucket?a-new-subresource"),
        ("PATCH", "/bucket/key"),
        ("put", "/bucket/key"),
        ("COPY", "/bucket/key"),
    ];
    for (method, path) in requests {
        assert_refused(&with_body(method, path), (501, "NotImplemented"));
    }
    assert_refused(&Request::get("/bucket/key?torrent"), (501, "NotImplemented"));
    for header in ["x-amz-write-offset-bytes", "x-amz-rename-source"] {
        assert_refused(&with_body("PUT", "/bucket/key").header(header, "1"), (501, "NotImplemented"));
    }
}

#[test]
fn our_metadata_from_a_client() {
    for name in ["alg", "dek", "kek", "len", "mac", "anything-else", ""] {
        let request = with_body("PUT", "/bucket/key").header(&format!("x-amz-meta-s3ep-{name}"), "1");
        assert_refused(&request, (400, "InvalidArgument"));
    }
}

#[test]
fn customer_keys() {
    for name in ["algorithm", "key", "key-md5"] {
        let request = with_body("PUT", "/bucket/key");
        let header = format!("x-amz-server-side-encryption-customer-{name}");
        assert_refused(&request.header(&header, "1"), (501, "NotImplemented"));
    }
}

#[test]
fn customer_keys_on_reads() {
    for method in ["GET", "HEAD"] {
        let request = Request::new(method, "/bucket/key");
        let request = request.header("x-amz-server-side-encryption-customer-key", "a secret");
        assert_refused(&request, (501, "NotImplemented"));
    }
}

#[test]
fn paths_that_are_none() {
    for path in ["/bucket/%", "/bucket/%2", "/bucket/%zz", "/bucket/%ff", "//key", "/%00/key", "/bucket/key?%f"] {
        assert_refused(&with_body("PUT", path), (400, "InvalidURI"));
        assert_refused(&Request::get(path), (400, "InvalidURI"));
    }
}

#[test]
fn headers_that_contradict_themselves() {
    let twice = [("content-length", "4"), ("x-amz-content-sha256", "UNSIGNED-PAYLOAD"), ("content-encoding", "gzip")];
    for (name, value) in twice {
        let request = with_body("PUT", "/bucket/key").header(name, value).header(name, value);
        assert_refused(&request, (400, "InvalidRequest"));
    }
    let mut not_text = with_body("PUT", "/bucket/key").without("content-length");
    not_text.headers.push(("content-length".into(), vec![0xff]));
    assert_refused(&not_text, (400, "InvalidRequest"));
}

/// A value for every header and query parameter that a client signs with.
const SIGNATURE: &str = "SIGNATURE-OF-THE-CLIENT";

fn shows_signature(stack: &Stack) -> bool {
    let is_in = |bytes: &[u8]| contains(bytes, SIGNATURE.as_bytes());
    stack.store.requests.iter().any(|r| is_in(r.path.as_bytes()) || r.headers.iter().any(|(_, value)| is_in(value)))
}

#[test]
fn what_the_client_signed_with_stays_here() {
    let headers = ["authorization", "x-amz-date", "x-amz-security-token", "x-amz-s3session-token"];
    let parameters = "X-Amz-Algorithm X-Amz-Credential X-Amz-Date X-Amz-Expires X-Amz-SignedHeaders X-Amz-Signature \
                      X-Amz-Security-Token x-amz-signature AWSAccessKeyId Signature Expires";
    let query: Vec<_> = parameters.split_whitespace().map(|name| format!("{name}={SIGNATURE}")).collect();
    let requests = [
        Request::put("/bucket/key", BODY),
        Request::get("/bucket/key"),
        Request::get("/bucket/key").header("range", "bytes=1-2"),
        Request::head("/bucket/key"),
        Request::get("/bucket"),
        Request::new("DELETE", "/bucket/key"),
        Request::get("/bucket/key").header("range", "bytes=1-2"),
    ];
    for mode in MODES {
        let mut stack = Stack::new(mode);
        for request in &requests {
            let mut signed = headers.iter().fold(request.clone(), |request, name| request.header(name, SIGNATURE));
            signed.path = format!("{}?{}", request.path, query.join("&"));
            stack.send(&signed).complete();
            assert_eq!(stack.store.last().path, request.path);
            assert!(!shows_signature(&stack), "{request:?}");
        }
        assert!(!stack.shown.iter().any(|shown| shown.contains(SIGNATURE)));
    }
}

#[test]
fn a_signature_under_an_encoded_name_stays_here_too() {
    for name in ["X%2DAmz%2DSignature", "%53ignature", "x-amz-security%2Dtoken"] {
        let mut stack = Stack::new(Mode::Envelope);
        let path = format!("/bucket/key?{name}={SIGNATURE}");
        for request in [Request::put(&path, BODY), Request::get(&path)] {
            stack.send(&request);
            assert!(!shows_signature(&stack), "{name}");
        }
    }
}

#[test]
fn what_moves_no_object_data_passes_as_it_is() {
    let document = b"<Tagging><TagSet/></Tagging>";
    let paths = ["/bucket/key?tagging", "/bucket/key?acl&versionId=1", "/bucket?versioning", "/bucket/?policy"];
    for (mode, path) in both(paths) {
        let mut stack = Stack::new(mode);
        let md5 = "content-md5";
        assert_eq!(stack.send(&Request::put(path, document).header(md5, "kept==")).complete().status, 200);
        let upstream = stack.store.last();
        assert_eq!((upstream.path.as_str(), upstream.body.as_slice()), (path, document.as_slice()));
        assert_eq!((upstream.header("content-length"), upstream.header(md5)), (Some("28"), Some("kept==")));
    }
}

#[test]
fn a_new_bucket_has_its_document_or_nothing() {
    let documents =
        ["<CreateBucketConfiguration><LocationConstraint>eu</LocationConstraint></CreateBucketConfiguration>", ""];
    for (mode, document) in both(documents) {
        let mut stack = Stack::new(mode);
        stack.send(&Request::put("/bucket", document.as_bytes())).complete();
        assert_eq!(stack.store.last().body, document.as_bytes());
        assert_eq!(stack.send(&Request::put("/bucket", b"<Tagging/>")).refused(), (400, "MalformedXML"));
    }
}

/// `PUT /key` with the bucket in the host is an upload, whether or not this proxy was told of the host's suffix.
#[test]
fn an_upload_to_a_virtual_host_that_is_not_configured_does_not_pass_for_a_new_bucket() {
    let mut stack = Stack::new(Mode::Envelope);
    let request = Request::put("/key.txt", BODY).authority("bucket.s3.example.com");
    stack.send(&request);
    assert!(!stack.store.requests.iter().any(|upstream| contains(&upstream.body, BODY)), "the plaintext went upstream");
}

/// CreateMultipartUpload has no body.
#[test]
fn a_body_of_a_new_upload_stays_here() {
    let mut stack = Stack::new(Mode::Envelope);
    stack.send(&with_body("POST", "/bucket/key?uploads"));
    assert!(!stack.store.requests.iter().any(|upstream| contains(&upstream.body, BODY)), "the plaintext went upstream");
}

#[test]
fn a_body_where_none_belongs_stays_here() {
    for (method, path) in
        [("GET", "/bucket/key"), ("GET", "/bucket"), ("HEAD", "/bucket/key"), ("DELETE", "/bucket/key")]
    {
        let mut stack = Stack::new(Mode::Envelope);
        stack.send(&with_body(method, path));
        assert!(!stack.store.requests.iter().any(|upstream| contains(&upstream.body, BODY)), "{method} {path}");
    }
}

#[test]
fn as_many_objects_are_deleted_at_once_as_s3_allows() {
    let object = |number: usize| format!("<Object><Key>{number:01024}</Key></Object>");
    let document = format!("<Delete>{}</Delete>", (0..1_000).map(object).collect::<String>());
    let mut stack = Stack::new(Mode::Direct);
    let request = Request::new("POST", "/bucket?delete").body(document.as_bytes());
    let request = request.header("content-length", &document.len().to_string());
    assert_eq!(stack.send(&request).complete().status, 200);
    assert_eq!(stack.store.last().body, document.as_bytes());
}
