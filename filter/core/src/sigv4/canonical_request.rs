//! The canonical request: what of a request is signed, in the one form that client and server agree on ("Signature
//! Calculations for the Authorization Header", Amazon S3 API Reference).

use std::collections::BTreeSet;
use std::fmt;

use percent_encoding::utf8_percent_encode;

use super::AuthError;
use super::query_parameters::QueryParameters;
use crate::http::{Headers, RequestHead};
use crate::s3::query::{OBJECT_PATH, decode};

/// Its value is the canonical request's last line, so it is signed whether `SignedHeaders` names it or not.
pub(super) const CONTENT_SHA256: &str = "x-amz-content-sha256";

/// The names of the headers that a signature covers. Displayed as AWS writes them, sorted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedHeaders(BTreeSet<String>);

impl SignedHeaders {
    /// Reads a list of names between semicolons.
    pub fn parse(text: &str) -> Self {
        Self(text.split(';').filter(|name| !name.is_empty()).map(str::to_owned).collect())
    }

    /// What this list lacks: `host`, and any `x-amz-` header that the request has.
    pub(super) fn lacks(&self, headers: &Headers) -> Vec<String> {
        let is_due = |name: &str| name.starts_with("x-amz-") && name != CONTENT_SHA256;
        let due = headers.iter().map(|(name, _)| name).filter(|name| is_due(name));
        let lacking: BTreeSet<_> = due.chain(["host"]).filter(|name| !self.0.contains(*name)).collect();
        lacking.into_iter().map(str::to_owned).collect()
    }
}

impl fmt::Display for SignedHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.iter().map(String::as_str).collect::<Vec<_>>().join(";"))
    }
}

/// A canonical request. Not a string, because a header's value may be any bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CanonicalRequest(Vec<u8>);

impl CanonicalRequest {
    /// `payload_hash` is what `x-amz-content-sha256` says, a hash or a word.
    pub fn new(
        head: &RequestHead,
        parameters: &QueryParameters,
        signed_headers: &SignedHeaders,
        payload_hash: &str,
    ) -> Result<Self, AuthError> {
        let uri = canonical_uri(&head.path)?;
        let mut request = format!("{}\n{uri}\n{}\n", head.method, parameters.to_canonical()).into_bytes();
        for name in &signed_headers.0 {
            // A header that was signed and did not come could have been taken away on the way.
            let value = canonical_value(head, name).ok_or(AuthError::SignatureDoesNotMatch)?;
            request.extend_from_slice(&[name.as_bytes(), b":", &value, b"\n"].concat());
        }
        request.extend_from_slice(format!("\n{signed_headers}\n{payload_hash}").as_bytes());
        Ok(Self(request))
    }

    /// The bytes that are hashed.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// The path, encoded once and otherwise as it is: S3's object keys may have empty segments and dots. `%2F` is `/`.
///
/// A `+` is a plus, because S3EP and most stores read it so in a path; S3 itself would read a space.
fn canonical_uri(path: &str) -> Result<String, AuthError> {
    let path = path.split_once('?').map_or(path, |(path, _)| path);
    let path = decode(path).map_err(|_| AuthError::InvalidUri)?;
    Ok(if path.is_empty() { "/".into() } else { utf8_percent_encode(&path, OBJECT_PATH).to_string() })
}

/// All values of a header, without the spaces that do not matter, or None if there are none.
fn canonical_value(head: &RequestHead, name: &str) -> Option<Vec<u8>> {
    if name == "host" {
        return Some(trim_all(head.authority.as_bytes()));
    }
    let values: Vec<_> = head.headers.all(name).map(trim_all).collect();
    match values.is_empty() {
        false => Some(values.join(&b',')),
        // Envoy answers this header and removes it. It has one value only (RFC 9110 section 10.1.1).
        true => (name == "expect").then(|| b"100-continue".to_vec()),
    }
}

/// Without spaces around, and a single one for several within.
fn trim_all(value: &[u8]) -> Vec<u8> {
    value.split(|byte| *byte == b' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(&b' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(path: &str, headers: &[(&str, &[u8])]) -> RequestHead {
        RequestHead {
            method: "GET".into(),
            path: path.into(),
            authority: " Bucket.s3.example.com:8080 ".into(),
            headers: headers.iter().map(|(name, value)| (*name, *value)).collect(),
            is_end: true,
        }
    }

    #[test]
    fn canonical_uris() {
        let cases = [
            ("", "/"),
            ("?a=1", "/"),
            ("/", "/"),
            ("*", "%2A"),
            ("/b/k?a=/ü", "/b/k"),
            ("//b//k//", "//b//k//"),
            ("/b/./../k/.", "/b/./../k/."),
            ("/b/a%2fb%2Fc", "/b/a/b/c"),
            ("/b/a b%20c+d%2bd", "/b/a%20b%20c%2Bd%2Bd"),
            ("/b/%7e%41-._~", "/b/~A-._~"),
            ("/b/ü%c3%bc%F0%9f%98%80", "/b/%C3%BC%C3%BC%F0%9F%98%80"),
            ("/b/$test!*'()@:;,=&[]#%00", "/b/%24test%21%2A%27%28%29%40%3A%3B%2C%3D%26%5B%5D%23%00"),
            ("/b/%2525", "/b/%2525"),
        ];
        for (path, uri) in cases {
            assert_eq!(canonical_uri(path).as_deref(), Ok(uri), "{path}");
        }
        for path in ["/%", "/b/%4", "/b/%zz", "/b/%ff", "/b/%+1"] {
            assert_eq!(canonical_uri(path), Err(AuthError::InvalidUri), "{path}");
        }
    }

    #[test]
    fn canonical_values() {
        let head =
            head("/", &[("a", b"  x   y  "), ("b", b"2"), ("b", b"1"), ("b", b""), ("c", b"\xff \t z"), ("d", b"")]);
        let cases: [(&str, Option<&[u8]>); 8] = [
            ("host", Some(b"Bucket.s3.example.com:8080")),
            ("a", Some(b"x y")),
            ("b", Some(b"2,1,")),
            ("c", Some(b"\xff \t z")),
            ("d", Some(b"")),
            ("e", None),
            ("A", None),
            ("expect", Some(b"100-continue")),
        ];
        for (name, value) in cases {
            assert_eq!(canonical_value(&head, name).as_deref(), value, "{name}");
        }
    }

    #[test]
    fn what_must_be_signed() {
        let head = head(
            "/",
            &[
                ("x-amz-date", b""),
                ("x-amz-acl", b""),
                ("x-amz-acl", b""),
                ("x-amzn-trace-id", b""),
                ("range", b""),
                (CONTENT_SHA256, b""),
            ],
        );
        let lacks = |names: &str| SignedHeaders::parse(names).lacks(&head.headers).join(" ");
        assert_eq!(lacks(""), "host x-amz-acl x-amz-date");
        assert_eq!(lacks("Host;X-Amz-Acl;x-amz-date"), "host x-amz-acl");
        assert_eq!(lacks("x-amz-date;;host;x-amz-acl;other"), "");
    }

    #[test]
    fn signed_headers_are_sorted_and_unique() {
        assert_eq!(SignedHeaders::parse("b;a;;b;a-b;").to_string(), "a;a-b;b");
    }
}
