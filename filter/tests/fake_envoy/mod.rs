//! A fake Envoy around the real filter, in the test's own process: it calls the filter's `proxy_on_…` callbacks and is the
//! hostcalls that they make.
//!
//! * [`FakeEnvoy`] loads and configures the filter. One a thread at a time.
//! * [`Stream`] is one HTTP stream, driven from both its ends; what came out of them is plain data.
//! * [`FakeKms`] and [`FakeStore`] are what stands behind Envoy, and [`Stack`] is all of it as an S3 client sees it.
//!
//! What a filter may not do in Envoy fails the test: changing headers that have gone out, `Pause` from a body callback,
//! touching a body outside its callback, acting on a stream after ending it, a Content-Length that is not the body's, ….
#![allow(dead_code, unused_imports, reason = "each test file is a crate of its own and uses what it needs of this")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a broken assumption here is to fail the test"
)]

mod abi;
mod headers;
mod host;
mod hostcalls;
mod kms;
mod stack;
mod store;
mod stream;
mod trap;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use proxy_wasm::types::Status;

pub use headers::Headers;
pub use host::{CallAnswer, Direction, Exchange, HttpCall, LogLine, Received};
pub use kms::FakeKms;
pub use stack::{End, Request, Stack, Windows, sample};
pub use store::{FakeStore, StoredObject};
pub use stream::Stream;
pub use trap::each_in_its_own_process;

use host::{Fault, Host, host};

/// The clusters that this Envoy has.
pub const CLUSTERS: [&str; 2] = ["s3", "kms_shim"];

/// An Envoy with the filter loaded and configured.
#[derive(Debug)]
pub struct FakeEnvoy(u32);

/// A configuration that the filter refused, with what it logged.
#[derive(Debug)]
pub struct Refused(pub Vec<LogLine>);

impl FakeEnvoy {
    /// Loads the filter with a plugin configuration and an environment for its VM.
    pub fn start(configuration: &str, environment: &[(&str, &str)]) -> Result<Self, Refused> {
        let root = host(|host| {
            assert_eq!(host.root, 0, "one fake Envoy a thread at a time");
            *host = Host { root: host.last_context + 1, last_context: host.last_context + 1, ..Host::default() };
            host.clusters = CLUSTERS.map(str::to_owned).into();
            host.clock_ns = 1_700_000_000_000_000_000;
            host.configuration = Some(configuration.as_bytes().to_vec());
            host.root
        });
        let is_configured = with_environment(environment, || {
            abi::initialize();
            abi::call(root, || abi::proxy_on_context_create(root, 0));
            abi::call(root, || abi::proxy_on_vm_start(root, 0))
                && abi::call(root, || abi::proxy_on_configure(root, configuration.len()))
        });
        host(|host| host.configuration = None);
        stream::settle();
        let envoy = Self(root);
        if is_configured { Ok(envoy) } else { Err(Refused(envoy.logs())) }
    }

    /// A client opens a stream.
    pub fn open(&self) -> Stream {
        Stream::open()
    }

    /// The calls that wait for an answer, taken in order.
    pub fn take_call(&self) -> Option<HttpCall> {
        host(|host| host.calls.pop_front())
    }

    /// Answers a call. As in Envoy the callback is the root context's: it comes even if the stream has gone.
    pub fn answer(&self, call: &HttpCall, answer: CallAnswer) {
        let (headers, body, trailers) = (answer.headers.len(), answer.body.len(), answer.trailers.len());
        host(|host| host.call_answer = Some(answer));
        abi::call(self.0, || abi::proxy_on_http_call_response(self.0, call.token, headers, body, trailers));
        host(|host| host.call_answer = None);
        stream::settle();
    }

    /// Lets the timer run out, if there is one. Otherwise nothing happens, and this is false.
    pub fn tick(&self) -> bool {
        let is_set = host(|host| host.tick_period > 0);
        if is_set {
            abi::call(self.0, || abi::proxy_on_tick(self.0));
            stream::settle();
        }
        is_set
    }

    pub fn logs(&self) -> Vec<LogLine> {
        host(|host| host.logs.clone())
    }

    pub fn metric(&self, name: &str) -> Option<i64> {
        host(|host| host.metrics.get(name).copied())
    }

    /// What the access log would show of the last stream.
    pub fn property(&self, name: &str) -> Option<String> {
        host(|host| host.properties.get(name).cloned())
    }

    /// The hostcalls that were made since this was asked last, and how often each was.
    pub fn take_hostcalls(&self) -> BTreeMap<String, usize> {
        host(|host| std::mem::take(&mut host.hostcalls))
    }

    /// Lets time pass.
    pub fn advance(&self, time: Duration) {
        host(|host| host.clock_ns += u64::try_from(time.as_nanos()).unwrap());
    }

    pub fn remove_cluster(&self, cluster: &str) {
        host(|host| host.clusters.remove(cluster));
    }

    /// Makes a hostcall fail once, `after` that many successful ones.
    pub fn fail(&self, hostcall: &'static str, after: usize, status: Status) {
        host(|host| host.faults.push(Fault { hostcall, after, status }));
    }

    /// Nothing fails any more.
    pub fn recover(&self) {
        host(|host| host.faults.clear());
    }

    /// Whether all faults have struck.
    pub fn has_failed(&self) -> bool {
        host(|host| host.faults.is_empty())
    }
}

impl Drop for FakeEnvoy {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            abi::call(self.0, || abi::proxy_on_done(self.0));
            abi::call(self.0, || abi::proxy_on_delete(self.0));
        }
        host(|host| host.root = 0);
    }
}

impl CallAnswer {
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        let headers = Headers::of(&[(":status", &status.to_string()), ("content-type", "application/json")]);
        Self { headers, body: body.into(), trailers: Headers::default() }
    }

    /// The upstream broke the call off: 0 headers.
    pub fn reset() -> Self {
        Self::default()
    }

    /// What Envoy's own router answers on a timeout.
    pub fn timeout() -> Self {
        Self::new(504, "upstream request timeout")
    }
}

/// The VM's environment is, natively, the process's: one configuration at a time.
fn with_environment<R>(environment: &[(&str, &str)], run: impl FnOnce() -> R) -> R {
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    // SAFETY: only Rust code runs here, and its standard library locks the environment.
    environment.iter().for_each(|(name, value)| unsafe { std::env::set_var(name, value) });
    let result = run();
    environment.iter().for_each(|(name, _)| unsafe { std::env::remove_var(name) });
    result
}
