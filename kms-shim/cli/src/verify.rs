//! `s3ep verify`: whether what a bucket holds is what was put there.

use std::io::{self, Write as _};
use std::process::ExitCode;

use anyhow::{Error, Result};
use clap::Args;

use crate::failure::is_integrity;
use crate::keyring::{KeyArgs, Keyring};
use crate::sealed::Unlocked;
use crate::store::{Listed, Store, StoreArgs, is_gone};
use crate::walk::{Progress, WalkArgs};

/// What is to be verified.
#[derive(Debug, Args)]
pub struct Verify {
    #[command(flatten)]
    walk: WalkArgs,
    /// An object that is not encrypted is wrong, too
    #[arg(long)]
    refuse_unencrypted: bool,
    #[command(flatten)]
    keys: KeyArgs,
    #[command(flatten)]
    store: StoreArgs,
}

/// What came of an object.
enum Verdict {
    /// All of it is authentic: so many bytes of plaintext.
    Authentic(u64),
    Unencrypted,
    /// It was deleted since it was listed.
    Gone,
    /// It is not what was stored.
    Wrong(Error),
    /// It could not be looked at.
    Unchecked(Error),
}

/// How many objects there are of each kind.
#[derive(Debug, Default)]
struct Report {
    authentic: u64,
    plain_len: u64,
    unencrypted: u64,
    gone: u64,
    wrong: u64,
    unchecked: u64,
}

impl Verify {
    /// Verifies all of it, prints what is not authentic, and at the end how much there is. Fails unless all is.
    pub fn run(self) -> Result<ExitCode> {
        let (keyring, store) = (self.keys.require()?, Store::open(self.store)?);
        let mut report = Report::default();
        let walked = self.walk.walk(
            &store,
            |object, progress| verify(&store, &keyring, object, progress),
            |object, verdict, progress| report.note(&object, verdict, progress),
        );
        report.print()?;
        walked?;
        let is_right =
            report.wrong == 0 && report.unchecked == 0 && !(self.refuse_unencrypted && report.unencrypted > 0);
        Ok(if is_right { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn verify(store: &Store, keyring: &Keyring, object: &Listed, progress: &Progress) -> Verdict {
    match open(store, keyring, object, progress) {
        Ok(Some(plain_len)) => Verdict::Authentic(plain_len),
        Ok(None) => Verdict::Unencrypted,
        Err(error) if is_gone(&error) => Verdict::Gone,
        Err(error) if is_integrity(&error) => Verdict::Wrong(error),
        Err(error) => Verdict::Unchecked(error),
    }
}

/// The plaintext's length in bytes. None: the object is not encrypted.
fn open(store: &Store, keyring: &Keyring, object: &Listed, progress: &Progress) -> Result<Option<u64>> {
    let mut sealed = store.get(&object.name, None)?;
    let Some(metadata) = sealed.metadata()? else {
        sealed.check_unencrypted()?;
        return Ok(None);
    };
    let unlocked = Unlocked::new(&metadata, &object.name, keyring)?;
    sealed.body = progress.watch(sealed.body);
    sealed.open(&unlocked, &mut io::sink()).map(Some)
}

impl Report {
    fn note(&mut self, Listed { name, len }: &Listed, verdict: Verdict, progress: &Progress) {
        match verdict {
            Verdict::Authentic(plain_len) => {
                self.authentic += 1;
                self.plain_len += plain_len;
            }
            Verdict::Unencrypted => {
                self.unencrypted += 1;
                progress.advance(*len);
                progress.tell("unencrypted", name, "");
            }
            Verdict::Gone => {
                self.gone += 1;
                progress.tell("deleted", name, "");
            }
            Verdict::Wrong(error) => {
                self.wrong += 1;
                progress.tell("wrong", name, &format!("{error:#}"));
            }
            Verdict::Unchecked(error) => {
                self.unchecked += 1;
                progress.tell("unchecked", name, &format!("{error:#}"));
            }
        }
    }

    fn print(&self) -> io::Result<()> {
        let Self { authentic, plain_len, unencrypted, gone, wrong, unchecked } = self;
        let mut out = io::stdout().lock();
        writeln!(out, "{authentic} objects are authentic, of {plain_len} bytes of plaintext")?;
        writeln!(out, "{wrong} are wrong, {unchecked} could not be checked")?;
        writeln!(out, "{unencrypted} are not encrypted, {gone} were deleted meanwhile")
    }
}
