//! A bound on calls under way, and on the time that each may take.

use std::future::Future;
use std::time::Duration;

use async_trait::async_trait;
use kms_api::{ErrorKind, Secret};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::kek::{Context, Kek, KekError};

/// A KEK that is asked by so many at a time, and given up on after so long.
pub struct Bounded<K> {
    kek: K,
    slots: Semaphore,
    timeout: Duration,
}

impl<K: Kek> Bounded<K> {
    /// At most `concurrent` calls at a time, each for at most `timeout`, and waiting for its turn for at most as long.
    pub fn new(kek: K, concurrent: usize, timeout: Duration) -> Self {
        Self { kek, slots: Semaphore::new(concurrent), timeout }
    }

    async fn call<T>(&self, call: impl Future<Output = Result<T, KekError>>) -> Result<T, KekError> {
        let unavailable = |message| KekError::new(ErrorKind::Unavailable, message);
        let turn = timeout(self.timeout, self.slots.acquire()).await;
        let _slot = turn.map_err(|_| unavailable("too many calls of the KMS are under way"))?;
        timeout(self.timeout, call).await.unwrap_or_else(|_| Err(unavailable("the KMS does not answer in time")))
    }
}

#[async_trait]
impl<K: Kek> Kek for Bounded<K> {
    fn id(&self) -> &str {
        self.kek.id()
    }

    async fn wrap(&self, dek: &Secret, context: &Context) -> Result<Vec<u8>, KekError> {
        self.call(self.kek.wrap(dek, context)).await
    }

    async fn unwrap(&self, wrapped: &[u8], context: &Context) -> Result<Secret, KekError> {
        self.call(self.kek.unwrap(wrapped, context)).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::scripted::{Scripted, context, dek};
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(2);

    #[tokio::test(start_paused = true)]
    async fn an_attempt_that_takes_too_long_is_given_up() {
        let kek = Bounded::new(Scripted::slow(TIMEOUT * 2), 1, TIMEOUT);
        let error = kek.wrap(&dek(), &context()).await.unwrap_err();
        assert_eq!((error.kind, error.message.as_str()), (ErrorKind::Unavailable, "the KMS does not answer in time"));
        let kek = Bounded::new(Scripted::slow(TIMEOUT / 2), 1, TIMEOUT);
        assert!(kek.wrap(&dek(), &context()).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_than_the_bound_ask_at_a_time_and_the_rest_wait_for_so_long() {
        let kek = Arc::new(Bounded::new(Scripted::slow(TIMEOUT * 3 / 4), 2, TIMEOUT));
        let calls: Vec<_> = (0..6)
            .map(|_| {
                let kek = kek.clone();
                tokio::spawn(async move { kek.unwrap(b"wrapped", &context()).await.map_err(|error| error.message) })
            })
            .collect();
        let mut outcomes = Vec::new();
        for call in calls {
            outcomes.push(call.await.unwrap());
        }
        // Two at once, two when those are done; the last two would have to wait for longer.
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 4);
        assert!(outcomes.contains(&Err("too many calls of the KMS are under way".to_owned())), "{outcomes:?}");
        assert_eq!(kek.kek.most_at_a_time(), 2);
        assert!(kek.wrap(&dek(), &context()).await.is_ok(), "all slots are free again");
    }
}
