//! What the tests of the service share: a client, and the real program as a child process.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(dead_code, reason = "not every test program uses all of it")]

#[cfg(feature = "gcp")]
pub mod gcp;
pub mod pki;

use std::num::NonZeroU32;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{HeaderMap, Request, StatusCode};
use hyper_util::rt::TokioIo;
use kms_api::Secret;
use kms_shim::admission::Limits;
use kms_shim::connections::Connections;
use kms_shim::http::{Service, router};
use kms_shim::kek::{Context, Kek, KekError};
use kms_shim::keks::Keks;
use kms_shim::listen::Listen;
use kms_shim::metrics::Metrics;
use kms_shim::tink::{Keyset, TinkKeysetKek};
use kms_shim::tls::Tls;
use kms_shim::token::Token;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub const TOKEN: &str = "correct-horse-battery-staple";

/// The service within this process.
pub struct Running {
    pub address: Listen,
    pub stop: oneshot::Sender<()>,
    pub ended: JoinHandle<()>,
}

pub async fn start(keks: impl Into<Keks>) -> Running {
    start_on("127.0.0.1:0", keks).await
}

pub async fn start_on(listen: &str, keks: impl Into<Keks>) -> Running {
    start_with(listen, keks, NO_LIMITS, None).await
}

/// As good as none, for a test.
pub const NO_LIMITS: Limits = Limits { connections: NonZeroU32::MAX, requests: NonZeroU32::MAX, rate: None };

pub async fn start_with(listen: &str, keks: impl Into<Keks>, limits: Limits, tls: Option<Tls>) -> Running {
    let bound = listen.parse::<Listen>().unwrap().bind().await.unwrap();
    let address = bound.address().unwrap();
    let (stop, stopped) = oneshot::channel();
    let metrics = Metrics::new();
    let service = Service::new(keks, Token::new(TOKEN).unwrap(), limits, metrics.clone());
    let connections = Connections { router: router(service), tls, max: limits.connections, metrics };
    let ended = tokio::spawn(connections.serve(bound, async { stopped.await.unwrap_or_default() }));
    Running { address, stop, ended }
}

pub fn keyset() -> Box<dyn Kek> {
    Box::new(TinkKeysetKek::new(&"test".parse().unwrap(), &Keyset::generate().unwrap()).unwrap())
}

/// A KEK that counts how often it was asked, and takes its time.
#[derive(Clone, Default)]
pub struct Counting {
    asked: Arc<AtomicUsize>,
    takes: Duration,
}

impl Counting {
    pub fn slow(takes: Duration) -> Self {
        Self { takes, ..Self::default() }
    }

    pub fn boxed(&self) -> Box<dyn Kek> {
        Box::new(self.clone())
    }

    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    async fn ask(&self) {
        self.asked.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(self.takes).await;
    }
}

#[async_trait]
impl Kek for Counting {
    fn id(&self) -> &str {
        "counting:kek"
    }

    async fn wrap(&self, dek: &Secret, _: &Context) -> Result<Vec<u8>, KekError> {
        self.ask().await;
        Ok(dek.expose().to_vec())
    }

    async fn unwrap(&self, wrapped: &[u8], _: &Context) -> Result<Secret, KekError> {
        self.ask().await;
        Ok(Secret::new(wrapped.to_vec()))
    }
}

/// A stream of either kind.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

pub async fn connect(address: &Listen) -> Box<dyn Stream> {
    match address {
        Listen::Tcp(address) => Box::new(TcpStream::connect(address).await.unwrap()),
        Listen::Unix(path) => Box::new(UnixStream::connect(path).await.unwrap()),
    }
}

pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
    pub json: Value,
}

impl Answer {
    /// Status and kind of an error.
    pub fn failure(&self) -> (u16, &str) {
        (self.status.as_u16(), self.json["error"]["kind"].as_str().unwrap_or_default())
    }
}

/// One request on its own connection.
pub async fn send(address: &Listen, request: Request<Full<Bytes>>) -> Answer {
    send_over(connect(address).await, request).await
}

/// One request on this connection.
pub async fn send_over(stream: impl Stream + 'static, request: Request<Full<Bytes>>) -> Answer {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let response = sender.send_request(request).await.unwrap();
    let (head, body) = response.into_parts();
    let text = String::from_utf8(body.collect().await.unwrap().to_bytes().into()).unwrap();
    let is_json = head.headers["content-type"] == "application/json";
    let json = if is_json { serde_json::from_str(&text).unwrap() } else { Value::Null };
    Answer { status: head.status, headers: head.headers, text, json }
}

pub fn request(method: &str, path: &str, token: Option<&str>, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    let mut request = Request::builder().method(method).uri(path).header("host", "kms-shim");
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    request.body(Full::new(body.into())).unwrap()
}

pub async fn post(address: &Listen, path: &str, body: &Value) -> Answer {
    send(address, request("POST", path, Some(TOKEN), body.to_string())).await
}

pub async fn get(address: &Listen, path: &str) -> Answer {
    send(address, request("GET", path, None, "")).await
}

pub fn wrap_request(dek: &[u8]) -> Value {
    json!({"plaintext": STANDARD.encode(dek), "context": {"bucket": "photos", "key": "2024/ü.jpg"}})
}

/// Asks to unwrap what a wrap call answered.
pub fn unwrap_request(wrapped: &Value) -> Value {
    json!({
        "wrapped": wrapped["wrapped"],
        "kek": wrapped["kek"],
        "context": {"bucket": "photos", "key": "2024/ü.jpg"},
    })
}

/// The program, with nothing from this process's environment.
pub fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kms-shim"));
    command.env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs a command that is to end by itself; one that serves instead is killed after 20 seconds.
pub fn finish(mut command: Command) -> Output {
    let mut child = command.spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > deadline {
            let _ = child.kill();
            panic!("it did not end: {:?}", child.wait_with_output());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    child.wait_with_output().unwrap()
}

/// A folder with a keyset (`keyset.json`) and a token (`token`).
pub fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    std::fs::write(path.join("keyset.json"), kms_shim::keygen::keyset().unwrap().as_bytes()).unwrap();
    std::fs::write(path.join("token"), format!("{TOKEN}\n")).unwrap();
    folder
}

/// `kms-shim serve` as a child process; killed when dropped.
pub struct Shim {
    child: Option<Child>,
    pub address: Listen,
}

impl Shim {
    /// Starts it in the folder with its keyset and token, and these arguments more.
    pub fn start(folder: &Path, arguments: &[&str]) -> Self {
        let mut command = program();
        command.current_dir(folder).args(["serve", "--keyset", "keyset.json", "--token-file", "token"]);
        command.args(arguments);
        Self::spawn(command, folder)
    }

    /// Runs the command, which must write its address to `address` in the folder.
    pub fn spawn(mut command: Command, folder: &Path) -> Self {
        let mut child = command.args(["--address-file", "address"]).current_dir(folder).spawn().unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            if let Ok(text) = std::fs::read_to_string(folder.join("address")) {
                let address = text.strip_suffix('\n').unwrap().parse().unwrap();
                return Self { child: Some(child), address };
            }
            if Instant::now() > deadline || child.try_wait().unwrap().is_some() {
                let _ = child.kill();
                panic!("kms-shim did not start: {:?}", child.wait_with_output());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub fn signal(&self, signal: &str) {
        let pid = self.child.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }

    /// Waits for its end: the exit status, and what it logged.
    pub fn wait(mut self) -> (ExitStatus, String) {
        let Output { status, stderr, .. } = self.child.take().unwrap().wait_with_output().unwrap();
        (status, String::from_utf8(stderr).unwrap())
    }

    pub fn stop(self) -> (ExitStatus, String) {
        self.signal("-TERM");
        self.wait()
    }
}

impl Drop for Shim {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
