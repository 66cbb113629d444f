//! `x-amz-copy-source` (Amazon S3 API Reference, CopyObject).

use percent_encoding::utf8_percent_encode;

use crate::error::RequestError;
use crate::keys::ObjectName;
use crate::s3::query::{OBJECT_PATH, UNRESERVED, decode};

/// What CopyObject copies of an object beside its body, with all of `x-amz-meta-`.
const CARRIED_OVER: [&str; 6] =
    ["cache-control", "content-disposition", "content-encoding", "content-language", "content-type", "expires"];
const USER_METADATA: &str = "x-amz-meta-";

/// Whether CopyObject copies this header of an object, unless it is told to replace them all.
pub fn is_carried_over(name: &str) -> bool {
    CARRIED_OVER.contains(&name) || name.starts_with(USER_METADATA)
}

/// The object that a copy is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopySource {
    /// The object.
    pub name: ObjectName,
    /// Its version, if one is named.
    pub version_id: Option<String>,
}

impl CopySource {
    /// Parses `[/]bucket/object-key[?versionId=id]`, percent-encoded. A `+` in the path is a space, as with AWS: SDKs write
    /// `%2B` for a plus, and some clients `+` for a space.
    pub fn parse(value: &str) -> Result<Self, RequestError> {
        let malformed = || RequestError::InvalidArgument("x-amz-copy-source is not a bucket and an object key");
        if value.starts_with("arn:") {
            return Err(RequestError::NotImplemented("copying from an access point"));
        }
        let (path, version_id) = match value.rsplit_once("?versionId=") {
            Some((path, version_id)) => (path, Some(decode(version_id).map_err(|_| malformed())?)),
            None => (value, None),
        };
        let path = decode(&path.replace('+', "%20")).map_err(|_| malformed())?;
        let (bucket, object_key) = path.strip_prefix('/').unwrap_or(&path).split_once('/').ok_or_else(malformed)?;
        if bucket.is_empty() || object_key.is_empty() || bucket.contains('\0') {
            return Err(malformed());
        }
        let name = ObjectName { bucket: bucket.to_owned(), object_key: object_key.to_owned() };
        Ok(Self { name, version_id })
    }

    /// The path of a request for it, path-style; and `x-amz-copy-source` in a form that no store reads otherwise.
    pub fn path(&self) -> String {
        let encode = |text| utf8_percent_encode(text, OBJECT_PATH);
        let path = format!("/{}/{}", encode(&self.name.bucket), encode(&self.name.object_key));
        match &self.version_id {
            Some(version_id) => format!("{path}?versionId={}", utf8_percent_encode(version_id, UNRESERVED)),
            None => path,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_read_and_addressed() {
        let cases = [
            ("b/k", "b", "k", None, "/b/k"),
            ("/b/k", "b", "k", None, "/b/k"),
            ("b%2Fa/b%20c", "b", "a/b c", None, "/b/a/b%20c"),
            ("/b/%C3%BC%2B+?versionId=a.b+", "b", "ü+ ", Some("a.b+"), "/b/%C3%BC%2B%20?versionId=a.b%2B"),
            ("b//k/?x", "b", "/k/?x", None, "/b//k/%3Fx"),
        ];
        for (value, bucket, object_key, version_id, path) in cases {
            let source = CopySource::parse(value).unwrap();
            assert_eq!((source.name.bucket.as_str(), source.name.object_key.as_str()), (bucket, object_key));
            assert_eq!(source.version_id.as_deref(), version_id);
            assert_eq!(source.path(), path);
        }
    }

    #[test]
    fn what_names_no_object_is_refused() {
        for value in [
            "",
            "/",
            "b",
            "b/",
            "/b/",
            "//k",
            "b/%",
            "b/%ff",
            "%00/k",
            "arn:aws:s3:eu-central-1:1:accesspoint/a/object/k",
        ] {
            assert!(CopySource::parse(value).is_err(), "{value}");
        }
    }
}
