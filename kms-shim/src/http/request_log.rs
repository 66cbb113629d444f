//! One log line and one count a request, under the request's id.

use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use kms_api::{UNWRAP_PATH, WRAP_PATH};
use tracing::Instrument as _;

use super::Shared;
use super::error::ApiError;
use crate::metrics::Operation;

/// What Envoy calls a request, which its answer carries too.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Longest id of a caller's that is taken over, in bytes.
const MAX_ID_LEN: usize = 128;

/// Logs failures as warnings, and everything else for debugging. Neither headers nor bodies are logged, and whose object it
/// was for debugging only.
pub(super) async fn log(State(service): Shared, request: Request, next: Next) -> Response {
    let id = request_id(request.headers());
    // An error's span, so that it is there at every level.
    let span = tracing::error_span!("request", request_id = id.to_str().unwrap_or_default());
    let mut response = async {
        let start = Instant::now();
        let method = request.method().clone();
        let route = request.extensions().get::<MatchedPath>().cloned();
        let response = next.run(request).await;

        let route = route.as_ref().map_or("(none)", MatchedPath::as_str);
        let status = response.status().as_u16();
        let micros = u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX);
        let error = response.extensions().get::<ApiError>();
        match error {
            Some(error) => tracing::warn!(%method, route, status, micros, %error, "request failed"),
            None => tracing::debug!(%method, route, status, micros, "request served"),
        }
        if let Some(object) = error.and_then(ApiError::object) {
            // `Debug` escapes control characters, with which a name could forge log lines.
            tracing::debug!(bucket = ?object.bucket(), object_key = ?object.object_key(), "it was about this object");
        }
        if let Some(operation) = operation(route) {
            service.metrics.request(operation, error.map(ApiError::kind));
        }
        response
    }
    .instrument(span)
    .await;
    response.headers_mut().insert(REQUEST_ID, id);
    response
}

fn operation(route: &str) -> Option<Operation> {
    match route {
        WRAP_PATH => Some(Operation::Wrap),
        UNWRAP_PATH => Some(Operation::Unwrap),
        _ => None,
    }
}

/// The caller's id for the request, if it is one that can do no harm in a log; otherwise a new one.
fn request_id(headers: &HeaderMap) -> HeaderValue {
    let theirs = headers.get(REQUEST_ID).filter(|id| is_harmless(id.as_bytes()));
    theirs.cloned().unwrap_or_else(new_id)
}

fn is_harmless(id: &[u8]) -> bool {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:=+/".contains(byte);
    (1..=MAX_ID_LEN).contains(&id.len()) && id.iter().all(allowed)
}

fn new_id() -> HeaderValue {
    // Without randomness there is no service either; then the id is of no matter.
    let id = getrandom::u64().unwrap_or_default();
    HeaderValue::from_str(&format!("{id:016x}")).unwrap_or(HeaderValue::from_static("0"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_can_do_harm_is_replaced() {
        for (theirs, taken) in [
            ("5e2a1c3d-7f57-4c0a-9a3c-6f0b2c1d4e5f", true),
            ("1-67891233-abcdef012345678912345678", true),
            (&"a".repeat(128), true),
            (&"a".repeat(129), false),
            ("", false),
            ("two words", false),
            ("\"quoted\"", false),
            ("id={x}", false),
        ] {
            let headers = HeaderMap::from_iter([(REQUEST_ID, HeaderValue::from_str(theirs).unwrap())]);
            assert_eq!(request_id(&headers) == theirs, taken, "{theirs}");
        }
        let ours = request_id(&HeaderMap::new());
        assert_eq!(ours.len(), 16);
        assert_ne!(ours, request_id(&HeaderMap::new()), "every id is new");
    }
}
