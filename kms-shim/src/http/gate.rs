//! What a request passes before anybody looks at it: its token, then the limits. So those who have no token use up nothing
//! of what those who have one may ask.

use axum::extract::{Request, State};
use axum::http::header;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::Shared;
use super::error::ApiError;
use crate::admission::Refusal;
use crate::metrics::RefusalReason;

pub(super) async fn authorize(State(service): Shared, request: Request, next: Next) -> Response {
    let header = request.headers().get(header::AUTHORIZATION);
    if header.is_some_and(|value| service.token.authorizes(value.as_bytes())) {
        return next.run(request).await;
    }
    service.metrics.refusal(RefusalReason::Unauthorized);
    ApiError::unauthorized().into_response()
}

pub(super) async fn admit(State(service): Shared, request: Request, next: Next) -> Response {
    let (reason, error) = match service.admission.enter() {
        Ok(_permit) => {
            let _in_flight = service.metrics.in_flight();
            return next.run(request).await;
        }
        Err(Refusal::Busy) => (RefusalReason::Busy, ApiError::busy()),
        Err(Refusal::TooFast(wait)) => (RefusalReason::RateLimited, ApiError::too_fast(wait)),
    };
    service.metrics.refusal(reason);
    error.into_response()
}
