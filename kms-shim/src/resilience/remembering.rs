//! What an unwrap answered lately: refusals for a short time, DEKs only if one asks for it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use kms_api::{ErrorKind, Secret};
use sha2::{Digest as _, Sha256};

use super::CacheSettings;
use super::expiring::Expiring;
use crate::kek::{Context, Kek, KekError};
use crate::metrics::RemoteKekMetrics;

/// How many refusals are remembered.
const REFUSALS: usize = 4096;

/// Which unwrap it was: a hash, so that long requests take no more room than short ones.
type Key = [u8; 32];

/// A KEK that is not asked twice for what it has just refused, nor, if so configured, for what it has just unwrapped.
pub struct Remembering<K> {
    kek: K,
    refusals: Mutex<Expiring<Key, (ErrorKind, String)>>,
    /// A [`Secret`] is zeroized when it goes.
    deks: Mutex<Expiring<Key, Secret>>,
    metrics: RemoteKekMetrics,
}

impl<K: Kek> Remembering<K> {
    /// Remembers refusals for so long, and DEKs as the cache's settings say.
    pub fn new(kek: K, refusals_for: Duration, dek_cache: Option<CacheSettings>, metrics: RemoteKekMetrics) -> Self {
        let refusals = CacheSettings { entries: REFUSALS, ttl: refusals_for };
        let deks = dek_cache.unwrap_or(CacheSettings { entries: 0, ttl: Duration::ZERO });
        Self { kek, refusals: Mutex::new(Expiring::new(refusals)), deks: Mutex::new(Expiring::new(deks)), metrics }
    }

    fn remembered(&self, key: &Key) -> Option<Result<Secret, KekError>> {
        if let Some(dek) = lock(&self.deks).entry(key) {
            self.metrics.dek_hits.inc();
            return Some(Ok(dek.clone()));
        }
        if let Some((kind, message)) = lock(&self.refusals).entry(key) {
            self.metrics.refusal_hits.inc();
            return Some(Err(KekError::new(*kind, message)));
        }
        self.metrics.misses.inc();
        None
    }

    fn remember(&self, key: Key, outcome: &Result<Secret, KekError>) {
        match outcome {
            Ok(dek) => lock(&self.deks).insert(key, dek.clone()),
            Err(KekError { kind: ErrorKind::Unavailable, .. }) => {}
            Err(KekError { kind, message }) => lock(&self.refusals).insert(key, (*kind, message.clone())),
        }
    }
}

#[async_trait]
impl<K: Kek> Kek for Remembering<K> {
    fn id(&self) -> &str {
        self.kek.id()
    }

    async fn wrap(&self, dek: &Secret, context: &Context) -> Result<Vec<u8>, KekError> {
        self.kek.wrap(dek, context).await
    }

    async fn unwrap(&self, wrapped: &[u8], context: &Context) -> Result<Secret, KekError> {
        let key = key(wrapped, context);
        if let Some(outcome) = self.remembered(&key) {
            return outcome;
        }
        let outcome = self.kek.unwrap(wrapped, context).await;
        self.remember(key, &outcome);
        outcome
    }
}

fn key(wrapped: &[u8], context: &Context) -> Key {
    // A length before it, so that no two pairs give the same bytes.
    let length = (wrapped.len() as u64).to_be_bytes();
    Sha256::new().chain_update(length).chain_update(wrapped).chain_update(context.canonical_bytes()).finalize().into()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::super::scripted::{Scripted, context, dek};
    use super::*;

    const TTL: Duration = Duration::from_secs(5);

    async fn unwrap(kek: &Remembering<Scripted>, wrapped: &[u8]) -> Result<Secret, ErrorKind> {
        kek.unwrap(wrapped, &context()).await.map_err(|error| error.kind)
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_is_repeated_for_a_while_and_an_outage_is_not() {
        for (kind, asked) in [
            (ErrorKind::Denied, 1),
            (ErrorKind::ContextMismatch, 1),
            (ErrorKind::Invalid, 1),
            (ErrorKind::Unavailable, 3),
        ] {
            let kek = Remembering::new(Scripted::always(kind), TTL, None, RemoteKekMetrics::default());
            for _ in 0..3 {
                let error = kek.unwrap(b"wrapped", &context()).await.unwrap_err();
                assert_eq!((error.kind, error.message.as_str()), (kind, "told to fail"));
            }
            assert_eq!(kek.kek.asked(), asked, "{kind:?}");
            tokio::time::advance(TTL).await;
            assert_eq!(unwrap(&kek, b"wrapped").await, Err(kind));
            assert_eq!(kek.kek.asked(), asked + 1, "{kind:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_is_for_this_wrapped_dek_under_this_context() {
        let kek = Remembering::new(Scripted::failing(&[ErrorKind::Denied]), TTL, None, RemoteKekMetrics::default());
        assert_eq!(unwrap(&kek, b"wrapped").await, Err(ErrorKind::Denied));
        assert!(unwrap(&kek, b"wrapped2").await.is_ok());
        let other = Context::new("2bucket", "object").unwrap();
        assert!(kek.unwrap(b"wrapped", &other).await.is_ok());
        assert_eq!(unwrap(&kek, b"wrapped").await, Err(ErrorKind::Denied));
        assert!(kek.wrap(&dek(), &context()).await.is_ok(), "wraps are not remembered");
    }

    #[tokio::test(start_paused = true)]
    async fn a_dek_is_kept_only_if_that_was_asked_for_and_for_so_long() {
        let cache = CacheSettings { entries: 1, ttl: TTL };
        for (settings, asked) in [(None, 3), (Some(cache), 1)] {
            let kek = Remembering::new(Scripted::failing(&[]), TTL, settings, RemoteKekMetrics::default());
            for _ in 0..3 {
                assert_eq!(unwrap(&kek, b"wrapped").await, Ok(dek()));
            }
            assert_eq!(kek.kek.asked(), asked);
            tokio::time::advance(TTL).await;
            assert_eq!(unwrap(&kek, b"wrapped").await, Ok(dek()));
            assert_eq!(kek.kek.asked(), asked + 1);
            let metrics = (kek.metrics.dek_hits.get(), kek.metrics.misses.get());
            assert_eq!(metrics, (3 - asked as u64, asked as u64 + 1));
        }
    }
}
