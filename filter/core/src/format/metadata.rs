//! The metadata of an encrypted object: FORMAT.md section 4.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::error::InternalError;
use crate::format::layout::Layout;
use crate::http::{HeaderFieldError, Headers, parse_length};
use crate::keys::{Key, ObjectKeys};
use crate::s3::checksum::Checksum;

/// What the names of all our metadata headers begin with. Hidden from clients, and never accepted from them.
pub const PREFIX: &str = "x-amz-meta-s3ep-";
/// The one value of `alg` in version 1.
pub const ALG: &str = "AES256-GCM-SEG64K";

/// The longest value of `parts`, in bytes: S3 takes 2 KB of user metadata in all.
pub const MAX_PARTS: usize = 512;

const MAX_KEK: usize = 256;
const MAX_WRAPPED_DEK: usize = 1_024;

/// A DEK as it is stored: wrapped by a KEK, or in direct mode the salt that makes it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct WrappedDek {
    /// The wrapped DEK or the salt, 1 to 1,024 bytes.
    pub bytes: Vec<u8>,
    /// The KEK's id, 1 to 256 visible ASCII characters.
    pub kek: String,
}

impl WrappedDek {
    /// Checks the limits of FORMAT 4.2.
    pub fn new(bytes: Vec<u8>, kek: String) -> Result<Self, MetadataError> {
        if !(1..=MAX_WRAPPED_DEK).contains(&bytes.len()) {
            return Err(MetadataError::Malformed("dek"));
        }
        if !(1..=MAX_KEK).contains(&kek.len()) || !kek.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(MetadataError::Malformed("kek"));
        }
        Ok(Self { bytes, kek })
    }
}

/// Why metadata was rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MetadataError {
    /// FORMAT 4.4: one of the headers is missing.
    #[error("the object's metadata lacks s3ep-{0}")]
    Missing(&'static str),
    /// FORMAT 4.2, or a value that is not of the table's form.
    #[error("the object's metadata s3ep-{0} is malformed")]
    Malformed(&'static str),
    /// FORMAT 4.4: one of the headers is there twice.
    #[error("the object's metadata repeats s3ep-{0}")]
    Repeated(&'static str),
    /// FORMAT 4.4: a header of ours that version 1 does not know.
    #[error("the object's metadata has an unknown s3ep- header")]
    Unknown,
    /// Another algorithm than version 1's.
    #[error("the object is encrypted with an algorithm that is not known")]
    Algorithm,
    /// FORMAT 4.3.
    #[error("the object's metadata is not authentic")]
    Mac,
}

/// Metadata as it was stored, well-formed but **not yet authenticated**: [`Metadata::verify`] turns it into what may be
/// relied upon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    wrapped_dek: WrappedDek,
    /// With the checksum masked.
    stored: Attributes,
    mac: Vec<u8>,
}

/// What an object's metadata says of its plaintext.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attributes {
    /// Its length in bytes; None for the objects of multipart uploads and their copies.
    pub plain_len: Option<u64>,
    /// The parts of a copy of a multipart object.
    pub parts: Option<Layout>,
    /// The checksum that the object's writer stated and that was found right.
    pub checksum: Option<Checksum>,
}

impl Attributes {
    /// With the checksum masked, or with the masked one shown (FORMAT 3.8).
    fn masked(&self, keys: &ObjectKeys) -> Result<Self, InternalError> {
        let mut masked = self.clone();
        masked.checksum.as_mut().map_or(Ok(()), |checksum| keys.mask(checksum))?;
        Ok(masked)
    }
}

impl Metadata {
    /// Reads the metadata among the headers of a response. `Ok(None)`: there is none of ours, the object is not encrypted.
    pub fn from_headers(headers: &Headers) -> Result<Option<Self>, MetadataError> {
        let mut ours = headers.iter().filter_map(|(name, _)| name.strip_prefix(PREFIX)).peekable();
        if ours.peek().is_none() {
            return Ok(None);
        }
        if ours.any(|name| !["alg", "dek", "kek", "len", "parts", "checksum", "mac"].contains(&name)) {
            return Err(MetadataError::Unknown);
        }
        if required(headers, "alg")? != ALG {
            return Err(MetadataError::Algorithm);
        }
        Ok(Some(Self {
            wrapped_dek: WrappedDek::new(decode(headers, "dek")?, required(headers, "kek")?.to_owned())?,
            stored: attributes(headers)?,
            mac: decode(headers, "mac")?,
        }))
    }

    /// Where the DEK is. Unwrapping it is safe before [`Metadata::verify`], and needed for it.
    pub fn wrapped_dek(&self) -> &WrappedDek {
        &self.wrapped_dek
    }

    /// Whether the object is a multipart upload's, and no copy of one.
    pub fn is_multipart(&self) -> bool {
        self.stored.plain_len.is_none() && self.stored.parts.is_none()
    }

    /// Checks the MAC in constant time (FORMAT 4.3).
    pub fn verify(&self, keys: &ObjectKeys) -> Result<Attributes, MetadataError> {
        let mac = mac(&keys.metadata, &self.wrapped_dek, &self.stored).map_err(|_| MetadataError::Mac)?;
        mac.verify_slice(&self.mac).map_err(|_| MetadataError::Mac)?;
        self.stored.masked(keys).map_err(|_| MetadataError::Mac)
    }
}

/// The headers that describe a new object (FORMAT.md section 4), names and values.
pub fn to_headers(
    keys: &ObjectKeys,
    wrapped_dek: &WrappedDek,
    attributes: &Attributes,
) -> Result<Vec<(String, String)>, InternalError> {
    let stored = attributes.masked(keys)?;
    let mac = STANDARD.encode(mac(&keys.metadata, wrapped_dek, &stored)?.finalize().into_bytes());
    Ok(fields(wrapped_dek, &stored)
        .chain([("mac", mac)])
        .map(|(name, value)| (format!("{PREFIX}{name}"), value))
        .collect())
}

/// The authenticated fields, in the MAC's order.
fn fields(wrapped_dek: &WrappedDek, stored: &Attributes) -> impl Iterator<Item = (&'static str, String)> {
    let always =
        [("alg", ALG.to_owned()), ("dek", STANDARD.encode(&wrapped_dek.bytes)), ("kek", wrapped_dek.kek.clone())];
    let len = stored.plain_len.map(|len| ("len", len.to_string()));
    let parts = stored.parts.as_ref().map(|parts| ("parts", parts.to_string()));
    let checksum = stored.checksum.as_ref().map(|checksum| ("checksum", checksum.to_string()));
    always.into_iter().chain(len).chain(parts).chain(checksum)
}

/// FORMAT 4.1.
fn mac(key: &Key, wrapped_dek: &WrappedDek, stored: &Attributes) -> Result<Hmac<Sha256>, InternalError> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.expose()).map_err(|_| InternalError("HMAC refused its key"))?;
    for (name, value) in fields(wrapped_dek, stored) {
        mac.update(format!("{name}={value}\n").as_bytes());
    }
    Ok(mac)
}

fn optional<'a>(headers: &'a Headers, name: &'static str) -> Result<Option<&'a str>, MetadataError> {
    headers.text(&format!("{PREFIX}{name}")).map_err(|error| match error {
        HeaderFieldError::Repeated => MetadataError::Repeated(name),
        HeaderFieldError::NotUtf8 => MetadataError::Malformed(name),
    })
}

fn required<'a>(headers: &'a Headers, name: &'static str) -> Result<&'a str, MetadataError> {
    optional(headers, name)?.ok_or(MetadataError::Missing(name))
}

fn decode(headers: &Headers, name: &'static str) -> Result<Vec<u8>, MetadataError> {
    STANDARD.decode(required(headers, name)?).map_err(|_| MetadataError::Malformed(name))
}

/// Those of an object, each of which may be absent. Not both `len` and `parts` (FORMAT 4.4).
fn attributes(headers: &Headers) -> Result<Attributes, MetadataError> {
    let plain_len = parsed(headers, "len", canonical_length)?;
    let parts = parsed(headers, "parts", Layout::parse)?;
    let checksum = parsed(headers, "checksum", Checksum::parse)?;
    match (&plain_len, &parts) {
        (Some(_), Some(_)) => Err(MetadataError::Malformed("parts")),
        _ => Ok(Attributes { plain_len, parts, checksum }),
    }
}

/// A value that may be absent. `parse` takes what would be written again just as it stands, and nothing else: the MAC is
/// over the parsed value.
fn parsed<T>(
    headers: &Headers,
    name: &'static str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, MetadataError> {
    optional(headers, name)?.map(|text| parse(text).ok_or(MetadataError::Malformed(name))).transpose()
}

fn canonical_length(text: &str) -> Option<u64> {
    parse_length(text).filter(|length| length.to_string() == text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::Dek;
    use crate::s3::checksum::Algorithm;

    fn keys() -> ObjectKeys {
        ObjectKeys::derive(&Dek::from_slice(&[3; 32]).unwrap()).unwrap()
    }

    fn of_len(plain_len: Option<u64>) -> Attributes {
        Attributes { plain_len, ..Attributes::default() }
    }

    fn write(attributes: &Attributes) -> Vec<(String, String)> {
        let wrapped_dek = WrappedDek::new(vec![1, 2, 3], "kek:1".into()).unwrap();
        to_headers(&keys(), &wrapped_dek, attributes).unwrap()
    }

    fn stored(plain_len: Option<u64>) -> Vec<(String, String)> {
        write(&of_len(plain_len))
    }

    fn read(fields: &[(String, String)]) -> Result<Option<Attributes>, MetadataError> {
        let headers = fields.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        Metadata::from_headers(&headers)?.map(|metadata| metadata.verify(&keys())).transpose()
    }

    #[test]
    fn what_is_written_is_read() {
        for plain_len in [None, Some(0), Some(65_537), Some(u64::MAX)] {
            assert_eq!(read(&stored(plain_len)), Ok(Some(of_len(plain_len))));
        }
        assert_eq!(read(&[("x-amz-meta-mine".into(), "1".into())]), Ok(None));
    }

    #[test]
    fn every_field_is_required_once_and_authentic() {
        for at in 0..5 {
            let mut dropped = stored(Some(5));
            let (name, value) = dropped.remove(at);
            assert!(read(&dropped).is_err(), "{name} dropped");

            let mut repeated = stored(Some(5));
            repeated.push((name.clone(), value.clone()));
            assert!(matches!(read(&repeated), Err(MetadataError::Repeated(_))), "{name} repeated");

            let mut changed = stored(Some(5));
            changed[at].1 = match name.strip_prefix(PREFIX).unwrap() {
                "alg" => "AES256-GCM-SEG128K".into(),
                "dek" => "AQIE".into(),
                "kek" => "kek:2".into(),
                "len" => "6".into(),
                _ => STANDARD.encode([0; 32]),
            };
            assert!(read(&changed).is_err(), "{name} changed");
        }
    }

    #[test]
    fn the_parts_of_a_copy_are_read_and_authentic() {
        let parts = Layout::parse("9x8394752,1x1234").unwrap();
        let attributes = Attributes { parts: Some(parts), ..Attributes::default() };
        let mut fields = write(&attributes);
        assert_eq!(fields[3].1, "9x8394752,1x1234");
        assert_eq!(read(&fields), Ok(Some(attributes)));
        fields[3].1 = "10x8394752".into();
        assert_eq!(read(&fields), Err(MetadataError::Mac));
        fields[3].1 = "1x8394752,9x8394752".into();
        assert_eq!(read(&fields), Err(MetadataError::Malformed("parts")));
    }

    #[test]
    fn a_checksum_is_read_authentic_and_masked() {
        for algorithm in Algorithm::ALL {
            let checksum = Checksum { algorithm, digest: vec![0xa5; algorithm.digest_len()] };
            let attributes = Attributes { checksum: Some(checksum.clone()), ..of_len(Some(5)) };
            let mut fields = write(&attributes);
            assert_eq!(read(&fields), Ok(Some(attributes)), "{algorithm:?}");

            assert_eq!(fields[4].0, "x-amz-meta-s3ep-checksum");
            let masked = Checksum::parse(&fields[4].1).unwrap();
            assert_eq!(masked.algorithm, algorithm);
            let shown = masked.digest.iter().zip(&checksum.digest).filter(|(masked, clear)| masked == clear);
            assert!(shown.count() < 3, "{algorithm:?} shows");

            fields[4].1 = checksum.to_string();
            assert_eq!(read(&fields), Err(MetadataError::Mac), "{algorithm:?}");
            fields.remove(4);
            assert_eq!(read(&fields), Err(MetadataError::Mac), "{algorithm:?} removed");
        }
    }

    #[test]
    fn a_checksum_has_one_spelling() {
        let mut fields = write(&Attributes { checksum: Checksum::parse("CRC32:AAAAAA=="), ..of_len(Some(5)) });
        for text in [
            "",
            "CRC32",
            "CRC32:",
            ":AAAAAA==",
            "crc32:AAAAAA==",
            "CRC32:AAAA",
            "CRC32:AAAAAA",
            "CRC32:AAAAAB==",
            "CRC32 AAAAAA==",
            "CRC32:AAAAAA== ",
            "CRC16:AAAAAA==",
            "CRC64NVME:AAAAAA==",
            "CRC32:AAAAAA==:",
        ] {
            fields[4].1 = text.into();
            assert_eq!(read(&fields), Err(MetadataError::Malformed("checksum")), "{text:?}");
        }
    }

    #[test]
    fn a_length_has_one_spelling() {
        for text in ["05", "+5", "5 ", "", "five", "-5"] {
            let mut fields = stored(Some(5));
            fields[3].1 = text.into();
            assert_eq!(read(&fields), Err(MetadataError::Malformed("len")), "{text:?}");
        }
    }

    #[test]
    fn unknown_metadata_of_ours_is_rejected() {
        let mut fields = stored(Some(5));
        fields.push((format!("{PREFIX}new"), "1".into()));
        assert_eq!(read(&fields), Err(MetadataError::Unknown));
    }

    #[test]
    fn limits_hold() {
        let kek = |kek: &str| WrappedDek::new(vec![1], kek.into()).is_ok();
        assert!(kek("k") && kek(&"k".repeat(256)));
        assert!(!kek("") && !kek(&"k".repeat(257)) && !kek("a b") && !kek("ü") && !kek("a\nb"));
        assert!(WrappedDek::new(vec![0; 1_024], "k".into()).is_ok());
        assert!(WrappedDek::new(vec![], "k".into()).is_err() && WrappedDek::new(vec![0; 1_025], "k".into()).is_err());
    }
}
