//! Refused, never leaked: whatever a request looks like, no plaintext reaches the store; and no secret gets into what
//! could be logged.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use s3ep_core::error::KmsError;
use s3ep_core::s3::checksum::Algorithm;

use crate::support::chunked::{self, checksum, frame, sha256_hex};
use crate::support::{MASTER_KEY, MODES, Mode, Mood, Request, Split, Stack, TOKEN, contains, plaintext};

/// What S3's requests, and those of other stores, have in their queries.
const PARAMETERS: [&str; 36] = [
    "acl",
    "append",
    "attributes",
    "cors",
    "delete",
    "encryption",
    "legal-hold",
    "lifecycle",
    "list-type=2",
    "location",
    "metadataTable",
    "partNumber=1",
    "policy",
    "position=0",
    "prefix=x",
    "publicAccessBlock",
    "renameObject",
    "response-content-type=a",
    "restore",
    "retention",
    "select",
    "select-type=2",
    "session",
    "tagging",
    "torrent",
    "uploadId=u",
    "uploads",
    "versionId=v",
    "versioning",
    "versions",
    "website",
    "x-id=PutObject",
    "X-Amz-Signature=s",
    "a-new-subresource",
    "%61cl",
    "Acl",
];

/// Subresources whose documents are the store's business, on objects and on buckets.
const OBJECT_DOCUMENTS: [&str; 5] = ["acl", "legal-hold", "retention", "tagging", "%61cl"];
const BUCKET_DOCUMENTS: [&str; 10] = [
    "acl",
    "cors",
    "encryption",
    "lifecycle",
    "policy",
    "publicAccessBlock",
    "tagging",
    "versioning",
    "website",
    "%61cl",
];

/// Headers that change what an upload is, with values right and wrong.
fn header_choices(body: &[u8]) -> Vec<(&'static str, String)> {
    let crc = checksum(Algorithm::Crc32, body);
    [
        ("content-encoding", "aws-chunked"),
        ("content-encoding", "gzip"),
        ("content-type", "multipart/form-data; boundary=x"),
        ("expect", "100-continue"),
        ("if-none-match", "*"),
        ("transfer-encoding", "chunked"),
        ("x-amz-acl", "public-read"),
        ("x-amz-checksum-algorithm", "CRC32"),
        ("x-amz-checksum-crc32", crc.as_str()),
        ("x-amz-checksum-crc32", "AAAAAA=="),
        ("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"),
        ("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"),
        ("x-amz-content-sha256", "UNSIGNED-PAYLOAD"),
        ("x-amz-copy-source", "/bucket/other"),
        ("x-amz-copy-source-range", "bytes=0-1"),
        ("x-amz-decoded-content-length", "5"),
        ("x-amz-meta-mine", "1"),
        ("x-amz-rename-source", "/bucket/other"),
        ("x-amz-sdk-checksum-algorithm", "CRC32"),
        ("x-amz-server-side-encryption-customer-key", "k"),
        ("x-amz-tagging", "a=b"),
        ("x-amz-trailer", "x-amz-checksum-crc32"),
        ("x-amz-write-offset-bytes", "0"),
        ("x-http-method-override", "PUT"),
    ]
    .map(|(name, value)| (name, value.to_owned()))
    .into_iter()
    .chain([("x-amz-content-sha256", sha256_hex(body)), ("x-amz-decoded-content-length", body.len().to_string())])
    .collect()
}

/// Requests that write, or try to, with a body that is recognisable wherever it is cut.
fn requests() -> impl Strategy<Value = (Request, Vec<u8>)> {
    let bodies = select(vec![16_usize, 100, 5_000, 65_536, 70_000]);
    let path = prop_oneof![
        8 => Just("/bucket/key".to_owned()),
        3 => select(vec!["/bucket", "/bucket/", "/", "/bucket/a/b/", "/bucket//", "//key", "/bucket/%2e%2e", "*", ""])
            .prop_map(str::to_owned),
        1 => "[a-z/%?&=+.]{0,12}".prop_map(|path| format!("/{path}")),
    ];
    let method = prop_oneof![4 => Just("PUT"), 2 => Just("POST"), 1 => select(vec!["PATCH", "COPY", "put", "LOCK"])];
    let hosts = select(vec!["proxy.example:10000", "bucket.s3.example.com", "s3.example.com"]);
    bodies.prop_flat_map(move |len| {
        let body = plaintext(7, len);
        let framed = (any::<bool>(), select(vec![1_000_usize, 65_536])).prop_map({
            let body = body.clone();
            move |(is_framed, size)| match is_framed {
                true => frame(&body, size, &[("x-amz-checksum-crc32", &checksum(Algorithm::Crc32, &body))]),
                false => body.clone(),
            }
        });
        let headers = subsequence(header_choices(&body), 0..5);
        let query = vec(select(PARAMETERS.to_vec()), 0..3);
        (method.clone(), path.clone(), hosts.clone(), query, headers, framed, any::<bool>()).prop_map(
            move |(method, path, host, query, headers, sent, has_length)| {
                let path = if query.is_empty() { path } else { format!("{path}?{}", query.join("&")) };
                let request = Request::new(method, &path).authority(host).body(&sent);
                let request = headers.iter().fold(request, |request, (name, value)| request.header(name, value));
                let length = sent.len().to_string();
                (if has_length { request.header("content-length", &length) } else { request }, body.clone())
            },
        )
    })
}

/// Whether the body of a request is a document that S3 defines for it, none of an object's data. Said once more here,
/// in the words of the API reference.
fn carries_a_document(request: &Request) -> bool {
    let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
    let names: Vec<_> = query.split('&').map(|parameter| parameter.split('=').next().unwrap()).collect();
    let has = |known: &[&str]| names.iter().any(|name| known.contains(name));
    let path = path.strip_prefix('/').unwrap_or(path);
    let names_object = match request.authority.ends_with(".s3.example.com") {
        true => !path.is_empty(),
        false => path.split_once('/').is_some_and(|(_, object_key)| !object_key.is_empty()),
    };
    match (request.method.as_str(), names_object) {
        ("PUT", true) => has(&OBJECT_DOCUMENTS),
        ("POST", true) => has(&["restore"]),
        // CreateBucket has a document as well.
        ("PUT", false) => {
            names.iter().all(|name| name.is_empty() || *name == "x-id" || *name == "X-Amz-Signature")
                || has(&BUCKET_DOCUMENTS)
                || has(&["metadataTable"])
        }
        ("POST", false) => has(&["delete", "metadataTable"]),
        _ => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn no_window_of_the_plaintext_reaches_the_store(
        (request, plain) in requests(),
        split in select(Split::samples()),
        is_direct: bool,
    ) {
        let mut stack =
            Stack::with(MODES[usize::from(is_direct)], serde_json::json!({ "virtual_host_suffixes": ["s3.example.com"] }));
        stack.up = split;
        stack.send(&request);
        prop_assume!(!carries_a_document(&request));
        // A window of 16 bytes at every 16th place: whoever leaks 31 bytes in a row is found out.
        let windows: std::collections::HashSet<&[u8]> = plain.chunks_exact(16).collect();
        for upstream in &stack.store.requests {
            let fields = upstream.headers.iter().map(|(_, value)| value).chain([upstream.path.as_bytes(), &upstream.body]);
            for field in fields {
                prop_assert!(!field.windows(16).any(|window| windows.contains(window)), "{} {}", upstream.method, upstream.path);
            }
        }
    }
}

/// Secrets in every spelling that a log could have.
fn spellings(secret: &[u8]) -> Vec<String> {
    let list = secret.iter().take(8).map(u8::to_string).collect::<Vec<_>>();
    vec![hex::encode(secret), STANDARD.encode(secret), list.join(", "), String::from_utf8_lossy(secret).into_owned()]
}

/// Things go right, and wrong in many ways.
fn scenario(stack: &mut Stack, body: &[u8]) {
    let key = "/bucket/key";
    let ranged = Request::get(key).header("range", "bytes=0-9");
    let reads = [Request::get(key), Request::head(key), ranged.clone(), ranged.header("if-match", "\"other\"")];
    let failures =
        [KmsError::Denied, KmsError::Unavailable, KmsError::Garbage, KmsError::Invalid, KmsError::ContextMismatch];
    stack.put(key, body);
    let honest = stack.store.object(key).clone();
    for mood in failures.map(Mood::Failing).into_iter().chain([Mood::Confused, Mood::Honest]) {
        stack.kms.mood = mood;
        for is_cold in [true, false] {
            reads.iter().for_each(|request| {
                if is_cold {
                    stack.forget();
                }
                stack.send(request);
            });
        }
        stack.send(&Request::put("/bucket/other", body));
    }
    for name in ["alg", "dek", "kek", "len", "mac"] {
        stack.store.object(key).set(&format!("x-amz-meta-s3ep-{name}"), Some("7"));
        reads.iter().for_each(|request| drop(stack.send(request)));
        *stack.store.object(key) = honest.clone();
    }
    for at in [0, 4, 5, 6, 8, 12, 16, 28, 32, 100] {
        stack.store.object(key).body[at] ^= 0x55;
        stack.forget();
        reads.iter().for_each(|request| drop(stack.send(request)));
        stack.store.object(key).body[at] ^= 0x55;
    }
    let put = Request::put(key, body);
    for (name, value) in header_choices(body) {
        stack.send(&put.clone().header(name, &value));
    }
    stack.send(&put.clone().without("content-length").header("content-length", "5"));
    stack.send(&put.without("content-length").header("content-length", "5000000"));
    stack.send(&chunked::put(key, body, Algorithm::Crc32, "AAAAAA=="));
    stack.send(&Request::get("/bucket/%"));
    stack.entropy.left = Some(0);
    stack.send(&Request::put(key, body));
}

#[test]
fn no_secret_shows() {
    let body = [b"a plaintext that is nobody else's business".as_slice(), &plaintext(1, 1_000)].concat();
    for mode in MODES {
        let mut stack = Stack::new(mode);
        scenario(&mut stack, &body);
        let mut secrets = vec![TOKEN.to_owned(), MASTER_KEY.to_owned(), "nobody else's business".to_owned()];
        secrets.extend(spellings(&STANDARD.decode(MASTER_KEY).unwrap()));
        secrets.extend(spellings(&body[..32]));
        secrets.extend(stack.kms.deks.iter().flat_map(|dek| spellings(dek)));
        assert!(mode == Mode::Direct || stack.kms.deks.len() > 5);
        stack.shown.push(format!("{:?}", stack.config));
        assert!(stack.shown.len() > 300, "the scenario shows nothing: {}", stack.shown.len());
        for shown in &stack.shown {
            for secret in &secrets {
                assert!(!contains(shown.as_bytes(), secret.as_bytes()), "{secret} in {shown}");
            }
        }
    }
}
