//! The HTTP service: `POST /v1/wrap`, `POST /v1/unwrap`, `GET /healthz`, `GET /readyz`, `GET /metrics`.
//!
//! Every answer that is not a 200 is a [`kms_api::ErrorResponse`]. Apart from the kinds' own statuses (400, 401, 403,
//! 422, 503) there are 404 and 405 for requests to something else, 408 and 413 for bodies that come too slowly or are
//! too large, all of kind `invalid`; and 429 for more requests than the configured rate, of kind `unavailable`.

mod error;
mod gate;
mod health;
mod request_log;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, FromRequest, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use kms_api::{
    EncryptionContext, ErrorKind, UNWRAP_PATH, UnwrapRequest, UnwrapResponse, WRAP_PATH, WrapRequest, WrapResponse,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::Instant;
use zeroize::{Zeroize, Zeroizing};

use crate::admission::{Admission, Limits};
use crate::kek::Context;
use crate::keks::Keks;
use crate::metrics::{Metrics, Operation};
use crate::token::Token;
use error::ApiError;
use health::Readiness;

/// Longest request body in bytes. A DEK of 32 bytes and S3's longest names need about 2 KiB.
pub const MAX_BODY_LEN: usize = 64 * 1024;

/// How long a client may take to send a body.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// Room for the JSON of an answer, so that writing it leaves no copies of a DEK behind in smaller buffers.
const ANSWER_CAPACITY: usize = 2 * MAX_BODY_LEN;

/// What answers requests.
pub struct Service {
    keks: Keks,
    token: Token,
    admission: Admission,
    metrics: Metrics,
    readiness: Readiness,
}

type Shared = State<Arc<Service>>;

impl Service {
    /// The service over these KEKs, for callers with this token, within these limits.
    pub fn new(keks: impl Into<Keks>, token: Token, limits: Limits, metrics: Metrics) -> Arc<Self> {
        Arc::new(Self {
            keks: keks.into(),
            token,
            admission: Admission::new(limits),
            metrics,
            readiness: Readiness::default(),
        })
    }
}

/// All routes of the service.
pub fn router(service: Arc<Service>) -> Router {
    let calls = Router::new()
        .route(WRAP_PATH, post(wrap))
        .route(UNWRAP_PATH, post(unwrap))
        .route_layer(middleware::from_fn_with_state(service.clone(), gate::admit))
        .route_layer(middleware::from_fn_with_state(service.clone(), gate::authorize));
    finish(calls.merge(health::routes()), service)
}

/// The routes for those who operate the service, and who need no token: no DEK comes by here.
pub fn operations_router(service: Arc<Service>) -> Router {
    finish(health::routes(), service)
}

fn finish(routes: Router<Arc<Service>>, service: Arc<Service>) -> Router {
    routes
        .fallback(async || ApiError::new(StatusCode::NOT_FOUND, ErrorKind::Invalid, "no such route"))
        .method_not_allowed_fallback(async || {
            ApiError::new(StatusCode::METHOD_NOT_ALLOWED, ErrorKind::Invalid, "no such method on this route")
        })
        .layer(DefaultBodyLimit::max(MAX_BODY_LEN))
        .layer(middleware::from_fn_with_state(service.clone(), request_log::log))
        .with_state(service)
}

async fn wrap(State(service): Shared, request: Request) -> Result<Response, ApiError> {
    let WrapRequest { plaintext, context } = read(request).await?;
    let context = parse_context(context)?;
    if plaintext.expose().is_empty() {
        return Err(ApiError::invalid("the plaintext is empty").about(context));
    }
    let kek = service.keks.first();
    let start = Instant::now();
    let outcome = kek.wrap(&plaintext, &context).await;
    service.metrics.kek_call(kek.id(), Operation::Wrap, &outcome, start.elapsed());
    match outcome {
        Ok(wrapped) => Ok(answer(&WrapResponse { wrapped, kek: kek.id().to_owned() })),
        Err(error) => Err(ApiError::from(error).about(context)),
    }
}

async fn unwrap(State(service): Shared, request: Request) -> Result<Response, ApiError> {
    let UnwrapRequest { wrapped, kek, context } = read(request).await?;
    let context = parse_context(context)?;
    if wrapped.is_empty() {
        return Err(ApiError::invalid("the wrapped DEK is empty").about(context));
    }
    let Some(kek) = service.keks.find(&kek) else {
        let ids = service.keks.ids().collect::<Vec<_>>().join(", ");
        return Err(ApiError::invalid(format!("no such KEK here: there is {ids}")).about(context));
    };
    let start = Instant::now();
    let outcome = kek.unwrap(&wrapped, &context).await;
    service.metrics.kek_call(kek.id(), Operation::Unwrap, &outcome, start.elapsed());
    match outcome {
        Ok(plaintext) => Ok(answer(&UnwrapResponse { plaintext })),
        Err(error) => Err(ApiError::from(error).about(context)),
    }
}

fn parse_context(context: EncryptionContext) -> Result<Context, ApiError> {
    Context::try_from(context).map_err(|error| ApiError::invalid(error.to_string()))
}

/// Reads a JSON body, whatever its Content-Type says, and wipes it.
async fn read<T: DeserializeOwned>(request: Request) -> Result<T, ApiError> {
    let body: Result<Bytes, BytesRejection> = tokio::time::timeout(BODY_TIMEOUT, Bytes::from_request(request, &()))
        .await
        .map_err(|_| ApiError::new(StatusCode::REQUEST_TIMEOUT, ErrorKind::Invalid, "the body came too slowly"))?;
    let body = body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => ApiError::too_large(MAX_BODY_LEN),
        _ => ApiError::invalid("the body could not be read"),
    })?;
    let parsed = serde_json::from_slice(&body);
    // The body's buffer is ours alone, unless hyper still reads the next request into its tail.
    if let Ok(mut buffer) = body.try_into_mut() {
        buffer.as_mut().zeroize();
    }
    parsed.map_err(|error| {
        let (line, column) = (error.line(), error.column());
        ApiError::invalid(format!("{} (line {line}, column {column})", crate::json::problem(&error)))
    })
}

/// A 200 whose body is wiped once it has been sent.
fn answer<T: Serialize>(value: &T) -> Response {
    let mut json = Zeroizing::new(Vec::with_capacity(ANSWER_CAPACITY));
    if serde_json::to_writer(&mut *json, value).is_err() {
        return ApiError::unavailable("the answer could not be written").into_response();
    }
    ([(header::CONTENT_TYPE, "application/json")], Body::from(Bytes::from_owner(json))).into_response()
}
