//! Multipart uploads without state: the client's UploadId carries what sealing a part needs, so that any replica can take
//! any part (FORMAT.md section 8).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use quick_xml::Reader;
use quick_xml::escape::{escape, unescape};
use quick_xml::events::Event;
use sha2::Sha256;

use crate::error::{InternalError, RequestError};
use crate::format::metadata::WrappedDek;
use crate::format::segment::MAX_PART;
use crate::keys::ObjectKeys;
use crate::s3::{etag, query};

const VERSION: u8 = 1;
const MAC_LEN: usize = 32;
const MAC_INFO: &[u8] = b"s3ep/v1 upload";

/// An UploadId as the client knows it: the store's own, and what seals the parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadId {
    /// The store's UploadId.
    pub upstream: String,
    /// None: the id as the store lists it, good for ListParts and AbortMultipartUpload.
    pub token: Option<Token>,
}

/// What an upload's parts are sealed with. Not to be trusted before [`Token::verify`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// The upload's DEK.
    pub wrapped_dek: WrappedDek,
    mac: [u8; MAC_LEN],
}

impl UploadId {
    /// Splits a client's UploadId. Base64url has no dot, and so the token is what follows the last one.
    ///
    /// A store's own id may have dots too: what does not read as a token belongs to it.
    pub fn parse(text: &str) -> Self {
        let split = text.rsplit_once('.').and_then(|(upstream, token)| Some((upstream, Token::parse(token)?)));
        match split {
            Some((upstream, token)) => Self { upstream: upstream.to_owned(), token: Some(token) },
            None => Self { upstream: text.to_owned(), token: None },
        }
    }

    /// A request's path that names the upload as the store knows it.
    pub fn address(&self, path: &str) -> String {
        query::replace(path, "uploadId", &self.upstream)
    }
}

impl Token {
    /// The token of a new upload, which is `.` and the token behind the store's UploadId.
    pub fn suffix(upstream: &str, wrapped_dek: &WrappedDek, keys: &ObjectKeys) -> Result<String, InternalError> {
        let mac = mac(keys, upstream, wrapped_dek)?.finalize().into_bytes();
        let mut token = vec![VERSION];
        token.extend_from_slice(&mac);
        token.push(u8::try_from(wrapped_dek.kek.len() - 1).map_err(|_| InternalError("a KEK's id is too long"))?);
        token.extend_from_slice(wrapped_dek.kek.as_bytes());
        token.extend_from_slice(&wrapped_dek.bytes);
        Ok(format!(".{}", URL_SAFE_NO_PAD.encode(token)))
    }

    fn parse(text: &str) -> Option<Self> {
        let token = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (&version, rest) = token.split_first()?;
        let (mac, rest) = rest.split_first_chunk::<MAC_LEN>()?;
        let (&kek_len, rest) = rest.split_first()?;
        let (kek, wrapped) = rest.split_at_checked(usize::from(kek_len) + 1)?;
        let kek = String::from_utf8(kek.to_vec()).ok()?;
        let wrapped_dek = WrappedDek::new(wrapped.to_vec(), kek).ok()?;
        (version == VERSION).then_some(Self { wrapped_dek, mac: *mac })
    }

    /// Whether the token was made for this upload, with these keys.
    pub fn verify(&self, upstream: &str, keys: &ObjectKeys) -> Result<(), RequestError> {
        let mac = mac(keys, upstream, &self.wrapped_dek).map_err(|_| RequestError::NoSuchUpload)?;
        mac.verify_slice(&self.mac).map_err(|_| RequestError::NoSuchUpload)
    }
}

/// The object's name needs no place in it: the DEK is bound to that.
fn mac(keys: &ObjectKeys, upstream: &str, wrapped_dek: &WrappedDek) -> Result<Hmac<Sha256>, InternalError> {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(keys.metadata.expose()).map_err(|_| InternalError("HMAC refused its key"))?;
    for field in [MAC_INFO, upstream.as_bytes(), wrapped_dek.kek.as_bytes(), &wrapped_dek.bytes] {
        mac.update(&(field.len() as u64).to_be_bytes());
        mac.update(field);
    }
    Ok(mac)
}

/// Reads a partNumber: 1 to 10,000.
pub fn parse_part_number(text: &str) -> Result<u16, RequestError> {
    let error = RequestError::InvalidArgument("Part number must be an integer between 1 and 10000, inclusive");
    let number = text.parse().map_err(|_| error.clone())?;
    if (1..=MAX_PART).contains(&number) { Ok(number) } else { Err(error) }
}

/// The body of CompleteMultipartUpload as it goes upstream: the parts' numbers and the store's ETags alone, because checksums
/// in it are of the plaintext, and white space up to the original's length, because that length is promised already.
///
/// Refuses part numbers other than 1, 2, 3, … (FORMAT.md section 6).
pub fn complete_body(body: &[u8]) -> Result<Vec<u8>, RequestError> {
    let text = std::str::from_utf8(body).map_err(|_| RequestError::MalformedXml)?;
    let mut written = String::from("<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
    let parts = parts(text)?;
    if !parts.is_sorted_by(|a, b| a.number < b.number) {
        return Err(RequestError::InvalidPartOrder);
    }
    for (due, part) in (1_u32..).zip(parts) {
        if part.number != due {
            return Err(RequestError::PartNumberGap);
        }
        let etag = escape(etag::stored(&part.etag));
        written.push_str(&format!("<Part><PartNumber>{due}</PartNumber><ETag>{etag}</ETag></Part>"));
    }
    written.push_str("</CompleteMultipartUpload>");
    let without_namespace = "<CompleteMultipartUpload>";
    if written.len() > body.len() {
        // As short as it can be said, and so never longer than what the client said.
        let start = written.find('>').map_or(0, |end| end + 1);
        written.replace_range(..start, without_namespace);
        written = written.replace("&quot;", "\"").replace("&apos;", "'");
    }
    let padding = body.len().checked_sub(written.len()).ok_or(RequestError::MalformedXml)?;
    written.push_str(&" ".repeat(padding));
    Ok(written.into_bytes())
}

#[derive(Default)]
struct CompletedPart {
    number: u32,
    etag: String,
}

/// The parts in a CompleteMultipartUpload document, in order.
fn parts(text: &str) -> Result<Vec<CompletedPart>, RequestError> {
    let mut reader = Reader::from_str(text);
    let mut parts: Vec<CompletedPart> = Vec::new();
    let mut path: Vec<String> = Vec::new();
    let mut content = String::new();
    loop {
        match reader.read_event().map_err(|_| RequestError::MalformedXml)? {
            Event::Start(tag) => {
                path.push(String::from_utf8_lossy(tag.local_name().as_ref()).into_owned());
                content.clear();
                if path == ["CompleteMultipartUpload", "Part"] {
                    parts.push(CompletedPart::default());
                }
            }
            Event::Text(event) => content.push_str(&event.decode().map_err(|_| RequestError::MalformedXml)?),
            Event::GeneralRef(event) => {
                let name = event.decode().map_err(|_| RequestError::MalformedXml)?;
                content.push_str(&unescape(&format!("&{name};")).map_err(|_| RequestError::MalformedXml)?);
            }
            Event::CData(event) => content.push_str(&event.decode().map_err(|_| RequestError::MalformedXml)?),
            Event::End(_) => {
                let part = parts.last_mut();
                match (path.iter().map(String::as_str).collect::<Vec<_>>().as_slice(), part) {
                    (["CompleteMultipartUpload", "Part", "PartNumber"], Some(part)) => {
                        part.number = parse_part_number(content.trim())?.into();
                    }
                    (["CompleteMultipartUpload", "Part", "ETag"], Some(part)) => part.etag = content.trim().to_owned(),
                    _ => {}
                }
                path.pop();
            }
            Event::Eof => break,
            _ => {}
        }
    }
    let is_complete = !parts.is_empty() && parts.iter().all(|part| part.number > 0 && !part.etag.is_empty());
    if path.is_empty() && is_complete { Ok(parts) } else { Err(RequestError::MalformedXml) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::Dek;

    fn keys(seed: u8) -> ObjectKeys {
        ObjectKeys::derive(&Dek::from_slice(&[seed; 32]).unwrap()).unwrap()
    }

    fn upload_id(upstream: &str) -> String {
        let wrapped = WrappedDek::new(vec![7; 60], "aws-kms://arn".into()).unwrap();
        format!("{upstream}{}", Token::suffix(upstream, &wrapped, &keys(1)).unwrap())
    }

    #[test]
    fn an_upload_id_carries_the_dek() {
        for upstream in ["2~abc", "a.b.c", "ä", "", "x."] {
            let id = UploadId::parse(&upload_id(upstream));
            assert_eq!(id.upstream, upstream);
            let token = id.token.unwrap();
            assert_eq!(token.wrapped_dek.kek, "aws-kms://arn");
            assert!(token.verify(upstream, &keys(1)).is_ok());
            assert!(token.verify("another upload", &keys(1)).is_err());
            assert!(token.verify(upstream, &keys(2)).is_err());
        }
    }

    #[test]
    fn a_store_s_own_id_has_no_token() {
        for text in [
            "",
            "abc",
            "a.b",
            "a.AAAA",
            "ibZBv_75gd9r8lH.gqXatLdxMVpAlj6ZQjEs.OwyF3953YdwbcQnMA2BLGn8Lx12fQNICtMw5KyteFeHw",
        ] {
            assert_eq!(UploadId::parse(text), UploadId { upstream: text.into(), token: None });
        }
    }

    #[test]
    fn a_changed_or_cut_token_verifies_no_more() {
        let id = upload_id("upstream");
        for at in "upstream.".len()..id.len() {
            let mut changed = id.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            for text in [String::from_utf8(changed).unwrap(), id[..at].to_owned()] {
                let UploadId { upstream, token } = UploadId::parse(&text);
                let is_good = token.is_some_and(|token| token.verify(&upstream, &keys(1)).is_ok());
                assert!(!is_good, "{text}");
            }
        }
    }

    #[test]
    fn a_completion_keeps_its_parts_and_its_length() {
        let part = |n: u32, etag: &str, more: &str| {
            format!("<Part>{more}<ETag>{etag}</ETag><PartNumber>{n}</PartNumber></Part>")
        };
        let cases = [
            format!("<CompleteMultipartUpload>{}</CompleteMultipartUpload>", part(1, "\"a\"", "")),
            format!("<CompleteMultipartUpload>{}</CompleteMultipartUpload>", part(1, "a", "")),
            format!(
                "<?xml version=\"1.0\"?>\n<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\n {} {}</CompleteMultipartUpload>\n",
                part(1, "&quot;a&quot;", "<ChecksumCRC32>AAAAAA==</ChecksumCRC32>"),
                part(2, "<![CDATA[\"b\"]]>", "<!-- x -->")
            ),
        ];
        for body in cases {
            let written = String::from_utf8(complete_body(body.as_bytes()).unwrap()).unwrap();
            assert_eq!(written.len(), body.len());
            assert!(!written.contains("Checksum"));
            let pairs = |text: &str| parts(text).unwrap().into_iter().map(|p| (p.number, p.etag)).collect::<Vec<_>>();
            assert_eq!(pairs(&written), pairs(&body), "{written}");
        }
    }

    #[test]
    fn what_cannot_be_completed_is_refused() {
        let body = |numbers: &[u32]| {
            let part = |n: &u32| format!("<Part><PartNumber>{n}</PartNumber><ETag>e</ETag></Part>");
            format!(
                "<CompleteMultipartUpload>{}</CompleteMultipartUpload>",
                numbers.iter().map(part).collect::<String>()
            )
        };
        assert_eq!(complete_body(body(&[1, 3]).as_bytes()), Err(RequestError::PartNumberGap));
        assert_eq!(complete_body(body(&[2]).as_bytes()), Err(RequestError::PartNumberGap));
        assert_eq!(complete_body(body(&[2, 1]).as_bytes()), Err(RequestError::InvalidPartOrder));
        assert_eq!(complete_body(body(&[1, 1]).as_bytes()), Err(RequestError::InvalidPartOrder));
        assert_eq!(complete_body(body(&[1, 2, 1]).as_bytes()), Err(RequestError::InvalidPartOrder));
        for text in [
            "",
            "x",
            "<a>",
            "<CompleteMultipartUpload/>",
            "<CompleteMultipartUpload><Part></Part></CompleteMultipartUpload>",
            "<CompleteMultipartUpload><Part>",
            "\u{ff}",
        ] {
            assert_eq!(complete_body(text.as_bytes()), Err(RequestError::MalformedXml), "{text}");
        }
        assert!(matches!(complete_body(body(&[10_001]).as_bytes()), Err(RequestError::InvalidArgument(_))));
    }
}
