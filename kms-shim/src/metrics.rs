//! What is counted, in Prometheus' text format. No label holds a name that somebody chose: no bucket, object key, KEK or
//! caller.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use kms_api::ErrorKind;
use prometheus_client::encoding::{EncodeLabelSet, prometheus_text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use crate::kek::KekError;

/// The `Content-Type` of [`Metrics::text`].
pub const CONTENT_TYPE: &str = prometheus_text::CONTENT_TYPE;

/// Upper bounds of the latencies told apart, in seconds: a keyset takes some microseconds, a KMS some milliseconds.
const LATENCIES: [f64; 14] = [1e-5, 1e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];

/// All counters. Clones count together.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    requests: Family<RequestLabels, Counter>,
    refusals: Family<RefusalLabels, Counter>,
    in_flight: Gauge,
    failed_handshakes: Counter,
    kek_calls: Family<KekLabels, Histogram, fn() -> Histogram>,
    retries: Family<ProviderLabels, Counter>,
    open_circuits: Family<ProviderLabels, Gauge>,
    remembered: Family<RememberedLabels, Counter>,
}

/// What is counted of one KEK across a network.
#[derive(Debug, Clone, Default)]
pub struct RemoteKekMetrics {
    /// Attempts after the first.
    pub retries: Counter,
    /// How many circuits are open: KEKs that are left alone because their KMS is down.
    pub open_circuits: Gauge,
    /// Unwraps whose DEK was in the cache.
    pub dek_hits: Counter,
    /// Unwraps that were refused again without asking.
    pub refusal_hits: Counter,
    /// Unwraps that the KMS was asked for.
    pub misses: Counter,
}

/// What is asked of a KEK.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// A DEK is wrapped.
    Wrap,
    /// A DEK is unwrapped.
    Unwrap,
}

/// Why a request was not looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalReason {
    /// The bearer token is missing or wrong.
    Unauthorized,
    /// More than the configured rate.
    RateLimited,
    /// More than the configured number at a time.
    Busy,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    operation: &'static str,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RefusalLabels {
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KekLabels {
    provider: String,
    operation: &'static str,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ProviderLabels {
    provider: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RememberedLabels {
    provider: String,
    answer: &'static str,
}

impl Metrics {
    /// All of them at zero.
    pub fn new() -> Self {
        let unregistered = Self {
            registry: Arc::default(),
            requests: Family::default(),
            refusals: Family::default(),
            in_flight: Gauge::default(),
            failed_handshakes: Counter::default(),
            kek_calls: Family::new_with_constructor(|| Histogram::new(LATENCIES)),
            retries: Family::default(),
            open_circuits: Family::default(),
            remembered: Family::default(),
        };
        Self { registry: Arc::new(unregistered.registry()), ..unregistered }
    }

    fn registry(&self) -> Registry {
        let mut registry = Registry::with_prefix("kms_shim");
        registry.register("requests", "Wrap and unwrap requests answered", self.requests.clone());
        registry.register("refusals", "Requests that were not looked at", self.refusals.clone());
        registry.register("requests_in_flight", "Wrap and unwrap requests under way", self.in_flight.clone());
        registry.register("failed_handshakes", "TLS handshakes that failed", self.failed_handshakes.clone());
        let help = "Time that KEKs took to wrap and unwrap, retries included";
        registry.register_with_unit("kek_call", help, Unit::Seconds, self.kek_calls.clone());
        registry.register("kek_retries", "Attempts of calls of KMSs after the first", self.retries.clone());
        let help = "KEKs left alone because their KMS is down";
        registry.register("kek_open_circuits", help, self.open_circuits.clone());
        let help = "Unwraps by what was remembered of the same one: its DEK, a refusal, or none";
        registry.register("kek_unwraps_remembered", help, self.remembered.clone());
        registry.register("build", "The program", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
        registry
    }

    /// Everything, as Prometheus reads it.
    pub fn text(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        prometheus_text::encode(&mut text, &self.registry).map(|()| text)
    }

    /// Counts an answered request; `failure` is none for a 200.
    pub fn request(&self, operation: Operation, failure: Option<ErrorKind>) {
        let labels = RequestLabels { operation: operation.label(), outcome: outcome(failure) };
        self.requests.get_or_create(&labels).inc();
    }

    /// Counts a request that was not looked at.
    pub fn refusal(&self, reason: RefusalReason) {
        self.refusals.get_or_create(&RefusalLabels { reason: reason.label() }).inc();
    }

    /// Counts a request as under way until this is dropped.
    pub fn in_flight(&self) -> InFlight {
        self.in_flight.inc();
        InFlight(self.in_flight.clone())
    }

    /// Counts a TLS handshake that failed.
    pub fn failed_handshake(&self) {
        self.failed_handshakes.inc();
    }

    /// Counts a call of this KEK, and how long it took.
    pub fn kek_call<T>(&self, kek: &str, operation: Operation, result: &Result<T, KekError>, took: Duration) {
        let failure = result.as_ref().err().map(|error| error.kind);
        let labels =
            KekLabels { provider: provider(kek).to_owned(), operation: operation.label(), outcome: outcome(failure) };
        self.kek_calls.get_or_create(&labels).observe(took.as_secs_f64());
    }

    /// The counters of a KEK across a network.
    pub fn remote_kek(&self, kek: &str) -> RemoteKekMetrics {
        let provider = || provider(kek).to_owned();
        let remembered =
            |answer| self.remembered.get_or_create_owned(&RememberedLabels { provider: provider(), answer });
        RemoteKekMetrics {
            retries: self.retries.get_or_create_owned(&ProviderLabels { provider: provider() }),
            open_circuits: self.open_circuits.get_or_create_owned(&ProviderLabels { provider: provider() }),
            dek_hits: remembered("dek"),
            refusal_hits: remembered("refusal"),
            misses: remembered("none"),
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

/// A request under way.
#[derive(Debug)]
pub struct InFlight(Gauge);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// The scheme of a KEK's id, which is all of it that no name of a key is in.
fn provider(kek: &str) -> &str {
    kek.split_once(':').map_or("other", |(scheme, _)| scheme)
}

fn outcome(failure: Option<ErrorKind>) -> &'static str {
    match failure {
        None => "ok",
        Some(ErrorKind::Invalid) => "invalid",
        Some(ErrorKind::Denied) => "denied",
        Some(ErrorKind::ContextMismatch) => "context_mismatch",
        Some(ErrorKind::Unavailable) => "unavailable",
    }
}

impl Operation {
    fn label(self) -> &'static str {
        match self {
            Self::Wrap => "wrap",
            Self::Unwrap => "unwrap",
        }
    }
}

impl RefusalReason {
    fn label(self) -> &'static str {
        match self {
            Self::Unauthorized => "unauthorized",
            Self::RateLimited => "rate_limited",
            Self::Busy => "busy",
        }
    }
}
