//! `GET /healthz`, `GET /readyz` and `GET /metrics`: for those who operate the service, without a token.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use kms_api::Secret;
use serde::Serialize;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use super::error::ApiError;
use super::{Service, Shared, answer};
use crate::kek::{Context, Kek};
use crate::metrics;

/// How long the KEK may take for a probe.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long an outcome holds: a probe asks the KMS at most so often.
const READY_FOR: Duration = Duration::from_secs(15);
const UNREADY_FOR: Duration = Duration::from_secs(3);

pub(super) fn routes() -> Router<Arc<Service>> {
    Router::new().route("/healthz", get(healthz)).route("/readyz", get(readyz)).route("/metrics", get(metrics))
}

#[derive(Serialize)]
struct Health {
    status: &'static str,
}

async fn healthz() -> Response {
    answer(&Health { status: "ok" })
}

async fn readyz(State(service): Shared) -> Result<Response, ApiError> {
    // A task of its own, so that a caller that hangs up does not keep the outcome from being known.
    let probe = tokio::spawn(async move { service.readiness.check(service.keks.first()).await });
    let outcome = probe.await.unwrap_or_else(|_| Err(ApiError::unavailable("the probe failed")));
    outcome.map(|()| answer(&Health { status: "ready" }))
}

async fn metrics(State(service): Shared) -> Result<Response, ApiError> {
    let text = service.metrics.text().map_err(|_| ApiError::unavailable("the metrics could not be written"))?;
    Ok(([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response())
}

/// Whether the KEK answers, asked only now and then.
#[derive(Default)]
pub(super) struct Readiness(Mutex<Option<(Instant, Result<(), ApiError>)>>);

impl Readiness {
    /// The last outcome, or a new one if that is old. Those who come meanwhile wait for the same one.
    async fn check(&self, kek: &dyn Kek) -> Result<(), ApiError> {
        let mut last = self.0.lock().await;
        if let Some((until, outcome)) = &*last
            && Instant::now() < *until
        {
            return outcome.clone();
        }
        let outcome = timeout(PROBE_TIMEOUT, probe(kek)).await;
        let outcome = outcome.unwrap_or_else(|_| Err(ApiError::unavailable("the KEK does not answer in time")));
        let holds = if outcome.is_ok() { READY_FOR } else { UNREADY_FOR };
        *last = Some((Instant::now() + holds, outcome.clone()));
        outcome
    }
}

/// Ready means that a DEK comes back as it went in from the KEK that wraps. The others may be allowed to unwrap alone.
async fn probe(kek: &dyn Kek) -> Result<(), ApiError> {
    let context = Context::new("readyz", "readyz").map_err(|error| ApiError::invalid(error.to_string()))?;
    let dek = Secret::new(vec![0x5a; 32]);
    let wrapped = kek.wrap(&dek, &context).await.map_err(ApiError::not_ready)?;
    let unwrapped = kek.unwrap(&wrapped, &context).await.map_err(ApiError::not_ready)?;
    if unwrapped != dek {
        return Err(ApiError::unavailable("the KEK unwraps to something else than it wrapped"));
    }
    Ok(())
}
