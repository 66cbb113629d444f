//! What the filter counts, in Envoy's stats.
//!
//! Every metric is called `s3ep.<what>`, with `.s3ep_<label>.<value>` behind it for each of its labels. The reference
//! configuration's `stats_tags` make Prometheus labels of those. All values are words of this code's own: a name of
//! a bucket, of an object or of a client would let clients fill Envoy's memory with stats.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::Duration;

use proxy_wasm::types::MetricType;
use s3ep_core::account::{Account, Volume};

use crate::host::{self, HostError};

/// The label of an operation that was never known, because the request was refused before.
const UNKNOWN: &str = "Unknown";

/// A call of the filter's own, as its metrics name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallLabels {
    /// `wrap`, `unwrap` or `store`.
    pub call: &'static str,
    /// `ok`, or what kept it from an answer.
    pub outcome: &'static str,
}

/// The metrics of a VM, each defined when it is first used.
#[derive(Default)]
pub struct Metrics {
    ids: RefCell<HashMap<String, u32>>,
}

impl Metrics {
    /// A request is over. `cause`: what it failed of, if it did so here.
    pub fn request(&self, account: &Account, cause: Option<&'static str>) {
        let operation = account.operation.unwrap_or(UNKNOWN);
        self.count("requests", &[("operation", operation)], 1);
        if let Some(cause) = cause {
            self.count("failures", &[("operation", operation), ("cause", cause)], 1);
        }
        self.volume("sealed", account.sealed);
        self.volume("opened", account.opened);
        for (outcome, number) in
            [("hit", account.deks.hits), ("derived", account.deks.derived), ("miss", account.deks.misses)]
        {
            self.count("dek_lookups", &[("outcome", outcome)], number);
        }
    }

    fn volume(&self, what: &str, volume: Volume) {
        self.count(&format!("{what}_bytes"), &[], volume.bytes);
        self.count(&format!("{what}_segments"), &[], volume.segments);
        self.count(&format!("{what}_bodies"), &[], volume.bodies);
    }

    /// A call has been answered, or was given up, after this time.
    pub fn call(&self, labels: CallLabels, took: Duration) {
        self.count("calls", &[("call", labels.call), ("outcome", labels.outcome)], 1);
        let milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        self.update("call_ms", &[("call", labels.call)], MetricType::Histogram, |id| host::record(id, milliseconds));
    }

    /// A call to kms-shim was made once more.
    pub fn retry(&self) {
        self.count("call_retries", &[], 1);
    }

    /// A stream waits for a DEK that another one has asked for.
    pub fn joined(&self) {
        self.count("joined_unwraps", &[], 1);
    }

    fn count(&self, what: &str, labels: &[(&str, &str)], number: u64) {
        if number > 0 {
            self.update(what, labels, MetricType::Counter, |id| host::increment(id, number));
        }
    }

    fn update(
        &self,
        what: &str,
        labels: &[(&str, &str)],
        kind: MetricType,
        update: impl FnOnce(u32) -> Result<(), HostError>,
    ) {
        if let Err(error) = self.id(stat_name(what, labels), kind).and_then(update) {
            log::debug!("s3ep: {what} could not be counted: {error:?}");
        }
    }

    fn id(&self, name: String, kind: MetricType) -> Result<u32, HostError> {
        let mut ids = self.ids.borrow_mut();
        if let Some(id) = ids.get(&name) {
            return Ok(*id);
        }
        let id = host::define_metric(kind, &name)?;
        ids.insert(name, id);
        Ok(id)
    }
}

fn stat_name(what: &str, labels: &[(&str, &str)]) -> String {
    labels.iter().fold(format!("s3ep.{what}"), |name, (label, value)| format!("{name}.s3ep_{label}.{value}"))
}
