//! One HTTP stream through the filter, driven from both its ends.
//!
//! The rules are those of Envoy's filter manager and of its wasm context. `Pause` at headers holds back whatever follows,
//! which then comes as one window. An action that the filter asked for is done after its callback has returned. A local
//! reply passes the filter's response callbacks like any response, if none has begun; it replaces a response whose
//! headers are still held; it breaks a stream whose response headers have gone out.

use proxy_wasm::types::Action;

use super::abi;
use super::headers::Headers;
use super::host::{self, AfterCallback, Direction, Exchange, Half, Host, LocalReply, Received, host};

/// A stream's two ends.
#[derive(Debug, Clone, Copy)]
pub struct Stream(u32);

impl Stream {
    /// The client opens a stream.
    pub fn open() -> Self {
        let (id, root) = host(|host| {
            host.last_context += 1;
            host.streams.insert(host.last_context, host::Stream::default());
            (host.last_context, host.root)
        });
        abi::call(id, || abi::proxy_on_context_create(id, root));
        Self(id)
    }

    pub fn request_headers(self, headers: Headers, is_end: bool) {
        self.update(|stream| stream.is_head = headers.text(":method") == Some("HEAD"));
        self.on_headers(Direction::Request, headers, is_end);
    }

    pub fn request_body(self, window: &[u8], is_end: bool) {
        self.on_body(Direction::Request, window.to_vec(), is_end);
    }

    pub fn request_trailers(self, trailers: Headers) {
        self.on_trailers(Direction::Request, trailers);
    }

    pub fn response_headers(self, headers: Headers, is_end: bool) {
        self.on_headers(Direction::Response, headers, is_end);
    }

    pub fn response_body(self, window: &[u8], is_end: bool) {
        self.on_body(Direction::Response, window.to_vec(), is_end);
    }

    pub fn response_trailers(self, trailers: Headers) {
        self.on_trailers(Direction::Response, trailers);
    }

    /// The client goes away, which the filter learns by being deleted.
    pub fn client_leaves(self) {
        self.tear_down();
    }

    /// The upstream breaks the stream off: the client gets Envoy's 503, or sees a broken transfer.
    pub fn upstream_resets(self) {
        let body = b"upstream connect error or disconnect/reset before headers".to_vec();
        self.reply(LocalReply { status: 503, headers: Headers::default(), body });
    }

    /// Nothing more will happen: the client has its answer or a reset, or has left.
    pub fn is_over(self) -> bool {
        self.read(|stream| stream.deleted)
    }

    /// Headers wait for the filter to continue.
    pub fn is_paused(self, direction: Direction) -> bool {
        self.update(|stream| stream.half(direction).paused)
    }

    pub fn exchange(self) -> Exchange {
        self.read(host::Stream::exchange)
    }

    pub fn upstream(self) -> Received {
        self.exchange().upstream
    }

    pub fn client(self) -> Received {
        self.exchange().client
    }

    fn read<R>(self, f: impl FnOnce(&host::Stream) -> R) -> R {
        host(|host| f(&host.streams[&self.0]))
    }

    fn update<R>(self, f: impl FnOnce(&mut host::Stream) -> R) -> R {
        host(|host| f(host.streams.get_mut(&self.0).unwrap()))
    }

    fn half<R>(self, direction: Direction, f: impl FnOnce(&mut Half) -> R) -> R {
        self.update(|stream| f(stream.half(direction)))
    }

    /// A peer may go on sending after the stream has ended, but nobody listens.
    fn is_deaf(self, direction: Direction) -> bool {
        self.read(|stream| stream.deleted || (direction == Direction::Request && stream.replied))
    }

    fn on_headers(self, direction: Direction, headers: Headers, is_end: bool) {
        if self.is_deaf(direction) {
            return;
        }
        let count = headers.len();
        self.half(direction, |half| {
            assert!(!half.has_headers, "the test sends headers twice");
            (half.headers, half.ends_with_headers) = (headers, is_end);
            (half.has_headers, half.open_headers) = (true, true);
        });
        host(|host| host.in_headers = Some(direction));
        let action = abi::call(self.0, || match direction {
            Direction::Request => abi::proxy_on_request_headers(self.0, count, is_end),
            Direction::Response => abi::proxy_on_response_headers(self.0, count, is_end),
        });
        host(|host| host.in_headers = None);
        if self.goes_on(action) {
            self.forward_headers(direction);
        } else {
            self.half(direction, |half| half.paused = true);
        }
        settle();
    }

    fn on_body(self, direction: Direction, window: Vec<u8>, is_end: bool) {
        if self.is_deaf(direction) {
            return;
        }
        if self.half(direction, |half| half.paused) {
            self.half(direction, |half| {
                half.held.body.get_or_insert_default().extend(window);
                half.held.is_end |= is_end;
            });
            return;
        }
        let size = window.len();
        self.half(direction, |half| {
            assert!(half.has_headers && !half.ends_with_headers && !half.peer.ended, "the test sends a stray body");
            half.window = Some(window);
        });
        let action = abi::call(self.0, || match direction {
            Direction::Request => abi::proxy_on_request_body(self.0, size, is_end),
            Direction::Response => abi::proxy_on_response_body(self.0, size, is_end),
        });
        let window = self.half(direction, |half| half.window.take()).unwrap_or_default();
        if self.goes_on(action) {
            self.half(direction, |half| half.peer.body.extend(window));
            if is_end {
                self.finish(direction);
            }
        } else if !abi::ended_its_stream(self.0) {
            host(|host| host.violate("Pause from a body callback: Envoy would buffer up to 413 or 500"));
        }
        settle();
    }

    fn on_trailers(self, direction: Direction, trailers: Headers) {
        if self.is_deaf(direction) {
            return;
        }
        if self.half(direction, |half| half.paused) {
            self.half(direction, |half| half.held.trailers = Some(trailers));
            return;
        }
        let count = trailers.len();
        self.half(direction, |half| half.trailers = Some(trailers));
        let action = abi::call(self.0, || match direction {
            Direction::Request => abi::proxy_on_request_trailers(self.0, count),
            Direction::Response => abi::proxy_on_response_trailers(self.0, count),
        });
        let trailers = self.half(direction, |half| half.trailers.take());
        if self.goes_on(action) {
            self.half(direction, |half| half.peer.trailers = trailers);
            self.finish(direction);
        } else if !abi::ended_its_stream(self.0) {
            host(|host| host.violate("Pause from a trailers callback, and nothing left to continue it"));
        }
        settle();
    }

    /// Whether Envoy goes on with what the callback was for.
    fn goes_on(self, action: Action) -> bool {
        let has_ended = abi::ended_its_stream(self.0);
        if has_ended && action == Action::Continue {
            host(|host| host.violate("Continue from a callback that ended its stream"));
        }
        action == Action::Continue && !has_ended
    }

    fn forward_headers(self, direction: Direction) {
        let is_end = self.half(direction, |half| {
            half.open_headers = false;
            half.peer.headers = Some(half.headers.clone());
            half.ends_with_headers
        });
        if is_end {
            self.finish(direction);
        }
    }

    /// A message has come to its end at its peer: what it said of its length must have been true.
    fn finish(self, direction: Direction) {
        let bodiless = self.read(|stream| stream.is_head && direction == Direction::Response);
        let (stated, length) = self.half(direction, |half| {
            half.peer.ended = true;
            let is_bodiless = bodiless || half.peer.status() == 304;
            let stated = half.peer.header("content-length").filter(|_| !is_bodiless).map(str::to_owned);
            (stated, half.peer.body.len())
        });
        if stated.as_ref().is_some_and(|stated| *stated != length.to_string()) {
            host(|host| host.violate(format!("{direction:?}: Content-Length {stated:?}, but {length} bytes of body")));
        }
        if direction == Direction::Response {
            self.tear_down();
        }
    }

    /// `proxy_continue_stream`: the headers go on, and then what waited behind them.
    fn resume(self, direction: Direction) {
        if self.is_deaf(direction) {
            return;
        }
        if !self.half(direction, |half| std::mem::take(&mut half.paused)) {
            host(|host| host.violate(format!("proxy_continue_stream, but the {direction:?} was not paused")));
            return;
        }
        self.forward_headers(direction);
        let held = self.half(direction, |half| std::mem::take(&mut half.held));
        if let Some(body) = held.body {
            self.on_body(direction, body, held.is_end);
        }
        if let Some(trailers) = held.trailers {
            self.on_trailers(direction, trailers);
        }
    }

    fn reply(self, reply: LocalReply) {
        let (has_response, has_gone_out) = self.update(|stream| {
            stream.replied = true;
            (stream.response.has_headers, stream.response.peer.headers.is_some())
        });
        if has_gone_out {
            return self.tear_down();
        }
        let is_head = self.read(|stream| stream.is_head);
        let body = if is_head { Vec::new() } else { reply.body.clone() };
        let headers = reply.into_headers();
        if !has_response {
            self.on_headers(Direction::Response, headers, body.is_empty());
            if !body.is_empty() {
                self.on_body(Direction::Response, body, true);
            }
            return;
        }
        self.half(Direction::Response, |half| {
            (half.headers, half.ends_with_headers, half.paused) = (headers, false, false);
        });
        self.forward_headers(Direction::Response);
        self.half(Direction::Response, |half| half.peer.body = body);
        self.finish(Direction::Response);
    }

    /// The end of the stream: whatever is incomplete is seen as a reset, and the filter's context goes.
    fn tear_down(self) {
        let was_deleted = self.update(|stream| {
            for peer in [&mut stream.request.peer, &mut stream.response.peer] {
                peer.reset |= !peer.ended;
            }
            std::mem::replace(&mut stream.deleted, true)
        });
        if was_deleted {
            return;
        }
        host(|host| host.in_log = true);
        abi::call(self.0, || abi::proxy_on_log(self.0));
        host(|host| host.in_log = false);
        abi::call(self.0, || abi::proxy_on_done(self.0));
        abi::call(self.0, || abi::proxy_on_delete(self.0));
    }
}

/// Does what the filter asked for during the callback, and fails the test if it did what it must not.
pub fn settle() {
    let next = |host: &mut Host| host.after_callback.pop_front();
    while let Some(action) = host(next) {
        match action {
            AfterCallback::Continue(id, direction) => Stream(id).resume(direction),
            AfterCallback::Close(id) => Stream(id).tear_down(),
            AfterCallback::Reply(id, reply) => Stream(id).reply(reply),
        }
    }
    let violations = host(|host| std::mem::take(&mut host.violations));
    assert!(violations.is_empty(), "the filter did what no filter may: {violations:#?}");
}
