//! aws-chunked bodies as SDKs send them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use s3ep_core::s3::checksum::{Algorithm, Digest};

use super::Request;

/// The base64 of a checksum.
pub fn checksum(algorithm: Algorithm, body: &[u8]) -> String {
    let mut digest = Digest::new(algorithm);
    digest.update(body);
    STANDARD.encode(digest.finish())
}

/// The lower-case hexadecimal of SHA-256.
pub fn sha256_hex(body: &[u8]) -> String {
    let mut digest = Digest::new(Algorithm::Sha256);
    digest.update(body);
    hex::encode(digest.finish())
}

/// `body` in chunks of `size`, with these trailers.
pub fn frame(body: &[u8], size: usize, trailers: &[(&str, &str)]) -> Vec<u8> {
    let mut framed = Vec::new();
    for chunk in body.chunks(size) {
        framed.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        framed.extend_from_slice(chunk);
        framed.extend_from_slice(b"\r\n");
    }
    framed.extend_from_slice(b"0\r\n");
    trailers.iter().for_each(|(name, value)| framed.extend_from_slice(format!("{name}:{value}\r\n").as_bytes()));
    framed.extend_from_slice(b"\r\n");
    framed
}

/// A PUT with an unsigned trailer, as boto3 sends it, whose trailer says `stated`.
pub fn put(path: &str, body: &[u8], algorithm: Algorithm, stated: &str) -> Request {
    let framed = frame(body, 65_536, &[(algorithm.header(), stated)]);
    Request::put(path, &framed)
        .header("content-encoding", "aws-chunked")
        .header("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER")
        .header("x-amz-decoded-content-length", &body.len().to_string())
        .header("x-amz-sdk-checksum-algorithm", algorithm.name())
        .header("x-amz-trailer", algorithm.header())
}
