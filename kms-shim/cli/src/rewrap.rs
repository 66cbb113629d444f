//! `s3ep rewrap`: DEKs of a bucket's objects from one KEK to another. The ciphertext stays where it is.

use std::num::NonZeroU64;
use std::process::ExitCode;

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use s3ep_core::format::layout::SEALED_SEGMENT;
use s3ep_core::format::metadata::{self, Attributes, Metadata};
use s3ep_core::keys::ObjectName;
use s3ep_core::s3::range::Span;

use crate::failure::Failed as _;
use crate::keyring::{KeyArgs, Keyring};
use crate::moving::{Outcome, Report, kept};
use crate::sealed::Unlocked;
use crate::store::{Head, Store, StoreArgs, Written};
use crate::walk::WalkArgs;

/// The most bytes that a CopyObject copies, on AWS.
const MAX_COPY: &str = "5368709120";
/// Bytes of a part of a larger object: whole segments, so that a store's list of parts makes sense.
const COPIED_PART: u64 = (16 << 10) * SEALED_SEGMENT;

/// What is to be rewrapped.
#[derive(Debug, Args)]
pub struct Rewrap {
    #[command(flatten)]
    walk: WalkArgs,
    /// Change nothing: say what would be done, once every DEK has been unwrapped and wrapped
    #[arg(long)]
    dry_run: bool,
    /// Wrap again what the first KEK wrapped, too: after a key was added to a keyset, say. Such a run cannot be resumed
    #[arg(long)]
    again: bool,
    /// Copy objects with larger bodies by UploadPartCopy: the most that the store copies at once
    #[arg(long, value_name = "BYTES", default_value = MAX_COPY)]
    max_copy_bytes: NonZeroU64,
    #[command(flatten)]
    keys: KeyArgs,
    #[command(flatten)]
    store: StoreArgs,
}

/// What all threads need.
struct Rewrapping {
    store: Store,
    keyring: Keyring,
    is_dry_run: bool,
    is_again: bool,
    max_copy: u64,
}

impl Rewrap {
    /// Rewraps all of it. Fails unless everything that is encrypted has the first KEK then.
    pub fn run(self) -> Result<ExitCode> {
        let Self { walk, dry_run: is_dry_run, again: is_again, max_copy_bytes, keys, store } = self;
        let (keyring, store) = (keys.require()?, Store::open(store)?);
        let rewrapping = Rewrapping { store, keyring, is_dry_run, is_again, max_copy: max_copy_bytes.get() };
        let mut report = Report::new("rewrapped", is_dry_run);
        let walked = walk.walk(
            &rewrapping.store,
            |object, _| Outcome::from(rewrapping.rewrap(&object.name)),
            |object, outcome, progress| report.note(&object, outcome, progress),
        );
        let code = report.print()?;
        walked.map(|()| code)
    }
}

impl Rewrapping {
    fn rewrap(&self, name: &ObjectName) -> Result<Outcome> {
        let head = self.store.head(name)?;
        let Some(metadata) = Metadata::from_headers(&head.headers).plainly()? else { return Ok(Outcome::Unencrypted) };
        if !self.is_again && self.keyring.is_current(&metadata.wrapped_dek().kek) {
            return Ok(Outcome::Current);
        }
        let unlocked = Unlocked::new(&metadata, name, &self.keyring)?;
        let attributes = self.attributes(name, &head, &metadata, &unlocked)?;
        let wrapped = self.keyring.wrap(&unlocked.keys.dek, name)?;
        if self.is_dry_run {
            return Ok(Outcome::Written);
        }
        let mut headers = kept(&head.headers)?;
        headers.extend(metadata::to_headers(&unlocked.keys, &wrapped, &attributes)?);
        let written = match head.len <= self.max_copy {
            true => self.store.replace_headers(name, &head.etag, headers)?,
            false => self.copy_by_parts(name, &head, headers)?,
        };
        Ok(written.into())
    }

    /// What the metadata will say. The copy of a multipart object is one part to the store, or other parts than it was: where
    /// they lay must be known from the metadata (FORMAT 3.5).
    fn attributes(
        &self,
        name: &ObjectName,
        head: &Head,
        metadata: &Metadata,
        unlocked: &Unlocked,
    ) -> Result<Attributes> {
        unlocked.layout(Some(head.len))?;
        let mut attributes = unlocked.attributes.clone();
        if metadata.is_multipart() {
            let layout = self.store.survey(name, None, &head.headers)?;
            ensure!(layout.to_string().len() <= metadata::MAX_PARTS, "its parts are of too many different lengths");
            attributes.parts = Some(layout);
        }
        Ok(attributes)
    }

    fn copy_by_parts(&self, name: &ObjectName, head: &Head, mut headers: Vec<(String, String)>) -> Result<Written> {
        let tags = self.store.tags(name, &head.headers)?;
        headers.extend(tags.map(|tags| ("x-amz-tagging".to_owned(), tags)));
        let part_len = self.max_copy.min(COPIED_PART);
        let mut upload = self.store.upload(name, headers)?;
        let mut start = 0;
        while start < head.len {
            let end = (start + part_len).min(head.len);
            upload.copied_part(&head.etag, Span::new(start, end - 1).context("an impossible range")?)?;
            start = end;
        }
        upload.complete(&head.etag)
    }
}
