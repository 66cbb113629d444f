//! One HTTP stream: Envoy's callbacks into the exchange, its steps back to Envoy.
//!
//! Every callback goes through [`Stream::handle`]. That is the only way to `Action::Continue` for a message that is not known to
//! be the filter's own reply, and an error never takes it: [`Stream::fail`] replies or resets, and everything
//! of the stream that comes later is held back.

use std::cell::RefCell;
use std::rc::Rc;

use getrandom::SysRng;
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;
use s3ep_core::account::Account;
use s3ep_core::error::{Error, InternalError, KmsError, RequestError};
use s3ep_core::exchange::{Answer, Body, Call, Env, Exchange, HeadStep};
use s3ep_core::s3::error::S3Error;
use zeroize::Zeroizing;

use crate::access_log;
use crate::callout::{Pending, SendError};
use crate::handle::Handle;
use crate::host::{self, HostError, Message};
use crate::plugin::Shared;
use crate::trace::Trace;
use crate::unwraps::{Lead, Outcome as Unwrapped, Unwraps};

/// A stream, as the SDK calls it.
pub struct StreamContext(Rc<RefCell<Stream>>);

/// A stream.
pub struct Stream {
    handle: Handle,
    /// None: the plugin has no configuration, and nothing is served.
    shared: Option<Rc<Shared>>,
    state: State,
    /// The path that was asked for, for error documents.
    path: String,
    request_id: String,
    trace: Trace,
    /// What it did, for metrics and the access log.
    account: Account,
    /// What it failed of, if it did.
    cause: Option<&'static str>,
    /// Whether the response's head went out to the client.
    is_head_out: bool,
    /// Whether this is the plugin's callback, so that the answers to calls come to the plugin.
    is_by_plugin: bool,
}

enum State {
    /// The request's head has not come.
    New,
    /// The exchange goes on.
    Running(Exchange),
    /// The exchange waits for the answer to a call, with a head held back.
    Waiting(Exchange, Message, Waiting),
    /// The filter's own reply is on its way to the client.
    Replied,
    /// It failed after the head went out: the transfer is broken off.
    Broken,
}

impl State {
    /// The exchange, while an event of it may come.
    fn running(&mut self) -> Result<&mut Exchange, InternalError> {
        match self {
            Self::Running(exchange) => Ok(exchange),
            _ => Err(InternalError("an event came out of order")),
        }
    }
}

enum Waiting {
    /// For the answer to a call of its own, which others may wait for, too.
    Own(Box<Pending>, Option<Box<Lead>>),
    /// For the answer to another stream's call, or to make it itself after all.
    Joined(Box<Call>),
}

/// What a callback came to.
enum Outcome {
    /// The message goes on.
    Continue,
    /// The message is held until a call is answered.
    Hold,
}

impl StreamContext {
    /// A stream of a plugin that is configured, or not.
    pub fn new(context_id: u32, shared: Option<Rc<Shared>>) -> Self {
        Self(Rc::new_cyclic(|stream| {
            RefCell::new(Stream {
                handle: Handle::new(context_id, stream.clone()),
                shared,
                state: State::New,
                path: String::new(),
                request_id: String::new(),
                trace: Trace::default(),
                account: Account::default(),
                cause: None,
                is_head_out: false,
                is_by_plugin: false,
            })
        }))
    }

    fn handle(&self, message: Message, run: impl FnOnce(&mut Stream) -> Result<Outcome, Failure>) -> Action {
        self.0.borrow_mut().handle(message, run)
    }
}

impl Stream {
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
        self.cause = Some(error.cause());
        self.settle();
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

    /// Takes over what the exchange has sealed and opened.
    fn settle(&mut self) {
        if let State::Running(exchange) | State::Waiting(exchange, ..) = &mut self.state {
            exchange.settle(&mut self.account);
        }
    }

    /// The stream is over: counts what it did, and shows it to the access log.
    fn log(&mut self) {
        self.settle();
        let Some(shared) = &self.shared else { return };
        shared.metrics.request(&self.account, self.cause);
        access_log::show(&self.account, &shared.config, self.cause);
    }

    /// Runs one event through the exchange.
    fn event<T>(&mut self, event: impl FnOnce(&mut Exchange, &mut Env<'_>) -> Result<T, Error>) -> Result<T, Failure> {
        let exchange = self.state.running()?;
        let shared = self.shared.as_deref().ok_or(InternalError("the plugin has no configuration"))?;
        with_env(shared, &mut self.account, |env| event(exchange, env))
    }

    fn begin(&mut self, is_end: bool) -> Result<Outcome, Failure> {
        let shared = self.shared.clone().ok_or(InternalError("the plugin has no configuration"))?;
        let head = host::request_head(is_end)?.ok_or(RequestError::InvalidUri("it is not UTF-8"))?;
        self.path = head.path.split_once('?').map_or(head.path.as_str(), |(path, _)| path).to_owned();
        self.request_id = head.headers.text("x-request-id").ok().flatten().unwrap_or_default().to_owned();
        self.trace = Trace::of(&head.headers);
        let (exchange, step) = with_env(&shared, &mut self.account, |env| Exchange::begin(env, head))?;
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

    /// Makes a call, and waits for its answer with `message` held back.
    fn send(&mut self, message: Message, call: Call) -> Result<(), Failure> {
        let waiting = self.ask(call)?;
        match std::mem::replace(&mut self.state, State::Broken) {
            State::Running(exchange) => self.state = State::Waiting(exchange, message, waiting),
            _ => return Err(InternalError("a call was asked for out of order").into()),
        }
        Ok(())
    }

    fn ask(&self, call: Call) -> Result<Waiting, Failure> {
        let shared = self.shared.as_deref().ok_or(InternalError("the plugin has no configuration"))?;
        let wanted = Unwraps::wanted(&call);
        if wanted.as_ref().is_some_and(|wanted| shared.unwraps.borrow_mut().join(wanted, &self.handle)) {
            shared.metrics.joined();
            return Ok(Waiting::Joined(Box::new(call)));
        }
        let pending = Pending::send(&shared.config, call, &self.trace, host::now()?)?;
        self.expect_answer(shared, &pending);
        let lead = wanted.map(|wanted| Box::new(Lead::new(&shared.unwraps, wanted)));
        Ok(Waiting::Own(Box::new(pending), lead))
    }

    /// Lets the plugin know whom an answer is for that comes to it.
    fn expect_answer(&self, shared: &Shared, pending: &Pending) {
        if self.is_by_plugin {
            shared.calls.borrow_mut().insert(pending.token(), self.handle.clone());
        }
    }

    /// The answer to a call has come, if it is not one to a stream that failed meanwhile.
    fn call_answered(&mut self, token: u32, body_len: usize) {
        if !matches!(&self.state, State::Waiting(_, _, Waiting::Own(pending, _)) if pending.token() == token) {
            return;
        }
        if let Err(failure) = self.take_call_answer(body_len) {
            self.fail(&failure.0);
        }
    }

    /// Takes the answer to the call that is waited for, unless the call is made once more.
    fn take_call_answer(&mut self, body_len: usize) -> Result<(), Failure> {
        let shared = self.shared.clone().ok_or(InternalError("the plugin has no configuration"))?;
        let State::Waiting(exchange, message, Waiting::Own(mut pending, lead)) =
            std::mem::replace(&mut self.state, State::Broken)
        else {
            return Err(InternalError("an answer came out of order").into());
        };
        let now = host::now()?;
        let answer = match (host::call_head(), host::call_body(body_len).map(Zeroizing::new)) {
            (Ok(head), Ok(body)) => {
                if pending.retry(&shared.config, head.as_ref(), &self.trace, now)? {
                    shared.metrics.retry();
                    self.expect_answer(&shared, &pending);
                    self.state = State::Waiting(exchange, message, Waiting::Own(pending, lead));
                    return Ok(());
                }
                pending.answered(head, body)
            }
            _ => pending.failed(KmsError::Garbage),
        };
        shared.metrics.call(pending.labels(&answer), pending.age(now));
        if let (Some(lead), Answer::Unwrapped(outcome)) = (lead, &answer) {
            lead.end(outcome.clone());
        }
        self.state = State::Running(exchange);
        self.answered(message, answer)
    }

    /// In the plugin's callback: the answer to a call of this stream's has come there.
    pub fn call_answered_by_plugin(&mut self, token: u32, body_len: usize) {
        self.is_by_plugin = true;
        self.call_answered(token, body_len);
        self.is_by_plugin = false;
    }

    /// In the plugin's callback: the DEK has been unwrapped that another stream asked for, or this one has to ask.
    pub fn unwrapped_by_another(&mut self, outcome: Unwrapped) {
        self.is_by_plugin = true;
        if let Err(failure) = self.take_outcome(outcome) {
            self.fail(&failure.0);
        }
        self.is_by_plugin = false;
    }

    fn take_outcome(&mut self, outcome: Unwrapped) -> Result<(), Failure> {
        match std::mem::replace(&mut self.state, State::Broken) {
            State::Waiting(exchange, message, Waiting::Joined(call)) => {
                self.state = State::Running(exchange);
                match outcome {
                    Some(outcome) => self.answered(message, Answer::Unwrapped(outcome)),
                    None => self.send(message, *call),
                }
            }
            // It was answered or cut off meanwhile.
            other => {
                self.state = other;
                Ok(())
            }
        }
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
        let body = match message {
            Message::Request => self.event(|exchange, env| exchange.request_body(env, &window, is_end))?,
            Message::Response => self.state.running()?.response_body(&window, is_end)?,
        };
        if let Body::Replaced(bytes) = body {
            host::replace_window(message, len, &bytes)?;
        }
        Ok(Outcome::Continue)
    }
}

fn with_env<T>(
    shared: &Shared,
    account: &mut Account,
    run: impl FnOnce(&mut Env<'_>) -> Result<T, Error>,
) -> Result<T, Failure> {
    let mut caches = shared.caches.try_borrow_mut().map_err(|_| InternalError("the caches are in use already"))?;
    let (config, now) = (&shared.config, host::now()?);
    let mut env = Env { config, caches: &mut caches, entropy: &mut SysRng, now, account };
    Ok(run(&mut env)?)
}

impl Context for StreamContext {
    fn on_http_call_response(&mut self, token: u32, _: usize, body_len: usize, _: usize) {
        self.0.borrow_mut().call_answered(token, body_len);
    }
}

impl HttpContext for StreamContext {
    fn on_http_request_headers(&mut self, _: usize, is_end: bool) -> Action {
        self.handle(Message::Request, |stream| stream.begin(is_end))
    }

    fn on_http_request_body(&mut self, len: usize, is_end: bool) -> Action {
        self.handle(Message::Request, |stream| stream.body(Message::Request, len, is_end))
    }

    fn on_http_request_trailers(&mut self, _: usize) -> Action {
        self.handle(Message::Request, |stream| {
            stream.state.running()?.request_trailers()?;
            Ok(Outcome::Continue)
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
            stream.state.running()?.response_trailers()?;
            Ok(Outcome::Continue)
        })
    }

    fn on_log(&mut self) {
        self.0.borrow_mut().log();
    }
}

/// What stops a stream.
struct Failure(Error);

impl<E: Into<Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl From<SendError> for Failure {
    fn from(error: SendError) -> Self {
        log::error!("s3ep: a cluster cannot be called: {error:?}");
        Self(match error {
            SendError::Store(_) => Error::StoreUnavailable,
            SendError::Shim(_) | SendError::NoShim => KmsError::Unavailable.into(),
        })
    }
}

impl From<HostError> for Failure {
    fn from(error: HostError) -> Self {
        log::error!("s3ep: a hostcall failed: {error:?}");
        Self(InternalError("Envoy refused a call").into())
    }
}
