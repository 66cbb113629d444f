//! `s3://bucket/object_key`, as other programs name objects, too.

use std::fmt;
use std::str::FromStr;

use anyhow::{Context as _, Error, Result, ensure};
use s3ep_core::keys::ObjectName;

/// An object: `s3://bucket/object_key`. The object key stands as it is, without any encoding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectUrl(pub ObjectName);

/// A bucket, or what begins with a prefix in it: `s3://bucket[/prefix]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketUrl {
    /// The bucket.
    pub bucket: String,
    /// What the object keys begin with; empty: all.
    pub prefix: String,
}

impl FromStr for BucketUrl {
    type Err = Error;

    fn from_str(url: &str) -> Result<Self> {
        let rest = url.strip_prefix("s3://").context("an s3:// URL is wanted")?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        ensure!(!bucket.is_empty() && !bucket.contains('\0'), "the URL names no bucket");
        Ok(Self { bucket: bucket.to_owned(), prefix: prefix.to_owned() })
    }
}

impl FromStr for ObjectUrl {
    type Err = Error;

    fn from_str(url: &str) -> Result<Self> {
        let BucketUrl { bucket, prefix: object_key } = url.parse()?;
        ensure!(!object_key.is_empty(), "the URL names no object: s3://bucket/object_key is wanted");
        Ok(Self(ObjectName { bucket, object_key }))
    }
}

impl fmt::Display for ObjectUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", self.0.bucket, self.0.object_key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_taken_as_it_stands() {
        for object_key in ["k", "a/b", "/a", "a/../b", "%41 +?#", "ü"] {
            let url = format!("s3://b/{object_key}");
            let parsed: ObjectUrl = url.parse().unwrap();
            assert_eq!(parsed.0, ObjectName { bucket: "b".into(), object_key: object_key.into() });
            assert_eq!(parsed.to_string(), url);
        }
        let all: BucketUrl = "s3://b".parse().unwrap();
        assert_eq!(all, BucketUrl { bucket: "b".into(), prefix: String::new() });
        assert_eq!("s3://b/".parse::<BucketUrl>().unwrap(), all);
        assert_eq!("s3://b/a/".parse::<BucketUrl>().unwrap().prefix, "a/");
    }

    #[test]
    fn what_names_no_object_is_refused() {
        for url in ["", "b/k", "https://b/k", "s3://", "s3:///k", "s3://b", "s3://b/"] {
            assert!(url.parse::<ObjectUrl>().is_err(), "{url}");
        }
    }
}
