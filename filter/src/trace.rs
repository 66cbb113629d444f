//! Trace context: the filter's own calls carry that of the request that they are made for.

use s3ep_core::http::Headers;

/// W3C Trace Context, B3 in both its forms, and the id that logs know the request by.
const HEADERS: [&str; 8] = [
    "traceparent",
    "tracestate",
    "b3",
    "x-b3-traceid",
    "x-b3-spanid",
    "x-b3-parentspanid",
    "x-b3-sampled",
    "x-request-id",
];

/// Bytes of a value beyond which it is left out: it came from a client, and W3C asks for no more (Trace Context, 3.3.1.5).
const MAX_LEN: usize = 512;

/// A request's trace context, as headers.
#[derive(Debug, Clone, Default)]
pub struct Trace(Vec<(&'static str, String)>);

impl Trace {
    /// That of a request with these headers.
    pub fn of(headers: &Headers) -> Self {
        let value = |name| headers.text(name).ok().flatten().filter(|value| value.len() <= MAX_LEN).map(str::to_owned);
        Self(HEADERS.iter().filter_map(|name| Some((*name, value(name)?))).collect())
    }

    /// For a call's head.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (*name, value.as_str()))
    }
}
