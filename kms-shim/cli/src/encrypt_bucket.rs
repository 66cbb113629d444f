//! `s3ep encrypt-bucket`: brings in the plaintext that a bucket holds. Each object is sealed and put back under its name.
//!
//! The body is sealed as one part whose length is in the metadata, also where it goes to the store in several: readers
//! cannot tell, and nothing at its end can be dropped (FORMAT.md sections 1 and 7).

use std::io::Read as _;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Args;
use getrandom::SysRng;
use s3ep_core::format::layout::{SEALED_SEGMENT, sealed_len};
use s3ep_core::format::metadata::{self, Attributes, Metadata};
use s3ep_core::format::segment::MAX_PART;
use s3ep_core::http::Headers;
use s3ep_core::keys::ObjectName;
use s3ep_core::seal::Sealer;
use zeroize::Zeroizing;

use crate::failure::Failed as _;
use crate::keyring::{KeyArgs, Keyring};
use crate::moving::{Changed, Outcome, Report, kept};
use crate::sealed::Sealed;
use crate::store::{Head, Store, StoreArgs, Written};
use crate::walk::WalkArgs;

/// Body bytes that go to the store at once, and that a thread holds in memory. Larger objects are uploaded in such parts.
/// Of whole segments, so that a store's list of parts makes sense.
const PART: u64 = 256 * SEALED_SEGMENT;
/// Plaintext bytes that are read at a time.
const WINDOW: usize = 256 << 10;
/// The number of the only part of an object that is sealed as one (FORMAT.md section 1).
const ONLY_PART: u16 = 1;

/// What is to be encrypted.
#[derive(Debug, Args)]
pub struct EncryptBucket {
    #[command(flatten)]
    walk: WalkArgs,
    /// Change nothing: say what would be encrypted
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    keys: KeyArgs,
    #[command(flatten)]
    store: StoreArgs,
}

/// What all threads need.
struct Encrypting {
    store: Store,
    keyring: Keyring,
    is_dry_run: bool,
}

impl EncryptBucket {
    /// Encrypts all of it. Fails unless everything is encrypted then.
    pub fn run(self) -> Result<ExitCode> {
        let Self { walk, dry_run: is_dry_run, keys, store } = self;
        let encrypting = Encrypting { keyring: keys.require()?, store: Store::open(store)?, is_dry_run };
        let mut report = Report::new("encrypted", is_dry_run);
        let walked = walk.walk(
            &encrypting.store,
            |object, _| Outcome::from(encrypting.encrypt(&object.name)),
            |object, outcome, progress| report.note(&object, outcome, progress),
        );
        let code = report.print()?;
        walked.map(|()| code)
    }
}

impl Encrypting {
    fn encrypt(&self, name: &ObjectName) -> Result<Outcome> {
        let head = self.store.head(name)?;
        if Metadata::from_headers(&head.headers).plainly()?.is_some() {
            return Ok(Outcome::Current);
        }
        let mut plain = self.store.get(name, None)?;
        ensure_unchanged(&head, &plain.headers)?;
        plain.check_unencrypted()?;
        if self.is_dry_run {
            return Ok(Outcome::Written);
        }
        Ok(self.seal(name, &head, plain)?.into())
    }

    fn seal(&self, name: &ObjectName, head: &Head, plain: Sealed) -> Result<Written> {
        let (keys, wrapped) = self.keyring.new_keys(name)?;
        let attributes = Attributes { plain_len: Some(head.len), ..Attributes::default() };
        let mut headers = kept(&head.headers)?;
        headers.extend(self.store.tags(name, &head.headers)?.map(|tags| ("x-amz-tagging".to_owned(), tags)));
        headers.extend(metadata::to_headers(&keys, &wrapped, &attributes)?);
        let body_len = sealed_len(head.len).context("it is larger than objects can be")?;
        let mut sealing =
            Sealing { plain, sealer: Sealer::new(keys, ONLY_PART, head.len), sealed: Vec::new(), is_over: false };
        if body_len <= PART {
            let body = sealing.next(body_len)?;
            self.check_unchanged(name, head)?;
            return self.store.put(name, &head.etag, headers, &body);
        }
        let part_len = PART.max(body_len.div_ceil(MAX_PART.into()).next_multiple_of(SEALED_SEGMENT));
        let mut upload = self.store.upload(name, headers)?;
        let mut sent = 0;
        while sent < body_len {
            let part = sealing.next(part_len)?;
            upload.part(&part)?;
            sent += part.len() as u64;
        }
        self.check_unchanged(name, head)?;
        upload.complete(&head.etag)
    }

    /// Not every store knows conditional writes. With one that does not, what somebody writes between this look and the
    /// write that follows is lost.
    fn check_unchanged(&self, name: &ObjectName, head: &Head) -> Result<()> {
        ensure_unchanged(head, &self.store.head(name)?.headers)
    }
}

fn ensure_unchanged(head: &Head, headers: &Headers) -> Result<()> {
    let is_same = headers.text("etag").ok().flatten() == Some(&*head.etag);
    if is_same { Ok(()) } else { Err(Changed.into()) }
}

/// A body that is sealed as it is read.
struct Sealing {
    plain: Sealed,
    sealer: Sealer,
    /// What was sealed and not taken yet.
    sealed: Vec<u8>,
    is_over: bool,
}

impl Sealing {
    /// The next `len` bytes of the body; fewer at its end.
    fn next(&mut self, len: u64) -> Result<Vec<u8>> {
        let len = usize::try_from(len)?;
        let mut window = Zeroizing::new(vec![0; WINDOW]);
        while self.sealed.len() < len && !self.is_over {
            let read = self.plain.body.read(&mut window).context("the plaintext breaks off")?;
            self.sealer.push(&mut SysRng, window.get(..read).unwrap_or_default(), &mut self.sealed).plainly()?;
            if read == 0 {
                self.sealer.finish(&mut SysRng, &mut self.sealed).plainly()?;
                self.is_over = true;
            }
        }
        let rest = self.sealed.split_off(len.min(self.sealed.len()));
        Ok(std::mem::replace(&mut self.sealed, rest))
    }
}
