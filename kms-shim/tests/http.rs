//! The service over real connections: every status, every kind of error, and what a client cannot do to it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use async_trait::async_trait;
use http_body_util::BodyExt;
use hyper::body::{Body, Bytes, Frame};
use hyper_util::rt::TokioIo;
use kms_api::{ErrorKind, Secret};
use kms_shim::http::MAX_BODY_LEN;
use kms_shim::kek::{Context, Kek, KekError};
use kms_shim::keks::Keks;
use kms_shim::tink::{Keyset, TinkKeysetKek};
use serde_json::{Value, json};
use support::{TOKEN, connect, get, keyset, post, request, send, start, start_on, unwrap_request, wrap_request};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const DEK: [u8; 32] = *b"thirty-two bytes of a secret DEK";

/// A KEK that fails as it is told to, or whose unwrap does not give back what was wrapped.
enum Broken {
    Fails(ErrorKind),
    Garbles,
}

#[async_trait]
impl Kek for Broken {
    fn id(&self) -> &str {
        "broken"
    }

    async fn wrap(&self, _: &Secret, _: &Context) -> Result<Vec<u8>, KekError> {
        match self {
            Self::Fails(kind) => Err(KekError::new(*kind, "told to fail")),
            Self::Garbles => Ok(vec![1]),
        }
    }

    async fn unwrap(&self, _: &[u8], _: &Context) -> Result<Secret, KekError> {
        match self {
            Self::Fails(kind) => Err(KekError::new(*kind, "told to fail")),
            Self::Garbles => Ok(Secret::new(vec![2; 32])),
        }
    }
}

#[tokio::test]
async fn a_dek_comes_back_over_tcp_and_over_a_socket() {
    let folder = tempfile::tempdir().unwrap();
    let socket = format!("unix:{}", folder.path().join("shim.sock").display());
    for listen in ["127.0.0.1:0", &socket] {
        let service = start_on(listen, keyset()).await;
        assert_eq!(get(&service.address, "/healthz").await.json, json!({"status": "ok"}), "{listen}");
        assert_eq!(get(&service.address, "/readyz").await.json, json!({"status": "ready"}), "{listen}");

        let wrapped = post(&service.address, "/v1/wrap", &wrap_request(&DEK)).await;
        assert_eq!(wrapped.status, 200, "{listen}");
        assert_eq!(wrapped.json["kek"], "tink-keyset:test");
        let unwrapped = post(&service.address, "/v1/unwrap", &unwrap_request(&wrapped.json)).await;
        assert_eq!(unwrapped.status, 200, "{listen}");
        assert_eq!(unwrapped.json, json!({"plaintext": wrap_request(&DEK)["plaintext"]}));

        service.stop.send(()).unwrap();
        service.ended.await.unwrap();
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "the socket and its folder are gone");
}

#[tokio::test]
async fn the_first_kek_wraps_and_each_unwraps_its_own() {
    let keysets = ["old", "new"].map(|name| (name, Keyset::generate().unwrap()));
    let kek = |index: usize| -> Box<dyn Kek> {
        let (name, keyset) = &keysets[index];
        Box::new(TinkKeysetKek::new(&name.parse().unwrap(), keyset).unwrap())
    };
    let before = start(kek(0)).await;
    let old = post(&before.address, "/v1/wrap", &wrap_request(&DEK)).await.json;
    assert_eq!(old["kek"], "tink-keyset:old");

    let service = start(Keks::new(kek(1), vec![kek(0)]).unwrap()).await;
    let new = post(&service.address, "/v1/wrap", &wrap_request(&DEK)).await.json;
    assert_eq!(new["kek"], "tink-keyset:new");
    for wrapped in [&old, &new] {
        let unwrapped = post(&service.address, "/v1/unwrap", &unwrap_request(wrapped)).await;
        assert_eq!(unwrapped.json["plaintext"], wrap_request(&DEK)["plaintext"]);
    }
    let mut crossed = unwrap_request(&old);
    crossed["kek"] = new["kek"].clone();
    assert_eq!(post(&service.address, "/v1/unwrap", &crossed).await.failure(), (422, "context_mismatch"));
    crossed["kek"] = json!("tink-keyset:other");
    let unknown = post(&service.address, "/v1/unwrap", &crossed).await;
    assert_eq!(unknown.failure(), (400, "invalid"));
    assert_eq!(unknown.json["error"]["message"], "no such KEK here: there is tink-keyset:new, tink-keyset:old");
}

#[tokio::test]
async fn a_request_that_is_not_right_is_refused() {
    let service = start(keyset()).await;
    let wrapped = post(&service.address, "/v1/wrap", &wrap_request(&DEK)).await.json;
    let other = |request: Value, pointer: &str, value: Value| {
        let mut request = request;
        *request.pointer_mut(pointer).unwrap() = value;
        request.to_string()
    };
    let wrap = |pointer: &str, value: Value| ("/v1/wrap", other(wrap_request(&DEK), pointer, value));
    let unwrap = |pointer: &str, value: Value| ("/v1/unwrap", other(unwrap_request(&wrapped), pointer, value));
    let dek = wrap_request(&DEK)["plaintext"].clone();

    let cases = [
        (("/v1/wrap", String::new()), 400, "invalid", "ends early"),
        (("/v1/wrap", "{".to_owned()), 400, "invalid", "ends early"),
        (("/v1/wrap", "plaintext=AAEC".to_owned()), 400, "invalid", "malformed JSON"),
        (("/v1/wrap", "{}".to_owned()), 400, "invalid", "missing"),
        (("/v1/wrap", json!({"plaintext": dek}).to_string()), 400, "invalid", "missing"),
        (("/v1/wrap", unwrap_request(&wrapped).to_string()), 400, "invalid", "unknown"),
        (("/v1/unwrap", wrap_request(&DEK).to_string()), 400, "invalid", "unknown"),
        (("/v1/wrap", wrap_request(&DEK).to_string() + "x"), 400, "invalid", "malformed JSON"),
        (wrap("/plaintext", json!("")), 400, "invalid", "plaintext is empty"),
        (wrap("/plaintext", json!("not base64")), 400, "invalid", "wrong type"),
        (wrap("/plaintext", json!(7)), 400, "invalid", "wrong type"),
        (wrap("/context", dek.clone()), 400, "invalid", "wrong type"),
        (wrap("/context", json!({})), 400, "invalid", "exactly the members"),
        (wrap("/context", json!({"bucket": "b"})), 400, "invalid", "exactly the members"),
        (wrap("/context", json!({"bucket": "b", "key": "k", "x": "y"})), 400, "invalid", "exactly the members"),
        (wrap("/context/bucket", json!("")), 400, "invalid", "bucket is empty"),
        (wrap("/context/key", json!("")), 400, "invalid", "key is empty"),
        (wrap("/context/bucket", json!("a\0b")), 400, "invalid", "NUL"),
        (unwrap("/context", json!({"key": "k"})), 400, "invalid", "exactly the members"),
        (unwrap("/wrapped", json!("")), 400, "invalid", "wrapped DEK is empty"),
        (unwrap("/kek", json!("tink-keyset:other")), 400, "invalid", "there is tink-keyset:test"),
        (unwrap("/kek", json!("")), 400, "invalid", "no such KEK"),
        (unwrap("/context/key", json!("other")), 422, "context_mismatch", "another bucket or key"),
        (unwrap("/context/bucket", json!("other")), 422, "context_mismatch", "another bucket or key"),
        (unwrap("/wrapped", json!("AAAA")), 422, "context_mismatch", "altered"),
    ];
    for ((path, body), status, kind, message) in cases {
        let answer = send(&service.address, request("POST", path, Some(TOKEN), body.clone())).await;
        assert_eq!(answer.failure(), (status, kind), "{path} {body}");
        let said = answer.json["error"]["message"].as_str().unwrap();
        assert!(said.contains(message), "{path} {body}: {said}");
        assert!(!said.contains(dek.as_str().unwrap()), "{said}");
    }
}

#[tokio::test]
async fn only_the_token_opens_wrap_and_unwrap() {
    let service = start(keyset()).await;
    for path in ["/v1/wrap", "/v1/unwrap"] {
        for token in
            [None, Some(""), Some("wrong"), Some("correct-horse-battery-staplf"), Some("correct-horse-battery-staple2")]
        {
            let answer = send(&service.address, request("POST", path, token, wrap_request(&DEK).to_string())).await;
            assert_eq!(answer.failure(), (401, "denied"), "{path} {token:?}");
            assert_eq!(answer.headers["www-authenticate"], "Bearer");
        }
    }
    let mut basic = request("POST", "/v1/wrap", None, wrap_request(&DEK).to_string());
    basic.headers_mut().insert("authorization", format!("Basic {TOKEN}").parse().unwrap());
    assert_eq!(send(&service.address, basic).await.failure(), (401, "denied"));
    assert_eq!(post(&service.address, "/v1/wrap", &wrap_request(&DEK)).await.status, 200);
}

#[tokio::test]
async fn other_routes_and_methods_are_errors_in_json() {
    let service = start(keyset()).await;
    for (method, path, status) in [
        ("GET", "/", 404),
        ("POST", "/v1/rewrap", 404),
        ("POST", "/v1/wrap/", 404),
        ("POST", "/v2/wrap", 404),
        ("GET", "/metrics/", 404),
        ("GET", "/v1/wrap", 405),
        ("PUT", "/v1/unwrap", 405),
        ("POST", "/healthz", 405),
        ("DELETE", "/readyz", 405),
        ("POST", "/metrics", 405),
    ] {
        let answer = send(&service.address, request(method, path, Some(TOKEN), "")).await;
        assert_eq!(answer.failure(), (status, "invalid"), "{method} {path}");
        assert_eq!(answer.headers.contains_key("allow"), status == 405, "{method} {path}");
    }
}

#[tokio::test]
async fn what_the_kek_says_becomes_the_status() {
    for (kind, status, name) in [
        (ErrorKind::Invalid, 400, "invalid"),
        (ErrorKind::Denied, 403, "denied"),
        (ErrorKind::ContextMismatch, 422, "context_mismatch"),
        (ErrorKind::Unavailable, 503, "unavailable"),
    ] {
        let service = start(Box::new(Broken::Fails(kind)) as Box<dyn Kek>).await;
        let unwrap = json!({"wrapped": "AAEC", "kek": "broken", "context": {"bucket": "b", "key": "k"}});
        for (path, body) in [("/v1/wrap", wrap_request(&DEK)), ("/v1/unwrap", unwrap)] {
            let answer = post(&service.address, path, &body).await;
            assert_eq!(answer.failure(), (status, name), "{path}");
            assert_eq!(answer.json, json!({"error": {"kind": name, "message": "told to fail"}}), "{path}");
        }
        assert_eq!(get(&service.address, "/readyz").await.failure(), (503, "unavailable"), "{kind:?}");
        assert_eq!(get(&service.address, "/healthz").await.status, 200, "{kind:?}");
    }
    let service = start(Box::new(Broken::Garbles) as Box<dyn Kek>).await;
    assert_eq!(get(&service.address, "/readyz").await.failure(), (503, "unavailable"));
}

/// A wrap request of this many bytes: the context's key fills it up.
fn wrap_request_of(length: usize) -> String {
    let mut request = wrap_request(&DEK);
    request["context"]["key"] = json!("");
    let room = length - request.to_string().len();
    request["context"]["key"] = json!("k".repeat(room));
    request.to_string()
}

/// A body without a Content-Length.
struct Chunked(Option<Bytes>);

impl Body for Chunked {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut TaskContext<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.take().map(|bytes| Ok(Frame::data(bytes))))
    }
}

#[tokio::test]
async fn a_body_of_64_kib_is_taken_and_one_byte_more_is_not() {
    let service = start(keyset()).await;
    for (length, status) in [(MAX_BODY_LEN, 200), (MAX_BODY_LEN + 1, 413)] {
        let body = wrap_request_of(length);
        assert_eq!(body.len(), length);
        let answer = send(&service.address, request("POST", "/v1/wrap", Some(TOKEN), body.clone())).await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.failure().1, if status == 200 { "" } else { "invalid" });

        let stream = TokioIo::new(connect(&service.address).await);
        let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        let chunked = request("POST", "/v1/wrap", Some(TOKEN), "").map(|_| Chunked(Some(body.into())));
        assert_eq!(sender.send_request(chunked).await.unwrap().status(), status, "chunked");
    }
}

fn head(content_length: usize) -> String {
    format!(
        "POST /v1/wrap HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TOKEN}\r\ncontent-length: {content_length}\r\n\r\n"
    )
}

#[tokio::test(start_paused = true)]
async fn a_body_that_never_comes_times_out() {
    let service = start(keyset()).await;
    let mut stream = connect(&service.address).await;
    stream.write_all(head(100).as_bytes()).await.unwrap();
    stream.write_all(b"{").await.unwrap();
    let mut answer = String::new();
    let read = tokio::time::timeout(Duration::from_secs(60), stream.read_to_string(&mut answer)).await;
    read.expect("still waiting for the body after a minute").unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains(r#""kind":"invalid""#), "{answer}");
}

#[tokio::test]
async fn a_request_under_way_is_finished_after_the_signal_to_stop() {
    let service = start(keyset()).await;
    let body = wrap_request(&DEK).to_string();
    let mut stream = connect(&service.address).await;
    stream.write_all(head(body.len()).as_bytes()).await.unwrap();
    // An answered request on a second connection shows that the first one has been accepted.
    assert_eq!(get(&service.address, "/healthz").await.status, 200);
    tokio::time::sleep(Duration::from_millis(100)).await;
    service.stop.send(()).unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!service.ended.is_finished());

    stream.write_all(body.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    service.ended.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_request_that_does_not_end_does_not_hold_up_the_end() {
    let service = start(keyset()).await;
    let mut stream = connect(&service.address).await;
    stream.write_all(b"POST /v1/wrap HT").await.unwrap();
    assert_eq!(get(&service.address, "/healthz").await.status, 200);
    service.stop.send(()).unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(60), service.ended).await;
    ended.expect("still waiting for the client after a minute").unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_head_that_never_ends_and_a_connection_without_requests_are_cut() {
    let service = start(keyset()).await;
    let mut stalled = connect(&service.address).await;
    stalled.write_all(b"POST /v1/wrap HT").await.unwrap();
    let mut idle = connect(&service.address).await;
    let body = wrap_request(&DEK).to_string();
    idle.write_all((head(body.len()) + &body).as_bytes()).await.unwrap();
    for mut stream in [stalled, idle] {
        let read = tokio::time::timeout(Duration::from_secs(300), stream.read_to_end(&mut Vec::new())).await;
        read.expect("still open after five minutes").unwrap();
    }
}

#[tokio::test]
async fn a_connection_serves_many_requests() {
    let service = start(keyset()).await;
    let stream = TokioIo::new(connect(&service.address).await);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    for token in [Some(TOKEN), None, Some(TOKEN)] {
        let response = sender.send_request(request("POST", "/v1/wrap", token, wrap_request(&DEK).to_string())).await;
        let response = response.unwrap();
        assert_eq!(response.status(), if token.is_some() { 200 } else { 401 });
        response.into_body().collect().await.unwrap();
    }
}
