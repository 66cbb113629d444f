//! The vectors of `vectors/`, made by an independent writer in Python: its README says what they hold.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may panic")]

use std::fs;
use std::path::PathBuf;
use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use s3ep_core::entropy::{Entropy, EntropyError};
use s3ep_core::format::layout::{plain_len, sealed_len};
use s3ep_core::format::metadata::{self, Attributes, Metadata, MetadataError, WrappedDek};
use s3ep_core::format::segment::{HEADER_LEN, Place, SegmentHeader, TAG_LEN};
use s3ep_core::http::Headers;
use s3ep_core::keys::{Dek, Key, MasterKey, ObjectKeys, ObjectName, SALT_LEN};
use s3ep_core::open::{OpenError, Opener};
use s3ep_core::s3::checksum::{self, Algorithm, Checksum};
use s3ep_core::s3::multipart::{Token, UploadId};
use s3ep_core::seal::Sealer;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

#[derive(Deserialize)]
struct Object {
    name: String,
    key: KeyOf,
    metadata: Vec<(String, String)>,
    body: Vec<Piece>,
    expect: String,
    released: Released,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum KeyOf {
    Dek { dek: String },
    Direct { master_keys: std::collections::BTreeMap<String, String>, bucket: String, object_key: String },
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Piece {
    Hex { hex: String },
    File { file: String, start: usize, end: usize },
}

#[derive(Deserialize, Debug, PartialEq)]
struct Released {
    length: usize,
    sha256: String,
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors")
}

fn load<T: DeserializeOwned>(file: &str) -> T {
    serde_json::from_slice(&fs::read(folder().join(file)).unwrap()).unwrap()
}

fn key(hex: &str) -> Key {
    Key::from_slice(&hex::decode(hex).unwrap()).unwrap()
}

fn name(bucket: &str, object_key: &str) -> ObjectName {
    ObjectName { bucket: bucket.into(), object_key: object_key.into() }
}

/// How a reader fails, in the vectors' words.
#[derive(Debug)]
enum Failure {
    Metadata,
    Open(OpenError),
}

impl From<MetadataError> for Failure {
    fn from(_: MetadataError) -> Self {
        Self::Metadata
    }
}

impl Failure {
    fn class(&self) -> &'static str {
        match self {
            Self::Metadata => "metadata",
            Self::Open(OpenError::Header(_)) => "header",
            Self::Open(OpenError::Authentication) => "authentication",
            Self::Open(OpenError::Order { .. }) => "order",
            Self::Open(OpenError::Truncated) => "truncated",
            Self::Open(OpenError::Length) => "length",
            Self::Open(OpenError::Trailing) => "trailing",
        }
    }
}

impl Object {
    fn body(&self) -> Vec<u8> {
        let bytes = |piece: &Piece| match piece {
            Piece::Hex { hex } => hex::decode(hex).unwrap(),
            Piece::File { file, start, end } => fs::read(folder().join(file)).unwrap()[*start..*end].to_vec(),
        };
        self.body.iter().flat_map(bytes).collect()
    }

    fn metadata(&self) -> Result<Metadata, MetadataError> {
        let headers: Headers = self.metadata.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        Metadata::from_headers(&headers)?.ok_or(MetadataError::Missing("alg"))
    }

    /// The keys, as envelope or direct mode finds them.
    fn keys(&self, metadata: &Metadata) -> Result<ObjectKeys, Failure> {
        let WrappedDek { bytes, kek } = metadata.wrapped_dek();
        let dek = match &self.key {
            KeyOf::Dek { dek } => Dek::from_slice(&hex::decode(dek).unwrap()).ok_or(Failure::Metadata)?,
            KeyOf::Direct { master_keys, bucket, object_key } => {
                let (mode, key_name) = kek.split_once(':').ok_or(Failure::Metadata)?;
                let master_key: MasterKey = key(master_keys.get(key_name).ok_or(Failure::Metadata)?);
                let name = name(bucket, object_key);
                let dek = match mode {
                    "direct" if bytes.len() == SALT_LEN => Some(master_key.direct_dek(bytes, &name).unwrap()),
                    "direct-wrap" => master_key.unwrap(bytes, &name).unwrap(),
                    _ => None,
                };
                dek.ok_or(Failure::Metadata)?
            }
        };
        Ok(ObjectKeys::derive(&dek).unwrap())
    }

    /// Reads the object in windows of `step` bytes. `plain` has what was released, whatever the result.
    fn read(&self, step: usize, plain: &mut Vec<u8>) -> Result<(), Failure> {
        let metadata = self.metadata()?;
        let keys = self.keys(&metadata)?;
        let verified = metadata.verify(&keys)?;
        let mut opener = match &verified.parts {
            Some(parts) => Opener::multipart(Rc::new(keys), parts.plain_len()),
            None => Opener::new(Rc::new(keys), verified.plain_len),
        };
        for window in self.body().chunks(step) {
            opener.push(window, plain).map_err(Failure::Open)?;
        }
        opener.finish().map_err(Failure::Open)
    }
}

#[test]
fn every_object_reads_as_its_vector_says() {
    let objects: Vec<Object> = load("objects.json");
    assert!(objects.len() >= 288, "vectors are missing");
    for object in &objects {
        for step in [1, 31, 48, 65_584, usize::MAX] {
            // Byte by byte only where that is quick.
            if step == 1 && object.released.length > 70_000 {
                continue;
            }
            let mut plain = Vec::new();
            let result = object.read(step, &mut plain);
            let class = result.as_ref().map_or_else(Failure::class, |()| "ok");
            assert_eq!(class, object.expect, "{} in steps of {step}: {result:?}", object.name);
            let released = Released { length: plain.len(), sha256: hex::encode(Sha256::digest(&plain)) };
            assert_eq!(released, object.released, "{} in steps of {step}", object.name);
        }
    }
}

/// Gives the nonces that a vector's writer drew.
struct Nonces(Vec<u8>);

impl Entropy for Nonces {
    fn fill(&mut self, dest: &mut [u8]) -> Result<(), EntropyError> {
        if self.0.len() < dest.len() {
            return Err(EntropyError);
        }
        dest.copy_from_slice(&self.0.drain(..dest.len()).collect::<Vec<_>>());
        Ok(())
    }
}

#[test]
fn sealing_with_the_same_nonces_gives_the_same_bytes() {
    let objects: Vec<Object> = load("objects.json");
    let good: Vec<_> = objects.iter().filter(|object| object.expect == "ok").collect();
    assert!(good.len() >= 42);
    for object in good {
        let mut plain = Vec::new();
        object.read(usize::MAX, &mut plain).unwrap();
        let whole = plain.clone();
        let metadata = object.metadata().unwrap();
        let keys = Rc::new(object.keys(&metadata).unwrap());

        let mut sealed = Vec::new();
        let mut plain = plain.as_slice();
        for (part, len, nonces) in parts(&object.body()) {
            let (this, rest) = plain.split_at(len);
            let mut sealer = Sealer::new(Rc::clone(&keys), part, len as u64);
            let mut entropy = Nonces(nonces);
            sealer.push(&mut entropy, this, &mut sealed).unwrap();
            sealer.finish(&mut entropy, &mut sealed).unwrap();
            plain = rest;
        }
        assert!(sealed == object.body(), "{}", object.name);

        let attributes = metadata.verify(&keys).unwrap();
        if let Some(Checksum { algorithm, digest }) = &attributes.checksum {
            let mut state = checksum::Digest::new(*algorithm);
            state.update(&whole);
            assert_eq!(&state.finish(), digest, "{}", object.name);
        }
        let mut written = metadata::to_headers(&keys, metadata.wrapped_dek(), &attributes).unwrap();
        let mut stored: Vec<_> =
            object.metadata.iter().filter(|(name, _)| name.starts_with(metadata::PREFIX)).cloned().collect();
        written.sort();
        stored.sort();
        assert_eq!(written, stored, "{}", object.name);
    }
}

/// Part number, plaintext length and nonces of each part of a good body.
fn parts(mut body: &[u8]) -> Vec<(u16, usize, Vec<u8>)> {
    let mut parts: Vec<(u16, usize, Vec<u8>)> = Vec::new();
    while let Some(header) = body.first_chunk::<HEADER_LEN>() {
        let SegmentHeader { place, len, nonce, .. } = SegmentHeader::parse(header).unwrap();
        if place.index == 0 {
            parts.push((place.part, 0, Vec::new()));
        }
        let part = parts.last_mut().unwrap();
        part.1 += len as usize;
        part.2.extend_from_slice(&nonce);
        body = &body[HEADER_LEN + len as usize + TAG_LEN..];
    }
    parts
}

#[test]
fn keys_are_derived_as_the_vectors_say() {
    #[derive(Deserialize)]
    struct Keys {
        dek: Vec<Derived>,
        direct: Vec<Direct>,
        direct_wrap: Vec<DirectWrap>,
        checksum: Vec<Masked>,
    }
    #[derive(Deserialize)]
    struct Derived {
        dek: String,
        metadata_key: String,
    }
    #[derive(Deserialize)]
    struct Direct {
        master_key: String,
        salt: String,
        bucket: String,
        object_key: String,
        dek: String,
    }
    #[derive(Deserialize)]
    struct DirectWrap {
        master_key: String,
        bucket: String,
        object_key: String,
        dek: String,
        wrapped: String,
    }
    #[derive(Deserialize)]
    struct Masked {
        dek: String,
        algorithm: String,
        checksum: String,
        masked: String,
    }
    let keys: Keys = load("keys.json");
    assert!(!keys.dek.is_empty() && !keys.direct.is_empty() && !keys.direct_wrap.is_empty());
    assert_eq!(keys.checksum.len(), Algorithm::ALL.len());
    for vector in keys.dek {
        assert_eq!(ObjectKeys::derive(&key(&vector.dek)).unwrap().metadata, key(&vector.metadata_key));
    }
    for vector in keys.direct {
        let salt = hex::decode(&vector.salt).unwrap();
        let dek = key(&vector.master_key).direct_dek(&salt, &name(&vector.bucket, &vector.object_key)).unwrap();
        assert_eq!(dek, key(&vector.dek), "{}/{}", vector.bucket, vector.object_key);
    }
    for vector in keys.direct_wrap {
        let (name, dek) = (name(&vector.bucket, &vector.object_key), key(&vector.dek));
        let wrapped = hex::decode(&vector.wrapped).unwrap();
        let mut nonce = Nonces(wrapped[..12].to_vec());
        assert_eq!(key(&vector.master_key).wrap(&dek, &name, &mut nonce).unwrap(), wrapped, "{name:?}");
        assert_eq!(key(&vector.master_key).unwrap(&wrapped, &name).unwrap(), Some(dek), "{name:?}");
    }
    for vector in keys.checksum {
        let algorithm = Algorithm::from_name(&vector.algorithm).unwrap();
        let mut checksum = Checksum { algorithm, digest: hex::decode(&vector.checksum).unwrap() };
        ObjectKeys::derive(&key(&vector.dek)).unwrap().mask(&mut checksum).unwrap();
        assert_eq!(hex::encode(checksum.digest), vector.masked, "{algorithm:?}");
    }
}

#[test]
fn macs_are_as_the_vectors_say() {
    #[derive(Deserialize)]
    struct Vector {
        name: String,
        data_key: String,
        len: Option<String>,
        dek: String,
        kek: String,
        mac: String,
    }
    let vectors: Vec<Vector> = load("macs.json");
    assert!(!vectors.is_empty());
    for vector in vectors {
        let keys = ObjectKeys::derive(&key(&vector.data_key)).unwrap();
        let wrapped = WrappedDek::new(STANDARD.decode(&vector.dek).unwrap(), vector.kek.clone()).unwrap();
        let plain_len = vector.len.as_ref().map(|len| len.parse().unwrap());
        let attributes = Attributes { plain_len, ..Attributes::default() };
        let headers = metadata::to_headers(&keys, &wrapped, &attributes).unwrap();
        let mac = headers.into_iter().find(|(name, _)| name == "x-amz-meta-s3ep-mac").unwrap().1;
        assert_eq!(mac, vector.mac, "{}", vector.name);
    }
}

#[test]
fn lengths_are_as_the_vectors_say() {
    #[derive(Deserialize)]
    struct Layout {
        sealed_length: Vec<Pair>,
        impossible_body_lengths: Vec<u64>,
    }
    #[derive(Deserialize)]
    struct Pair {
        plaintext: u64,
        body: u64,
    }
    let layout: Layout = load("layout.json");
    assert!(!layout.sealed_length.is_empty() && !layout.impossible_body_lengths.is_empty());
    for Pair { plaintext, body } in layout.sealed_length {
        assert_eq!((sealed_len(plaintext), plain_len(body)), (Some(body), Some(plaintext)));
    }
    for body in layout.impossible_body_lengths {
        assert_eq!(plain_len(body), None, "{body}");
    }
}

#[test]
fn ciphertext_without_metadata_is_told_from_plaintext() {
    #[derive(Deserialize)]
    struct Vector {
        name: String,
        body: String,
        refused: bool,
    }
    let vectors: Vec<Vector> = load("unencrypted.json");
    assert!(vectors.iter().any(|vector| vector.refused) && vectors.iter().any(|vector| !vector.refused));
    for Vector { name, body, refused } in vectors {
        let body = hex::decode(body).unwrap();
        let header = body.first_chunk::<HEADER_LEN>().map(SegmentHeader::parse);
        let is_first = matches!(header, Some(Ok(header)) if header.place == Place::FIRST);
        assert_eq!(is_first, refused, "{name}");
    }
}

#[test]
fn upload_ids_are_ours_where_the_vectors_say_so() {
    #[derive(Deserialize)]
    struct Vector {
        name: String,
        data_key: String,
        upload_id: String,
        upstream: String,
        kek: String,
        dek: String,
        holds: bool,
    }
    let vectors: Vec<Vector> = load("uploads.json");
    assert!(vectors.iter().any(|vector| vector.holds) && vectors.iter().any(|vector| !vector.holds));
    for vector in vectors {
        let keys = ObjectKeys::derive(&key(&vector.data_key)).unwrap();
        let UploadId { upstream, token } = UploadId::parse(&vector.upload_id);
        let authentic = token.filter(|token| token.verify(&upstream, &keys).is_ok());
        assert_eq!(authentic.is_some(), vector.holds, "{}", vector.name);
        let Some(token) = authentic else { continue };
        let said = WrappedDek::new(STANDARD.decode(&vector.dek).unwrap(), vector.kek).unwrap();
        assert_eq!((&upstream, &token.wrapped_dek), (&vector.upstream, &said), "{}", vector.name);
        let suffix = Token::suffix(&upstream, &said, &keys).unwrap();
        assert_eq!(upstream + &suffix, vector.upload_id, "{}", vector.name);
    }
}
