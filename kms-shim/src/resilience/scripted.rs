//! A KEK for tests, which does what it is told and counts.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use kms_api::{ErrorKind, Secret};

use crate::kek::{Context, Kek, KekError};

#[derive(Default)]
pub(super) struct Scripted {
    failures: Mutex<VecDeque<ErrorKind>>,
    always: Option<ErrorKind>,
    takes: Duration,
    asked: AtomicUsize,
    under_way: AtomicUsize,
    most: AtomicUsize,
}

impl Scripted {
    /// Fails like this, once each, and then no more.
    pub(super) fn failing(kinds: &[ErrorKind]) -> Self {
        Self { failures: Mutex::new(kinds.iter().copied().collect()), ..Self::default() }
    }

    pub(super) fn always(kind: ErrorKind) -> Self {
        Self { always: Some(kind), ..Self::default() }
    }

    /// Takes so long, and then succeeds.
    pub(super) fn slow(takes: Duration) -> Self {
        Self { takes, ..Self::default() }
    }

    /// Takes so long for what succeeds.
    pub(super) fn then_slow(self, takes: Duration) -> Self {
        Self { takes, ..self }
    }

    /// How often it was asked.
    pub(super) fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    /// By how many at the same time.
    pub(super) fn most_at_a_time(&self) -> usize {
        self.most.load(Ordering::Relaxed)
    }

    async fn act(&self) -> Result<(), KekError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let failure = self.failures.lock().unwrap().pop_front().or(self.always);
        if let Some(kind) = failure {
            return Err(KekError::new(kind, "told to fail"));
        }
        self.most.fetch_max(self.under_way.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
        tokio::time::sleep(self.takes).await;
        self.under_way.fetch_sub(1, Ordering::Relaxed);
        Ok(())
    }
}

#[async_trait]
impl Kek for Scripted {
    fn id(&self) -> &str {
        "scripted:kek"
    }

    async fn wrap(&self, _: &Secret, _: &Context) -> Result<Vec<u8>, KekError> {
        self.act().await.map(|()| b"wrapped".to_vec())
    }

    async fn unwrap(&self, _: &[u8], _: &Context) -> Result<Secret, KekError> {
        self.act().await.map(|()| dek())
    }
}

pub(super) fn dek() -> Secret {
    Secret::new(vec![7; 32])
}

pub(super) fn context() -> Context {
    Context::new("bucket", "object").unwrap()
}
