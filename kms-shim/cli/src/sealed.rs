//! A stored object, wherever it comes from, and how it is opened.

use std::fs::File;
use std::io::{self, Cursor, Read, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use anyhow::{Context as _, Result};
use clap::Args;
use s3ep_core::error::IntegrityError;
use s3ep_core::exchange::stated_layout;
use s3ep_core::format::layout::Layout;
use s3ep_core::format::metadata::{Attributes, Metadata};
use s3ep_core::format::segment::{HEADER_LEN, Place, SegmentHeader};
use s3ep_core::http::Headers;
use s3ep_core::keys::{ObjectKeys, ObjectName};
use s3ep_core::open::Opener;
use zeroize::Zeroizing;

use crate::failure::Failed as _;
use crate::keyring::Keyring;
use crate::stated;

/// Bytes that are read from an object at a time.
const WINDOW: usize = 256 << 10;

/// The object lies in files, not in a bucket.
#[derive(Debug, Args)]
pub struct Files {
    /// File with the object's body, as it lies in the bucket [default: it is read from the bucket]
    #[arg(long, value_name = "FILE", requires = "metadata")]
    file: Option<PathBuf>,
    /// File with its metadata: what `aws s3api head-object` prints, or lines of name=value
    #[arg(long, value_name = "FILE", requires = "file")]
    metadata: Option<PathBuf>,
}

impl Files {
    /// Opens them, if there are any.
    pub fn open(&self) -> Result<Option<Sealed>> {
        let (Some(file), Some(metadata)) = (&self.file, &self.metadata) else { return Ok(None) };
        let body = File::open(file).with_context(|| file.display().to_string())?;
        let len = Some(body.metadata()?.len());
        let headers = read_metadata(metadata).with_context(|| metadata.display().to_string())?;
        Ok(Some(Sealed { headers, len, body: Box::new(body) }))
    }
}

fn read_metadata(file: &Path) -> Result<Headers> {
    stated::parse(&std::fs::read_to_string(file)?)
}

/// A stored object, its body not read yet.
pub struct Sealed {
    /// Its headers; of a file's, the user metadata.
    pub headers: Headers,
    /// The body's length in bytes, if it is known.
    pub len: Option<u64>,
    /// The body.
    pub body: Box<dyn Read>,
}

/// What there is to know of an object before its body is read, authenticated.
pub struct Unlocked {
    /// Its keys.
    pub keys: Rc<ObjectKeys>,
    /// What its metadata says.
    pub attributes: Attributes,
}

impl Unlocked {
    /// Unwraps the DEK and checks the MAC (FORMAT 4.3).
    pub fn new(metadata: &Metadata, name: &ObjectName, keyring: &Keyring) -> Result<Self> {
        let keys = keyring.keys(metadata.wrapped_dek(), name)?;
        let attributes = metadata.verify(&keys).plainly()?;
        Ok(Self { keys, attributes })
    }

    /// Where the parts lie, if the metadata says so. A body of `len` bytes, if that is known, must fit (FORMAT 6.7).
    pub fn layout(&self, len: Option<u64>) -> Result<Option<Layout>> {
        Ok(stated_layout(&self.attributes, len)?)
    }

    /// Begins with a body of `len` bytes, if that is known.
    fn opener(&self, len: Option<u64>) -> Result<Opener> {
        let keys = Rc::clone(&self.keys);
        Ok(match (self.attributes.plain_len, self.layout(len)?) {
            (Some(plain_len), _) => Opener::new(keys, Some(plain_len)),
            (None, Some(layout)) => Opener::multipart(keys, layout.plain_len()),
            (None, None) => Opener::new(keys, None),
        })
    }
}

impl Sealed {
    /// The object's metadata. None: it is not encrypted.
    pub fn metadata(&self) -> Result<Option<Metadata>> {
        Metadata::from_headers(&self.headers).plainly()
    }

    /// Fails if the body of this object, which has no metadata, is ciphertext whose metadata was lost (FORMAT.md section 7).
    pub fn check_unencrypted(&mut self) -> Result<()> {
        let mut first = Vec::new();
        (&mut self.body).take(HEADER_LEN as u64).read_to_end(&mut first)?;
        match first.first_chunk().map(SegmentHeader::parse) {
            Some(Ok(header)) if header.place == Place::FIRST => return Err(IntegrityError::MetadataLost.into()),
            _ => {}
        }
        let rest = std::mem::replace(&mut self.body, Box::new(io::empty()));
        self.body = Box::new(Cursor::new(first).chain(rest));
        Ok(())
    }

    /// Writes the plaintext to `sink`, each segment once its tag has been checked. Returns the plaintext's length in
    /// bytes. On an error, what was written is an authentic beginning of it.
    pub fn open(mut self, unlocked: &Unlocked, sink: &mut dyn Write) -> Result<u64> {
        let mut opener = unlocked.opener(self.len)?;
        let mut window = vec![0; WINDOW];
        let mut plain = Zeroizing::new(Vec::with_capacity(WINDOW));
        let mut plain_len = 0;
        loop {
            let read = self.body.read(&mut window).context("the body breaks off")?;
            let pushed = opener.push(window.get(..read).unwrap_or_default(), &mut plain);
            sink.write_all(&plain)?;
            plain_len += plain.len() as u64;
            plain.clear();
            pushed.plainly()?;
            if read == 0 {
                opener.finish().plainly()?;
                return Ok(plain_len);
            }
        }
    }
}
