//! What the fake Envoy knows: one [`Host`] a thread, as the SDK's dispatcher, too, is one a thread.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::fmt;

use proxy_wasm::types::{LogLevel, Status};

use super::headers::Headers;

thread_local! {
    static HOST: RefCell<Host> = RefCell::default();
}

/// Gives access to this thread's host. Never call into the filter from inside `f`.
pub fn host<R>(f: impl FnOnce(&mut Host) -> R) -> R {
    HOST.with_borrow_mut(f)
}

/// This thread's streams: for the panic hook, which may find the host in use.
pub fn exchanges() -> Vec<Exchange> {
    HOST.with(|host| host.try_borrow().map(|h| h.streams.values().map(Stream::exchange).collect()).unwrap_or_default())
}

/// What the filter did that it must not: for the panic hook, too.
pub fn violations() -> Vec<String> {
    HOST.with(|host| host.try_borrow().map(|host| host.violations.clone()).unwrap_or_default())
}

/// Which way a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the upstream.
    Request,
    /// From the upstream to the client.
    Response,
}

/// What a peer, the upstream or the client, received.
#[derive(Clone, Default)]
pub struct Received {
    pub headers: Option<Headers>,
    pub body: Vec<u8>,
    pub trailers: Option<Headers>,
    /// The message came to its proper end.
    pub ended: bool,
    /// The message was broken off.
    pub reset: bool,
}

impl Received {
    /// Nothing at all arrived, not even a header.
    pub fn is_nothing(&self) -> bool {
        self.headers.is_none() && self.body.is_empty() && !self.ended
    }

    /// A header's first value, if headers came and it is among them.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.as_ref().and_then(|headers| headers.text(name))
    }

    pub fn status(&self) -> u16 {
        self.header(":status").map_or(0, |status| status.parse().unwrap())
    }
}

impl fmt::Debug for Received {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let start = String::from_utf8_lossy(&self.body[..self.body.len().min(300)]);
        f.debug_struct("Received")
            .field("headers", &self.headers)
            .field("body", &format_args!("{} bytes: {start:?}", self.body.len()))
            .field("trailers", &self.trailers)
            .field("ended", &self.ended)
            .field("reset", &self.reset)
            .finish()
    }
}

/// What both peers of a stream received.
#[derive(Debug, Clone, Default)]
pub struct Exchange {
    pub upstream: Received,
    pub client: Received,
}

impl Exchange {
    /// The client got this body, whole, as a success.
    pub fn assert_delivered(&self, body: &[u8]) {
        assert_eq!(self.client.status(), 200, "{self:?}");
        assert!(self.client.ended && !self.client.reset, "{self:?}");
        assert!(self.client.body == body, "another body than was put: {self:?}");
    }

    /// The client got this error, in S3's XML.
    pub fn assert_error(&self, status: u16, code: &str) {
        let body = String::from_utf8_lossy(&self.client.body);
        assert_eq!(self.client.status(), status, "{self:?}");
        assert!(self.client.ended && !self.client.reset, "{self:?}");
        assert_eq!(self.client.header("content-type"), Some("application/xml"), "{self:?}");
        assert!(body.starts_with("<?xml") && body.contains(&format!("<Code>{code}</Code>")), "{self:?}");
        assert!(body.ends_with("</Error>"), "{self:?}");
    }

    /// The client saw a failure that no one takes for a whole body, after at most a prefix of it.
    pub fn assert_broken_off(&self, body: &[u8]) {
        match self.client.status() {
            200 => {
                assert!(self.client.reset && !self.client.ended, "a clean end: {self:?}");
                assert!(body.starts_with(&self.client.body), "bytes that are not authentic: {self:?}");
            }
            _ => self.assert_error(502, "InternalError"),
        }
    }
}

/// One direction of a stream.
#[derive(Default)]
pub struct Half {
    /// The filter has seen, or sees, the headers.
    pub has_headers: bool,
    pub headers: Headers,
    /// No body follows the headers.
    pub ends_with_headers: bool,
    /// The headers have not gone on yet, so they may be changed.
    pub open_headers: bool,
    /// The headers callback returned `Pause`, and nobody continued yet.
    pub paused: bool,
    /// What arrived meanwhile.
    pub held: Held,
    /// The window, during a body callback.
    pub window: Option<Vec<u8>>,
    /// The trailers, during their callback.
    pub trailers: Option<Headers>,
    /// What came out at the other side.
    pub peer: Received,
}

/// What waits behind paused headers.
#[derive(Default)]
pub struct Held {
    pub body: Option<Vec<u8>>,
    pub is_end: bool,
    pub trailers: Option<Headers>,
}

/// An HTTP stream.
#[derive(Default)]
pub struct Stream {
    pub request: Half,
    pub response: Half,
    pub is_head: bool,
    /// `proxy_send_local_response` was called: the request goes nowhere any more.
    pub replied: bool,
    /// `proxy_close_stream` was called.
    pub closed: bool,
    /// The stream is over, and the filter's context is gone.
    pub deleted: bool,
}

impl Stream {
    pub fn half(&mut self, direction: Direction) -> &mut Half {
        match direction {
            Direction::Request => &mut self.request,
            Direction::Response => &mut self.response,
        }
    }

    pub fn exchange(&self) -> Exchange {
        Exchange { upstream: self.request.peer.clone(), client: self.response.peer.clone() }
    }
}

/// What Envoy does only after the callback has returned.
pub enum AfterCallback {
    Continue(u32, Direction),
    Close(u32),
    Reply(u32, LocalReply),
}

pub struct LocalReply {
    pub status: u32,
    pub headers: Headers,
    pub body: Vec<u8>,
}

impl LocalReply {
    /// As Envoy's `prepareLocalReply` completes them.
    pub fn into_headers(self) -> Headers {
        let mut headers = Headers::of(&[(":status", &self.status.to_string())]);
        self.headers.iter().for_each(|(name, value)| headers.add(name, value));
        if self.body.is_empty() {
            headers.remove("content-length");
            headers.remove("content-type");
        } else {
            headers.set("content-length", self.body.len().to_string());
            if headers.get("content-type").is_none() {
                headers.set("content-type", "text/plain");
            }
        }
        headers
    }
}

/// A call that the filter made and that nobody has answered yet.
#[derive(Debug, Clone)]
pub struct HttpCall {
    pub token: u32,
    pub cluster: String,
    pub headers: Headers,
    pub body: Vec<u8>,
    pub timeout_ms: u32,
}

/// How a call ends.
#[derive(Debug, Clone, Default)]
pub struct CallAnswer {
    pub headers: Headers,
    pub body: Vec<u8>,
    pub trailers: Headers,
}

#[derive(Debug, Clone)]
pub struct LogLine {
    pub level: LogLevel,
    pub message: String,
}

/// A hostcall that is to fail.
pub struct Fault {
    pub hostcall: &'static str,
    /// How many calls succeed before it.
    pub after: usize,
    pub status: Status,
}

/// All of it.
#[derive(Default)]
pub struct Host {
    /// Never reused on a thread, because the dispatcher outlives each fake.
    pub last_context: u32,
    pub root: u32,
    /// Present during `proxy_on_configure` alone.
    pub configuration: Option<Vec<u8>>,
    pub clusters: HashSet<String>,
    pub clock_ns: u64,
    pub logs: Vec<LogLine>,
    pub metrics: BTreeMap<String, i64>,
    pub metric_names: Vec<String>,
    /// What filters set of their streams, of the last one that did.
    pub properties: BTreeMap<String, String>,
    pub streams: HashMap<u32, Stream>,
    pub calls: VecDeque<HttpCall>,
    pub last_token: u32,
    /// How often the root context is called back, in milliseconds. 0: never.
    pub tick_period: u32,
    /// Present during `proxy_on_http_call_response` alone.
    pub call_answer: Option<CallAnswer>,
    /// Whose callback runs, and on whose behalf hostcalls are made.
    pub current: u32,
    pub effective: u32,
    /// The direction whose headers callback runs.
    pub in_headers: Option<Direction>,
    /// During `proxy_on_log`, headers can be read once more.
    pub in_log: bool,
    pub after_callback: VecDeque<AfterCallback>,
    pub faults: Vec<Fault>,
    /// How often each hostcall was made.
    pub hostcalls: BTreeMap<String, usize>,
    /// What the filter did that no filter may do in Envoy.
    pub violations: Vec<String>,
}

impl Host {
    /// The stream on whose behalf a hostcall is made. None: a root context's.
    pub fn stream(&mut self) -> Option<&mut Stream> {
        self.streams.get_mut(&self.effective)
    }

    pub fn violate(&mut self, what: impl Into<String>) {
        self.violations.push(what.into());
    }

    /// Counts this call of `hostcall`, and takes the fault that is due for it.
    pub fn enter(&mut self, hostcall: &str) -> Option<Status> {
        *self.hostcalls.entry(hostcall.to_owned()).or_default() += 1;
        let i = self.faults.iter().position(|fault| fault.hostcall == hostcall)?;
        let fault = &mut self.faults[i];
        if fault.after > 0 {
            fault.after -= 1;
            return None;
        }
        Some(self.faults.remove(i).status)
    }
}
