//! Attempts until a deadline, for what another attempt may help.

use std::time::Duration;

use async_trait::async_trait;
use kms_api::{ErrorKind, Secret};
use prometheus_client::metrics::counter::Counter;
use tokio::time::{sleep, timeout};

use crate::kek::{Context, Kek, KekError};

/// Longest wait before the second attempt; it doubles with each one.
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// Longest wait before any attempt.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// A KEK that is asked again when it was unavailable, and only then: the other failures would be the same again.
pub struct Retrying<K> {
    kek: K,
    deadline: Duration,
    attempts: u32,
    retries: Counter,
}

impl<K: Kek> Retrying<K> {
    /// At most so many attempts, and all of them within the deadline. Counts those after the first.
    pub fn new(kek: K, deadline: Duration, attempts: u32, retries: Counter) -> Self {
        Self { kek, deadline, attempts, retries }
    }

    async fn call<T, F>(&self, attempt: impl Fn() -> F) -> Result<T, KekError>
    where
        F: Future<Output = Result<T, KekError>>,
    {
        let late = || KekError::new(ErrorKind::Unavailable, "the KMS did not answer before the deadline");
        timeout(self.deadline, self.attempt_all(attempt)).await.unwrap_or_else(|_| Err(late()))
    }

    async fn attempt_all<T, F>(&self, attempt: impl Fn() -> F) -> Result<T, KekError>
    where
        F: Future<Output = Result<T, KekError>>,
    {
        let mut made = 1;
        loop {
            match attempt().await {
                Err(error) if error.kind == ErrorKind::Unavailable && made < self.attempts => {
                    tracing::debug!(attempt = made, %error, "the KMS is asked again");
                    sleep(wait(made)).await;
                    self.retries.inc();
                    made += 1;
                }
                outcome => return outcome,
            }
        }
    }
}

/// A random time up to a longest one, so that those who failed together do not come back together ("full jitter" in AWS's
/// words).
fn wait(made: u32) -> Duration {
    let longest = FIRST_WAIT.saturating_mul(2u32.saturating_pow(made - 1)).min(LONGEST_WAIT);
    longest.mul_f64(f64::from(getrandom::u32().unwrap_or(u32::MAX)) / f64::from(u32::MAX))
}

#[async_trait]
impl<K: Kek> Kek for Retrying<K> {
    fn id(&self) -> &str {
        self.kek.id()
    }

    async fn wrap(&self, dek: &Secret, context: &Context) -> Result<Vec<u8>, KekError> {
        self.call(|| self.kek.wrap(dek, context)).await
    }

    async fn unwrap(&self, wrapped: &[u8], context: &Context) -> Result<Secret, KekError> {
        self.call(|| self.kek.unwrap(wrapped, context)).await
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::super::scripted::{Scripted, context, dek};
    use super::*;

    const DEADLINE: Duration = Duration::from_secs(4);

    #[tokio::test(start_paused = true)]
    async fn only_what_was_unavailable_is_asked_again() {
        use ErrorKind::{ContextMismatch, Denied, Invalid, Unavailable};
        for (script, outcome, asked) in [
            (&[][..], None, 1),
            (&[Unavailable], None, 2),
            (&[Unavailable, Unavailable], None, 3),
            (&[Unavailable, Unavailable, Unavailable], Some(Unavailable), 3),
            (&[Denied], Some(Denied), 1),
            (&[Invalid], Some(Invalid), 1),
            (&[ContextMismatch], Some(ContextMismatch), 1),
            (&[Unavailable, Denied], Some(Denied), 2),
        ] {
            for wrap in [true, false] {
                let kek = Retrying::new(Scripted::failing(script), DEADLINE, 3, Counter::default());
                let failure = if wrap {
                    kek.wrap(&dek(), &context()).await.err()
                } else {
                    kek.unwrap(b"wrapped", &context()).await.err()
                };
                assert_eq!(failure.map(|error| error.kind), outcome, "{script:?}");
                assert_eq!(kek.kek.asked(), asked, "{script:?}");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_deadline_holds_for_all_attempts_together() {
        let kek = Retrying::new(Scripted::always(ErrorKind::Unavailable), DEADLINE, u32::MAX, Counter::default());
        let start = Instant::now();
        let error = kek.unwrap(b"wrapped", &context()).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unavailable);
        assert_eq!(start.elapsed().as_secs(), DEADLINE.as_secs());
        assert!(kek.kek.asked() > 2, "{}", kek.kek.asked());

        let kek = Retrying::new(Scripted::slow(DEADLINE * 2), DEADLINE, 3, Counter::default());
        assert_eq!(kek.wrap(&dek(), &context()).await.unwrap_err().kind, ErrorKind::Unavailable);
    }

    #[test]
    fn waits_grow_and_are_spread_up_to_a_longest_one() {
        for (made, longest) in [(1, 100), (2, 200), (3, 400), (4, 800), (5, 1000), (40, 1000), (u32::MAX, 1000)] {
            let waits: Vec<_> = (0..200).map(|_| wait(made).as_millis()).collect();
            assert!(waits.iter().all(|wait| *wait <= longest), "{made}: {waits:?}");
            // The odds that all 200 lie in one half of the range are 2 in 2²⁰⁰.
            assert!(waits.iter().any(|wait| *wait < longest / 2), "{made}: {waits:?}");
            assert!(waits.iter().any(|wait| *wait >= longest / 2), "{made}: {waits:?}");
        }
    }
}
