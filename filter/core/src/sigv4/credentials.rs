//! What a client signs its request with. None of it goes upstream: Envoy signs anew, as itself.

use crate::http::{HeadEdits, RequestHead};
use crate::s3::query;

/// Headers that carry a signature, or exist only for it.
const HEADERS: [&str; 5] =
    ["authorization", "x-amz-date", "x-amz-content-sha256", "x-amz-security-token", "x-amz-s3session-token"];

/// Query parameters of a presigned URL: SigV4's and SigV2's ("Authenticating Requests: Using Query Parameters").
/// Their names are compared without regard to case.
const QUERY: [&str; 12] = [
    "x-amz-algorithm",
    "x-amz-credential",
    "x-amz-date",
    "x-amz-expires",
    "x-amz-signedheaders",
    "x-amz-signature",
    "x-amz-security-token",
    "x-amz-content-sha256",
    "x-amz-s3session-token",
    "awsaccesskeyid",
    "signature",
    "expires",
];

/// Whether a query parameter is part of a signature.
pub fn is_query_parameter(name: &str) -> bool {
    QUERY.iter().any(|signed| signed.eq_ignore_ascii_case(name))
}

/// Edits that take the client's signature out of a request: its headers, and its parameters in the path. Sets and
/// gives the path that is left.
pub fn remove(head: &RequestHead, edits: &mut HeadEdits) -> String {
    edits.remove_where(&head.headers, |name| HEADERS.contains(&name));
    let stripped = query::retain(&head.path, |name| !is_query_parameter(name));
    edits.set(":path", stripped.clone());
    stripped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Headers;

    fn request(path: &str, headers: Headers) -> RequestHead {
        let (method, authority) = ("GET".into(), String::new());
        RequestHead { method, path: path.into(), authority, headers, is_end: true }
    }

    #[test]
    fn only_headers_that_are_there_are_removed() {
        let headers = ["host", "authorization", "x-amz-date", "date"].into_iter().map(|name| (name, "")).collect();
        let mut edits = HeadEdits::default();
        remove(&request("/b/k", headers), &mut edits);
        assert_eq!(edits.remove, ["authorization", "x-amz-date"]);
    }

    #[test]
    fn a_presigned_url_loses_its_signature_and_nothing_else() {
        let cases = [
            ("/b/k", "/b/k"),
            ("/b/k?versionId=1", "/b/k?versionId=1"),
            ("/b/k?X-Amz-Algorithm=A&X-Amz-Credential=C%2F1&X-Amz-Signature=0", "/b/k"),
            (
                "/b/k?x-id=GetObject&X-Amz-Date=1&response-content-type=a%20b",
                "/b/k?x-id=GetObject&response-content-type=a%20b",
            ),
            ("/b?prefix=X-Amz-Signature&list-type=2&Signature=s", "/b?prefix=X-Amz-Signature&list-type=2"),
            ("/b/k?acl", "/b/k?acl"),
        ];
        for (path, expected) in cases {
            let head = request(path, Headers::default());
            assert_eq!(remove(&head, &mut HeadEdits::default()), expected);
        }
    }
}
