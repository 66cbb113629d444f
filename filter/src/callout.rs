//! The filter's own HTTP requests: the exchange's questions about DEKs, in kms-shim's JSON, and those to the store.

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

/// A call that is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pending {
    /// `POST /v1/wrap`.
    Wrap,
    /// `POST /v1/unwrap`.
    Unwrap,
    /// A request to the store.
    Store,
}

impl Pending {
    /// What the exchange hears when a call comes to nothing.
    pub fn failed(self, error: KmsError) -> Answer {
        match self {
            Self::Wrap => Answer::Wrapped(Err(error)),
            Self::Unwrap => Answer::Unwrapped(Err(error)),
            Self::Store => Answer::Stored(None),
        }
    }

    /// What the exchange hears of an answer. `head` is None if the call failed.
    pub fn answered(self, head: Option<ResponseHead>, mut body: Zeroizing<Vec<u8>>) -> Answer {
        match (self, head.as_ref().map(|head| head.status)) {
            // Envoy says 503 and 504 in the store's place.
            (Self::Store, Some(503 | 504)) => self.failed(KmsError::Unavailable),
            (Self::Store, _) => {
                let body = CallBody(std::mem::take(&mut *body));
                Answer::Stored(head.map(|head| StoreAnswer { head, body }))
            }
            (Self::Wrap, Some(200)) => Answer::Wrapped(wrapped(&body)),
            (Self::Unwrap, Some(200)) => Answer::Unwrapped(unwrapped(&body)),
            (_, status) => self.failed(failure(status, &body)),
        }
    }
}

/// Why a call could not be sent.
#[derive(Debug)]
pub enum SendError {
    /// Envoy does not know the cluster, or cannot take the call.
    Host(#[expect(dead_code, reason = "for Debug in the log")] HostError),
    /// Direct mode has no KMS to ask.
    NoShim,
}

impl From<HostError> for SendError {
    fn from(error: HostError) -> Self {
        Self::Host(error)
    }
}

/// Sends a call.
pub fn send(config: &Config, call: Call) -> Result<(u32, Pending), SendError> {
    match (call, &config.keys) {
        (Call::Store(request), _) => Ok((send_to_store(&config.store, &request)?, Pending::Store)),
        (call, KeySource::Envelope(shim)) => send_to_shim(shim, call),
        (_, KeySource::Direct(_)) => Err(SendError::NoShim),
    }
}

fn send_to_store(store: &Upstream, request: &StoreRequest) -> Result<u32, HostError> {
    let mut headers = vec![(":method", request.method), (":path", &request.path), (":authority", &store.authority)];
    headers.extend(request.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    host::call(store, headers, &request.body.0)
}

fn send_to_shim(shim: &Shim, call: Call) -> Result<(u32, Pending), SendError> {
    let (pending, path, body) = match call {
        Call::Wrap(dek, name) => {
            let plaintext = Secret::new(dek.expose().to_vec());
            (Pending::Wrap, WRAP_PATH, serde_json::to_vec(&WrapRequest { plaintext, context: context(name) }))
        }
        Call::Unwrap(WrappedDek { bytes, kek }, name) => {
            let request = UnwrapRequest { wrapped: bytes, kek, context: context(name) };
            (Pending::Unwrap, UNWRAP_PATH, serde_json::to_vec(&request))
        }
        Call::Store(_) => return Err(SendError::NoShim),
    };
    // Strings and maps of strings: JSON can hold them all.
    let body = Zeroizing::new(body.unwrap_or_default());
    let authorization = Zeroizing::new(format!("Bearer {}", shim.token.expose()));
    let length = body.len().to_string();
    let headers = vec![
        (":method", "POST"),
        (":path", path),
        (":authority", &shim.upstream.authority),
        ("authorization", &authorization),
        ("content-type", "application/json"),
        ("content-length", &length),
    ];
    Ok((host::call(&shim.upstream, headers, &body)?, pending))
}

fn context(name: ObjectName) -> EncryptionContext {
    [("bucket".to_owned(), name.bucket), ("key".to_owned(), name.object_key)].into()
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
