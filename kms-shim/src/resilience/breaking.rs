//! A circuit breaker: a KMS that is down is left alone, so that its callers hear at once, and it can come back.

use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use kms_api::{ErrorKind, Secret};
use prometheus_client::metrics::gauge::Gauge;
use tokio::time::Instant;

use super::BreakerSettings;
use crate::kek::{Context, Kek, KekError};

/// A KEK that is not asked while it counts as down.
pub struct Breaking<K> {
    kek: K,
    breaker: Breaker,
}

impl<K: Kek> Breaking<K> {
    /// With a closed circuit: the KEK is asked. Counts one more in `open_circuits` while it is not.
    pub fn new(kek: K, settings: BreakerSettings, open_circuits: Gauge) -> Self {
        Self { kek, breaker: Breaker::new(settings, open_circuits) }
    }

    async fn call<T>(&self, call: impl Future<Output = Result<T, KekError>>) -> Result<T, KekError> {
        let Some(attempt) = self.breaker.attempt() else {
            return Err(KekError::new(ErrorKind::Unavailable, "the KMS is down; it will be tried again soon"));
        };
        let outcome = call.await;
        attempt.ended(!matches!(&outcome, Err(error) if error.kind == ErrorKind::Unavailable));
        outcome
    }
}

#[async_trait]
impl<K: Kek> Kek for Breaking<K> {
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

struct Breaker {
    settings: BreakerSettings,
    open_circuits: Gauge,
    circuit: Mutex<Circuit>,
}

enum Circuit {
    /// Calls pass; so many in a row have failed.
    Closed { failures: u32 },
    /// No call passes until then, when one does.
    Open { until: Instant },
    /// One call is finding out.
    HalfOpen,
}

impl Breaker {
    fn new(settings: BreakerSettings, open_circuits: Gauge) -> Self {
        Self { settings, open_circuits, circuit: Mutex::new(Circuit::Closed { failures: 0 }) }
    }

    /// Lets a call pass, or not.
    fn attempt(&self) -> Option<Attempt<'_>> {
        let mut circuit = self.circuit();
        match *circuit {
            Circuit::Closed { .. } => Some(Attempt { breaker: self, probes: false }),
            Circuit::Open { until } if Instant::now() >= until => {
                *circuit = Circuit::HalfOpen;
                Some(Attempt { breaker: self, probes: true })
            }
            Circuit::Open { .. } | Circuit::HalfOpen => None,
        }
    }

    fn circuit(&self) -> MutexGuard<'_, Circuit> {
        self.circuit.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self, circuit: &mut Circuit) {
        if matches!(circuit, Circuit::Closed { .. }) {
            self.open_circuits.inc();
            tracing::error!(
                seconds = self.settings.pause.as_secs_f32(),
                "the KMS is down, and is left alone for a while"
            );
        }
        *circuit = Circuit::Open { until: Instant::now() + self.settings.pause };
    }
}

/// A call that passed.
struct Attempt<'a> {
    breaker: &'a Breaker,
    probes: bool,
}

impl Attempt<'_> {
    /// The KMS answered the call, even if with a refusal, or it did not.
    fn ended(mut self, answered: bool) {
        let mut circuit = self.breaker.circuit();
        match *circuit {
            Circuit::Closed { .. } if answered => *circuit = Circuit::Closed { failures: 0 },
            Circuit::Closed { failures } if failures + 1 < self.breaker.settings.failures => {
                *circuit = Circuit::Closed { failures: failures + 1 };
            }
            Circuit::HalfOpen if self.probes && answered => {
                self.breaker.open_circuits.dec();
                tracing::info!("the KMS is back");
                *circuit = Circuit::Closed { failures: 0 };
            }
            Circuit::Closed { .. } => self.breaker.open(&mut circuit),
            Circuit::HalfOpen if self.probes => self.breaker.open(&mut circuit),
            // A call from before the circuit opened.
            Circuit::Open { .. } | Circuit::HalfOpen => {}
        }
        self.probes = false;
    }
}

impl Drop for Attempt<'_> {
    /// A call whose caller went away says nothing about the KMS: the next one finds out.
    fn drop(&mut self) {
        if self.probes {
            *self.breaker.circuit() = Circuit::Open { until: Instant::now() };
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::scripted::{Scripted, context, dek};
    use super::*;

    const PAUSE: Duration = Duration::from_secs(5);

    fn breaking(kek: Scripted) -> Breaking<Scripted> {
        Breaking::new(kek, BreakerSettings { failures: 3, pause: PAUSE }, Gauge::default())
    }

    async fn ask(kek: &Breaking<Scripted>) -> Result<(), ErrorKind> {
        kek.wrap(&dek(), &context()).await.map(drop).map_err(|error| error.kind)
    }

    #[tokio::test(start_paused = true)]
    async fn three_failures_in_a_row_open_it_and_one_success_closes_it() {
        use ErrorKind::Unavailable;
        let kek = breaking(Scripted::failing(&[Unavailable; 4]));
        for _ in 0..10 {
            assert_eq!(ask(&kek).await, Err(Unavailable));
        }
        assert_eq!(kek.kek.asked(), 3);

        // The fourth failure: it stays open for another while.
        tokio::time::advance(PAUSE).await;
        for _ in 0..2 {
            assert_eq!(ask(&kek).await, Err(Unavailable));
        }
        assert_eq!(kek.kek.asked(), 4);

        tokio::time::advance(PAUSE).await;
        for _ in 0..2 {
            assert_eq!(ask(&kek).await, Ok(()));
        }
        assert_eq!(kek.kek.asked(), 6);
    }

    #[tokio::test(start_paused = true)]
    async fn a_kms_that_refuses_is_not_down() {
        use ErrorKind::{ContextMismatch, Denied, Invalid, Unavailable};
        let script =
            [Unavailable, Unavailable, Denied, Unavailable, Unavailable, Invalid, ContextMismatch, Unavailable];
        let kek = breaking(Scripted::failing(&script));
        for kind in script {
            assert_eq!(ask(&kek).await, Err(kind));
        }
        assert_eq!(ask(&kek).await, Ok(()));
        assert_eq!(kek.kek.asked(), 9);
    }

    #[tokio::test(start_paused = true)]
    async fn one_call_alone_finds_out_and_if_its_caller_goes_the_next_one_does() {
        let kek = breaking(Scripted::failing(&[ErrorKind::Unavailable; 3]).then_slow(PAUSE));
        for _ in 0..3 {
            assert!(ask(&kek).await.is_err());
        }
        tokio::time::advance(PAUSE).await;
        let gone = async {
            tokio::select! {
                _ = ask(&kek) => unreachable!("it takes longer"),
                () = tokio::time::sleep(PAUSE / 2) => {}
            }
        };
        let meanwhile = async {
            tokio::time::sleep(PAUSE / 4).await;
            assert!(ask(&kek).await.is_err());
        };
        tokio::join!(gone, meanwhile);
        assert_eq!(kek.kek.asked(), 4);
        assert_eq!(ask(&kek).await, Ok(()));
    }
}
