//! The one place that turns a failure into an HTTP answer.

use std::fmt;
use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use kms_api::{ErrorBody, ErrorKind, ErrorResponse};

use crate::kek::{Context, KekError};

/// An answer that is not a 200. It travels in the response's extensions too, for the log.
#[derive(Debug, Clone)]
pub(super) struct ApiError {
    status: StatusCode,
    kind: ErrorKind,
    message: String,
    object: Option<Context>,
    retry_after: Option<Duration>,
}

impl ApiError {
    pub(super) fn new(status: StatusCode, kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { status, kind, message: message.into(), object: None, retry_after: None }
    }

    pub(super) fn invalid(message: impl Into<String>) -> Self {
        KekError::new(ErrorKind::Invalid, message).into()
    }

    pub(super) fn unavailable(message: impl Into<String>) -> Self {
        KekError::new(ErrorKind::Unavailable, message).into()
    }

    pub(super) fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, ErrorKind::Denied, "the bearer token is missing or wrong")
    }

    pub(super) fn too_large(limit: usize) -> Self {
        let message = format!("the body is longer than {limit} bytes");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, ErrorKind::Invalid, message)
    }

    pub(super) fn busy() -> Self {
        Self::unavailable("too many requests are under way").try_again(Duration::from_secs(1))
    }

    pub(super) fn too_fast(wait: Duration) -> Self {
        let message = "more requests than the configured rate";
        Self::new(StatusCode::TOO_MANY_REQUESTS, ErrorKind::Unavailable, message).try_again(wait)
    }

    /// Whatever the KEK said to a readiness probe, it is not ready.
    pub(super) fn not_ready(error: KekError) -> Self {
        Self::unavailable(error.message)
    }

    /// Notes the object, for the log only.
    pub(super) fn about(self, object: Context) -> Self {
        Self { object: Some(object), ..self }
    }

    fn try_again(self, after: Duration) -> Self {
        Self { retry_after: Some(after), ..self }
    }

    pub(super) fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The object that was noted.
    pub(super) fn object(&self) -> Option<&Context> {
        self.object.as_ref()
    }
}

impl From<KekError> for ApiError {
    fn from(error: KekError) -> Self {
        let status = match error.kind {
            ErrorKind::Invalid => StatusCode::BAD_REQUEST,
            ErrorKind::Denied => StatusCode::FORBIDDEN,
            ErrorKind::ContextMismatch => StatusCode::UNPROCESSABLE_ENTITY,
            ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self::new(status, error.kind, error.message)
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.kind, self.message)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let error = ErrorBody { kind: self.kind, message: self.message.clone() };
        let json = serde_json::to_string(&ErrorResponse { error }).unwrap_or_default();
        let mut response = (self.status, [(header::CONTENT_TYPE, "application/json")], json).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            // RFC 9110 section 11.6.1: a 401 names the scheme.
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(after) = self.retry_after {
            // In whole seconds (RFC 9110 section 10.2.3), and none of them too early.
            let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        response.extensions_mut().insert(self);
        response
    }
}
