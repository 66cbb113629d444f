//! GetObjectAttributes: answered from a look at the object, so that it needs nothing of the store but HEAD, and every
//! size is the plaintext's. About an object that is not encrypted, the store answers itself.

use super::call::{ON_BEHALF, kept};
use super::get_object::{check_unencrypted, object_path};
use super::look::{Look, Looked, Seen};
use super::rewriting::Rewriting;
use super::{Answer, Env, HeadStep, Reply, Role};
use crate::error::{Error, InternalError};
use crate::http::{HeadEdits, Headers, RequestHead, ResponseHead};
use crate::keys::ObjectName;
use crate::s3::attributes::{Attribute, Paging};
use crate::s3::checksum::Checksum;
use crate::s3::etag;
use crate::s3::listing::Rule;
use crate::s3::xml;
use crate::sigv4::credentials;

/// Headers of the look that the answer repeats.
const REPEATED: [&str; 3] = ["last-modified", "x-amz-version-id", "x-amz-request-charged"];

/// A question about an object.
pub struct GetObjectAttributes {
    name: ObjectName,
    wanted: Vec<Attribute>,
    paging: Paging,
    /// Edits to the client's request, should it go on.
    edits: HeadEdits,
    /// The store's answer, should it give one.
    answer: Rewriting,
    stage: Stage,
}

enum Stage {
    /// Nothing has come yet.
    Start,
    /// The object is being looked at.
    Looking(Look),
    /// The store is being asked the same, and will refuse it as it refused the look.
    Refused,
    /// The store is being asked about an object that is not encrypted.
    Unencrypted,
}

impl GetObjectAttributes {
    /// A question about `name`.
    pub fn new(name: ObjectName) -> Self {
        let (wanted, paging) = (Vec::new(), Paging::default());
        let (edits, answer) = (HeadEdits::default(), Rewriting::default());
        Self { name, wanted, paging, edits, answer, stage: Stage::Start }
    }

    fn looked(&mut self, env: &Env<'_>, look: Look, looked: Looked) -> Result<HeadStep, Error> {
        match looked {
            Looked::Ask(call) => {
                self.stage = Stage::Looking(look);
                Ok(HeadStep::Wait(call))
            }
            Looked::Refused(_) => Ok(self.forward(Stage::Refused)),
            Looked::Unencrypted(_) => {
                check_unencrypted(env)?;
                Ok(self.forward(Stage::Unencrypted))
            }
            Looked::Seen(seen) => Ok(HeadStep::Reply(self.reply(&seen))),
        }
    }

    fn forward(&mut self, stage: Stage) -> HeadStep {
        self.stage = stage;
        HeadStep::Forward(std::mem::take(&mut self.edits))
    }

    fn reply(&self, seen: &Seen) -> Reply {
        let elements: String = self.wanted.iter().map(|attribute| self.element(*attribute, seen)).collect();
        let mut headers = kept(&seen.headers, &REPEATED);
        headers.push(("content-type".to_owned(), "application/xml".to_owned()));
        let body = xml::document("GetObjectAttributesResponse", &elements).into_bytes();
        Reply { status: 200, headers, body }
    }

    fn element(&self, attribute: Attribute, seen: &Seen) -> String {
        match attribute {
            Attribute::ETag => format!("<ETag>{}</ETag>", xml::escape(etag::shown(&seen.head.etag).trim_matches('"'))),
            Attribute::StorageClass => {
                format!("<StorageClass>{}</StorageClass>", xml::escape(storage_class(&seen.headers)))
            }
            Attribute::ObjectSize => format!("<ObjectSize>{}</ObjectSize>", seen.head.layout.plain_len()),
            Attribute::ObjectParts if seen.head.metadata.is_multipart() => self.paging.parts(&seen.head.layout),
            Attribute::ObjectParts => String::new(),
            Attribute::Checksum => seen.attributes.checksum.as_ref().map(checksum).unwrap_or_default(),
        }
    }
}

impl Role for GetObjectAttributes {
    fn request_head(&mut self, _: &mut Env<'_>, head: &RequestHead) -> Result<HeadStep, Error> {
        self.wanted = Attribute::from_headers(&head.headers)?;
        self.paging = Paging::from_headers(&head.headers)?;
        let path = credentials::remove(head, &mut self.edits);
        Rewriting::prepare(&mut self.edits);
        let headers = kept(&head.headers, &ON_BEHALF);
        let (look, call) = Look::begin(self.name.clone(), object_path(&path), headers);
        self.stage = Stage::Looking(look);
        Ok(HeadStep::Wait(call))
    }

    fn answer(&mut self, env: &mut Env<'_>, answer: Answer) -> Result<HeadStep, Error> {
        match std::mem::replace(&mut self.stage, Stage::Start) {
            Stage::Looking(mut look) => {
                let looked = look.answered(env, answer)?;
                self.looked(env, look, looked)
            }
            _ => Err(InternalError("an answer came that nobody asked for").into()),
        }
    }

    fn response_head(&mut self, _: &mut Env<'_>, head: &ResponseHead) -> Result<HeadStep, Error> {
        let mut edits = HeadEdits::default();
        match (&self.stage, head.status) {
            // It answers what it did not a moment ago, and of what, nobody knows.
            (Stage::Refused, 200..300) => return Err(Error::ObjectChanged),
            (Stage::Unencrypted, 200) => self.answer.begin(vec![Rule::etags()], &mut edits),
            _ => {}
        }
        Ok(HeadStep::Forward(edits))
    }

    fn rewriting(&mut self) -> Option<&mut Rewriting> {
        Some(&mut self.answer)
    }
}

fn checksum(checksum: &Checksum) -> String {
    let (name, digest) = (checksum.algorithm.name(), checksum.to_base64());
    format!("<Checksum><Checksum{name}>{digest}</Checksum{name}><ChecksumType>FULL_OBJECT</ChecksumType></Checksum>")
}

/// S3 states every class but the usual one.
fn storage_class(headers: &Headers) -> &str {
    headers.text("x-amz-storage-class").ok().flatten().unwrap_or("STANDARD")
}
