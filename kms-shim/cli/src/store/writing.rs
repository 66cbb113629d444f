//! Writes of whole objects (Amazon S3 API Reference: CopyObject, PutObject, GetObjectTagging).

use anyhow::{Context as _, Result, ensure};
use roxmltree::Document;
use s3ep_core::http::{Headers, parse_length};
use s3ep_core::keys::ObjectName;
use s3ep_core::s3::xml::has_root;

use super::{Answer, Call, Store, encode, path};

/// An object's head, as the store states it.
pub struct Head {
    /// All headers.
    pub headers: Headers,
    /// The body's length in bytes.
    pub len: u64,
    /// What a write is bound to.
    pub etag: String,
}

/// What a write did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// The store keeps versions: what was there before is there still.
    pub is_versioned: bool,
}

impl Store {
    /// HeadObject.
    pub fn head(&self, name: &ObjectName) -> Result<Head> {
        let answer = self.send(Call::new("HEAD", path(name, None)))?.expect(&[200])?;
        let field =
            |name| answer.headers.text(name).ok().flatten().with_context(|| format!("the store states no {name}"));
        let len = parse_length(field("content-length")?).context("the store states a malformed content-length")?;
        let etag = field("etag")?.to_owned();
        Ok(Head { headers: answer.headers, len, etag })
    }

    /// CopyObject of an object onto itself, with these headers in place of those that it has, if it is still the one with
    /// this ETag. Its tags stay.
    pub fn replace_headers(&self, name: &ObjectName, etag: &str, headers: Vec<(String, String)>) -> Result<Written> {
        let call = Call::new("PUT", path(name, None))
            .headers(headers)
            .header("x-amz-metadata-directive", "REPLACE")
            .header("x-amz-copy-source", &path(name, None))
            .header("x-amz-copy-source-if-match", etag)
            .body(&[]);
        let answer = self.send(call)?.expect(&[200])?;
        let written = Written::of(&answer);
        // A copy that takes long begins with 200, and may end as an error.
        let document = answer.document()?;
        ensure!(has_root(document.as_bytes(), "CopyObjectResult"), "the store did not copy: {document}");
        Ok(written)
    }

    /// PutObject, in place of the object with this ETag.
    pub fn put(&self, name: &ObjectName, etag: &str, headers: Vec<(String, String)>, body: &[u8]) -> Result<Written> {
        let call = Call::new("PUT", path(name, None)).headers(headers).header("if-match", etag).body(body);
        Ok(Written::of(&self.send(call)?.expect(&[200])?))
    }

    /// The object's tags, as `x-amz-tagging` has them. None: there are none.
    pub fn tags(&self, name: &ObjectName, headers: &Headers) -> Result<Option<String>> {
        if !headers.has("x-amz-tagging-count") {
            return Ok(None);
        }
        let call = Call::new("GET", path(name, None) + "?tagging=");
        let document = self.send(call)?.expect(&[200])?.document()?;
        let document = Document::parse(&document).context("the store's tags")?;
        let tags = document.descendants().filter(|node| node.tag_name().name() == "Tag").map(|tag| {
            let field =
                |name| tag.children().find(|child| child.tag_name().name() == name).and_then(|child| child.text());
            format!("{}={}", encode(field("Key").unwrap_or_default()), encode(field("Value").unwrap_or_default()))
        });
        Ok(Some(tags.collect::<Vec<_>>().join("&")))
    }
}

impl Written {
    pub(super) fn of(answer: &Answer) -> Self {
        let version = answer.headers.text("x-amz-version-id").ok().flatten();
        Self { is_versioned: version.is_some_and(|version| version != "null") }
    }
}
