//! The filter's own HTTP requests: the exchange's questions about DEKs, in kms-shim's JSON, and those to the store.

use std::time::Duration;

use kms_api::{
    EncryptionContext, ErrorKind, ErrorResponse, Secret, UNWRAP_PATH, UnwrapRequest, UnwrapResponse, WRAP_PATH,
    WrapRequest, WrapResponse,
};
use s3ep_core::config::{Config, KeySource, Shim, Upstream};
use s3ep_core::error::KmsError;
use s3ep_core::exchange::{Answer, Call, CallBody, StoreAnswer, StoreRequest};
use s3ep_core::format::metadata::WrappedDek;
use s3ep_core::http::ResponseHead;
use s3ep_core::keys::{Dek, ObjectName};
use zeroize::Zeroizing;

use crate::host::{self, HostError};
use crate::metrics::CallLabels;
use crate::trace::Trace;

/// A call that is under way.
pub struct Pending {
    token: u32,
    kind: Kind,
    /// When it was sent.
    since: Duration,
    /// What to send once more should it fail, and when its time is over.
    again: Option<(Call, Duration)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// `POST /v1/wrap`.
    Wrap,
    /// `POST /v1/unwrap`.
    Unwrap,
    /// A request to the store.
    Store,
}

impl Kind {
    fn label(self) -> &'static str {
        match self {
            Self::Wrap => "wrap",
            Self::Unwrap => "unwrap",
            Self::Store => "store",
        }
    }
}

impl Pending {
    /// Sends a call on behalf of a request with this trace context.
    pub fn send(config: &Config, call: Call, trace: &Trace, now: Duration) -> Result<Self, SendError> {
        let Call::Store(request) = call else { return Self::ask_shim(config, call, trace, now) };
        let token = send_to_store(&config.store, &request, trace)?;
        Ok(Self { token, kind: Kind::Store, since: now, again: None })
    }

    fn ask_shim(config: &Config, call: Call, trace: &Trace, now: Duration) -> Result<Self, SendError> {
        let KeySource::Envelope(shim) = &config.keys else { return Err(SendError::NoShim) };
        let deadline = now.saturating_add(shim.upstream.timeout);
        let (token, kind) = send_to_shim(shim, &call, trace, shim.upstream.timeout)?;
        Ok(Self { token, kind, since: now, again: Some((call, deadline)) })
    }

    /// What its answer will come with.
    pub fn token(&self) -> u32 {
        self.token
    }

    /// Sends a call to kms-shim that has failed once more, if it failed in a way that may pass, for the first time, and
    /// before its time was over. A connection that the other side has just closed is such a failure.
    pub fn retry(
        &mut self,
        config: &Config,
        head: Option<&ResponseHead>,
        trace: &Trace,
        now: Duration,
    ) -> Result<bool, SendError> {
        let may_pass = head.is_none_or(|head| head.status == 503);
        let Some((call, deadline)) = self.again.take().filter(|_| may_pass) else { return Ok(false) };
        let (KeySource::Envelope(shim), Some(left)) = (&config.keys, deadline.checked_sub(now)) else {
            return Ok(false);
        };
        if left < Duration::from_millis(1) {
            return Ok(false);
        }
        (self.token, self.kind) = send_to_shim(shim, &call, trace, left)?;
        Ok(true)
    }

    /// How long it has been under way.
    pub fn age(&self, now: Duration) -> Duration {
        now.saturating_sub(self.since)
    }

    /// How metrics name it, now that this is the answer.
    pub fn labels(&self, answer: &Answer) -> CallLabels {
        let outcome = match answer {
            Answer::Wrapped(Err(error)) | Answer::Unwrapped(Err(error)) => error.cause(),
            Answer::Stored(None) => "store_unavailable",
            Answer::Wrapped(Ok(_)) | Answer::Unwrapped(Ok(_)) | Answer::Stored(Some(_)) => "ok",
        };
        CallLabels { call: self.kind.label(), outcome }
    }

    /// What the exchange hears when a call comes to nothing.
    pub fn failed(&self, error: KmsError) -> Answer {
        match self.kind {
            Kind::Wrap => Answer::Wrapped(Err(error)),
            Kind::Unwrap => Answer::Unwrapped(Err(error)),
            Kind::Store => Answer::Stored(None),
        }
    }

    /// What the exchange hears of an answer. `head` is None if the call failed.
    pub fn answered(&self, head: Option<ResponseHead>, mut body: Zeroizing<Vec<u8>>) -> Answer {
        match (self.kind, head.as_ref().map(|head| head.status)) {
            // Envoy says 503 and 504 in the store's place.
            (Kind::Store, Some(503 | 504)) => self.failed(KmsError::Unavailable),
            (Kind::Store, _) => {
                let body = CallBody(std::mem::take(&mut *body));
                Answer::Stored(head.map(|head| StoreAnswer { head, body }))
            }
            (Kind::Wrap, Some(200)) => Answer::Wrapped(wrapped(&body)),
            (Kind::Unwrap, Some(200)) => Answer::Unwrapped(unwrapped(&body)),
            (_, status) => self.failed(failure(status, &body)),
        }
    }
}

/// Why a call could not be sent.
#[derive(Debug)]
pub enum SendError {
    /// Envoy does not know the store's cluster, or cannot take the call.
    Store(#[expect(dead_code, reason = "for Debug in the log")] HostError),
    /// The same of kms-shim's.
    Shim(#[expect(dead_code, reason = "for Debug in the log")] HostError),
    /// Direct mode has no KMS to ask.
    NoShim,
}

fn send_to_store(store: &Upstream, request: &StoreRequest, trace: &Trace) -> Result<u32, SendError> {
    let mut headers = vec![(":method", request.method), (":path", &request.path), (":authority", &store.authority)];
    headers.extend(request.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    headers.extend(trace.iter());
    host::call(&store.cluster, headers, &request.body.0, store.timeout).map_err(SendError::Store)
}

fn send_to_shim(shim: &Shim, call: &Call, trace: &Trace, timeout: Duration) -> Result<(u32, Kind), SendError> {
    let (kind, path, body) = match call {
        Call::Wrap(dek, name) => {
            let plaintext = Secret::new(dek.expose().to_vec());
            (Kind::Wrap, WRAP_PATH, serde_json::to_vec(&WrapRequest { plaintext, context: context(name) }))
        }
        Call::Unwrap(WrappedDek { bytes, kek }, name) => {
            let request = UnwrapRequest { wrapped: bytes.clone(), kek: kek.clone(), context: context(name) };
            (Kind::Unwrap, UNWRAP_PATH, serde_json::to_vec(&request))
        }
        Call::Store(_) => return Err(SendError::NoShim),
    };
    // Strings and maps of strings: JSON can hold them all.
    let body = Zeroizing::new(body.unwrap_or_default());
    let authorization = Zeroizing::new(format!("Bearer {}", shim.token.expose()));
    let length = body.len().to_string();
    let mut headers = vec![
        (":method", "POST"),
        (":path", path),
        (":authority", &shim.upstream.authority),
        ("authorization", &authorization),
        ("content-type", "application/json"),
        ("content-length", &length),
    ];
    headers.extend(trace.iter());
    let token = host::call(&shim.upstream.cluster, headers, &body, timeout).map_err(SendError::Shim)?;
    Ok((token, kind))
}

fn context(name: &ObjectName) -> EncryptionContext {
    [("bucket".to_owned(), name.bucket.clone()), ("key".to_owned(), name.object_key.clone())].into()
}

fn wrapped(body: &[u8]) -> Result<WrappedDek, KmsError> {
    let WrapResponse { wrapped, kek } = serde_json::from_slice(body).map_err(|_| KmsError::Garbage)?;
    WrappedDek::new(wrapped, kek).map_err(|_| KmsError::Garbage)
}

fn unwrapped(body: &[u8]) -> Result<Dek, KmsError> {
    let UnwrapResponse { plaintext } = serde_json::from_slice(body).map_err(|_| KmsError::Garbage)?;
    Dek::from_slice(plaintext.expose()).ok_or(KmsError::Garbage)
}

/// The status alone decides where it can: Envoy answers in the shim's place when it cannot be reached, and a proxy on
/// the way may too, neither in our JSON.
fn failure(status: Option<u16>, body: &[u8]) -> KmsError {
    let kind = serde_json::from_slice::<ErrorResponse>(body).map(|response| response.error.kind);
    match (status, kind) {
        (None | Some(429 | 503 | 504), _) => KmsError::Unavailable,
        (Some(401 | 403), _) => KmsError::Denied,
        (_, Ok(ErrorKind::Unavailable)) => KmsError::Unavailable,
        (_, Ok(ErrorKind::Denied)) => KmsError::Denied,
        (_, Ok(ErrorKind::ContextMismatch)) => KmsError::ContextMismatch,
        (_, Ok(ErrorKind::Invalid)) => KmsError::Invalid,
        (_, Err(_)) => KmsError::Garbage,
    }
}
