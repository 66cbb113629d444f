//! aws-chunked: AWS's published examples, what each client writes, what must be refused, and any split of all of it.
#![allow(clippy::unwrap_used)]

use hmac::{Hmac, KeyInit, Mac};
use proptest::prelude::*;
use s3ep_core::sigv4::aws_chunked::{
    AwsChunkedError, ChunkSignatures, ChunkVerifier, Decoder, Framing, Unverified, object_encoding,
};
use sha2::Sha256;

const TIMESTAMP: &str = "20130524T000000Z";
const SCOPE: &str = "20130524/us-east-1/s3/aws4_request";

fn hmac(key: &[u8], data: &str) -> [u8; 32] {
    let mut hmac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    hmac.update(data.as_bytes());
    hmac.finalize().into_bytes().into()
}

/// The key of AWS's examples.
fn signing_key() -> [u8; 32] {
    let date = hmac(b"AWS4wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "20130524");
    hmac(&hmac(&hmac(&date, "us-east-1"), "s3"), "aws4_request")
}

fn verifier(seed: &str) -> Box<dyn ChunkVerifier> {
    Box::new(ChunkSignatures::new(&signing_key(), TIMESTAMP, SCOPE, seed))
}

type Decoded = (Vec<u8>, Vec<(String, String)>);

fn decode<'a>(mut decoder: Decoder, windows: impl IntoIterator<Item = &'a [u8]>) -> Result<Decoded, AwsChunkedError> {
    let mut out = Vec::new();
    for window in windows {
        if let Err(error) = decoder.push(window, &mut out) {
            assert_eq!(decoder.finish(), Err(error), "an error stays");
            assert_eq!(decoder.push(b"0\r\n\r\n", &mut out), Err(error));
            return Err(error);
        }
    }
    decoder.finish()?;
    Ok((out, decoder.trailers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()))
}

/// Whole, byte by byte and in fives: all the same.
fn unverified(framing: Framing, decoded_len: u64, body: &[u8]) -> Result<Decoded, AwsChunkedError> {
    let decoder = || Decoder::new(framing, decoded_len, Box::new(Unverified));
    let whole = decode(decoder(), [body]);
    assert_eq!(decode(decoder(), body.chunks(1)), whole);
    assert_eq!(decode(decoder(), body.chunks(5)), whole);
    whole
}

fn trailers(of: &[(&str, &str)]) -> Vec<(String, String)> {
    of.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
}

/// The body of AWS's examples: 65,536 and 1,024 times `a`, with these three chunk signatures.
fn example(signatures: [&str; 3], rest: &str) -> Vec<u8> {
    let [first, second, last] = signatures;
    let (long, short) = ("a".repeat(65_536), "a".repeat(1_024));
    format!(
        "10000;chunk-signature={first}\r\n{long}\r\n400;chunk-signature={second}\r\n{short}\r\n0;chunk-signature={last}\r\n{rest}"
    )
    .into_bytes()
}

/// "Transferring Payload in Multiple Chunks": its seed signature and its three chunks'.
const SEED: &str = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9";
const CHUNKS: [&str; 3] = [
    "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
    "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
    "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
];

#[test]
fn the_published_example_of_signed_chunks() {
    let body = example(CHUNKS, "\r\n");
    assert_eq!(body.len(), 66_824, "the example's Content-Length");
    let decoder = || Decoder::new(Framing::Signed, 66_560, verifier(SEED));
    for window in [1, 7, 4_096, usize::MAX] {
        assert_eq!(decode(decoder(), body.chunks(window)), Ok((vec![b'a'; 66_560], vec![])));
    }
}

/// "Signature calculations for trailing headers": its signatures.
const TRAILER_SEED: &str = "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e";
const TRAILER_CHUNKS: [&str; 3] = [
    "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
    "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
    "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
];
const TRAILER_SIGNATURE: &str = "d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435";

#[test]
fn the_published_example_of_signed_trailers() {
    let decoder = || Decoder::new(Framing::SignedTrailer, 66_560, verifier(TRAILER_SEED));
    let expected = Ok((vec![b'a'; 66_560], trailers(&[("x-amz-checksum-crc32c", "sOO8/Q==")])));
    for eol in ["\r\n", "\n\r\n", "\n"] {
        let rest = format!("x-amz-checksum-crc32c:sOO8/Q=={eol}x-amz-trailer-signature:{TRAILER_SIGNATURE}\r\n\r\n");
        let body = example(TRAILER_CHUNKS, &rest);
        for window in [1, 7, 4_096, usize::MAX] {
            assert_eq!(decode(decoder(), body.chunks(window)), expected, "{eol:?}");
        }
    }
}

/// Every signature, every byte of the data, the seed and the trailer count.
#[test]
fn any_alteration_breaks_the_chain() {
    let failed = |decoder, body: &[u8]| assert_eq!(decode(decoder, [body]), Err(AwsChunkedError::Signature));
    let good = example(CHUNKS, "\r\n");
    for at in 0..3 {
        let mut signatures = CHUNKS;
        signatures[at] = CHUNKS[(at + 1) % 3];
        failed(Decoder::new(Framing::Signed, 66_560, verifier(SEED)), &example(signatures, "\r\n"));
    }
    for at in [88, 40_000, 65_623, 66_000] {
        let mut body = good.clone();
        assert_eq!(body[at], b'a');
        body[at] = b'b';
        failed(Decoder::new(Framing::Signed, 66_560, verifier(SEED)), &body);
    }
    failed(Decoder::new(Framing::Signed, 66_560, verifier(TRAILER_SEED)), &good);
    let signed = |name: &str, value: &str| {
        let rest = format!("{name}:{value}\r\nx-amz-trailer-signature:{TRAILER_SIGNATURE}\r\n\r\n");
        example(TRAILER_CHUNKS, &rest)
    };
    for (name, value) in [("x-amz-checksum-crc32c", "sOO8/R=="), ("x-amz-checksum-crc32", "sOO8/Q==")] {
        failed(Decoder::new(Framing::SignedTrailer, 66_560, verifier(TRAILER_SEED)), &signed(name, value));
    }
}

/// A signed body cannot be cut at a chunk: the last, empty chunk is signed as well.
#[test]
fn a_signed_body_cannot_be_cut() {
    let body = example(CHUNKS, "\r\n");
    let first_chunk = &body[..88 + 65_536 + 2];
    let end = format!("0;chunk-signature={}\r\n\r\n", CHUNKS[2]);
    let decoder = Decoder::new(Framing::Signed, 65_536, verifier(SEED));
    assert_eq!(decode(decoder, [first_chunk, end.as_bytes()]), Err(AwsChunkedError::Signature));
}

#[test]
fn what_clients_write() {
    let crc = [("x-amz-checksum-crc32", "MSpqpg==")];
    for (who, body, len, data, expected) in [
        ("botocore", "7\r\nabcdefg\r\n0\r\nx-amz-checksum-crc32:MSpqpg==\r\n\r\n", 7, "abcdefg", &crc[..]),
        ("minio-go", "7\r\nabcdefg\r\n0\r\nx-amz-checksum-crc32:MSpqpg==\n\r\n\r\n", 7, "abcdefg", &crc[..]),
        ("no trailer", "7\r\nabcdefg\r\n0\r\n\r\n", 7, "abcdefg", &[]),
        ("odd chunks", "1\r\na\r\n03\r\nbcd\r\n000A\r\n0123456789\r\n00\r\n\r\n", 14, "abcd0123456789", &[]),
        ("binary", "4\r\n\r\n0\r\r\n0\r\n\r\n", 4, "\r\n0\r", &[]),
        ("empty", "0\r\n\r\n", 0, "", &[]),
        ("spaces", "0\r\nX-Amz-Checksum-CRC32: \tMSpqpg== \r\n\r\n", 0, "", &crc[..]),
        ("two", "0\r\nb:2\nx-a:1 2\n\r\n\r\n", 0, "", &[("b", "2"), ("x-a", "1 2")]),
    ] {
        let expected = Ok((data.as_bytes().to_vec(), trailers(expected)));
        assert_eq!(unverified(Framing::UnsignedTrailer, len, body.as_bytes()), expected, "{who}");
    }
}

/// With `auth: none` signatures are not checked, but must be there and look like signatures.
#[test]
fn signed_framings_without_a_verifier() {
    let signature = "0123456789abcdefABCDEF0000000000000000000000000000000000000000ff";
    let chunks = format!("3;chunk-signature={signature}\r\nabc\r\n0;chunk-signature={signature}\r\n");
    let signed = |rest: &str| unverified(Framing::SignedTrailer, 3, format!("{chunks}{rest}").as_bytes());
    let data = b"abc".to_vec();
    assert_eq!(unverified(Framing::Signed, 3, format!("{chunks}\r\n").as_bytes()), Ok((data.clone(), vec![])));
    assert_eq!(signed("\r\n"), Ok((data.clone(), vec![])));
    let end = format!("x-amz-trailer-signature:{signature}\r\n\r\n");
    assert_eq!(signed(&format!("a:b\r\n{end}")), Ok((data, trailers(&[("a", "b")]))));
    for rest in [
        "a:b\r\n\r\n".to_owned(),
        end.clone(),
        format!("x-amz-trailer-signature:{signature}\r\na:b\r\n\r\n"),
        format!("a:b\r\nx-amz-trailer-signature:{signature}\r\nc:d\r\n\r\n"),
        format!("a:b\r\nx-amz-trailer-signature:{signature}\r\n{end}"),
        "a:b\r\nx-amz-trailer-signature:abc\r\n\r\n".to_owned(),
    ] {
        assert_eq!(signed(&rest), Err(AwsChunkedError::MalformedTrailer), "{rest:?}");
    }
    // Trailers where the framing has none, or signatures where it has none.
    let unsigned_end = format!("0\r\na:b\r\n{end}");
    assert_eq!(
        unverified(Framing::UnsignedTrailer, 0, unsigned_end.as_bytes()),
        Err(AwsChunkedError::MalformedTrailer)
    );
    let with_trailer = format!("{chunks}a:b\r\n\r\n");
    assert_eq!(unverified(Framing::Signed, 3, with_trailer.as_bytes()), Err(AwsChunkedError::MalformedTrailer));
    let header = Err(AwsChunkedError::Malformed("a chunk header"));
    assert_eq!(unverified(Framing::UnsignedTrailer, 3, format!("{chunks}\r\n").as_bytes()), header);
    assert_eq!(unverified(Framing::Signed, 3, b"3\r\nabc\r\n0\r\n\r\n"), header);
    for bad in ["chunk-signature=abc", "chunk-signature=", "", "signature=0", &format!("chunk-signature={signature};x")]
    {
        assert_eq!(unverified(Framing::Signed, 3, format!("3;{bad}\r\nabc\r\n").as_bytes()), header, "{bad}");
    }
}

#[test]
fn what_is_refused() {
    use AwsChunkedError::{Length, Malformed, MalformedTrailer, Truncated};
    let header = Malformed("a chunk header");
    let size = Malformed("a chunk is longer than its stated size");
    let long = Malformed("a chunk header is too long");
    let sizes = "0".repeat(200);
    let trailer = format!("0\r\na:{}\r\n\r\n", "x".repeat(17 * 1024));
    let many: String = (0..2_000).map(|i| format!("name-{i}:v\r\n")).collect();
    let many = format!("0\r\n{many}\r\n");
    for (body, len, error) in [
        // The length promised, and the one that came.
        ("3\r\nabc\r\n0\r\n\r\n", 4, Length),
        ("3\r\nabc\r\n0\r\n\r\n", 2, Length),
        ("3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n", 3, Length),
        ("ffffffffffffffff\r\n", 3, Length),
        ("0\r\n\r\n", 1, Length),
        // Cut short.
        ("", 0, Truncated),
        ("3", 3, Truncated),
        ("3\r\n", 3, Truncated),
        ("3\r\nab", 3, Truncated),
        ("3\r\nabc", 3, Truncated),
        ("3\r\nabc\r\n", 3, Truncated),
        ("3\r\nabc\r\n0\r\n", 3, Truncated),
        ("0\r\n\r", 0, Truncated),
        ("0\r\na:b\r\n", 0, Truncated),
        ("0\r\na:b\n\r\n", 0, Truncated),
        // Chunk headers.
        ("3\nabc\r\n", 3, header),
        ("\r\n", 3, header),
        ("+3\r\n", 3, header),
        ("-3\r\n", 3, header),
        ("0x3\r\n", 3, header),
        (" 3\r\n", 3, header),
        ("3 \r\n", 3, header),
        ("3;\r\n", 3, header),
        ("3;a=b\r\n", 3, header),
        ("g\r\n", 3, header),
        ("00000000000000003\r\n", 3, header),
        ("3\r\r\n", 3, header),
        ("٣\r\n", 3, header),
        (&sizes, 3, long),
        // Data and its end.
        ("3\r\nabcd\r\n0\r\n\r\n", 3, size),
        ("3\r\nabc\n0\r\n\r\n", 3, size),
        ("3\r\nabc0\r\n\r\n", 3, size),
        ("3\r\nabc\r\r\n", 3, size),
        ("3\r\nab\r\n0\r\n\r\n", 3, size),
        // After the end.
        ("0\r\n\r\n\r\n", 0, Malformed("bytes after its end")),
        ("0\r\n\r\nx", 0, Malformed("bytes after its end")),
        ("0\r\na:b\r\n\r\n0\r\n\r\n", 0, Malformed("bytes after its end")),
        // Trailers.
        ("0\r\n\n", 0, MalformedTrailer),
        ("0\r\nab\r\n\r\n", 0, MalformedTrailer),
        ("0\r\n:b\r\n\r\n", 0, MalformedTrailer),
        ("0\r\na :b\r\n\r\n", 0, MalformedTrailer),
        ("0\r\n a:b\r\n\r\n", 0, MalformedTrailer),
        ("0\r\na:b\r\r\n\r\n", 0, MalformedTrailer),
        ("0\r\na:b\u{0}\r\n\r\n", 0, MalformedTrailer),
        ("0\r\na:é\r\n\r\n", 0, MalformedTrailer),
        ("0\r\na:b\r\nA:c\r\n\r\n", 0, MalformedTrailer),
        (&trailer, 0, MalformedTrailer),
        (&many, 0, MalformedTrailer),
    ] {
        assert_eq!(unverified(Framing::UnsignedTrailer, len, body.as_bytes()), Err(error), "{body:?}");
    }
}

#[test]
fn trailers_are_shown_only_when_complete() {
    let mut decoder = Decoder::new(Framing::UnsignedTrailer, 0, Box::new(Unverified));
    decoder.push(b"0\r\na:b\r\n", &mut Vec::new()).unwrap();
    assert_eq!((decoder.trailers().count(), decoder.is_complete()), (0, false));
    decoder.push(b"\r\n", &mut Vec::new()).unwrap();
    assert_eq!((decoder.trailers().count(), decoder.is_complete()), (1, true));
}

#[test]
fn the_headers_decide_about_the_framing() {
    let chunked = Some("gzip, AWS-Chunked");
    let hash = Some("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    let unsupported = |of: Option<&str>, encoding| {
        matches!(Framing::of_request(of, encoding, true), Err(AwsChunkedError::Unsupported(_)))
    };
    for (sha256, framing) in [
        ("STREAMING-UNSIGNED-PAYLOAD-TRAILER", Framing::UnsignedTrailer),
        ("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", Framing::Signed),
        ("STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", Framing::SignedTrailer),
    ] {
        for (encoding, has_length) in [(None, false), (chunked, true)] {
            assert_eq!(Framing::of_request(Some(sha256), encoding, has_length), Ok(Some(framing)));
        }
    }
    for sha256 in
        ["STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD", "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER", "STREAMING-"]
    {
        assert!(unsupported(Some(sha256), None), "{sha256}");
    }
    for sha256 in [None, Some("UNSIGNED-PAYLOAD")] {
        assert_eq!(Framing::of_request(sha256, chunked, true), Ok(Some(Framing::UnsignedTrailer)));
        assert_eq!(Framing::of_request(sha256, chunked, false), Ok(None));
        assert_eq!(Framing::of_request(sha256, None, true), Ok(None));
    }
    assert_eq!(Framing::of_request(hash, chunked, false), Ok(None));
    assert_eq!(Framing::of_request(hash, None, true), Ok(None));
    assert!(unsupported(hash, chunked));
}

#[test]
fn the_objects_own_encoding() {
    for (value, left) in [
        ("aws-chunked", None),
        ("", None),
        ("gzip", Some("gzip")),
        ("gzip,aws-chunked", Some("gzip")),
        ("AWS-Chunked , gzip", Some("gzip")),
        ("deflate,aws-chunked,gzip", Some("deflate, gzip")),
    ] {
        assert_eq!(object_encoding(value).as_deref(), left, "{value:?}");
    }
}

/// Signs as a client does, for the chain's own test.
struct Signer {
    previous: String,
}

impl Signer {
    fn sign(&mut self, algorithm: &str, hashes: &str) -> String {
        let text = format!("{algorithm}\n{TIMESTAMP}\n{SCOPE}\n{}\n{hashes}", self.previous);
        self.previous = hex::encode(hmac(&signing_key(), &text));
        self.previous.clone()
    }

    fn chunk(&mut self, data: &[u8]) -> String {
        use sha2::Digest;
        let hashes = format!("{}\n{}", hex::encode(Sha256::digest([])), hex::encode(Sha256::digest(data)));
        self.sign("AWS4-HMAC-SHA256-PAYLOAD", &hashes)
    }
}

fn encode(framing: Framing, chunks: &[Vec<u8>], trailers: &[(String, String)]) -> Vec<u8> {
    use sha2::Digest;
    let mut signer = Signer { previous: SEED.to_owned() };
    let mut body = Vec::new();
    for chunk in chunks.iter().filter(|chunk| !chunk.is_empty()).chain([&vec![]]) {
        let extension = match framing.is_signed() {
            true => format!(";chunk-signature={}", signer.chunk(chunk)),
            false => String::new(),
        };
        body.extend(format!("{:x}{extension}\r\n", chunk.len()).into_bytes());
        if !chunk.is_empty() {
            body.extend([chunk.as_slice(), b"\r\n"].concat());
        }
    }
    trailers.iter().for_each(|(name, value)| body.extend(format!("{name}:{value}\r\n").into_bytes()));
    if framing == Framing::SignedTrailer && !trailers.is_empty() {
        let mut lines: Vec<String> = trailers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        lines.sort();
        let signature = signer.sign("AWS4-HMAC-SHA256-TRAILER", &hex::encode(Sha256::digest(lines.concat())));
        body.extend(format!("x-amz-trailer-signature:{signature}\r\n").into_bytes());
    }
    [body, b"\r\n".to_vec()].concat()
}

fn cut<'a>(bytes: &'a [u8], lengths: &[usize]) -> Vec<&'a [u8]> {
    let mut rest = bytes;
    let mut windows = Vec::new();
    for length in lengths {
        let (window, after) = rest.split_at((*length).min(rest.len()));
        windows.push(window);
        rest = after;
    }
    windows.push(rest);
    windows
}

fn framings() -> impl Strategy<Value = Framing> {
    prop::sample::select(vec![Framing::UnsignedTrailer, Framing::Signed, Framing::SignedTrailer])
}

proptest! {
    #[test]
    fn what_was_framed_comes_back_at_any_split(
        framing in framings(),
        chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..6),
        named in prop::collection::btree_map("x-amz-[a-z]{1,8}", "[a-zA-Z0-9+/=]{0,20}", 0..3),
        lengths in prop::collection::vec(0usize..100, 0..30),
    ) {
        let named: Vec<_> = if framing.has_trailers() { named.into_iter().rev().collect() } else { vec![] };
        let body = encode(framing, &chunks, &named);
        let data = chunks.concat();
        let decoder = |len: usize| Decoder::new(framing, len as u64, verifier(SEED));
        prop_assert_eq!(decode(decoder(data.len()), cut(&body, &lengths)), Ok((data.clone(), named)));
        prop_assert!(decode(decoder(data.len() + 1), [body.as_slice()]).is_err());
        for end in 0..body.len() {
            prop_assert!(decode(decoder(data.len()), [&body[..end]]).is_err());
        }
    }

    #[test]
    fn no_flipped_bit_passes_a_signed_body(
        chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..3),
        at in any::<prop::sample::Index>(),
        bit in 0..8u32,
    ) {
        let named = trailers(&[("x-amz-checksum-crc32", "MSpqpg==")]);
        let good = encode(Framing::SignedTrailer, &chunks, &named);
        let mut body = good.clone();
        body[at.index(good.len())] ^= 1u8 << bit;
        let data = chunks.concat();
        let decoded = decode(Decoder::new(Framing::SignedTrailer, data.len() as u64, verifier(SEED)), [body.as_slice()]);
        // Only the case of hexadecimal digits and of the trailers' names is free, and white space around their values.
        let canonical = |body: &[u8]| -> Vec<u8> {
            body.iter().filter(|byte| !b" \t\r".contains(byte)).map(u8::to_ascii_lowercase).collect()
        };
        if let Ok(decoded) = decoded {
            prop_assert_eq!(canonical(&body), canonical(&good));
            prop_assert_eq!(decoded, (data, named));
        }
    }

    #[test]
    fn any_split_of_anything_is_the_same(
        framing in framings(),
        parts in prop::collection::vec(prop::sample::select(vec![
            "0", "1", "3", "abc", "\r\n", "\n", "\r", ";", "chunk-signature=", "a:b", ":", "x-amz-trailer-signature:", " ",
            "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", "0\r\n", "3\r\nabc\r\n", "\0",
        ]), 0..20),
        lengths in prop::collection::vec(0usize..6, 0..40),
        len in 0u64..8,
    ) {
        let soup = parts.concat().into_bytes();
        let decoder = || Decoder::new(framing, len, Box::new(Unverified));
        let whole = decode(decoder(), [soup.as_slice()]);
        prop_assert_eq!(decode(decoder(), cut(&soup, &lengths)), whole.clone());
        if let Ok((data, _)) = whole {
            prop_assert_eq!(data.len() as u64, len);
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(framing in framings(), windows in any::<Vec<Vec<u8>>>(), len in any::<u64>()) {
        let _ = decode(Decoder::new(framing, len, Box::new(Unverified)), windows.iter().map(Vec::as_slice));
    }
}
