//! What GetObjectAttributes asks for, and its list of parts (Amazon S3 API Reference, "GetObjectAttributes").

use crate::error::RequestError;
use crate::format::layout::Layout;
use crate::http::Headers;

/// An attribute of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attribute {
    /// `ETag`.
    ETag,
    /// `Checksum`.
    Checksum,
    /// `ObjectParts`.
    ObjectParts,
    /// `StorageClass`.
    StorageClass,
    /// `ObjectSize`.
    ObjectSize,
}

impl Attribute {
    /// Those that `x-amz-object-attributes` names, in the order of S3's document.
    pub fn from_headers(headers: &Headers) -> Result<Vec<Self>, RequestError> {
        const ALL: [(&str, Attribute); 5] = [
            ("ETag", Attribute::ETag),
            ("Checksum", Attribute::Checksum),
            ("ObjectParts", Attribute::ObjectParts),
            ("StorageClass", Attribute::StorageClass),
            ("ObjectSize", Attribute::ObjectSize),
        ];
        let values: Vec<_> = headers.all("x-amz-object-attributes").map(String::from_utf8_lossy).collect();
        let names: Vec<_> =
            values.iter().flat_map(|value| value.split(',')).map(str::trim).filter(|name| !name.is_empty()).collect();
        if names.is_empty() {
            return Err(RequestError::InvalidArgument(
                "The x-amz-object-attributes header specifying the attributes to be retrieved is either missing or \
                 empty",
            ));
        }
        if names.iter().any(|name| !ALL.iter().any(|(known, _)| known == name)) {
            return Err(RequestError::InvalidArgument("Invalid attribute name specified."));
        }
        Ok(ALL.iter().filter(|(name, _)| names.contains(name)).map(|(_, attribute)| *attribute).collect())
    }
}

/// Which parts are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paging {
    /// How many at most.
    max_parts: u16,
    /// Only those with a higher number.
    marker: u16,
}

impl Default for Paging {
    fn default() -> Self {
        Self { max_parts: Self::MOST, marker: 0 }
    }
}

impl Paging {
    const MOST: u16 = 1_000;

    /// As `x-amz-max-parts` and `x-amz-part-number-marker` say.
    pub fn from_headers(headers: &Headers) -> Result<Self, RequestError> {
        let number = |name, otherwise| match headers.text(name) {
            Ok(None) => Ok(otherwise),
            Ok(Some(text)) => text.parse::<u32>().map_err(|_| RequestError::InvalidArgument("a number is malformed")),
            Err(_) => Err(RequestError::InvalidArgument("a header is repeated or not UTF-8")),
        };
        let most = u32::from(Self::MOST);
        let max_parts = number("x-amz-max-parts", most)?.min(most);
        let marker = number("x-amz-part-number-marker", 0)?.min(u16::MAX.into());
        Ok(Self { max_parts: max_parts as u16, marker: marker as u16 })
    }

    /// The element `ObjectParts`, with plaintext sizes.
    pub fn parts(self, layout: &Layout) -> String {
        let Self { max_parts, marker } = self;
        let last = marker.saturating_add(max_parts).min(layout.parts());
        let size = |number| layout.part(number).map(|(start, end)| (number, end - start));
        let listed: String = (marker.saturating_add(1)..=last)
            .filter_map(size)
            .map(|(number, size)| format!("<Part><PartNumber>{number}</PartNumber><Size>{size}</Size></Part>"))
            .collect();
        let (is_truncated, count) = (last < layout.parts(), layout.parts());
        format!(
            "<ObjectParts><IsTruncated>{is_truncated}</IsTruncated><MaxParts>{max_parts}</MaxParts>\
             <NextPartNumberMarker>{last}</NextPartNumberMarker><PartNumberMarker>{marker}</PartNumberMarker>\
             {listed}<PartsCount>{count}</PartsCount></ObjectParts>"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_named_in_one_header_or_several() {
        let parse = |values: &[&str]| {
            let headers = values.iter().map(|value| ("x-amz-object-attributes", *value)).collect();
            Attribute::from_headers(&headers)
        };
        assert_eq!(parse(&["ObjectSize, ETag"]), Ok(vec![Attribute::ETag, Attribute::ObjectSize]));
        assert_eq!(parse(&["ObjectParts", "Checksum"]), Ok(vec![Attribute::Checksum, Attribute::ObjectParts]));
        for refused in [&[][..], &[""], &[","], &["etag"], &["ETag,Colour"]] {
            assert!(matches!(parse(refused), Err(RequestError::InvalidArgument(_))), "{refused:?}");
        }
    }

    #[test]
    fn parts_come_in_pages_and_in_plaintext_sizes() {
        let layout = Layout::parse("2x65584,1x49").unwrap();
        let parts = |max: &str, marker: &str| {
            let headers = [("x-amz-max-parts", max), ("x-amz-part-number-marker", marker)].into_iter().collect();
            Paging::from_headers(&headers).unwrap().parts(&layout)
        };
        assert_eq!(
            parts("1", "1"),
            "<ObjectParts><IsTruncated>true</IsTruncated><MaxParts>1</MaxParts>\
             <NextPartNumberMarker>2</NextPartNumberMarker><PartNumberMarker>1</PartNumberMarker>\
             <Part><PartNumber>2</PartNumber><Size>65536</Size></Part><PartsCount>3</PartsCount></ObjectParts>"
        );
        assert!(parts("5000", "2").contains("<MaxParts>1000</MaxParts>"));
        assert!(parts("5000", "2").contains("<Size>1</Size></Part><PartsCount>3"));
        assert!(!parts("1000", "70000").contains("<Part>"));
    }
}
