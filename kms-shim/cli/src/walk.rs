//! A walk through a bucket: some objects at a time, with a progress bar on a terminal.

use std::io::{self, Read, Write as _};
use std::num::NonZeroUsize;
use std::sync::mpsc::{self, Receiver, Sender, SyncSender};
use std::sync::{Mutex, PoisonError};
use std::thread;

use anyhow::{Result, anyhow};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use s3ep_core::keys::ObjectName;

use crate::object_url::BucketUrl;
use crate::store::{Listed, Store};

/// What is walked through, and how.
#[derive(Debug, Args)]
pub struct WalkArgs {
    /// Bucket, or what begins with a prefix in it: s3://bucket[/prefix]
    bucket: BucketUrl,
    /// Objects under way at a time
    #[arg(long, value_name = "N", default_value = "8")]
    concurrency: NonZeroUsize,
}

/// The walk's progress bar, in bytes. It shows on a terminal alone.
#[derive(Clone)]
pub struct Progress(ProgressBar);

impl Progress {
    fn start() -> Self {
        let template = "{elapsed} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {msg}";
        let bar = ProgressBar::new(0);
        Self(ProgressStyle::with_template(template).map(|style| bar.clone().with_style(style)).unwrap_or(bar))
    }

    /// So many bytes more are done.
    pub fn advance(&self, bytes: u64) {
        self.0.inc(bytes);
    }

    /// The reader, what is read from it being done.
    pub fn watch(&self, reader: Box<dyn Read>) -> Box<dyn Read> {
        Box::new(self.0.wrap_read(reader))
    }

    /// Prints a line about an object on standard output.
    pub fn tell(&self, verdict: &str, name: &ObjectName, why: &str) {
        let gap = if why.is_empty() { "" } else { ": " };
        // Whoever reads no more has heard enough.
        self.0.suspend(|| drop(writeln!(io::stdout(), "{verdict}\t{}{gap}{why}", shown(name))));
    }
}

/// The object's URL, on one line whatever its name is.
fn shown(name: &ObjectName) -> String {
    let escaped = |character: char| match character.is_control() {
        true => character.escape_default().to_string(),
        false => character.to_string(),
    };
    format!("s3://{}/{}", name.bucket, name.object_key.chars().map(escaped).collect::<String>())
}

impl WalkArgs {
    /// Does `work` for every object, in threads, and hands what came of each to `note`, in this one. Fails if the store
    /// does not list them all; what was listed before is done then.
    pub fn walk<T: Send>(
        &self,
        store: &Store,
        work: impl Fn(&Listed, &Progress) -> T + Sync,
        mut note: impl FnMut(Listed, T, &Progress),
    ) -> Result<()> {
        let progress = Progress::start();
        let (listed, queue) = mpsc::sync_channel(self.concurrency.get());
        let (done, results) = mpsc::channel();
        let queue = Mutex::new(queue);
        thread::scope(|scope| {
            let (progress, work, queue) = (&progress, &work, &queue);
            let listing = scope.spawn(move || list(store, &self.bucket, &listed, progress));
            for _ in 0..self.concurrency.get() {
                let done = done.clone();
                scope.spawn(move || work_off(queue, &done, |object| work(object, progress)));
            }
            drop(done);
            for (number, (object, result)) in (1_u64..).zip(results) {
                note(object, result, progress);
                progress.0.set_message(format!("{number} objects"));
            }
            progress.0.finish_and_clear();
            listing.join().map_err(|_| anyhow!("the listing broke off"))?
        })
    }
}

fn list(store: &Store, what: &BucketUrl, listed: &SyncSender<Listed>, progress: &Progress) -> Result<()> {
    let mut next = None;
    loop {
        let page = store.list(what, next.as_deref())?;
        progress.0.inc_length(page.objects.iter().map(|object| object.len).sum());
        for object in page.objects {
            listed.send(object)?;
        }
        match page.next {
            Some(token) => next = Some(token),
            None => return Ok(()),
        }
    }
}

/// Takes objects off the queue until it ends.
fn work_off<T>(queue: &Mutex<Receiver<Listed>>, done: &Sender<(Listed, T)>, work: impl Fn(&Listed) -> T) {
    let take = || queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
    while let Ok(object) = take() {
        let result = work(&object);
        if done.send((object, result)).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_on_its_line() {
        let name = ObjectName { bucket: "b".into(), object_key: "a\n\u{1b}[2Jü 'x'".into() };
        assert_eq!(shown(&name), "s3://b/a\\n\\u{1b}[2Jü 'x'");
    }
}
