//! The examples of the Amazon S3 API Reference, signatures included.

use s3ep_core::sigv4::aws_chunked::{Decoder, Framing};
use s3ep_core::sigv4::{AuthError, Payload};

use crate::client::{ACCESS_KEY_ID, Client, NOW, edit, head};

const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// "Signature Calculations for the Authorization Header: Transferring Payload in a Single Chunk".
const GET_OBJECT: &str = "GET /test.txt
Host: examplebucket.s3.amazonaws.com
Range: bytes=0-9
x-amz-content-sha256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
x-amz-date: 20130524T000000Z
Authorization: AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41";

const PUT_OBJECT: &str = "PUT /test$file.text
Host: examplebucket.s3.amazonaws.com
Date: Fri, 24 May 2013 00:00:00 GMT
x-amz-date: 20130524T000000Z
x-amz-storage-class: REDUCED_REDUNDANCY
x-amz-content-sha256: 44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072
Authorization: AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders=date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class,Signature=98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd";

const GET_BUCKET_LIFECYCLE: &str = "GET /?lifecycle
Host: examplebucket.s3.amazonaws.com
x-amz-date: 20130524T000000Z
x-amz-content-sha256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
Authorization: AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders=host;x-amz-content-sha256;x-amz-date,Signature=fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543";

const LIST_OBJECTS: &str = "GET /?max-keys=2&prefix=J
Host: examplebucket.s3.amazonaws.com
x-amz-date: 20130524T000000Z
x-amz-content-sha256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
Authorization: AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders=host;x-amz-content-sha256;x-amz-date,Signature=34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7";

/// "Authenticating Requests: Using Query Parameters".
const PRESIGNED: &str = "GET /test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404
Host: examplebucket.s3.amazonaws.com";

/// "Transferring Payload in Multiple Chunks (Chunked Upload)".
const CHUNKED: &str = "PUT /examplebucket/chunkObject.txt
Host: s3.amazonaws.com
x-amz-date: 20130524T000000Z
x-amz-storage-class: REDUCED_REDUNDANCY
Authorization: AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders=content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class,Signature=4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9
x-amz-content-sha256: STREAMING-AWS4-HMAC-SHA256-PAYLOAD
Content-Encoding: aws-chunked
x-amz-decoded-content-length: 66560
Content-Length: 66824";

/// Chunks of 65,536 and 1,024 times `a`, and the last one.
const CHUNK_SIGNATURES: [&str; 3] = [
    "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
    "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
    "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
];

/// "Signature Calculations for the Authorization Header: Including Trailing Headers".
const TRAILER: &str = "PUT /examplebucket/chunkObject.txt
Host: s3.amazonaws.com
x-amz-date: 20130524T000000Z
x-amz-storage-class: REDUCED_REDUNDANCY
Authorization: AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders=content-encoding;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class;x-amz-trailer,Signature=106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e
x-amz-content-sha256: STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER
Content-Encoding: aws-chunked
x-amz-decoded-content-length: 66560
x-amz-trailer: x-amz-checksum-crc32c
Content-Length: 66824";

const TRAILER_SIGNATURES: [&str; 3] = [
    "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
    "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
    "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
];
const TRAILERS: &str = "x-amz-checksum-crc32c:sOO8/Q==\r\n\
    x-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n";

fn payload(request: &str) -> Payload {
    let verified = Client::default().verify(&head(request), NOW).unwrap();
    assert_eq!(verified.access_key_id, ACCESS_KEY_ID);
    verified.payload
}

#[test]
fn requests_with_a_hashed_body() {
    let body = "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072";
    for (request, expected) in
        [(GET_OBJECT, EMPTY), (PUT_OBJECT, body), (GET_BUCKET_LIFECYCLE, EMPTY), (LIST_OBJECTS, EMPTY)]
    {
        assert!(matches!(payload(request), Payload::Sha256(hash) if hash == expected), "{request}");
    }
}

#[test]
fn a_presigned_url() {
    assert!(matches!(payload(PRESIGNED), Payload::Unsigned));
}

#[test]
fn chunked_uploads() {
    for (request, framing, signatures, trailers) in [
        (CHUNKED, Framing::Signed, CHUNK_SIGNATURES, ""),
        (TRAILER, Framing::SignedTrailer, TRAILER_SIGNATURES, TRAILERS),
    ] {
        let [first, second, last] = signatures;
        let (long, short) = ("a".repeat(65_536), "a".repeat(1_024));
        let body = format!(
            "10000;chunk-signature={first}\r\n{long}\r\n400;chunk-signature={second}\r\n{short}\r\n\
             0;chunk-signature={last}\r\n{trailers}\r\n"
        );
        let decode = |body: &[u8]| {
            let mut decoder = Decoder::new(framing, 66_560, payload(request).into_chunk_verifier());
            let mut plain = Vec::new();
            decoder.push(body, &mut plain).and_then(|()| decoder.finish()).map(|()| plain)
        };
        assert_eq!(decode(body.as_bytes()), Ok(vec![b'a'; 66_560]));
        assert!(decode(body.replacen("aaaa", "aaab", 1).as_bytes()).is_err());
    }
}

/// A signature is good for its own request, key, region and time alone.
#[test]
fn none_of_it_fits_elsewhere() {
    let clients = [
        Client { secret_access_key: "secret".into(), ..Client::default() },
        Client { access_key_id: "AKID".into(), ..Client::default() },
        Client { region: "eu-west-1".into(), ..Client::default() },
        Client { session_token: Some("token".into()), ..Client::default() },
    ];
    for request in [GET_OBJECT, PUT_OBJECT, GET_BUCKET_LIFECYCLE, LIST_OBJECTS, PRESIGNED, CHUNKED, TRAILER] {
        for client in &clients {
            assert!(client.verify(&head(request), NOW).is_err(), "{client:?}");
        }
        let client = Client::default();
        for (from, to) in
            [("GET ", "HEAD "), ("PUT ", "GET "), ("amazonaws", "example"), ("lifecycle", "policy"), ("=J", "=K")]
        {
            let altered = request.replacen(from, to, 1);
            assert!(altered == request || client.verify(&head(&altered), NOW).is_err(), "{altered}");
        }
        for digit in ["0", "1", "a"] {
            let (start, signature) = request.rsplit_once("Signature=").unwrap();
            if !signature.starts_with(digit) {
                let altered = format!("{start}Signature={digit}{}", &signature[1..]);
                assert_eq!(client.verify(&head(&altered), NOW).unwrap_err(), AuthError::SignatureDoesNotMatch);
            }
        }
    }
}

/// `Date` alone, in both formats, and what Envoy takes away.
#[test]
fn what_no_current_sdk_sends() {
    let signed = |date: &str, name: &str| {
        format!(
            "GET /test.txt\nHost: examplebucket.s3.amazonaws.com\nDate: {date}\nx-amz-content-sha256: {EMPTY}\n\
             Authorization: AWS4-HMAC-SHA256 Signature={}, SignedHeaders={name};host;x-amz-content-sha256, \
             Credential={ACCESS_KEY_ID}/20130524/us-east-1/s3/aws4_request",
            signature(date, name)
        )
    };
    for (date, name) in
        [("Fri, 24 May 2013 00:00:00 GMT", "date"), ("20130524T000000Z", "date"), ("20130524T000000Z", "expect")]
    {
        assert!(matches!(payload(&signed(date, name)), Payload::Sha256(_)));
    }
    let without = edit(head(&signed("20130524T000000Z", "date")), "date", |_| None);
    assert_eq!(Client::default().verify(&without, NOW).unwrap_err(), AuthError::InvalidDate);
}

/// The signature of `what_no_current_sdk_sends`, step by step with AWS's own functions.
fn signature(date: &str, name: &str) -> String {
    use aws_sigv4::sign::v4::{calculate_signature, generate_signing_key};
    use sha2::{Digest, Sha256};
    let value = if name == "expect" { "100-continue" } else { date };
    let canonical = format!(
        "GET\n/test.txt\n\n{name}:{value}\nhost:examplebucket.s3.amazonaws.com\nx-amz-content-sha256:{EMPTY}\n\n\
         {name};host;x-amz-content-sha256\n{EMPTY}"
    );
    let hash = hex::encode(Sha256::digest(canonical));
    let text = format!("AWS4-HMAC-SHA256\n20130524T000000Z\n20130524/us-east-1/s3/aws4_request\n{hash}");
    let time = std::time::SystemTime::UNIX_EPOCH + NOW;
    calculate_signature(
        generate_signing_key(crate::client::SECRET_ACCESS_KEY, time, "us-east-1", "s3"),
        text.as_bytes(),
    )
}
