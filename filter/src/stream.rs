//! One HTTP stream: Envoy's callbacks into the exchange, its steps back to Envoy.
//!
//! Every callback goes through [`Stream::handle`]. That is the only way to `Action::Continue` for a message that is not known to
//! be the filter's own reply, and an error never takes it: [`Stream::fail`] replies or resets, and everything
//! of the stream that comes later is held back.

use std::rc::Rc;

use getrandom::SysRng;
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;
use s3ep_core::error::{Error, InternalError, KmsError, RequestError};
use s3ep_core::exchange::{Answer, Body, Call, Env, Exchange, HeadStep};
use s3ep_core::s3::error::S3Error;
use zeroize::Zeroizing;

use crate::callout::{self, Pending};
use crate::host::{self, HostError, Message};
use crate::plugin::Shared;

/// A stream's context.
pub struct Stream {
    /// None: the plugin has no configuration, and nothing is served.
    shared: Option<Rc<Shared>>,
    state: State,
    /// The path that was asked for, for error documents.
    path: String,
    request_id: String,
    /// Whether the response's head went out to the client.
    is_head_out: bool,
}

enum State {
    /// The request's head has not come.
    New,
    /// The exchange goes on.
    Running(Exchange),
    /// The exchange waits for the answer to a call, with a head held back.
    Waiting(Exchange, Message, u32, Pending),
    /// The filter's own reply is on its way to the client.
    Replied,
    /// It failed after the head went out: the transfer is broken off.
    Broken,
}

/// What a callback came to.
enum Outcome {
    /// The message goes on.
    Continue,
    /// The message is held until a call is answered.
    Hold,
}

impl Stream {
    /// A stream of a plugin that is configured, or not.
    pub fn new(shared: Option<Rc<Shared>>) -> Self {
        Self { shared, state: State::New, path: String::new(), request_id: String::new(), is_head_out: false }
    }

    /// Handles an event of a message, and says what Envoy hears.
    fn handle(&mut self, message: Message, run: impl FnOnce(&mut Self) -> Result<Outcome, Failure>) -> Action {
        match (&self.state, message) {
            // The filter's own reply: Envoy has let go of the store by then.
            (State::Replied, Message::Response) => return Action::Continue,
            // Envoy answers by itself, before the request reached this filter or while it held it.
            (State::New | State::Waiting(_, Message::Request, ..), Message::Response) => return Action::Continue,
            // What still comes from a client that was answered, or to one that was cut off, goes nowhere.
            (State::Replied | State::Broken, _) => return Action::Pause,
            _ => {}
        }
        match run(self) {
            Ok(Outcome::Continue) => Action::Continue,
            Ok(Outcome::Hold) => Action::Pause,
            Err(failure) => {
                self.fail(&failure.0);
                Action::Pause
            }
        }
    }

    /// Turns a failure into what the client can still be told.
    fn fail(&mut self, error: &Error) {
        let s3_error = S3Error::from(error);
        // A client's own mistakes are not worth an operator's attention.
        let level = if s3_error.status < 500 { log::Level::Info } else { log::Level::Warn };
        log::log!(level, "s3ep: {error} (request {})", self.request_id);
        // First of all, so that nothing can go on whatever the host says next.
        self.state = if self.is_head_out { State::Broken } else { State::Replied };
        let told = match self.is_head_out {
            true => host::reset(),
            false => {
                let document = s3_error.to_xml(&self.path, &self.request_id);
                let content_range = s3_error.content_range.map(|range| range.to_string());
                let mut headers = vec![("content-type", "application/xml")];
                headers.extend(content_range.as_deref().map(|range| ("content-range", range)));
                host::reply(s3_error.status, headers, document.as_bytes())
            }
        };
        if let Err(error) = told {
            log::error!("s3ep: the client could not be told of a failure: {error:?}");
        }
    }

    /// Runs one event through the exchange.
    fn event<T>(&mut self, event: impl FnOnce(&mut Exchange, &mut Env<'_>) -> Result<T, Error>) -> Result<T, Failure> {
        let State::Running(exchange) = &mut self.state else {
            return Err(InternalError("an event came out of order").into());
        };
        let shared = self.shared.as_deref().ok_or(InternalError("the plugin has no configuration"))?;
        with_env(shared, |env| event(exchange, env))
    }

    fn begin(&mut self, is_end: bool) -> Result<Outcome, Failure> {
        let shared = self.shared.clone().ok_or(InternalError("the plugin has no configuration"))?;
        let head = host::request_head(is_end)?.ok_or(RequestError::InvalidUri("it is not UTF-8"))?;
        self.path = head.path.split_once('?').map_or(head.path.as_str(), |(path, _)| path).to_owned();
        self.request_id = head.headers.text("x-request-id").ok().flatten().unwrap_or_default().to_owned();
        let (exchange, step) = with_env(&shared, |env| Exchange::begin(env, head))?;
        self.state = State::Running(exchange);
        self.take_step(Message::Request, step)
    }

    fn response_head(&mut self, is_end: bool) -> Result<Outcome, Failure> {
        let head = host::response_head(is_end)?.ok_or(InternalError("a response has no status"))?;
        let step = self.event(|exchange, env| exchange.response_head(env, &head))?;
        self.take_step(Message::Response, step)
    }

    /// Carries out what the exchange wants done with a head.
    fn take_step(&mut self, message: Message, step: HeadStep) -> Result<Outcome, Failure> {
        match step {
            HeadStep::Forward(edits) => {
                host::edit_head(message, &edits)?;
                self.is_head_out |= message == Message::Response;
                Ok(Outcome::Continue)
            }
            HeadStep::Wait(call) => {
                self.send(message, call)?;
                Ok(Outcome::Hold)
            }
            HeadStep::Reply(reply) => {
                // First of all, so that nothing can go on whatever the host says next.
                self.state = State::Replied;
                let headers = reply.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
                host::reply(reply.status, headers, &reply.body)?;
                Ok(Outcome::Hold)
            }
        }
    }

    /// Sends a call, and waits for its answer with `message` held back.
    fn send(&mut self, message: Message, call: Call) -> Result<(), Failure> {
        let shared = self.shared.clone().ok_or(InternalError("the plugin has no configuration"))?;
        let is_for_store = matches!(call, Call::Store(_));
        let (token, pending) = callout::send(&shared.config, call).map_err(|error| {
            log::error!("s3ep: a cluster cannot be called: {error:?}");
            Failure(if is_for_store { Error::StoreUnavailable } else { KmsError::Unavailable.into() })
        })?;
        match std::mem::replace(&mut self.state, State::Broken) {
            State::Running(exchange) => self.state = State::Waiting(exchange, message, token, pending),
            _ => return Err(InternalError("a call was asked for out of order").into()),
        }
        Ok(())
    }

    /// Takes a call's answer to the exchange and lets the held message go on.
    fn answered(&mut self, message: Message, answer: Answer) -> Result<(), Failure> {
        let step = self.event(|exchange, env| exchange.answer(env, answer))?;
        match self.take_step(message, step)? {
            Outcome::Continue => Ok(host::resume(message)?),
            Outcome::Hold => Ok(()),
        }
    }

    fn body(&mut self, message: Message, len: usize, is_end: bool) -> Result<Outcome, Failure> {
        let window = host::window(message, len)?;
        let body = self.event(|exchange, env| match message {
            Message::Request => exchange.request_body(env, &window, is_end),
            Message::Response => exchange.response_body(&window, is_end),
        })?;
        if let Body::Replaced(bytes) = body {
            host::replace_window(message, len, &bytes)?;
        }
        Ok(Outcome::Continue)
    }
}

fn with_env<T>(shared: &Shared, run: impl FnOnce(&mut Env<'_>) -> Result<T, Error>) -> Result<T, Failure> {
    let mut caches = shared.caches.try_borrow_mut().map_err(|_| InternalError("the caches are in use already"))?;
    let mut env = Env { config: &shared.config, caches: &mut caches, entropy: &mut SysRng, now: host::now()? };
    Ok(run(&mut env)?)
}

impl Context for Stream {
    fn on_http_call_response(&mut self, token: u32, _: usize, body_len: usize, _: usize) {
        // Anything else is an answer to a stream that failed meanwhile.
        if !matches!(&self.state, State::Waiting(_, _, awaited, _) if *awaited == token) {
            return;
        }
        let State::Waiting(exchange, message, _, pending) = std::mem::replace(&mut self.state, State::Broken) else {
            return;
        };
        self.state = State::Running(exchange);
        let answer = match (host::call_head(), host::call_body(body_len).map(Zeroizing::new)) {
            (Ok(head), Ok(body)) => pending.answered(head, body),
            _ => pending.failed(KmsError::Garbage),
        };
        if let Err(failure) = self.answered(message, answer) {
            self.fail(&failure.0);
        }
    }
}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _: usize, is_end: bool) -> Action {
        self.handle(Message::Request, |stream| stream.begin(is_end))
    }

    fn on_http_request_body(&mut self, len: usize, is_end: bool) -> Action {
        self.handle(Message::Request, |stream| stream.body(Message::Request, len, is_end))
    }

    fn on_http_request_trailers(&mut self, _: usize) -> Action {
        self.handle(Message::Request, |stream| {
            stream.event(|exchange, _| exchange.request_trailers()).map(|()| Outcome::Continue)
        })
    }

    fn on_http_response_headers(&mut self, _: usize, is_end: bool) -> Action {
        self.handle(Message::Response, |stream| stream.response_head(is_end))
    }

    fn on_http_response_body(&mut self, len: usize, is_end: bool) -> Action {
        self.handle(Message::Response, |stream| stream.body(Message::Response, len, is_end))
    }

    fn on_http_response_trailers(&mut self, _: usize) -> Action {
        self.handle(Message::Response, |stream| {
            stream.event(|exchange, _| exchange.response_trailers()).map(|()| Outcome::Continue)
        })
    }
}

/// What stops a stream.
struct Failure(Error);

impl<E: Into<Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl From<HostError> for Failure {
    fn from(error: HostError) -> Self {
        log::error!("s3ep: a hostcall failed: {error:?}");
        Self(InternalError("Envoy refused a call").into())
    }
}
