//! Reads listings (Amazon S3 API Reference, ListObjects and ListObjectsV2).

use anyhow::{Context as _, Result};

use crate::client::S3Client;

/// The object keys and sizes in a listing of the client's bucket.
pub fn sizes(client: &S3Client, query: &str) -> Result<Vec<(String, u64)>> {
    let answer = client.bucket("GET", query).send(&[])?.expect(200)?;
    let document = roxmltree::Document::parse(str::from_utf8(&answer.body)?)?;
    let contents = document.root_element().children().filter(|child| child.tag_name().name() == "Contents");
    contents
        .map(|object| {
            let field = |name| {
                let found = object.children().find(|child| child.tag_name().name() == name);
                found.and_then(|child| child.text()).with_context(|| format!("an object without {name}"))
            };
            Ok((field("Key")?.to_owned(), field("Size")?.parse()?))
        })
        .collect()
}
