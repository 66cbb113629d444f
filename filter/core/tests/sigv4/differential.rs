//! Whatever AWS's signer signs is let in, and nothing else is.

use std::time::Duration;

use percent_encoding::{AsciiSet, percent_decode_str, utf8_percent_encode};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use s3ep_core::http::{Headers, RequestHead};
use s3ep_core::sigv4::Payload;

use crate::client::{Client, UNRESERVED, with};

const PATH: &AsciiSet = &UNRESERVED.remove(b'/');

const CONTENT_SHA256: [&str; 6] = [
    "UNSIGNED-PAYLOAD",
    "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855",
];

fn clients() -> impl Strategy<Value = Client> {
    // Secrets on both sides of HMAC's block; times from 1970 to 9999.
    ("[A-Z0-9]{1,20}", "[!-~]{1,100}", prop::option::of("[!-~]{1,40}"), "[a-z0-9-]{1,12}", 0..253_402_300_000u64)
        .prop_map(|(access_key_id, secret_access_key, session_token, region, seconds)| Client {
            access_key_id,
            secret_access_key,
            session_token,
            region,
            time: Duration::from_secs(seconds),
        })
}

/// Object keys with empty segments, dots and anything in Unicode.
fn paths() -> impl Strategy<Value = String> {
    let segment = prop_oneof![
        "[a-z0-9._~-]{0,6}",
        "[ -~]{0,6}",
        any::<String>(),
        select(vec![".", "..", "", "%", "%2F", "+", "a b"]).prop_map(str::to_owned),
    ];
    prop::collection::vec(segment, 0..6).prop_map(|segments| format!("/{}", segments.join("/")))
}

/// Encoded, with and without values, in any order and repeated; `+` as well as `%20` for a space.
fn queries() -> impl Strategy<Value = String> {
    let text = || prop_oneof!["[a-z-]{1,8}", "[ -~]{0,5}", any::<String>()];
    let parameter = (text(), prop::option::of(text()), any::<bool>()).prop_map(|(name, value, is_form)| {
        let encode = |text: &str| {
            let encoded = utf8_percent_encode(text, UNRESERVED).to_string();
            if is_form { encoded.replace("%20", "+") } else { encoded }
        };
        let name = encode(&name);
        value.map_or(name.clone(), |value| format!("{name}={}", encode(&value)))
    });
    let fixed =
        select(vec!["lifecycle", "uploads=", "list-type=2", "a", "a=", "a=b=c", "", "=x"]).prop_map(str::to_owned);
    prop::collection::vec(prop_oneof![parameter, fixed], 0..6).prop_map(|parameters| parameters.join("&"))
}

fn fields() -> impl Strategy<Value = Vec<(String, String)>> {
    let name = prop_oneof![
        select(vec!["range", "content-type", "content-md5", "expect", "x-amz-acl", "if-match", "x-amz-meta-a"])
            .prop_map(str::to_owned),
        "x-amz-meta-[a-z0-9-]{1,6}",
        "[a-z][a-z0-9-]{0,8}",
    ];
    let reserved = ["host", "date", "authorization", "user-agent", "te", "x-amz-date"];
    let name = name.prop_filter("the signer has it", move |name| !reserved.contains(&name.as_str()));
    prop::collection::vec((name, "[ -~]{0,16}"), 0..8)
}

fn requests() -> impl Strategy<Value = RequestHead> {
    let methods = select(vec!["GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS"]);
    let authorities = prop_oneof![
        Just("s3.example.com".to_owned()),
        Just("127.0.0.1:10000".to_owned()),
        Just("[::1]:9000".to_owned()),
        "[a-z][a-z0-9-]{0,20}\\.s3\\.example\\.com(:[1-9][0-9]{1,3})?",
    ];
    (methods, authorities, paths(), prop::option::of(queries()), fields()).prop_map(
        |(method, authority, path, query, fields)| {
            let path = utf8_percent_encode(&path, PATH).to_string();
            RequestHead {
                method: method.into(),
                path: query.map_or(path.clone(), |query| format!("{path}?{query}")),
                authority,
                headers: fields.into_iter().collect(),
                is_end: true,
            }
        },
    )
}

fn signed(client: &Client, head: RequestHead, content_sha256: &str, expires: Option<u32>) -> RequestHead {
    match expires {
        None => client.sign(head, content_sha256),
        Some(expires) if content_sha256 == "UNSIGNED-PAYLOAD" => client.presign(head, content_sha256, expires),
        Some(expires) => {
            let head = with(head, &[("x-amz-content-sha256", content_sha256)]);
            client.presign(head, content_sha256, expires)
        }
    }
}

/// The same path written otherwise: lower-case escapes, needless ones, and none where RFC 3986 needs none.
fn rewritten(path: &str, choices: &[u8]) -> String {
    let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
    let decoded: Vec<u8> = percent_decode_str(path).collect();
    let mut choices = choices.iter().cycle();
    let mut written = String::new();
    for byte in decoded {
        match (choices.next().copied().unwrap_or_default() % 3, byte) {
            (_, b'/') => written.push('/'),
            (
                0,
                b'-' | b'.' | b'_' | b'~' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'='
                | b':' | b'@',
            ) => written.push(byte.into()),
            (0, _) if byte.is_ascii_alphanumeric() => written.push(byte.into()),
            (1, _) => written.push_str(&format!("%{byte:02x}")),
            _ => written.push_str(&format!("%{byte:02X}")),
        }
    }
    query.map_or(written.clone(), |query| format!("{written}?{query}"))
}

/// One small change to a head that changes what it says.
fn changed(mut head: RequestHead, what: u8, at: Index) -> RequestHead {
    let flip = |text: &mut Vec<u8>| match text.is_empty() {
        true => text.push(b'x'),
        false => {
            let at = at.index(text.len());
            text[at] = if text[at] == b'x' { b'y' } else { b'x' };
        }
    };
    let mut fields: Vec<_> = head.headers.iter().map(|(name, value)| (name.to_owned(), value.to_vec())).collect();
    match what % 6 {
        0 => head.method.push('X'),
        1 => head.authority.push('x'),
        2 => head.path.insert(1, 'x'),
        3 => head.path.push_str(if head.path.contains('?') { "&x=" } else { "?x" }),
        4 => fields.push(("x-amz-meta-x".into(), b"x".to_vec())),
        _ if fields.is_empty() => head.method.push('X'),
        _ => {
            let field = at.index(fields.len());
            flip(&mut fields[field].1);
        }
    }
    head.headers = Headers::new(fields);
    head
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn what_aws_signs_is_let_in(
        client in clients(),
        head in requests(),
        content_sha256 in select(CONTENT_SHA256.to_vec()),
        expires in prop::option::of(1..=604_800u32),
        choices in prop::collection::vec(any::<u8>(), 1..20),
        offset in -900i64..=900,
    ) {
        let mut head = signed(&client, head, content_sha256, expires);
        let now = Duration::from_secs(client.time.as_secs().saturating_add_signed(offset.min(expires.map_or(900, i64::from))));
        let verified = client.verify(&head, now);
        prop_assert!(verified.is_ok(), "{:?} {:?}", verified, head);
        let verified = verified.unwrap();
        prop_assert_eq!(&verified.access_key_id, &client.access_key_id);
        let is_right = match verified.payload {
            Payload::Sha256(hash) => hash == content_sha256.to_lowercase(),
            Payload::Unsigned => content_sha256.contains("UNSIGNED"),
            Payload::Chunks(_) => content_sha256.starts_with("STREAMING-AWS4"),
        };
        prop_assert!(is_right);
        head.path = rewritten(&head.path, &choices);
        prop_assert!(client.verify(&head, now).is_ok(), "{:?}", head);
    }

    #[test]
    fn what_was_changed_since_is_not(
        client in clients(),
        head in requests(),
        content_sha256 in select(CONTENT_SHA256.to_vec()),
        expires in prop::option::of(1..=604_800u32),
        what in any::<u8>(),
        at in any::<Index>(),
    ) {
        let head = changed(signed(&client, head, content_sha256, expires), what, at);
        prop_assert!(client.verify(&head, client.time).is_err(), "{:?}", head);
    }

    #[test]
    fn nothing_panics(
        method in any::<String>(),
        path in any::<String>(),
        authority in any::<String>(),
        fields in prop::collection::vec((select(vec![
            "authorization", "x-amz-date", "date", "x-amz-content-sha256", "x-amz-security-token", "x-amz-acl", "range",
        ]), any::<Vec<u8>>()), 0..8),
        now in any::<u64>(),
    ) {
        let headers = fields.into_iter().collect();
        let head = RequestHead { method, path, authority, headers, is_end: true };
        prop_assert!(Client::default().verify(&head, Duration::from_secs(now)).is_err());
    }
}
