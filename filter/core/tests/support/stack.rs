//! Everything around the exchange, and the driver.

use std::time::Duration;

use s3ep_core::account::Account;
use s3ep_core::caches::Caches;
use s3ep_core::config::Config;
use s3ep_core::error::Error;
use s3ep_core::exchange::{Answer, Body, Call, CallBody, Env, Exchange, HeadStep, Reply, StoreAnswer};
use s3ep_core::http::{HeadEdits, Headers, ResponseHead};
use s3ep_core::s3::error::S3Error;
use serde_json::{Value, json};

use super::client::{Message, Outcome};
use super::kms::FakeKms;
use super::message::{End, Request, Split};
use super::noise::Noise;
use super::store::{Recorded, Store, StoreResponse};

/// 32 bytes in base64.
pub const MASTER_KEY: &str = "bWFzdGVyIGtleSBvZiAzMiBieXRlcyBmb3IgdGVzdHM=";
pub const TOKEN: &str = "the-bearer-token-of-the-tests";

/// Where DEKs come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Envelope,
    Direct,
}

pub const MODES: [Mode; 2] = [Mode::Envelope, Mode::Direct];

/// Both modes with each of these.
pub fn both<T: Clone>(cases: impl IntoIterator<Item = T> + Clone) -> impl Iterator<Item = (Mode, T)> {
    MODES.into_iter().flat_map(move |mode| cases.clone().into_iter().map(move |case| (mode, case)))
}

/// A proxy with its store and its KMS.
pub struct Stack {
    pub config: Config,
    pub caches: Caches,
    pub entropy: Noise,
    pub now: Duration,
    pub kms: FakeKms,
    pub store: Store,
    /// Whether the store answers the proxy's own HEADs.
    pub is_store_up: bool,
    /// How request bodies are cut.
    pub up: Split,
    /// How response bodies are cut.
    pub down: Split,
    /// What all exchanges did together.
    pub account: Account,
    /// All that could get into a log: steps, calls, answers and errors, as `Debug`, `Display` and XML show them.
    pub shown: Vec<String>,
}

impl Stack {
    pub fn new(mode: Mode) -> Self {
        Self::with(mode, json!({}))
    }

    /// With these fields in the configuration.
    pub fn with(mode: Mode, fields: Value) -> Self {
        let keys = match mode {
            Mode::Envelope => json!({ "envelope": { "cluster": "kms_shim", "authority": "kms-shim", "token": TOKEN } }),
            Mode::Direct => json!({ "direct": { "master_keys": [{ "name": "first", "key": MASTER_KEY }] } }),
        };
        let mut json =
            json!({ "auth": "none", "keys": keys, "store": { "cluster": "s3", "authority": "store.example" } });
        json.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let config = Config::parse(json.to_string().as_bytes(), &|_| None).unwrap();
        Self {
            caches: Caches::new(&config),
            config,
            entropy: Noise::default(),
            now: Duration::from_secs(1_767_225_600),
            kms: FakeKms::new(),
            store: Store::default(),
            is_store_up: true,
            up: Split::whole(),
            down: Split::whole(),
            account: Account::default(),
            shown: Vec::new(),
        }
    }

    /// As another replica would begin, or this one after a restart.
    pub fn forget(&mut self) {
        self.caches = Caches::new(&self.config);
    }

    #[track_caller]
    pub fn put(&mut self, path: &str, body: &[u8]) -> Message {
        let response = self.send(&Request::put(path, body)).complete();
        assert_eq!(response.status, 200);
        response
    }

    pub fn get(&mut self, path: &str) -> Outcome {
        self.send(&Request::get(path))
    }

    /// Runs one request to its end.
    pub fn send(&mut self, request: &Request) -> Outcome {
        let began = self.step(|env| Exchange::begin(env, request.to_head()));
        let began = began.and_then(|(mut exchange, step)| {
            let settled = self.settle(&mut exchange, step)?;
            Ok((exchange, settled))
        });
        let (mut exchange, edits) = match began {
            Ok((exchange, Settled::Forward(edits))) => (exchange, edits),
            Ok((_, Settled::Reply(reply))) => return Outcome::Complete(reply.into()),
            Err(error) => return Outcome::Refused(error.into()),
        };
        let outcome = self.transfer(&mut exchange, request, &edits);
        exchange.settle(&mut self.account);
        outcome
    }

    fn transfer(&mut self, exchange: &mut Exchange, request: &Request, edits: &HeadEdits) -> Outcome {
        let (recorded, sent) = self.upload(exchange, request, edits);
        // What came to the store is there, whatever else went wrong.
        let response = self.store.receive(recorded);
        match (sent, response) {
            (Err(error), _) => Outcome::Refused(error.into()),
            (Ok(()), Some(response)) => self.download(exchange, request, &response),
            (Ok(()), None) => panic!("the request ended before the length that it promised the store"),
        }
    }

    /// Gives an event to the exchange, and notes its failure.
    fn step<T>(&mut self, event: impl FnOnce(&mut Env<'_>) -> Result<T, Error>) -> Result<T, Error> {
        let Self { config, caches, entropy, now, account, .. } = self;
        let result = event(&mut Env { config, caches, entropy, now: *now, account });
        if let Err(error) = &result {
            let told = S3Error::from(error);
            self.shown.push(format!("{error:?} {error} {told:?} {}", told.to_xml("/path", "id")));
        }
        result
    }

    /// Carries out calls until the head may go on, or the client is answered in the store's place.
    fn settle(&mut self, exchange: &mut Exchange, mut step: HeadStep) -> Result<Settled, Error> {
        loop {
            self.shown.push(format!("{step:?}"));
            match step {
                HeadStep::Forward(edits) => return Ok(Settled::Forward(edits)),
                HeadStep::Reply(reply) => return Ok(Settled::Reply(reply)),
                HeadStep::Wait(call) => {
                    let answer = self.carry_out(&call);
                    self.shown.push(format!("{answer:?}"));
                    step = self.step(|env| exchange.answer(env, answer))?;
                }
            }
        }
    }

    fn carry_out(&mut self, call: &Call) -> Answer {
        match call {
            Call::Wrap(dek, name) => Answer::Wrapped(self.kms.wrap(dek, name)),
            Call::Unwrap(wrapped, name) => Answer::Unwrapped(self.kms.unwrap(wrapped, name)),
            Call::Store(_) if !self.is_store_up => Answer::Stored(None),
            Call::Store(request) => {
                let StoreResponse { status, headers, body, is_end } = self.store.called(request);
                let head = ResponseHead { status, headers, is_end };
                Answer::Stored(Some(StoreAnswer { head, body: CallBody(body) }))
            }
        }
    }

    /// Streams the request's body. Gives what reached the store, and how that ended.
    fn upload(
        &mut self,
        exchange: &mut Exchange,
        request: &Request,
        edits: &HeadEdits,
    ) -> (Recorded, Result<(), Error>) {
        let mut body = Vec::new();
        let sent = request.body.as_ref().map_or(Ok(()), |plain| {
            for (window, is_end) in self.up.windows(plain) {
                append(&mut body, window, self.step(|env| exchange.request_body(env, window, is_end))?);
            }
            if self.up.end == End::Trailers { self.step(|_| exchange.request_trailers()) } else { Ok(()) }
        });
        let headers = apply(&Headers::new(request.headers.clone()), edits);
        let path = edits.set.iter().find(|(name, _)| name == ":path").map_or(&request.path, |(_, path)| path);
        let promised = headers.text("content-length").unwrap().map(|text| text.parse::<usize>().unwrap());
        assert!(promised.is_none_or(|length| body.len() <= length), "more goes upstream than was promised");
        let recorded = Recorded {
            method: request.method.clone(),
            path: path.clone(),
            is_whole: promised.map_or(sent.is_ok(), |length| body.len() == length),
            headers,
            body,
            answered: 0,
        };
        (recorded, sent)
    }

    /// Streams the response.
    fn download(&mut self, exchange: &mut Exchange, request: &Request, response: &StoreResponse) -> Outcome {
        let StoreResponse { status, headers, body, is_end } = response;
        let head = ResponseHead { status: *status, headers: headers.clone(), is_end: *is_end };
        let step = self.step(|env| exchange.response_head(env, &head));
        let edits = match step.and_then(|step| self.settle(exchange, step)) {
            Ok(Settled::Forward(edits)) => edits,
            Ok(Settled::Reply(reply)) => return Outcome::Complete(reply.into()),
            Err(error) => return Outcome::Refused(error.into()),
        };
        let mut message = Message { status: *status, headers: apply(headers, &edits), body: Vec::new() };
        if !is_end && let Err(error) = self.stream(exchange, body, &mut message.body) {
            return Outcome::Broken(message, error.into());
        }
        let stated = |headers: &Headers| headers.text("content-length").ok().flatten().map(str::to_owned);
        let is_framed = |headers: &Headers, len: usize| stated(headers).is_none_or(|text| text == len.to_string());
        let has_body = request.method != "HEAD" && *status != 304;
        if has_body && is_framed(headers, body.len()) && !is_framed(&message.headers, message.body.len()) {
            return Outcome::Misframed(message);
        }
        Outcome::Complete(message)
    }

    fn stream(&mut self, exchange: &mut Exchange, body: &[u8], released: &mut Vec<u8>) -> Result<(), Error> {
        for (window, is_end) in self.down.windows(body) {
            append(released, window, self.step(|_| exchange.response_body(window, is_end))?);
        }
        if self.down.end == End::Trailers { self.step(|_| exchange.response_trailers()) } else { Ok(()) }
    }
}

/// What becomes of a head in the end.
enum Settled {
    Forward(HeadEdits),
    Reply(Reply),
}

impl From<Reply> for Message {
    fn from(Reply { status, headers, body }: Reply) -> Self {
        Self { status, headers: headers.into_iter().collect(), body }
    }
}

fn append(out: &mut Vec<u8>, window: &[u8], body: Body) {
    match body {
        Body::Unchanged => out.extend_from_slice(window),
        Body::Replaced(bytes) => out.extend_from_slice(&bytes),
    }
}

/// Edits as the filter carries them out: removals first.
fn apply(headers: &Headers, edits: &HeadEdits) -> Headers {
    let is_edited = |name: &str| edits.remove.iter().chain(edits.set.iter().map(|(n, _)| n)).any(|n| n == name);
    let kept =
        headers.iter().filter(|(name, _)| !is_edited(name)).map(|(name, value)| (name.to_owned(), value.to_vec()));
    let set = edits.set.iter().filter(|(name, _)| !name.starts_with(':'));
    let set = set.inspect(|(name, value)| assert!(!value.contains(['\r', '\n', '\0']), "{name} is no header's value"));
    Headers::new(kept.chain(set.map(|(name, value)| (name.clone(), value.clone().into_bytes()))).collect())
}
