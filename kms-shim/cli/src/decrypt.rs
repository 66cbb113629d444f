//! `s3ep decrypt`: an object's plaintext, without Envoy.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::Args;
use tempfile::NamedTempFile;

use crate::keyring::KeyArgs;
use crate::object_url::ObjectUrl;
use crate::sealed::{Files, Sealed, Unlocked};
use crate::store::{Store, StoreArgs};

/// What is to be decrypted, and where to.
#[derive(Debug, Args)]
pub struct Decrypt {
    /// The object, s3://bucket/object_key. Its DEK is bound to this name
    object: ObjectUrl,
    /// Version of the object [default: the current one]
    #[arg(long, value_name = "ID", conflicts_with = "file")]
    version_id: Option<String>,
    #[command(flatten)]
    files: Files,
    /// File to write, with mode 0600. It appears when all of the object has been checked [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    keys: KeyArgs,
    #[command(flatten)]
    store: StoreArgs,
}

impl Decrypt {
    /// Decrypts it.
    pub fn run(self) -> Result<()> {
        let Self { object: ObjectUrl(name), version_id, files, out, keys, store } = self;
        let keyring = keys.require()?;
        let sealed = match files.open()? {
            Some(sealed) => sealed,
            None => Store::open(store)?.get(&name, version_id.as_deref())?,
        };
        let metadata = sealed.metadata()?.context("the object is not encrypted")?;
        let unlocked = Unlocked::new(&metadata, &name, &keyring)?;
        match out {
            Some(file) => write_whole(&file, |sink| sealed.open(&unlocked, sink)).map(drop),
            None => to_standard_output(sealed, &unlocked),
        }
    }
}

fn to_standard_output(sealed: Sealed, unlocked: &Unlocked) -> Result<()> {
    let mut out = io::stdout().lock();
    sealed.open(unlocked, &mut out)?;
    Ok(out.flush()?)
}

/// Writes a file that appears under its name only if `write` succeeds, in the place of one that was there.
fn write_whole<T>(file: &Path, write: impl FnOnce(&mut dyn Write) -> Result<T>) -> Result<T> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let at = || file.display().to_string();
    let mut new = NamedTempFile::new_in(folder).with_context(at)?;
    let written = write(&mut new)?;
    new.as_file().sync_all().with_context(at)?;
    new.persist(file).with_context(at)?;
    Ok(written)
}
