//! Who may enter, and what they may do: refused before anything reaches the store.

use s3ep_core::s3::checksum::Algorithm;
use serde_json::{Value, json};

use crate::signer::{ACCESS_KEY_ID, Client, NOW, SECRET_ACCESS_KEY};
use crate::support::chunked::{self, checksum, sha256_hex};
use crate::support::{End, MODES, Mode, Outcome, Request, Split, Stack, contains, plaintext};

const KEY: &str = "/bucket/key";

/// A stack that knows one client with everything, and others with less.
fn stack(mode: Mode) -> Stack {
    let client = |name: &str, more: Value| {
        let mut client = json!({
            "name": name, "access_key_id": name.to_uppercase(), "secret_access_key": SECRET_ACCESS_KEY, "buckets": ["*"],
        });
        client.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        client
    };
    let clients = [
        client("all", json!({ "access_key_id": ACCESS_KEY_ID })),
        client("reader", json!({ "read_only": true })),
        client("team", json!({ "buckets": ["team-*", "shared"] })),
        client("temporary", json!({ "session_token": "the-token" })),
    ];
    let auth = json!({ "clients": clients, "regions": ["us-east-1"] });
    let mut stack = Stack::with(mode, json!({ "auth": auth, "virtual_host_suffixes": ["s3.example"] }));
    stack.now = NOW;
    stack
}

fn client(name: &str) -> Client {
    Client { access_key_id: name.to_uppercase(), ..Client::default() }
}

/// The request as this client signs it.
fn signed(client: &Client, request: Request, content_sha256: &str) -> Request {
    let head = client.sign(request.to_head(), content_sha256);
    let headers = head.headers.iter().map(|(name, value)| (name.to_owned(), value.to_vec())).collect();
    Request { path: head.path, headers, ..request }
}

fn presigned(client: &Client, request: Request) -> Request {
    Request { path: client.presign(request.to_head(), "UNSIGNED-PAYLOAD", 60).path, ..request }
}

/// Without a body, or with a signed one.
fn simple(client: &Client, request: Request) -> Request {
    let hash = sha256_hex(request.body.as_deref().unwrap_or_default());
    signed(client, request, &hash)
}

#[track_caller]
fn assert_refused(stack: &mut Stack, request: &Request, expected: (u16, &str)) {
    stack.store.requests.clear();
    let outcome = stack.send(request);
    assert_eq!(outcome.refused(), expected, "{request:?}");
    assert!(stack.store.requests.is_empty(), "{request:?} reached the store");
    let Outcome::Refused(refusal) = outcome else { panic!() };
    assert!(!format!("{refusal:?}").contains(SECRET_ACCESS_KEY));
}

#[test]
fn who_signs_right_may_enter() {
    for mode in MODES {
        let (mut stack, all, plain) = (stack(mode), Client::default(), plaintext(1, 200_000));
        let framed = chunked::put(KEY, &plain, Algorithm::Crc32, &checksum(Algorithm::Crc32, &plain));
        let framed = framed.without("x-amz-content-sha256");
        for put in [
            simple(&all, Request::put(KEY, &plain)),
            signed(&all, Request::put(KEY, &plain), "UNSIGNED-PAYLOAD"),
            signed(&all, framed, "STREAMING-UNSIGNED-PAYLOAD-TRAILER"),
            presigned(&all, Request::put(KEY, &plain)),
            simple(&all, Request::put("/key", &plain).authority("bucket.s3.example:10000")),
        ] {
            stack.store.objects.clear();
            assert_eq!(stack.send(&put).complete().status, 200, "{put:?}");
            // What the client signed with goes no further.
            let stored = format!("{:?}", stack.store.last());
            assert!(
                !stored.contains("AWS4-HMAC-SHA256") && !stored.contains("X-Amz-"),
                "{:?}",
                stack.store.last().path
            );
            for get in [simple(&all, Request::get(KEY)), presigned(&all, Request::get(KEY))] {
                assert!(stack.send(&get).complete().body == plain);
            }
        }
    }
}

#[test]
fn a_body_that_was_not_signed_makes_no_object() {
    let (mut stack, all) = (stack(Mode::Direct), Client::default());
    let plain = plaintext(1, 200_000);
    let other = signed(&all, Request::put(KEY, &plain), &sha256_hex(b"another"));
    assert_eq!(stack.send(&other).refused(), (400, "XAmzContentSHA256Mismatch"));
    // Stated in the query, where no header repeats it.
    let hash = sha256_hex(b"another");
    let request = Request::put(&format!("{KEY}?X-Amz-Content-Sha256={hash}"), &plain);
    let request = Request { path: all.presign(request.to_head(), &hash, 60).path, ..request };
    assert_eq!(stack.send(&request).refused(), (400, "XAmzContentSHA256Mismatch"));
    assert!(stack.store.objects.is_empty());

    let document = b"<Delete><Object><Key>k</Key></Object></Delete>";
    for (path, document) in
        [("/bucket?delete", &document[..]), ("/bucket?policy", b"{}"), ("/bucket/k?tagging", b"<Tagging/>")]
    {
        let method = if path.ends_with("delete") { "POST" } else { "PUT" };
        let request = Request { method: method.into(), ..Request::put(path, document) };
        let other = signed(&all, request.clone(), &sha256_hex(b"another"));
        assert_eq!(stack.send(&other).refused(), (400, "XAmzContentSHA256Mismatch"), "{path}");
        assert!(stack.store.requests.iter().all(|request| request.body.is_empty()), "{path}");
        for split in Split::samples().into_iter().filter(|split| split.end != End::Trailers) {
            stack.up = split;
            stack.store.requests.clear();
            assert_eq!(stack.send(&simple(&all, request.clone())).complete().status, 200, "{path}");
            assert_eq!(stack.store.last().body, document, "{path}");
        }
        stack.store.requests.clear();
    }
    let bodiless = signed(&all, Request::get(KEY), &sha256_hex(b"another"));
    assert_refused(&mut stack, &bodiless, (400, "XAmzContentSHA256Mismatch"));
}

/// AWS's own example, "Transferring Payload in Multiple Chunks".
#[test]
fn signed_chunks_are_checked() {
    let request = Request::new("PUT", "/examplebucket/chunkObject.txt")
        .authority("s3.amazonaws.com")
        .header("x-amz-date", "20130524T000000Z")
        .header("x-amz-storage-class", "REDUCED_REDUNDANCY")
        .header(
            "authorization",
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders=content-encoding;\
             content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class,\
             Signature=4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
        )
        .header("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD")
        .header("content-encoding", "aws-chunked")
        .header("x-amz-decoded-content-length", "66560")
        .header("content-length", "66824");
    let body = [
        "10000;chunk-signature=ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648\r\n",
        &"a".repeat(65_536),
        "\r\n400;chunk-signature=0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497\r\n",
        &"a".repeat(1_024),
        "\r\n0;chunk-signature=b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9\r\n\r\n",
    ]
    .concat();
    for mode in MODES {
        let mut stack = stack(mode);
        assert_eq!(stack.send(&request.clone().body(body.as_bytes())).complete().status, 200);
        assert_eq!(
            stack.send(&simple(&Client::default(), Request::get("/examplebucket/chunkObject.txt"))).complete().body,
            vec![b'a'; 66_560]
        );
        stack.store.objects.clear();
        for altered in [body.replacen("aaaa", "aaab", 1), body.replacen("=b6c6", "=b6c7", 1)] {
            let outcome = stack.send(&request.clone().body(altered.as_bytes()));
            assert_eq!(outcome.refused(), (403, "SignatureDoesNotMatch"));
            assert!(stack.store.objects.is_empty());
        }
    }
}

#[test]
fn who_does_not_sign_right_stays_out() {
    let all = Client::default();
    let get = || Request::get(KEY);
    let altered = |request: Request, path: &str| Request { path: path.into(), ..request };
    let cases = [
        (get(), (403, "AccessDenied")),
        (Request::put(KEY, b"body"), (403, "AccessDenied")),
        (Request::get("/"), (403, "AccessDenied")),
        (Request::new("OPTIONS", KEY), (403, "AccessDenied")),
        (altered(simple(&all, get()), "/bucket/other"), (403, "SignatureDoesNotMatch")),
        (simple(&all, get()).header("x-amz-meta-new", "1"), (403, "AccessDenied")),
        (simple(&client("nobody"), get()), (403, "InvalidAccessKeyId")),
        (simple(&Client { secret_access_key: "another".into(), ..all.clone() }, get()), (403, "SignatureDoesNotMatch")),
        (simple(&Client { region: "eu-west-1".into(), ..all.clone() }, get()), (400, "AuthorizationHeaderMalformed")),
        (
            simple(&Client { time: NOW - std::time::Duration::from_secs(901), ..all.clone() }, get()),
            (403, "RequestTimeTooSkewed"),
        ),
        (
            presigned(&Client { time: NOW - std::time::Duration::from_secs(61), ..all.clone() }, get()),
            (403, "AccessDenied"),
        ),
        (simple(&Client { session_token: Some("a-token".into()), ..all.clone() }, get()), (400, "InvalidToken")),
        (simple(&client("temporary"), get()), (403, "InvalidAccessKeyId")),
        (simple(&Client { session_token: Some("wrong".into()), ..client("temporary") }, get()), (400, "InvalidToken")),
    ];
    for mode in MODES {
        let mut stack = stack(mode);
        for (request, expected) in &cases {
            assert_refused(&mut stack, request, *expected);
        }
        let temporary = Client { session_token: Some("the-token".into()), ..client("temporary") };
        assert_eq!(stack.send(&simple(&temporary, get())).complete().status, 404);
    }
}

#[test]
fn a_client_does_what_it_may() {
    let mut stack = stack(Mode::Direct);
    for path in ["/team-a/key", "/other/key"] {
        assert_eq!(stack.send(&simple(&Client::default(), Request::put(path, b"body"))).complete().status, 200);
    }
    let copy = |from: &str, to: &str| Request::new("PUT", to).header("x-amz-copy-source", from);
    let part = |from: &str| copy(from, "/team-a/copy?partNumber=1&uploadId=u");
    let denied = [
        ("reader", Request::put("/team-a/key", b"body")),
        ("reader", Request::new("DELETE", "/team-a/key")),
        ("reader", Request::new("POST", "/team-a/key?uploads")),
        ("reader", Request::new("PUT", "/new")),
        ("reader", copy("team-a/key", "/team-a/copy")),
        ("team", Request::get("/other/key")),
        ("team", Request::head("/other/key")),
        ("team", Request::get("/other")),
        ("team", Request::get("/other?uploads")),
        ("team", Request::put("/other/key", b"body")),
        ("team", Request::new("DELETE", "/other/key")),
        ("team", Request::new("PUT", "/other")),
        ("team", Request::get("/other/key?attributes").header("x-amz-object-attributes", "ETag")),
        ("team", Request::get("/key").authority("other.s3.example")),
        ("team", copy("other/key", "/team-a/copy")),
        ("team", copy("team-a/key", "/other/copy")),
        ("team", part("other/key")),
    ];
    for (name, request) in denied {
        assert_refused(&mut stack, &simple(&client(name), request), (403, "AccessDenied"));
    }
    let allowed = [
        ("reader", Request::get("/other/key")),
        ("reader", Request::get("/other")),
        ("team", Request::get("/team-a/key")),
        ("team", Request::put("/shared/key", b"body")),
        ("team", Request::get("/key").authority("team-a.s3.example")),
        ("team", copy("/team-a/key", "/team-b/copy")),
    ];
    for (name, request) in allowed {
        assert_eq!(stack.send(&simple(&client(name), request)).complete().status, 200);
    }
}

#[test]
fn a_client_sees_its_own_buckets() {
    let buckets = "<ListAllMyBucketsResult><Buckets><Bucket><Name>other</Name></Bucket><Bucket><Name>team-a</Name></Bucket>\
                   </Buckets></ListAllMyBucketsResult>";
    let mut stack = stack(Mode::Direct);
    for (name, sees_other) in [("team", false), ("reader", true)] {
        let length = vec![("content-length".to_owned(), buckets.len().to_string())];
        stack.store.instead.push_back(crate::support::StoreResponse::new(200, length, buckets.into()));
        let response = stack.send(&simple(&client(name), Request::get("/"))).complete();
        assert!(contains(&response.body, b"<Name>team-a</Name>"));
        assert_eq!(contains(&response.body, b"<Name>other</Name>"), sees_other);
    }
    stack.store.instead.push_back(crate::support::StoreResponse::new(
        200,
        vec![],
        b"<ListAllMyBucketsResult>".to_vec(),
    ));
    assert!(stack.send(&simple(&client("team"), Request::get("/"))).failed().is_empty());
}

/// A browser's question before it sends what was presigned elsewhere.
#[test]
fn a_preflight_is_answered_by_the_store() {
    let mut stack = stack(Mode::Direct);
    let preflight = Request::new("OPTIONS", KEY).header("origin", "https://a.example");
    let preflight = preflight.header("access-control-request-method", "PUT");
    assert_eq!(stack.send(&preflight).complete().status, 200);
    assert_eq!(stack.store.last().method, "OPTIONS");
}
