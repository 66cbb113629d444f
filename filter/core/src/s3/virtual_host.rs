//! Virtual-host style requests (Amazon S3 User Guide, "Virtual hosting of buckets") in path style.
//!
//! Everything behind this, the store included, sees path style alone: Envoy rewrites the host to the store's, and what
//! the host said of the bucket would be lost.

use crate::http::RequestHead;

/// The request in path style: `/key` at `bucket.suffix[:port]` becomes `/bucket/key`.
pub fn to_path_style(mut head: RequestHead, suffixes: &[String]) -> RequestHead {
    if let Some(bucket) = bucket(&head.authority, suffixes) {
        head.path = format!("/{bucket}/{}", head.path.strip_prefix('/').unwrap_or(&head.path));
    }
    head
}

/// The bucket that a host names.
fn bucket(authority: &str, suffixes: &[String]) -> Option<String> {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    let host = host.to_ascii_lowercase();
    suffixes.iter().find_map(|suffix| {
        let bucket = host.strip_suffix(suffix.as_str())?.strip_suffix('.')?;
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
        (!bucket.is_empty() && bucket.bytes().all(is_name)).then(|| bucket.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Headers;

    #[test]
    fn the_host_s_bucket_goes_into_the_path() {
        let cases = [
            ("b.s3.example.com", "/k", "/b/k"),
            ("B.S3.example.com:8080", "/a/b?acl", "/b/a/b?acl"),
            ("a.b.s3.example.com", "/", "/a.b/"),
            ("b.s3.example.com", "*", "/b/*"),
            ("b.s3.example.com", "//k", "/b//k"),
            ("s3.example.com", "/b/k", "/b/k"),
            ("evils3.example.com", "/b/k", "/b/k"),
            (".s3.example.com", "/b/k", "/b/k"),
            ("x/y.s3.example.com", "/b/k", "/b/k"),
            ("127.0.0.1:10000", "/b/k", "/b/k"),
        ];
        for (authority, path, expected) in cases {
            let (authority, path) = (authority.to_owned(), path.to_owned());
            let head = RequestHead { method: "GET".into(), path, authority, headers: Headers::default(), is_end: true };
            assert_eq!(to_path_style(head, &["s3.example.com".into()]).path, expected);
        }
    }
}
