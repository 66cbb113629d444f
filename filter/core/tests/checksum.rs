//! Upload checksums: known answers, S3's rules for stating them, and any split of the body.
#![allow(clippy::unwrap_used)]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use proptest::prelude::*;
use s3ep_core::s3::checksum::{Algorithm, Checksum, ChecksumError, Checksums, Digest};

/// The check value of each algorithm: its checksum of `123456789`.
const CHECK: [(Algorithm, &str); 7] = [
    (Algorithm::Crc32, "cbf43926"),
    (Algorithm::Crc32c, "e3069283"),
    (Algorithm::Crc64Nvme, "ae8b14860a799888"),
    (Algorithm::Md5, "25f9e794323b453885f5181f1b624d0b"),
    (Algorithm::Sha1, "f7c3bc1d808e04732adf679965ccc34ca7ae3441"),
    (Algorithm::Sha256, "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225"),
    (
        Algorithm::Sha512,
        "d9e6762dd1c8eaf6d61b3c6192fc408d4d6d5f1176d0c29169bc24e71c3f274ad27fcd5811b313d681f7e55ec02d73d499c95455b6b5bb503acf574fba8ffe85",
    ),
];

/// What S3 computes for `abcdefg`.
const ABCDEFG: [(Algorithm, &str); 5] = [
    (Algorithm::Crc32, "MSpqpg=="),
    (Algorithm::Crc32c, "5if0QQ=="),
    (Algorithm::Crc64Nvme, "SmzZ/LTp1CA="),
    (Algorithm::Sha1, "L7XhNBn8iSRoZeejJPR27GJOh0A="),
    (Algorithm::Sha256, "fRpUEnsiJQL1t5tfsIAwYRUqRPkrN+I8ZSe69mXU2po="),
];

fn expecting(headers: &[(&str, &str)]) -> Result<Checksums, ChecksumError> {
    Checksums::expecting(headers.iter().map(|(name, value)| (*name, value.as_bytes())))
}

fn verdict(headers: &[(&str, &str)], body: &[u8]) -> Result<(), ChecksumError> {
    let mut checksums = expecting(headers)?;
    checksums.update(body);
    checksums.verify()
}

fn base64_of(algorithm: Algorithm, data: &[u8]) -> String {
    let mut digest = Digest::new(algorithm);
    digest.update(data);
    BASE64.encode(digest.finish())
}

#[test]
fn check_values() {
    for (algorithm, check) in CHECK {
        let mut digest = Digest::new(algorithm);
        digest.update(b"123456789");
        let digest = digest.finish();
        assert_eq!(hex::encode(&digest), check, "{algorithm:?}");
        assert_eq!(digest.len(), algorithm.digest_len());
        assert_eq!(Algorithm::from_name(&algorithm.name().to_lowercase()), Some(algorithm));
        assert_eq!(Algorithm::from_header(&algorithm.header().to_uppercase()), Some(algorithm));
    }
}

#[test]
fn a_right_header_agrees_and_a_wrong_body_does_not() {
    for (algorithm, value) in ABCDEFG {
        let headers = [(algorithm.header(), value), ("x-amz-sdk-checksum-algorithm", algorithm.name())];
        assert_eq!(verdict(&headers, b"abcdefg"), Ok(()), "{algorithm:?}");
        assert_eq!(verdict(&headers, b"abcdefh"), Err(ChecksumError::Mismatch(algorithm)));
        assert_eq!(verdict(&headers, b""), Err(ChecksumError::Mismatch(algorithm)));
        assert_eq!(expecting(&headers).unwrap().stated().unwrap().to_string(), format!("{}:{value}", algorithm.name()));
    }
    let md5 = [("Content-MD5", "esZqwP5ic2xQT6opBNT40Q==")];
    assert_eq!(verdict(&md5, b"abcdefg"), Err(ChecksumError::ContentMd5Mismatch));
    assert_eq!(verdict(&[("Content-MD5", &base64_of(Algorithm::Md5, b"abcdefg"))], b"abcdefg"), Ok(()));
}

#[test]
fn content_sha256_has_an_error_of_its_own() {
    let right = "7d1a54127b222502f5b79b5fb0803061152a44f92b37e23c6527baf665d4da9a";
    let mismatch = Err(ChecksumError::ContentSha256Mismatch);
    assert_eq!(verdict(&[("x-amz-content-sha256", right)], b"abcdefg"), Ok(()));
    assert_eq!(verdict(&[("X-Amz-Content-SHA256", &right.to_uppercase())], b"abcdefg"), Ok(()));
    assert_eq!(verdict(&[("x-amz-content-sha256", right)], b"abcdef"), mismatch);
    // Both are checked, and one wrong one suffices.
    let both = [("x-amz-content-sha256", right), ("x-amz-checksum-crc32", "MSpqpg==")];
    assert_eq!(verdict(&both, b"abcdefg"), Ok(()));
    let wrong = [("x-amz-content-sha256", right), ("x-amz-checksum-crc32", "MSpqpQ==")];
    assert_eq!(verdict(&wrong, b"abcdefg"), Err(ChecksumError::Mismatch(Algorithm::Crc32)));
    assert_eq!(ChecksumError::ContentSha256Mismatch.code(), "XAmzContentSHA256Mismatch");
    assert_eq!(ChecksumError::Mismatch(Algorithm::Crc32).code(), "BadDigest");
}

#[test]
fn nothing_is_computed_unless_asked_for() {
    for headers in [
        &[][..],
        &[("x-amz-content-sha256", "UNSIGNED-PAYLOAD")],
        &[("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"), ("content-type", "text/plain")],
        &[
            ("x-amz-checksum-mode", "ENABLED"),
            ("x-amz-checksum-algorithm", "CRC32"),
            ("x-amz-checksum-type", "COMPOSITE"),
        ],
        &[("x-amz-trailer", " , ")],
    ] {
        let checksums = expecting(headers).unwrap();
        assert!(checksums.is_empty(), "{headers:?}");
        assert_eq!(checksums.verify(), Ok(()));
    }
}

#[test]
fn what_s3_refuses_at_the_start() {
    let crc = ("x-amz-checksum-crc32", "MSpqpg==");
    let invalid = ChecksumError::InvalidHeader;
    for (headers, error, code) in [
        (&[("content-md5", "")][..], ChecksumError::InvalidContentMd5, "InvalidDigest"),
        (&[("content-md5", "MSpqpg==")], ChecksumError::InvalidContentMd5, "InvalidDigest"),
        (&[("content-md5", "not base64")], ChecksumError::InvalidContentMd5, "InvalidDigest"),
        (&[("x-amz-checksum-crc32", "")], invalid("x-amz-checksum-crc32"), "InvalidRequest"),
        (&[("x-amz-checksum-crc32", "MSpqpg")], invalid("x-amz-checksum-crc32"), "InvalidRequest"),
        (&[("x-amz-checksum-crc32", "MSpqpqY=")], invalid("x-amz-checksum-crc32"), "InvalidRequest"),
        (&[("x-amz-checksum-crc32", "MSpqpg==\nx")], invalid("x-amz-checksum-crc32"), "InvalidRequest"),
        (&[("x-amz-checksum-sha256", "MSpqpg==")], invalid("x-amz-checksum-sha256"), "InvalidRequest"),
        (&[("x-amz-content-sha256", "abc")], ChecksumError::InvalidContentSha256, "InvalidArgument"),
        (&[crc, ("x-amz-checksum-crc32c", "5if0QQ==")], ChecksumError::Multiple, "InvalidRequest"),
        (&[crc, crc], ChecksumError::Multiple, "InvalidRequest"),
        (&[crc, ("x-amz-trailer", "x-amz-checksum-crc32")], ChecksumError::Multiple, "InvalidRequest"),
        (&[("x-amz-trailer", "x-amz-checksum-crc32, x-amz-checksum-sha1")], ChecksumError::Multiple, "InvalidRequest"),
        (&[("x-amz-trailer", "x-amz-meta-a")], ChecksumError::UnsupportedTrailer, "InvalidRequest"),
        (&[("x-amz-trailer", "content-md5")], ChecksumError::UnsupportedTrailer, "InvalidRequest"),
        (&[("x-amz-checksum-xxhash3", "AAAAAAAAAAA=")], ChecksumError::UnsupportedAlgorithm, "NotImplemented"),
        (&[("x-amz-sdk-checksum-algorithm", "CRC32")], ChecksumError::AlgorithmWithoutChecksum, "InvalidRequest"),
        (&[crc, ("x-amz-sdk-checksum-algorithm", "SHA1")], invalid("x-amz-sdk-checksum-algorithm"), "InvalidRequest"),
        (&[crc, ("x-amz-sdk-checksum-algorithm", "bogus")], invalid("x-amz-sdk-checksum-algorithm"), "InvalidRequest"),
    ] {
        assert_eq!(expecting(headers).unwrap_err(), error, "{headers:?}");
        assert_eq!(error.code(), code);
    }
    assert_eq!(invalid("x-amz-checksum-crc32").to_string(), "Value for x-amz-checksum-crc32 header is invalid.");
}

#[test]
fn a_trailer_is_announced_and_comes_once() {
    let announced = [("x-amz-trailer", "X-Amz-Checksum-CRC32C"), ("x-amz-sdk-checksum-algorithm", "crc32c")];
    let mut checksums = expecting(&announced).unwrap();
    checksums.update(b"abcdefg");
    assert_eq!(checksums.algorithm(), Some(Algorithm::Crc32c));
    assert_eq!(checksums.stated(), None);
    assert_eq!(checksums.verify(), Err(ChecksumError::MalformedTrailer), "it has not come");
    assert_eq!(checksums.trailer("x-amz-checksum-crc32", "MSpqpg=="), Err(ChecksumError::MalformedTrailer));
    let invalid = ChecksumError::InvalidTrailer("x-amz-checksum-crc32c");
    assert_eq!(checksums.clone().trailer("x-amz-checksum-crc32c", "bogus"), Err(invalid));
    assert_eq!(checksums.trailer("X-Amz-Checksum-Crc32c", " 5if0QQ== "), Ok(()));
    assert_eq!(checksums.verify(), Ok(()));
    assert_eq!(checksums.stated(), Checksum::parse("CRC32C:5if0QQ=="));
    assert_eq!(checksums.trailer("x-amz-checksum-crc32c", "5if0QQ=="), Err(ChecksumError::MalformedTrailer));

    let mut wrong = expecting(&announced).unwrap();
    wrong.update(b"abcdefG");
    wrong.trailer("x-amz-checksum-crc32c", "5if0QQ==").unwrap();
    assert_eq!(wrong.verify(), Err(ChecksumError::Mismatch(Algorithm::Crc32c)));

    let mut unannounced = expecting(&[("x-amz-checksum-crc32", "MSpqpg==")]).unwrap();
    assert_eq!(unannounced.trailer("x-amz-checksum-crc32", "MSpqpg=="), Err(ChecksumError::MalformedTrailer));
}

proptest! {
    #[test]
    fn any_split_gives_the_same_checksum(
        windows in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..8),
        flip in any::<prop::sample::Index>(),
    ) {
        let body = windows.concat();
        for algorithm in Algorithm::ALL {
            let value = base64_of(algorithm, &body);
            let mut checksums = expecting(&[(algorithm.header(), &value)]).unwrap();
            windows.iter().for_each(|window| checksums.update(window));
            prop_assert_eq!(checksums.verify(), Ok(()));
            if !body.is_empty() {
                let mut altered = body.clone();
                altered[flip.index(body.len())] ^= 1;
                prop_assert_eq!(verdict(&[(algorithm.header(), &value)], &altered), Err(ChecksumError::Mismatch(algorithm)));
            }
        }
    }

    #[test]
    fn arbitrary_headers_never_panic(value in any::<Vec<u8>>(), body in any::<Vec<u8>>()) {
        let names = ["content-md5", "x-amz-content-sha256", "x-amz-trailer", "x-amz-sdk-checksum-algorithm", "x-amz-checksum-crc32"];
        for name in names {
            if let Ok(mut checksums) = Checksums::expecting([(name, value.as_slice())]) {
                checksums.update(&body);
                let _ = checksums.verify();
            }
        }
    }
}
