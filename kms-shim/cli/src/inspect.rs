//! `s3ep inspect`: what an object says of itself. Without a key, nothing of it is authenticated.

use std::collections::BTreeMap;
use std::io::{self, Read as _, Write as _};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use s3ep_core::format::layout::{self, Layout};
use s3ep_core::format::metadata::{Metadata, PREFIX};
use s3ep_core::format::segment::{HEADER_LEN, SegmentHeader};
use s3ep_core::http::{Headers, parse_length};
use s3ep_core::keys::ObjectName;

use crate::keyring::{KeyArgs, Keyring};
use crate::object_url::ObjectUrl;
use crate::sealed::{Files, Sealed, Unlocked};
use crate::store::{Store, StoreArgs};

/// What is to be looked at.
#[derive(Debug, Args)]
pub struct Inspect {
    /// The object, s3://bucket/object_key. For one in files, keys want it
    #[arg(required_unless_present = "file")]
    object: Option<ObjectUrl>,
    /// Version of the object [default: the current one]
    #[arg(long, value_name = "ID", conflicts_with = "file")]
    version_id: Option<String>,
    #[command(flatten)]
    files: Files,
    #[command(flatten)]
    keys: KeyArgs,
    #[command(flatten)]
    store: StoreArgs,
}

impl Inspect {
    /// Prints it. Fails if it is no object of S3EP's, or if there are keys and it is not authentic under them.
    pub fn run(self) -> Result<()> {
        let Self { object, version_id, files, keys, store } = self;
        let keyring = keys.open()?;
        let name = object.map(|ObjectUrl(name)| name);
        let mut seen = match (files.open()?, &name) {
            (Some(sealed), _) => Seen::new(sealed)?,
            (None, Some(name)) => Seen::in_bucket(&Store::open(store)?, name, version_id.as_deref())?,
            (None, None) => bail!("no object is named"),
        };
        seen.print()?;
        let verdict = match (&keyring, &name) {
            (Some(keyring), Some(name)) => seen.check(name, keyring)?,
            (Some(_), None) => "not checked: the object is not named",
            (None, _) => "not checked: no key is given",
        };
        Ok(writeln!(io::stdout(), "mac: {verdict}")?)
    }
}

/// An encrypted object that is looked at.
struct Seen {
    metadata: Metadata,
    sealed: Sealed,
    /// Where its parts lie, if that was found out.
    layout: Option<Layout>,
}

impl Seen {
    fn new(sealed: Sealed) -> Result<Self> {
        let metadata = sealed.metadata()?.context("the object is not encrypted")?;
        let layout = stated_layout(&sealed.headers);
        Ok(Self { metadata, sealed, layout })
    }

    fn in_bucket(store: &Store, name: &ObjectName, version_id: Option<&str>) -> Result<Self> {
        let mut seen = Self::new(store.get(name, version_id)?)?;
        if seen.metadata.is_multipart() {
            seen.layout = Some(store.survey(name, version_id, &seen.sealed.headers)?);
        }
        Ok(seen)
    }

    fn print(&mut self) -> Result<()> {
        let mut out = io::stdout().lock();
        let ours = |(name, value): (&str, &[u8])| Some((name.strip_prefix(PREFIX)?.to_owned(), value.to_owned()));
        for (name, value) in self.sealed.headers.iter().filter_map(ours).collect::<BTreeMap<_, _>>() {
            writeln!(out, "{name}: {}", String::from_utf8_lossy(&value))?;
        }
        let len = self.sealed.len.context("the body's length is not known")?;
        writeln!(out, "body: {len} bytes")?;
        match (&self.layout, layout::plain_len(len)) {
            (Some(layout), _) if layout.sealed_len() != len => {
                bail!("the metadata is of a body of {} bytes", layout.sealed_len())
            }
            (Some(layout), _) => writeln!(out, "plaintext: {} bytes, in {} parts", layout.plain_len(), layout.parts())?,
            (None, Some(plain)) => {
                writeln!(out, "plaintext: {plain} bytes, if all parts but the last are of whole segments")?
            }
            (None, None) => {}
        }
        if let Some(first) = self.first_segment(len)? {
            writeln!(out, "first segment: part {}, {} bytes", first.place.part, first.len)?;
        }
        Ok(())
    }

    fn first_segment(&mut self, len: u64) -> Result<Option<SegmentHeader>> {
        if len == 0 {
            return Ok(None);
        }
        let mut header = [0; HEADER_LEN];
        self.sealed.body.read_exact(&mut header).context("the first segment's header")?;
        Ok(Some(SegmentHeader::parse(&header)?))
    }

    fn check(&self, name: &ObjectName, keyring: &Keyring) -> Result<&'static str> {
        Unlocked::new(&self.metadata, name, keyring)?.layout(self.sealed.len)?;
        Ok("authentic")
    }
}

/// Where the parts lie, as the metadata says. None: it does not.
fn stated_layout(headers: &Headers) -> Option<Layout> {
    let field = |name| headers.text(&format!("{PREFIX}{name}")).ok().flatten();
    let single = field("len").and_then(parse_length).and_then(Layout::single);
    single.or_else(|| field("parts").and_then(Layout::parse))
}
