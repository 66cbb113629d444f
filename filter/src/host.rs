//! Every hostcall of the filter.
//!
//! The SDK's own methods on contexts panic on header values that are not UTF-8, and a panic takes down the VM with all
//! its streams. So nothing else calls the host.

use std::time::{Duration, SystemTime};

use proxy_wasm::hostcalls;
use proxy_wasm::types::{BufferType, MapType, MetricType, Status};
use s3ep_core::http::{HeadEdits, Headers, RequestHead, ResponseHead};

/// A hostcall that Envoy refused.
#[derive(Debug)]
pub struct HostError(#[expect(dead_code, reason = "for Debug in the log")] Status);

impl From<Status> for HostError {
    fn from(status: Status) -> Self {
        Self(status)
    }
}

/// Which of a stream's two messages a hostcall is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message {
    /// From the client to the store.
    Request,
    /// From the store to the client.
    Response,
}

impl Message {
    fn head(self) -> MapType {
        match self {
            Self::Request => MapType::HttpRequestHeaders,
            Self::Response => MapType::HttpResponseHeaders,
        }
    }

    fn body(self) -> BufferType {
        match self {
            Self::Request => BufferType::HttpRequestBody,
            Self::Response => BufferType::HttpResponseBody,
        }
    }
}

/// The time since the Unix epoch. The epoch itself if the host's clock is before it.
pub fn now() -> Result<Duration, HostError> {
    let now = hostcalls::get_current_time()?;
    Ok(now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default())
}

/// The request's head. None if a pseudo-header is missing or not UTF-8.
pub fn request_head(is_end: bool) -> Result<Option<RequestHead>, HostError> {
    let headers = headers(MapType::HttpRequestHeaders)?;
    let pseudo = |name| headers.text(name).ok().flatten().map(str::to_owned);
    let (Some(method), Some(path)) = (pseudo(":method"), pseudo(":path")) else {
        return Ok(None);
    };
    let authority = pseudo(":authority").unwrap_or_default();
    Ok(Some(RequestHead { method, path, authority, headers, is_end }))
}

/// The response's head. None if its status is missing or no number.
pub fn response_head(is_end: bool) -> Result<Option<ResponseHead>, HostError> {
    response_head_in(MapType::HttpResponseHeaders, is_end)
}

fn response_head_in(map: MapType, is_end: bool) -> Result<Option<ResponseHead>, HostError> {
    let headers = headers(map)?;
    let status = headers.text(":status").ok().flatten().and_then(|status| status.parse().ok());
    Ok(status.map(|status| ResponseHead { status, headers, is_end }))
}

fn headers(map: MapType) -> Result<Headers, HostError> {
    Ok(Headers::new(hostcalls::get_map_bytes(map)?))
}

/// Edits a head that has not gone out yet.
pub fn edit_head(message: Message, edits: &HeadEdits) -> Result<(), HostError> {
    for name in &edits.remove {
        hostcalls::set_map_value_bytes(message.head(), name, None)?;
    }
    for (name, value) in &edits.set {
        hostcalls::set_map_value_bytes(message.head(), name, Some(value.as_bytes()))?;
    }
    Ok(())
}

/// The current window of a body, `len` bytes.
pub fn window(message: Message, len: usize) -> Result<Vec<u8>, HostError> {
    if len == 0 {
        return Ok(Vec::new());
    }
    Ok(hostcalls::get_buffer(message.body(), 0, len)?.unwrap_or_default())
}

/// Puts `bytes` in place of the current window of `len` bytes.
pub fn replace_window(message: Message, len: usize, bytes: &[u8]) -> Result<(), HostError> {
    if len == 0 && bytes.is_empty() {
        return Ok(());
    }
    Ok(hostcalls::set_buffer(message.body(), 0, len, bytes)?)
}

/// Lets go on what a headers callback held back.
pub fn resume(message: Message) -> Result<(), HostError> {
    match message {
        Message::Request => hostcalls::resume_http_request()?,
        Message::Response => hostcalls::resume_http_response()?,
    }
    Ok(())
}

/// Answers the client in the store's place.
pub fn reply(status: u16, headers: Vec<(&str, &str)>, body: &[u8]) -> Result<(), HostError> {
    Ok(hostcalls::send_http_response(status.into(), headers, Some(body))?)
}

/// Breaks the transfer to the client.
pub fn reset() -> Result<(), HostError> {
    Ok(hostcalls::reset_http_response()?)
}

/// Makes the following hostcalls on behalf of another context, until the callback returns.
pub fn act_for(context_id: u32) -> Result<(), HostError> {
    Ok(hostcalls::set_effective_context(context_id)?)
}

/// Calls the plugin back every so often, in whole milliseconds; never, if this is zero.
pub fn set_tick(period: Duration) -> Result<(), HostError> {
    Ok(hostcalls::set_tick_period(period)?)
}

/// Sends an HTTP request of the filter's own. Its answer comes to the context whose callback this is called in, on whoever's
/// behalf, under the token that this returns.
pub fn call(cluster: &str, headers: Vec<(&str, &str)>, body: &[u8], timeout: Duration) -> Result<u32, HostError> {
    Ok(hostcalls::dispatch_http_call(cluster, headers, Some(body), Vec::new(), timeout)?)
}

/// The head of the answer to a call. None: it failed.
pub fn call_head() -> Result<Option<ResponseHead>, HostError> {
    response_head_in(MapType::HttpCallResponseHeaders, true)
}

/// The body of the answer to a call, `len` bytes.
pub fn call_body(len: usize) -> Result<Vec<u8>, HostError> {
    Ok(hostcalls::get_buffer(BufferType::HttpCallResponseBody, 0, len)?.unwrap_or_default())
}

/// The plugin's configuration.
pub fn plugin_configuration(len: usize) -> Result<Vec<u8>, HostError> {
    Ok(hostcalls::get_buffer(BufferType::PluginConfiguration, 0, len)?.unwrap_or_default())
}

/// Makes a metric known, or finds it. Gives the id to count with.
pub fn define_metric(kind: MetricType, name: &str) -> Result<u32, HostError> {
    Ok(hostcalls::define_metric(kind, name)?)
}

/// Adds to a counter.
pub fn increment(id: u32, number: u64) -> Result<(), HostError> {
    Ok(hostcalls::increment_metric(id, i64::try_from(number).unwrap_or(i64::MAX))?)
}

/// Adds a value to a histogram.
pub fn record(id: u32, value: u64) -> Result<(), HostError> {
    Ok(hostcalls::record_metric(id, value)?)
}

/// Shows a value of the stream's to Envoy's access log, as `wasm.<name>` in its filter state.
pub fn show(name: &str, value: &str) -> Result<(), HostError> {
    Ok(hostcalls::set_property(vec![name], Some(value.as_bytes()))?)
}
