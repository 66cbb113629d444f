//! Requests with one thing wrong each, and what S3 says to them.

use std::time::Duration;

use s3ep_core::http::RequestHead;

use crate::client::{ACCESS_KEY_ID, Client, NOW, SECRET_ACCESS_KEY, edit, head, with};

const HASH: &str = "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072";
const CREDENTIAL: &str = "AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request";

fn unsigned() -> RequestHead {
    head("PUT /bucket/key?x-id=PutObject\nhost: s3.example.com\ncontent-type: text/plain\nx-amz-acl: private")
}

/// Signed in the header.
fn put() -> RequestHead {
    Client::default().sign(unsigned(), "UNSIGNED-PAYLOAD")
}

/// Presigned for an hour.
fn get() -> RequestHead {
    let get = head("GET /bucket/key?x-id=GetObject\nhost: s3.example.com\nrange: bytes=0-9");
    Client::default().presign(get, "UNSIGNED-PAYLOAD", 3_600)
}

/// `put()` with another value of a header.
fn set(name: &str, value: &str) -> RequestHead {
    edit(put(), name, |_| Some(value.to_owned()))
}

fn without(name: &str) -> RequestHead {
    edit(put(), name, |_| None)
}

/// `put()` with something replaced in its `Authorization`.
fn authorization(from: &str, to: &str) -> RequestHead {
    edit(put(), "authorization", |value| {
        assert!(value.contains(from), "{value}");
        Some(value.replace(from, to))
    })
}

/// A request with something replaced in its path or query.
fn path(mut head: RequestHead, from: &str, to: &str) -> RequestHead {
    assert!(head.path.contains(from), "{}", head.path);
    head.path = head.path.replace(from, to);
    head
}

/// `get()` with something replaced in its path or query.
fn query(from: &str, to: &str) -> RequestHead {
    path(get(), from, to)
}

/// `get()` with another value of a parameter.
fn parameter(name: &str, value: &str) -> RequestHead {
    let mut head = get();
    let (before, rest) = head.path.split_once(&format!("{name}=")).unwrap();
    let rest = rest.split_once('&').map_or(String::new(), |(_, rest)| format!("&{rest}"));
    head.path = format!("{before}{name}={value}{rest}");
    head
}

fn repeated(name: &str) -> RequestHead {
    let mut head = get();
    head.path.push_str(&format!("&{name}=1"));
    head
}

fn raw(mut head: RequestHead, name: &str, value: &[u8]) -> RequestHead {
    let fields = head.headers.iter().filter(|(n, _)| *n != name).chain([(name, value)]);
    head.headers = fields.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    head
}

/// Checks each request against its code and status, all by a client that is let in with the good ones.
fn check(cases: &[(&str, RequestHead)], code: &str, status: u16) {
    for (why, head) in cases {
        let Err(error) = Client::default().verify(head, NOW) else { panic!("{why} is let in") };
        assert_eq!((error.code(), error.status()), (code, status), "{why}: {error}");
    }
}

#[test]
fn the_good_ones_are_good() {
    for head in [put(), get()] {
        Client::default().verify(&head, NOW).unwrap();
    }
}

#[test]
fn anonymous() {
    let cases = [
        ("not signed", unsigned()),
        ("parameters in lower case", query("X-Amz-", "x-amz-")),
        ("only a date", path(unsigned(), "x-id=PutObject", "X-Amz-Date=20130524T000000Z")),
    ];
    check(&cases, "AccessDenied", 403);
}

#[test]
fn other_mechanisms() {
    let signed = |value: &str| with(unsigned(), &[("authorization", value)]);
    let cases = [
        ("Signature Version 2", signed("AWS AKIAIOSFODNN7EXAMPLE:frJIUN8DYpKDtOLCwo//yllqDzg=")),
        ("Signature Version 4A", authorization("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256")),
        ("another hash", authorization("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA512")),
        ("lower case", authorization("AWS4-HMAC-SHA256", "aws4-hmac-sha256")),
        ("Basic", signed("Basic dXNlcjpwYXNz")),
        ("Bearer", signed("Bearer token")),
        (
            "Signature Version 2 in the query",
            path(unsigned(), "x-id=PutObject", "AWSAccessKeyId=AKID&Expires=1&Signature=s"),
        ),
        ("Signature Version 4A in the query", query("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256")),
        ("chunks of Signature Version 4A", set("x-amz-content-sha256", "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD")),
    ];
    check(&cases, "InvalidRequest", 400);
}

#[test]
fn two_mechanisms() {
    let cases = [
        ("header and query", with(get(), &[("authorization", "AWS4-HMAC-SHA256 Credential=x")])),
        ("header and Signature Version 2", path(put(), "x-id=PutObject", "Signature=s")),
        ("header and a remnant", path(put(), "x-id=PutObject", "X-Amz-Expires=1")),
        ("both versions in the query", repeated("Signature")),
    ];
    check(&cases, "InvalidArgument", 400);
}

#[test]
fn authorization_headers_that_are_none() {
    let cases = [
        ("repeated", with(put(), &[("authorization", "AWS4-HMAC-SHA256 Credential=x")])),
        ("empty", set("authorization", "")),
        ("blank", set("authorization", "  ")),
        ("one word", set("authorization", "AWS4-HMAC-SHA256")),
        ("not UTF-8", raw(put(), "authorization", b"AWS4-HMAC-SHA256 \xff")),
    ];
    check(&cases, "InvalidArgument", 400);
}

#[test]
fn malformed_authorization_headers() {
    let cases = [
        ("no credential", authorization(&format!("Credential={CREDENTIAL}, "), "")),
        (
            "no signed headers",
            authorization("SignedHeaders=content-type;host;x-amz-acl;x-amz-content-sha256;x-amz-date, ", ""),
        ),
        ("no signature", edit(put(), "authorization", |value| Some(value.split_once(", Signature").unwrap().0.into()))),
        ("an unknown component", authorization("Signature=", "Region=us-east-1, Signature=")),
        ("a repeated component", authorization("Signature=", "Signature=0, Signature=")),
        ("a component without a value", authorization("Signature=", "Signature")),
        ("a component's name in lower case", authorization("Signature=", "signature=")),
        ("no commas", authorization(", ", " ")),
        ("a comma too many", authorization(", Signature", ",, Signature")),
        ("an empty credential", authorization(CREDENTIAL, "")),
        ("no access key id", authorization(ACCESS_KEY_ID, "")),
        ("four parts", authorization("/us-east-1", "")),
        ("six parts", authorization("/us-east-1", "/us-east-1/us-east-2")),
        ("another region", authorization("us-east-1", "eu-west-1")),
        ("no region", authorization("us-east-1", "")),
        ("another service", authorization("/s3/", "/ec2/")),
        ("another terminator", authorization("aws4_request", "aws5_request")),
        ("not a date", authorization("/20130524/", "/yyyyMMdd/")),
        ("a long date", authorization("/20130524/", "/20130524T/")),
        ("another day", authorization("/20130524/", "/20130523/")),
    ];
    check(&cases, "AuthorizationHeaderMalformed", 400);
}

#[test]
fn dates() {
    let cases = [
        ("no date", without("x-amz-date")),
        ("not a date", set("x-amz-date", "tomorrow")),
        ("empty", set("x-amz-date", "")),
        ("extended format", set("x-amz-date", "2013-05-24T00:00:00Z")),
        ("HTTP's format", set("x-amz-date", "Fri, 24 May 2013 00:00:00 GMT")),
        ("no such day", set("x-amz-date", "20130532T000000Z")),
        ("repeated", with(put(), &[("x-amz-date", "20130524T000000Z")])),
        ("malformed, and Date beside it", with(set("x-amz-date", "x"), &[("date", "Fri, 24 May 2013 00:00:00 GMT")])),
        ("a malformed Date alone", with(without("x-amz-date"), &[("date", "Fri, 24 May")])),
    ];
    check(&cases, "AccessDenied", 403);
    for now in [NOW - Duration::from_secs(901), NOW + Duration::from_secs(901)] {
        let error = Client::default().verify(&put(), now).unwrap_err();
        assert_eq!((error.code(), error.status()), ("RequestTimeTooSkewed", 403));
    }
}

#[test]
fn headers_that_have_to_be_signed() {
    let cases = [
        ("host", authorization("host;", "")),
        ("x-amz-date", authorization(";x-amz-date", "")),
        ("another x-amz-", authorization("x-amz-acl;", "")),
        ("none", authorization("content-type;host;x-amz-acl;x-amz-content-sha256;x-amz-date", "")),
        ("in upper case", authorization("host;", "Host;")),
        ("metadata, added later", with(put(), &[("x-amz-meta-a", "b")])),
        ("a copy's source, added later", with(put(), &[("x-amz-copy-source", "b/k")])),
        ("a token, added later", with(put(), &[("x-amz-security-token", "token")])),
        ("presigned: host", parameter("X-Amz-SignedHeaders", "range")),
        ("presigned: none", parameter("X-Amz-SignedHeaders", "")),
        ("presigned: encoded twice", parameter("X-Amz-SignedHeaders", "host%253Brange")),
        ("presigned: an x-amz- added later", with(get(), &[("x-amz-acl", "public-read")])),
    ];
    check(&cases, "AccessDenied", 403);
}

#[test]
fn content_sha256() {
    check(&[("missing", without("x-amz-content-sha256"))], "InvalidRequest", 400);
    let with_parameter = |value: &str| path(get(), "x-id=GetObject", &format!("X-Amz-Content-Sha256={value}"));
    let cases = [
        ("a digit short", set("x-amz-content-sha256", &HASH[1..])),
        ("not hexadecimal", set("x-amz-content-sha256", &HASH.replace('4', "g"))),
        ("an unknown word", set("x-amz-content-sha256", "SIGNED-PAYLOAD")),
        ("an unknown form of chunks", set("x-amz-content-sha256", "STREAMING-PAYLOAD")),
        ("empty", set("x-amz-content-sha256", "")),
        ("a space before", set("x-amz-content-sha256", " UNSIGNED-PAYLOAD")),
        ("repeated", with(put(), &[("x-amz-content-sha256", "UNSIGNED-PAYLOAD")])),
        ("not UTF-8", raw(put(), "x-amz-content-sha256", b"\xff")),
        ("presigned: malformed", with_parameter("0")),
        ("presigned: chunks in the query", with_parameter("STREAMING-AWS4-HMAC-SHA256-PAYLOAD")),
        ("presigned: two values", with(with_parameter(HASH), &[("x-amz-content-sha256", "UNSIGNED-PAYLOAD")])),
    ];
    check(&cases, "InvalidArgument", 400);
}

#[test]
fn access_key_ids() {
    let cases = [
        ("unknown", authorization(ACCESS_KEY_ID, "AKIAIOSFODNN7EXAMPLF")),
        ("in lower case", authorization(ACCESS_KEY_ID, &ACCESS_KEY_ID.to_lowercase())),
        ("a beginning", authorization(ACCESS_KEY_ID, &ACCESS_KEY_ID[1..])),
        ("presigned: unknown", query(ACCESS_KEY_ID, "AKID")),
    ];
    check(&cases, "InvalidAccessKeyId", 403);
}

#[test]
fn session_tokens() {
    let temporary = |token: &str| Client { session_token: Some(token.into()), ..Client::default() };
    let by_header = |client: &Client| client.sign(unsigned(), "UNSIGNED-PAYLOAD");
    let by_query = |client: &Client| client.presign(head("GET /\nhost: h"), "UNSIGNED-PAYLOAD", 60);
    for signed in [by_header, by_query] {
        let code = |signs: Client, expects: Client| {
            let verified = expects.verify(&signed(&signs), NOW);
            verified.map(|_| ()).map_err(|error| (error.code(), error.status()))
        };
        assert_eq!(code(temporary("token"), temporary("token")), Ok(()));
        assert_eq!(code(temporary("token"), temporary("other")), Err(("InvalidToken", 400)));
        assert_eq!(code(temporary("token"), temporary("token2")), Err(("InvalidToken", 400)));
        assert_eq!(code(temporary("token"), Client::default()), Err(("InvalidToken", 400)));
        assert_eq!(code(Client::default(), temporary("token")), Err(("InvalidAccessKeyId", 403)));
    }
    let twice = with(by_header(&temporary("token")), &[("x-amz-security-token", "token")]);
    check(&[("repeated", twice), ("not UTF-8", raw(put(), "x-amz-security-token", b"\xff"))], "InvalidToken", 400);
    let only_signed = with(unsigned(), &[("x-amz-security-token", "")]);
    check(&[("empty", Client::default().sign(only_signed, HASH))], "InvalidToken", 400);
}

#[test]
fn signatures_of_something_else() {
    let signature = |value: &str| {
        edit(put(), "authorization", |old| {
            Some(format!("{}Signature={value}", old.split_once("Signature=").unwrap().0))
        })
    };
    let authorization_of = |head: RequestHead| head.headers.text("authorization").unwrap().unwrap().to_owned();
    let (_, good) =
        authorization_of(put()).split_once("Signature=").map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    let other_key = Client { secret_access_key: "secret".into(), ..Client::default() };
    let mut other_method = put();
    other_method.method = "POST".into();
    let mut other_host = put();
    other_host.authority = "other.example.com".into();
    let mut other_port = put();
    other_port.authority.push_str(":80");
    let cases = [
        ("another key", other_key.sign(unsigned(), "UNSIGNED-PAYLOAD")),
        ("upper case", signature(&good.to_uppercase())),
        ("a digit short", signature(&good[..63])),
        ("a digit more", signature(&format!("{good}0"))),
        ("empty", signature("")),
        ("zeros", signature(&"0".repeat(64))),
        ("another method", other_method),
        ("another host", other_host),
        ("another port", other_port),
        ("another bucket", path(put(), "/bucket/", "/bucket2/")),
        ("another object key", path(put(), "/key", "/Key")),
        ("a slash more", path(put(), "/key", "//key")),
        ("a slash at the end", path(put(), "/key", "/key/")),
        ("a detour", path(put(), "/key", "/x/../key")),
        ("an escape of an escape", path(put(), "/key", "/%256bey")),
        ("another parameter", path(put(), "x-id", "y-id")),
        ("another value of a parameter", path(put(), "=PutObject", "=putobject")),
        ("a parameter more", path(put(), "x-id", "acl&x-id")),
        ("a parameter less", path(put(), "x-id=PutObject", "")),
        ("a repeated parameter", path(put(), "x-id=PutObject", "x-id=PutObject&x-id=PutObject")),
        ("another value of a header", set("content-type", "text/html")),
        ("a repeated header", with(put(), &[("x-amz-acl", "private")])),
        ("a header less", without("x-amz-acl")),
        ("a header more in the list", authorization("content-type;", "content-length;content-type;")),
        ("a header less in the list", authorization("content-type;", "")),
        ("a signed payload", set("x-amz-content-sha256", HASH)),
        ("another form of payload", set("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER")),
        ("another second", set("x-amz-date", "20130524T000001Z")),
        ("presigned: another signature", parameter("X-Amz-Signature", &good)),
        ("presigned: an empty signature", parameter("X-Amz-Signature", "")),
        ("presigned: another expiry", parameter("X-Amz-Expires", "3601")),
        ("presigned: the same expiry otherwise", parameter("X-Amz-Expires", "03600")),
        ("presigned: another second", parameter("X-Amz-Date", "20130524T000001Z")),
        ("presigned: another object key", query("/key", "/kez")),
        ("presigned: a parameter more", query("x-id", "acl&x-id")),
        ("presigned: a token more", repeated("X-Amz-Security-Token")),
        ("presigned: another header", edit(get(), "range", |_| Some("bytes=0-".into()))),
        ("presigned: a header less", edit(get(), "range", |_| None)),
        ("presigned: a hash", with(get(), &[("x-amz-content-sha256", HASH)])),
    ];
    check(&cases, "SignatureDoesNotMatch", 403);
}

#[test]
fn uris() {
    let cases = [
        ("half an escape", path(put(), "/key", "/key%2")),
        ("no escape", path(put(), "/key", "/%zz")),
        ("not UTF-8", path(put(), "/key", "/%ff")),
        ("in the query", path(put(), "PutObject", "%")),
        ("not UTF-8 in the query", path(put(), "PutObject", "%c3%28")),
        ("presigned: in a parameter", parameter("X-Amz-Date", "%")),
    ];
    check(&cases, "InvalidURI", 400);
}

#[test]
fn presigned_urls() {
    let names = ["Algorithm", "Credential", "Date", "Expires", "SignedHeaders", "Signature"]
        .map(|name| format!("X-Amz-{name}"));
    let mut cases: Vec<_> = names.iter().map(|name| (name.as_str(), repeated(name))).collect();
    cases.extend(names.iter().map(|name| (name.as_str(), query(&format!("{name}="), "x="))));
    cases.extend([
        ("another algorithm", query("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA512")),
        ("an empty algorithm", parameter("X-Amz-Algorithm", "")),
        ("an empty credential", parameter("X-Amz-Credential", "")),
        ("a credential of four parts", query("%2Fus-east-1", "")),
        ("another region", query("us-east-1", "eu-west-1")),
        ("another service", query("%2Fs3%2F", "/sns/")),
        ("another terminator", query("aws4_request", "aws5_request")),
        ("not a date", query("%2F20130524%2F", "/32234Z34/")),
        ("another day", query("%2F20130524%2F", "/20130523/")),
        ("HTTP's format", parameter("X-Amz-Date", "Fri,%2024%20May%202013%2000:00:00%20GMT")),
        ("an empty date", parameter("X-Amz-Date", "")),
        ("a repeated token", path(repeated("X-Amz-Security-Token"), "x-id", "X-Amz-Security-Token=1&x-id")),
    ]);
    for expires in ["", "x", "1h", "1.5", "%2B5", "-1", "604801", "4294967297", "99999999999999999999", "%D9%A3"] {
        cases.push((expires, parameter("X-Amz-Expires", expires)));
    }
    check(&cases, "AuthorizationQueryParametersError", 400);
}

#[test]
fn presigned_urls_out_of_time() {
    let at = |offset: i64| {
        let now = Duration::from_secs(NOW.as_secs().saturating_add_signed(offset));
        let verified = Client::default().verify(&get(), now);
        verified.map(|_| ()).map_err(|error| (error.code(), error.status(), error.to_string()))
    };
    assert_eq!(at(-901), Err(("AccessDenied", 403, "Request is not yet valid".into())));
    assert_eq!((at(-900), at(0), at(3_600)), (Ok(()), Ok(()), Ok(())));
    assert_eq!(at(3_601), Err(("AccessDenied", 403, "Request has expired".into())));
}

#[test]
fn presigned_urls_for_no_time_at_all() {
    check(&[("0", parameter("X-Amz-Expires", "0"))], "AccessDenied", 403);
}

/// SDKs read it, and sign again.
#[test]
fn the_right_region_is_named() {
    for head in [authorization("us-east-1", "eu-west-1"), query("us-east-1", "eu-west-1")] {
        assert_eq!(Client::default().verify(&head, NOW).unwrap_err().expected_region(), Some("us-east-1"));
    }
    assert_eq!(Client::default().verify(&parameter("X-Amz-Signature", ""), NOW).unwrap_err().expected_region(), None);
}

/// The messages that people search for are S3's.
#[test]
fn messages() {
    let cases = [
        (
            authorization("us-east-1", "eu-west-1"),
            "The authorization header is malformed; the region 'eu-west-1' is wrong; expecting 'us-east-1'",
        ),
        (
            query("us-east-1", "eu-west-1"),
            "Error parsing the X-Amz-Credential parameter; the region 'eu-west-1' is wrong; expecting 'us-east-1'",
        ),
        (
            with(put(), &[("x-amz-b", ""), ("x-amz-a", "")]),
            "There were headers present in the request which were not signed: x-amz-a, x-amz-b",
        ),
        (
            parameter("X-Amz-Expires", "604801"),
            "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than 604800 seconds",
        ),
        (without("x-amz-content-sha256"), "Missing required header for this request: x-amz-content-sha256"),
    ];
    for (head, message) in cases {
        let error = Client::default().verify(&head, NOW).unwrap_err();
        assert_eq!(error.to_string(), message);
        assert!(!format!("{error:?}").contains(SECRET_ACCESS_KEY));
    }
}
