//! What stands between the service and a KMS across a network, so that neither pulls the other down.
//!
//! From outside to inside: [`remembering`] answers what was answered lately, [`breaking`] does not ask a KMS that is down,
//! [`retrying`] asks again within a deadline, [`bounded`] limits how many ask at a time and for how long. Each of them is
//! a [`Kek`] around a [`Kek`].

mod bounded;
mod breaking;
mod expiring;
mod remembering;
mod retrying;
#[cfg(test)]
mod scripted;

use std::time::Duration;

use crate::kek::Kek;
use crate::metrics::Metrics;

pub use bounded::Bounded;
pub use breaking::Breaking;
pub use remembering::Remembering;
pub use retrying::Retrying;

/// How a KMS is treated.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How many calls may be under way at a time.
    pub concurrent: usize,
    /// How long one attempt may take, once it is under way.
    pub attempt_timeout: Duration,
    /// How long a call may take with all its attempts and waits. Less than what the filter waits (5 s by default), or the
    /// filter has gone before it hears why.
    pub deadline: Duration,
    /// How often a call is attempted at most.
    pub attempts: u32,
    /// The circuit breaker.
    pub breaker: BreakerSettings,
    /// How long a refused unwrap is refused without asking again.
    pub refusals_for: Duration,
    /// The DEKs that are kept. None: every unwrap asks the KMS.
    pub dek_cache: Option<CacheSettings>,
}

/// When a KMS counts as down.
#[derive(Debug, Clone, Copy)]
pub struct BreakerSettings {
    /// After so many calls in a row that found it unavailable.
    pub failures: u32,
    /// For so long; then one call tries it.
    pub pause: Duration,
}

/// How much is kept.
#[derive(Debug, Clone, Copy)]
pub struct CacheSettings {
    /// So many.
    pub entries: usize,
    /// For so long.
    pub ttl: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            concurrent: 64,
            attempt_timeout: Duration::from_millis(1500),
            deadline: Duration::from_secs(4),
            attempts: 4,
            breaker: BreakerSettings { failures: 5, pause: Duration::from_secs(5) },
            refusals_for: Duration::from_secs(5),
            dek_cache: None,
        }
    }
}

/// Puts a remote KEK behind all of it. A KEK in memory needs none.
pub fn resilient<K: Kek>(kek: K, settings: &Settings, metrics: &Metrics) -> impl Kek + use<K> {
    let metrics = metrics.remote_kek(kek.id());
    let bounded = Bounded::new(kek, settings.concurrent, settings.attempt_timeout);
    let retrying = Retrying::new(bounded, settings.deadline, settings.attempts, metrics.retries.clone());
    let breaking = Breaking::new(retrying, settings.breaker, metrics.open_circuits.clone());
    Remembering::new(breaking, settings.refusals_for, settings.dek_cache, metrics)
}

#[cfg(test)]
mod tests {
    use kms_api::ErrorKind;

    use super::scripted::{Scripted, context};
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_kms_that_goes_down_is_asked_less_and_is_used_again_when_it_is_back() {
        let settings = Settings::default();
        let asked_until_open = (settings.breaker.failures * settings.attempts) as usize;
        let script = vec![ErrorKind::Unavailable; asked_until_open];
        // The script ends with the last call that opens the circuit: were the KMS asked again, it would answer.
        let metrics = Metrics::new();
        let kek = resilient(Scripted::failing(&script), &settings, &metrics);
        for _ in 0..100 {
            let error = kek.unwrap(b"wrapped", &context()).await.unwrap_err();
            assert_eq!(error.kind, ErrorKind::Unavailable);
        }
        let text = metrics.text().unwrap();
        assert!(text.contains("\nkms_shim_kek_open_circuits{provider=\"scripted\"} 1\n"), "{text}");
        assert!(text.contains("\nkms_shim_kek_retries_total{provider=\"scripted\"} 15\n"), "{text}");
        // The script has ended with the call that opened the circuit.
        tokio::time::advance(settings.breaker.pause).await;
        for _ in 0..100 {
            assert!(kek.unwrap(b"wrapped", &context()).await.is_ok());
        }
        let text = metrics.text().unwrap();
        assert!(text.contains("\nkms_shim_kek_open_circuits{provider=\"scripted\"} 0\n"), "{text}");
    }
}
