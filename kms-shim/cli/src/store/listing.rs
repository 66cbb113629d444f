//! What is in a bucket (Amazon S3 API Reference, ListObjectsV2).

use anyhow::{Context as _, Result, bail};
use percent_encoding::percent_decode_str;
use roxmltree::{Document, Node};
use s3ep_core::keys::ObjectName;

use super::answer::text;
use super::{Call, Store, encode};
use crate::object_url::BucketUrl;

/// An object in a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub name: ObjectName,
    /// Its body's length in bytes, as the store states it.
    pub len: u64,
}

/// Some of the objects, in the store's order.
#[derive(Debug, PartialEq, Eq)]
pub struct Page {
    /// The objects.
    pub objects: Vec<Listed>,
    /// Where the next page begins. None: this is the last one.
    pub next: Option<String>,
}

impl Store {
    /// A page of a listing; the first one, or the one after another.
    pub fn list(&self, what: &BucketUrl, after: Option<&str>) -> Result<Page> {
        let page = parse(&self.listing(what, after, "")?, &what.bucket);
        let page = match page {
            // Names with characters that XML does not have. Only then, since there are stores that claim to have encoded names,
            // and have not.
            Err(error) if error.is::<roxmltree::Error>() => {
                parse(&self.listing(what, after, "encoding-type=url&")?, &what.bucket)
            }
            page => page,
        };
        page.context("the store's listing")
    }

    fn listing(&self, what: &BucketUrl, after: Option<&str>, encoding: &str) -> Result<String> {
        let after = after.map(|token| format!("continuation-token={}&", encode(token))).unwrap_or_default();
        let (bucket, prefix) = (encode(&what.bucket), encode(&what.prefix));
        // In the order of their names, as the signature has them.
        let path = format!("/{bucket}?{after}{encoding}list-type=2&prefix={prefix}");
        self.send(Call::new("GET", path))?.expect(&[200])?.document()
    }
}

fn parse(document: &str, bucket: &str) -> Result<Page> {
    let document = Document::parse(document)?;
    let is_encoded = text(&document, "EncodingType") == Some("url");
    let contents = document.root_element().children().filter(|node| node.tag_name().name() == "Contents");
    let objects = contents.map(|node| listed(node, bucket, is_encoded)).collect::<Result<_>>()?;
    let next = match (text(&document, "IsTruncated"), text(&document, "NextContinuationToken")) {
        (Some("true"), None) => bail!("it goes on, and does not say where"),
        (Some("true"), next) => next.map(str::to_owned),
        _ => None,
    };
    Ok(Page { objects, next })
}

fn listed(node: Node<'_, '_>, bucket: &str, is_encoded: bool) -> Result<Listed> {
    let field = |name: &str| {
        let field = node.children().find(|child| child.tag_name().name() == name);
        field.and_then(|child| child.text()).with_context(|| format!("an object without {name}"))
    };
    let key = field("Key")?;
    let object_key = if is_encoded { decode(key)? } else { key.to_owned() };
    Ok(Listed { name: ObjectName { bucket: bucket.to_owned(), object_key }, len: field("Size")?.parse()? })
}

/// As in HTML forms: a plus is a space.
fn decode(key: &str) -> Result<String> {
    let spaced = key.replace('+', " ");
    Ok(percent_decode_str(&spaced).decode_utf8().context("an object key is not UTF-8")?.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(inner: &str) -> Result<Page> {
        parse(
            &format!("<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">{inner}</ListBucketResult>"),
            "b",
        )
    }

    fn listed(object_key: &str, len: u64) -> Listed {
        Listed { name: ObjectName { bucket: "b".into(), object_key: object_key.into() }, len }
    }

    #[test]
    fn a_page_is_read() {
        let object = |key: &str| format!("<Contents><Key>{key}</Key><Size>7</Size></Contents>");
        let plain = page(&format!("{}<IsTruncated>false</IsTruncated>", object("a+b%20&amp;c"))).unwrap();
        assert_eq!(plain, Page { objects: vec![listed("a+b%20&c", 7)], next: None });
        let encoded = page(&format!(
            "<EncodingType>url</EncodingType>{}{}<IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>",
            object("a+b%2B%0A%C3%BC/c"),
            object("d"),
        ));
        let objects = vec![listed("a b+\nü/c", 7), listed("d", 7)];
        assert_eq!(encoded.unwrap(), Page { objects, next: Some("t".into()) });
        assert_eq!(page("").unwrap(), Page { objects: vec![], next: None });
    }

    #[test]
    fn what_is_no_page_is_refused() {
        for inner in [
            "<Contents><Key>a</Key></Contents>",
            "<Contents><Size>1</Size></Contents>",
            "<Contents><Key>a</Key><Size>-1</Size></Contents>",
            "<EncodingType>url</EncodingType><Contents><Key>%ff</Key><Size>1</Size></Contents>",
            "<IsTruncated>true</IsTruncated>",
            "<",
        ] {
            assert!(page(inner).is_err(), "{inner}");
        }
    }
}
