//! What `rewrap` and `encrypt-bucket` have in common: objects are written again under their names, one after the other, and
//! what a run has done already the next one skips.

use std::io::{self, Write as _};
use std::process::ExitCode;

use anyhow::{Context as _, Error, Result};
use s3ep_core::format::metadata::PREFIX;
use s3ep_core::http::Headers;
use s3ep_core::s3::copy_source::is_carried_over;

use crate::store::{Listed, Refused, Written};
use crate::walk::Progress;

/// What a write must repeat besides, for the object to stay what it is.
const KEPT: [&str; 8] = [
    "x-amz-object-lock-legal-hold",
    "x-amz-object-lock-mode",
    "x-amz-object-lock-retain-until-date",
    "x-amz-server-side-encryption",
    "x-amz-server-side-encryption-aws-kms-key-id",
    "x-amz-server-side-encryption-bucket-key-enabled",
    "x-amz-storage-class",
    "x-amz-website-redirect-location",
];

/// The headers of an object that are to be given to the object in its place: all but S3EP's own metadata.
pub fn kept(headers: &Headers) -> Result<Vec<(String, String)>> {
    let is_kept = |name: &str| (is_carried_over(name) && !name.starts_with(PREFIX)) || KEPT.contains(&name);
    let text = |(name, value): (&str, &[u8])| {
        let value = str::from_utf8(value).with_context(|| format!("{name} is not UTF-8"))?;
        Ok((name.to_owned(), value.to_owned()))
    };
    headers.iter().filter(|(name, _)| is_kept(name)).map(text).collect()
}

/// What came of an object.
#[derive(Debug)]
pub enum Outcome {
    /// It was written, or would have been.
    Written,
    /// The same, and the store keeps what was there before as an older version.
    WrittenAbove,
    /// Nothing is to be done.
    Current,
    /// It is not encrypted, and that is not the question here.
    Unencrypted,
    /// It was deleted since it was listed.
    Gone,
    /// Somebody else wrote it in the meantime.
    Changed,
    /// It is as it was.
    Failed(Error),
}

/// An object is not the one any more that it was when it was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it was written meanwhile")]
pub struct Changed;

impl From<Result<Self>> for Outcome {
    fn from(result: Result<Self>) -> Self {
        result.unwrap_or_else(|error| match error.downcast_ref::<Refused>().map(|refused| refused.status) {
            Some(404) => Self::Gone,
            Some(409 | 412) => Self::Changed,
            None if error.is::<Changed>() => Self::Changed,
            _ => Self::Failed(error),
        })
    }
}

impl From<Written> for Outcome {
    fn from(written: Written) -> Self {
        if written.is_versioned { Self::WrittenAbove } else { Self::Written }
    }
}

/// How many objects there are of each kind.
#[derive(Debug)]
pub struct Report {
    /// What is done to objects: `rewrapped`, say.
    done: &'static str,
    is_dry_run: bool,
    written: u64,
    /// Body bytes of those.
    bytes: u64,
    above: u64,
    current: u64,
    unencrypted: u64,
    gone: u64,
    changed: u64,
    failed: u64,
}

impl Report {
    /// Of nothing yet.
    pub fn new(done: &'static str, is_dry_run: bool) -> Self {
        Self {
            done,
            is_dry_run,
            written: 0,
            bytes: 0,
            above: 0,
            current: 0,
            unencrypted: 0,
            gone: 0,
            changed: 0,
            failed: 0,
        }
    }

    /// Counts an object, and says so where somebody has to know.
    pub fn note(&mut self, Listed { name, len }: &Listed, outcome: Outcome, progress: &Progress) {
        progress.advance(*len);
        let count = match outcome {
            Outcome::Written | Outcome::WrittenAbove => {
                self.bytes += len;
                self.above += u64::from(matches!(outcome, Outcome::WrittenAbove));
                if self.is_dry_run {
                    progress.tell("would be", name, self.done);
                }
                &mut self.written
            }
            Outcome::Current => &mut self.current,
            Outcome::Gone => {
                progress.tell("deleted", name, "");
                &mut self.gone
            }
            Outcome::Unencrypted => {
                progress.tell("unencrypted", name, "");
                &mut self.unencrypted
            }
            Outcome::Changed => {
                progress.tell("changed", name, "it was written meanwhile; run this again");
                &mut self.changed
            }
            Outcome::Failed(error) => {
                progress.tell("failed", name, &format!("{error:#}"));
                &mut self.failed
            }
        };
        *count += 1;
    }

    /// Prints the counts. Gives a failure unless all was done.
    pub fn print(&self) -> Result<ExitCode> {
        let Self { done, written, bytes, above, current, unencrypted, gone, changed, failed, .. } = self;
        let were = if self.is_dry_run { "would be" } else { "were" };
        let mut out = io::stdout().lock();
        writeln!(out, "{written} objects {were} {done}, of {bytes} bytes in the bucket; {current} are so already")?;
        writeln!(out, "{failed} failed, {changed} were written meanwhile, {gone} were deleted meanwhile")?;
        if *unencrypted > 0 {
            writeln!(out, "{unencrypted} are not encrypted, and were left alone")?;
        }
        if *above > 0 {
            writeln!(out, "{above} have older versions, which are as they were: only current versions are {done}")?;
        }
        Ok(if *failed == 0 && *changed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_describes_an_object_is_kept_but_our_own() {
        let headers = [
            ("content-type", "text/plain"),
            ("x-amz-meta-mine", "1"),
            ("x-amz-meta-s3ep-dek", "AQ=="),
            ("x-amz-storage-class", "STANDARD_IA"),
            ("content-length", "3"),
            ("etag", "e"),
            ("x-amz-version-id", "v"),
        ];
        let kept = kept(&headers.into_iter().collect()).unwrap();
        let names: Vec<_> = kept.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["content-type", "x-amz-meta-mine", "x-amz-storage-class"]);
    }

    #[test]
    fn an_answer_says_what_came_of_an_object() {
        let of = |status| Outcome::from(Err(Refused { status, code: String::new(), message: String::new() }.into()));
        assert!(matches!(of(404), Outcome::Gone));
        assert!(matches!((of(412), of(409)), (Outcome::Changed, Outcome::Changed)));
        assert!(matches!(of(403), Outcome::Failed(_)));
    }
}
