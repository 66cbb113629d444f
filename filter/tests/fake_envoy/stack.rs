//! Client, Envoy with the filter, kms-shim and store in one, as an S3 client sees it.

use serde_json::{Value, json};

use super::headers::Headers;
use super::host::{CallAnswer, Exchange, HttpCall};
use super::kms::FakeKms;
use super::store::FakeStore;
use super::stream::Stream;
use super::{FakeEnvoy, Refused};

/// All of it.
pub struct Stack {
    pub envoy: FakeEnvoy,
    pub kms: FakeKms,
    pub store: FakeStore,
    /// How the store's answers arrive.
    pub windows: Windows,
    pub end: End,
}

/// How a body is cut into windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Windows {
    Whole,
    Of(usize),
}

/// How a message says that it is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// With its last window, or with the headers if there is no body.
    WithLastWindow,
    /// With one more window, which is empty.
    EmptyWindow,
    /// With trailers, so that no window ever says so.
    Trailers,
}

/// What a client sends.
#[derive(Debug, Clone)]
pub struct Request {
    pub headers: Headers,
    pub body: Vec<u8>,
    pub windows: Windows,
    pub end: End,
}

impl Request {
    pub fn new(method: &str, path: &str) -> Self {
        let headers = Headers::of(&[
            (":method", method),
            (":path", path),
            (":authority", "s3.example.com"),
            (":scheme", "http"),
            ("x-forwarded-proto", "http"),
            ("x-request-id", "7d3ab4b0-0c6e-4b0e-8f5e-0b0e6d3c5a11"),
        ]);
        Self { headers, body: Vec::new(), windows: Windows::Whole, end: End::WithLastWindow }
    }

    /// A PUT with its Content-Length.
    pub fn put(path: &str, body: &[u8]) -> Self {
        let mut request = Self::new("PUT", path).header("content-length", body.len().to_string());
        request.body = body.to_vec();
        request
    }

    pub fn get(path: &str) -> Self {
        Self::new("GET", path)
    }

    pub fn header(mut self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        self.headers.add(name, value);
        self
    }

    /// As an SDK signs it, for a filter that does not look.
    pub fn signed(self) -> Self {
        self.header("authorization", "AWS4-HMAC-SHA256 Credential=A/20231114/us-east-1/s3/aws4_request, Signature=0")
            .header("x-amz-content-sha256", "UNSIGNED-PAYLOAD")
            .header("x-amz-date", "20231114T221320Z")
    }

    pub fn without(mut self, name: &str) -> Self {
        self.headers.remove(name);
        self
    }

    pub fn windows(mut self, windows: Windows) -> Self {
        self.windows = windows;
        self
    }

    pub fn end(mut self, end: End) -> Self {
        self.end = end;
        self
    }
}

impl Stack {
    pub const MASTER_KEY: &str = "TWFzdGVyIGtleSBvZiAzMiBieXRlcyBpbiBiYXNlNjQ=";

    /// With kms-shim.
    pub fn envelope() -> Self {
        Self::start(&Self::envelope_configuration())
    }

    /// With a master key, and no KMS.
    pub fn direct() -> Self {
        Self::start(&Self::direct_configuration())
    }

    pub fn start(configuration: &Value) -> Self {
        let envoy = FakeEnvoy::start(&configuration.to_string(), &[]).unwrap();
        let (kms, store) = (FakeKms::default(), FakeStore::default());
        Self { envoy, kms, store, windows: Windows::Whole, end: End::WithLastWindow }
    }

    /// The configurations of both modes, for what must hold in either.
    pub fn both_modes() -> [Value; 2] {
        [Self::envelope_configuration(), Self::direct_configuration()]
    }

    pub fn envelope_configuration() -> Value {
        json!({
            "auth": "none",
            "keys": {"envelope": {
                "cluster": "kms_shim", "authority": "kms-shim", "timeout_ms": 5000, "token": FakeKms::TOKEN,
            }},
            "store": {"cluster": "s3", "authority": "127.0.0.1:9000"},
        })
    }

    pub fn direct_configuration() -> Value {
        json!({
            "auth": "none",
            "keys": {"direct": {"master_keys": [{"name": "demo", "key": Self::MASTER_KEY}]}},
            "store": {"cluster": "s3", "authority": "127.0.0.1:9000"},
        })
    }

    /// Another Envoy, with its own memory, in front of the same store and KMS.
    pub fn restart(self, configuration: &Value) -> Self {
        let Self { envoy, kms, store, .. } = self;
        drop(envoy);
        Self { kms, store, ..Self::start(configuration) }
    }

    pub fn put(&mut self, path: &str, body: &[u8]) -> Exchange {
        self.send(&Request::put(path, body))
    }

    pub fn get(&mut self, path: &str) -> Exchange {
        self.send(&Request::get(path))
    }

    /// Puts an object into the store, which must work.
    pub fn given(&mut self, path: &str, body: &[u8]) {
        let exchange = self.put(path, body);
        assert_eq!(exchange.client.status(), 200, "{exchange:?}");
    }

    /// Sends a request and serves it to its end.
    pub fn send(&mut self, request: &Request) -> Exchange {
        let stream = self.envoy.open();
        self.send_on(stream, request);
        self.serve(stream);
        assert!(stream.is_over(), "the filter left its client waiting: {:?}", stream.exchange());
        stream.exchange()
    }

    /// Sends a request whose calls are answered as they are made.
    pub fn send_on(&mut self, stream: Stream, request: &Request) {
        let windows = windows_of(&request.body, request.windows);
        let is_end = windows.is_empty() && request.end == End::WithLastWindow;
        stream.request_headers(request.headers.clone(), is_end);
        self.answer_calls();
        for (i, window) in windows.iter().enumerate() {
            stream.request_body(window, i + 1 == windows.len() && request.end == End::WithLastWindow);
            self.answer_calls();
        }
        match request.end {
            End::WithLastWindow => {}
            End::EmptyWindow => stream.request_body(&[], true),
            End::Trailers => stream.request_trailers(Headers::of(&[("x-trailer", "1")])),
        }
        self.answer_calls();
    }

    /// Serves a request that has reached the store.
    pub fn serve(&mut self, stream: Stream) {
        let request = stream.upstream();
        if stream.is_over() || !request.ended {
            return;
        }
        let answer = self.store.serve(&request);
        let is_bodiless = request.header(":method") == Some("HEAD") || [204, 304].contains(&status(&answer));
        let end = if is_bodiless { End::WithLastWindow } else { self.end };
        let windows = windows_of(&answer.body, self.windows);
        stream.response_headers(answer.headers, windows.is_empty() && end == End::WithLastWindow);
        self.answer_calls();
        for (i, window) in windows.iter().enumerate() {
            stream.response_body(window, i + 1 == windows.len() && end == End::WithLastWindow);
            self.answer_calls();
        }
        match end {
            End::WithLastWindow => {}
            End::EmptyWindow => stream.response_body(&[], true),
            End::Trailers => stream.response_trailers(Headers::of(&[("x-trailer", "1")])),
        }
        self.answer_calls();
    }

    /// Answers every call that waits, and those that the answers lead to.
    pub fn answer_calls(&mut self) {
        loop {
            while let Some(call) = self.envoy.take_call() {
                let answer = self.answer_to(&call);
                self.envoy.answer(&call, answer);
            }
            if !self.envoy.tick() {
                return;
            }
        }
    }

    /// What the KMS or the store says to a call.
    pub fn answer_to(&mut self, call: &HttpCall) -> CallAnswer {
        match call.cluster.as_str() {
            "kms_shim" => self.kms.answer(call),
            _ => self.store.answer(call),
        }
    }
}

/// Bytes that look random, and are the same for the same seed.
pub fn sample(length: usize, seed: u64) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15 ^ (seed << 1 | 1);
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    let mut bytes: Vec<u8> = (0..length.div_ceil(8)).flat_map(|_| next()).collect();
    bytes.truncate(length);
    bytes
}

fn windows_of(body: &[u8], windows: Windows) -> Vec<&[u8]> {
    match windows {
        Windows::Whole if body.is_empty() => Vec::new(),
        Windows::Whole => vec![body],
        Windows::Of(size) => body.chunks(size).collect(),
    }
}

fn status(answer: &CallAnswer) -> u16 {
    answer.headers.text(":status").unwrap().parse().unwrap()
}
