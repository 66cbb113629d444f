//! ListBuckets, without the buckets that a client may not see.

use quick_xml::Reader;
use quick_xml::events::Event;

/// The document without those `Bucket` elements whose name is not to be seen, everything else byte for byte as it was.
/// None: it is not understood.
pub fn retain(document: &[u8], may_see: impl Fn(&str) -> bool) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(document).ok()?;
    let mut reader = Reader::from_str(text);
    let mut open: Vec<String> = Vec::new();
    let mut kept = Vec::with_capacity(document.len());
    // How far the document was looked at, where the bucket that is open starts, and its name.
    let (mut seen, mut start, mut name) = (0, 0, String::new());
    loop {
        let event = reader.read_event().ok()?;
        let position = usize::try_from(reader.buffer_position()).ok()?;
        match event {
            Event::Start(tag) => {
                open.push(String::from_utf8(tag.local_name().as_ref().to_vec()).ok()?);
                if is_at(&open, BUCKET) {
                    start = seen;
                    name.clear();
                }
            }
            Event::Text(part) if is_at(&open, NAME) => name.push_str(&part.decode().ok()?),
            // No bucket's name needs one.
            Event::GeneralRef(_) | Event::CData(_) if is_at(&open, NAME) => return None,
            Event::End(_) => {
                let is_bucket = is_at(&open, BUCKET);
                open.pop();
                if is_bucket {
                    // It was held back until its name was known.
                    let bucket = document.get(start..position)?;
                    kept.extend_from_slice(if may_see(&name) { bucket } else { &[] });
                    seen = position;
                    continue;
                }
            }
            Event::Eof => return open.is_empty().then_some(kept),
            _ => {}
        }
        if !is_within(&open, BUCKET) {
            kept.extend_from_slice(document.get(seen..position)?);
        }
        seen = position;
    }
}

const BUCKET: [&str; 3] = ["ListAllMyBucketsResult", "Buckets", "Bucket"];
const NAME: [&str; 4] = ["ListAllMyBucketsResult", "Buckets", "Bucket", "Name"];

fn is_at<const N: usize>(open: &[String], path: [&str; N]) -> bool {
    open == path
}

fn is_within<const N: usize>(open: &[String], path: [&str; N]) -> bool {
    open.get(..N).is_some_and(|start| start == path)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = "<?xml version=\"1.0\"?>\n<ListAllMyBucketsResult xmlns=\"x\"><Owner><ID>o</ID></Owner>\
        <Buckets><Bucket><Name>a</Name><CreationDate>1</CreationDate></Bucket> \
        <Bucket><CreationDate>2</CreationDate><Name>b</Name></Bucket></Buckets></ListAllMyBucketsResult>\n";

    #[test]
    fn only_what_may_be_seen_stays() {
        let seen = |may_see: &dyn Fn(&str) -> bool| String::from_utf8(retain(DOCUMENT.as_bytes(), may_see).unwrap());
        assert_eq!(seen(&|_| true).unwrap(), DOCUMENT);
        assert_eq!(
            seen(&|name| name == "b").unwrap(),
            DOCUMENT.replace("<Bucket><Name>a</Name><CreationDate>1</CreationDate></Bucket>", "")
        );
        assert!(!seen(&|_| false).unwrap().contains("<Bucket>"));
    }

    #[test]
    fn what_is_not_understood_is_not_shown() {
        for text in [
            "<ListAllMyBucketsResult><Buckets><Bucket><Name>a</Name>",
            "<ListAllMyBucketsResult><Buckets></ListAllMyBucketsResult>",
            "<ListAllMyBucketsResult><Buckets><Bucket><Name>a&amp;b</Name></Bucket></Buckets></ListAllMyBucketsResult>",
        ] {
            assert_eq!(retain(text.as_bytes(), |_| true), None, "{text}");
        }
    }
}
