//! Between the filter and kms-shim: what is asked, what is remembered, and what happens if no DEK comes back.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests")]

mod fake_envoy;

use std::time::Duration;

use fake_envoy::{CallAnswer, FakeEnvoy, FakeKms, Request, Stack, sample};
use proxy_wasm::types::Status;
use serde_json::json;

fn cold(stack: Stack) -> Stack {
    stack.restart(&Stack::envelope_configuration())
}

#[test]
fn a_call_is_what_the_shim_expects() {
    let mut stack = Stack::envelope();
    let stream = stack.envoy.open();
    stream.request_headers(Request::put("/bucket/a%20b/%C3%BC", b"body").headers, false);
    let call = stack.envoy.take_call().unwrap();
    assert_eq!((call.cluster.as_str(), call.timeout_ms), ("kms_shim", 5_000));
    assert_eq!(call.headers.text(":authority"), Some("kms-shim"));
    assert_eq!(call.headers.text("content-type"), Some("application/json"));
    assert_eq!(call.headers.text("content-length"), Some(call.body.len().to_string().as_str()));
    assert_eq!(call.headers.count("content-length"), 1);
    let answer = stack.answer_to(&call);
    stack.envoy.answer(&call, answer);
    assert_eq!(stack.kms.wrapped, [[("bucket".into(), "bucket".into()), ("key".into(), "a b/ü".into())].into()]);
    assert_eq!(stack.kms.deks[0].len(), 32);
    stream.client_leaves();
}

#[test]
fn the_token_comes_from_the_environment() {
    let mut configuration = Stack::envelope_configuration();
    let envelope = configuration.pointer_mut("/keys/envelope").unwrap().as_object_mut().unwrap();
    envelope.remove("token");
    envelope.insert("token_env".into(), json!("S3EP_TEST_TOKEN"));
    let envoy = FakeEnvoy::start(&configuration.to_string(), &[("S3EP_TEST_TOKEN", FakeKms::TOKEN)]).unwrap();
    let stream = envoy.open();
    stream.request_headers(Request::put("/bucket/key", b"body").headers, false);
    let call = envoy.take_call().unwrap();
    assert_eq!(FakeKms::default().answer(&call).headers.text(":status"), Some("200"));
    stream.client_leaves();
}

#[test]
fn a_dek_is_asked_for_once() {
    let mut stack = Stack::envelope();
    stack.given("/bucket/key", b"body");
    stack.get("/bucket/key").assert_delivered(b"body");
    assert_eq!((stack.kms.wrapped.len(), stack.kms.unwrapped.len()), (1, 0), "who wrapped a DEK knows it");

    let mut stack = cold(stack);
    for _ in 0..3 {
        stack.get("/bucket/key").assert_delivered(b"body");
    }
    assert_eq!(stack.kms.unwrapped.len(), 1);
    stack.envoy.advance(Duration::from_secs(299));
    stack.get("/bucket/key").assert_delivered(b"body");
    assert_eq!(stack.kms.unwrapped.len(), 1);
    stack.envoy.advance(Duration::from_secs(2));
    stack.get("/bucket/key").assert_delivered(b"body");
    assert_eq!(stack.kms.unwrapped.len(), 2, "after its time to live a DEK is asked for again");
}

#[test]
fn the_dek_cache_is_bounded() {
    let mut configuration = Stack::envelope_configuration();
    configuration.as_object_mut().unwrap().insert("dek_cache".into(), json!({"max_entries": 2, "ttl_seconds": 60}));
    let mut stack = Stack::envelope();
    for path in ["/bucket/1", "/bucket/2", "/bucket/3"] {
        stack.given(path, path.as_bytes());
    }
    let mut stack = stack.restart(&configuration);
    for (path, unwraps) in [("/bucket/1", 1), ("/bucket/2", 2), ("/bucket/1", 2), ("/bucket/3", 3), ("/bucket/2", 4)] {
        stack.get(path).assert_delivered(path.as_bytes());
        assert_eq!(stack.kms.unwrapped.len(), unwraps, "{path}");
    }
}

#[test]
fn a_new_version_of_an_object_has_a_new_dek() {
    let mut stack = Stack::envelope();
    stack.given("/bucket/key", b"old");
    stack.given("/bucket/key", b"new");
    assert_ne!(stack.kms.deks[0], stack.kms.deks[1]);
    stack.get("/bucket/key").assert_delivered(b"new");
}

/// Name, the KMS's answer, and what the client gets.
fn failures() -> Vec<(&'static str, CallAnswer, u16, &'static str)> {
    let error =
        |status, kind: &str| CallAnswer::new(status, json!({"error": {"kind": kind, "message": "no"}}).to_string());
    let deep = "[".repeat(100_000);
    vec![
        ("broken off", CallAnswer::reset(), 503, "ServiceUnavailable"),
        ("too slow", CallAnswer::timeout(), 503, "ServiceUnavailable"),
        ("not there", CallAnswer::new(503, "no healthy upstream"), 503, "ServiceUnavailable"),
        ("unavailable", error(503, "unavailable"), 503, "ServiceUnavailable"),
        ("too busy", CallAnswer::new(429, ""), 503, "ServiceUnavailable"),
        ("denied", error(403, "denied"), 403, "AccessDenied"),
        ("wrong token", error(401, "denied"), 403, "AccessDenied"),
        ("other context", error(422, "context_mismatch"), 502, "InternalError"),
        ("invalid", error(400, "invalid"), 502, "InternalError"),
        ("unheard-of", error(400, "tired"), 502, "InternalError"),
        ("not the shim", CallAnswer::new(404, "<html>"), 502, "InternalError"),
        ("empty", CallAnswer::new(200, ""), 502, "InternalError"),
        ("cut short", CallAnswer::new(200, r#"{"wrapped": "AAAA", "plaintext": "AA"#), 502, "InternalError"),
        ("not JSON", CallAnswer::new(200, b"\x00\xff".as_slice()), 502, "InternalError"),
        ("deep", CallAnswer::new(200, deep), 502, "InternalError"),
        ("other JSON", CallAnswer::new(200, "{}"), 502, "InternalError"),
        ("no base64", CallAnswer::new(200, r#"{"wrapped":"!","kek":"k","plaintext":"!"}"#), 502, "InternalError"),
        ("no bytes", CallAnswer::new(200, r#"{"wrapped":"","kek":"k","plaintext":""}"#), 502, "InternalError"),
        (
            "bad kek",
            CallAnswer::new(200, r#"{"wrapped":"AAAA","kek":"a\nb","plaintext":"AAAA"}"#),
            502,
            "InternalError",
        ),
        ("an error that is a 200", error(200, "denied"), 502, "InternalError"),
    ]
}

#[test]
fn without_a_wrapped_dek_nothing_is_stored() {
    for (name, answer, status, code) in failures() {
        let mut stack = Stack::envelope();
        stack.kms.instead.extend([answer.clone(), answer]);
        let put = stack.put("/bucket/key", &sample(100_000, 1));
        put.assert_error(status, code);
        assert!(put.upstream.is_nothing() && stack.store.requests.is_empty(), "{name}");

        stack.kms.instead.clear();
        stack.given("/bucket/key", b"the next one works");
    }
}

#[test]
fn without_an_unwrapped_dek_nothing_is_released() {
    let mut stack = Stack::envelope();
    let body = sample(100_000, 1);
    stack.given("/bucket/key", &body);
    for (name, answer, status, code) in failures() {
        for method in ["GET", "HEAD"] {
            stack = cold(stack);
            stack.kms.instead.extend([answer.clone(), answer.clone()]);
            let exchange = stack.send(&Request::new(method, "/bucket/key"));
            assert_eq!(exchange.client.status(), status, "{name}");
            if method == "GET" {
                exchange.assert_error(status, code);
            }
            assert!(exchange.client.body.len() < 1_000 && exchange.client.header("etag").is_none(), "{name}");
            stack.kms.instead.clear();
            stack.get("/bucket/key").assert_delivered(&body);
        }
    }
}

/// A failure that may pass is not the client's business, if it passes at once.
#[test]
fn a_failed_call_is_made_once_more() {
    for answer in [CallAnswer::reset(), CallAnswer::new(503, "no healthy upstream")] {
        let mut stack = Stack::envelope();
        stack.kms.instead.push_back(answer.clone());
        stack.given("/bucket/key", b"body");
        assert_eq!(stack.kms.wrapped.len(), 1);
        let mut stack = cold(stack);
        stack.kms.instead.push_back(answer);
        stack.get("/bucket/key").assert_delivered(b"body");
    }
}

#[test]
fn a_refusal_is_final() {
    for (name, answer, status, _) in failures().into_iter().filter(|(.., status, _)| *status != 503) {
        let mut stack = Stack::envelope();
        stack.kms.instead.push_back(answer);
        assert_eq!(stack.put("/bucket/key", b"body").client.status(), status, "{name}");
    }
}

#[test]
fn both_calls_together_take_no_longer_than_one_may() {
    let mut stack = Stack::envelope();
    let stream = stack.envoy.open();
    let request = Request::put("/bucket/key", b"body");
    stream.request_headers(request.headers.clone(), false);
    let first = stack.envoy.take_call().unwrap();
    stack.envoy.advance(Duration::from_millis(4_000));
    stack.envoy.answer(&first, CallAnswer::reset());
    let second = stack.envoy.take_call().unwrap();
    assert_eq!((second.timeout_ms, &second.body), (1_000, &first.body));
    stack.envoy.answer(&second, CallAnswer::reset());
    assert!(stack.envoy.take_call().is_none());
    stream.exchange().assert_error(503, "ServiceUnavailable");

    let late = stack.envoy.open();
    late.request_headers(request.headers, false);
    let call = stack.envoy.take_call().unwrap();
    stack.envoy.advance(Duration::from_millis(5_000));
    stack.envoy.answer(&call, CallAnswer::reset());
    assert!(stack.envoy.take_call().is_none(), "its time was over");
    late.exchange().assert_error(503, "ServiceUnavailable");
    stack.given("/bucket/key", b"the next one works");
}

#[test]
fn another_objects_dek_is_noticed() {
    let mut stack = Stack::envelope();
    stack.given("/bucket/key", b"body");
    let mut stack = cold(stack);
    let wrong = json!({"plaintext": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="}).to_string();
    stack.kms.instead.push_back(CallAnswer::new(200, wrong));
    stack.get("/bucket/key").assert_error(502, "InternalError");
    // It was not kept: the KMS is asked again.
    stack.get("/bucket/key").assert_delivered(b"body");
}

#[test]
fn a_call_that_cannot_be_made_is_an_unavailable_kms() {
    let faults: [fn(&FakeEnvoy); 2] =
        [|envoy| envoy.remove_cluster("kms_shim"), |envoy| envoy.fail("proxy_http_call", 0, Status::InternalFailure)];
    for fault in faults {
        let mut stack = Stack::envelope();
        fault(&stack.envoy);
        let put = stack.put("/bucket/key", b"body");
        put.assert_error(503, "ServiceUnavailable");
        assert!(put.upstream.is_nothing());

        let mut stack = cold(stack);
        stack.given("/bucket/key", b"body");
        let mut stack = cold(stack);
        fault(&stack.envoy);
        stack.get("/bucket/key").assert_error(503, "ServiceUnavailable");
    }
}

/// The callback of a call is the root context's in Envoy, so it comes after its stream has gone.
#[test]
fn an_answer_after_the_client_left_is_dropped() {
    let mut stack = Stack::envelope();
    let gone = stack.envoy.open();
    gone.request_headers(Request::put("/bucket/key", b"body").headers, false);
    gone.request_body(b"body", true);
    let call = stack.envoy.take_call().unwrap();
    gone.client_leaves();
    let answer = stack.answer_to(&call);
    stack.envoy.answer(&call, answer);
    assert!(gone.upstream().is_nothing() && gone.client().is_nothing());

    stack.given("/bucket/key", b"body");
    let mut stack = cold(stack);
    let gone = stack.envoy.open();
    stack.send_on(gone, &Request::get("/bucket/key"));
    let response = stack.store.serve(&gone.upstream());
    gone.response_headers(response.headers, false);
    let call = stack.envoy.take_call().unwrap();
    gone.client_leaves();
    let answer = stack.answer_to(&call);
    stack.envoy.answer(&call, answer);
    assert!(gone.client().is_nothing());
    stack.get("/bucket/key").assert_delivered(b"body");
}

#[test]
fn direct_mode_asks_nobody() {
    let mut stack = Stack::direct();
    for cluster in fake_envoy::CLUSTERS {
        stack.envoy.remove_cluster(cluster);
    }
    stack.given("/bucket/key", b"body");
    stack.get("/bucket/key").assert_delivered(b"body");
    let mut stack = stack.restart(&Stack::direct_configuration());
    stack.get("/bucket/key").assert_delivered(b"body");
    assert!(stack.kms.wrapped.is_empty() && stack.kms.unwrapped.is_empty());
}

#[test]
fn an_older_master_key_still_opens() {
    let key = |name: &str, key: &str| json!({"name": name, "key": key});
    let keys = |keys| json!({"auth": "none", "keys": {"direct": {"master_keys": keys}}, "store": {"cluster": "s3", "authority": "s3"}});
    let old = key("2023", Stack::MASTER_KEY);
    let new = key("2024", "QW5vdGhlciBtYXN0ZXIga2V5LCBhbHNvIG9mIDMyIEI=");
    let mut stack = Stack::start(&keys(json!([old])));
    stack.given("/bucket/old", b"old");
    let mut stack = stack.restart(&keys(json!([new, old])));
    stack.given("/bucket/new", b"new");
    assert_eq!(stack.store.object("/bucket/new").headers.text("x-amz-meta-s3ep-kek"), Some("direct:2024"));
    stack.get("/bucket/old").assert_delivered(b"old");
    stack.get("/bucket/new").assert_delivered(b"new");
    let mut stack = stack.restart(&keys(json!([new])));
    stack.get("/bucket/old").assert_error(502, "InternalError");
    stack.get("/bucket/new").assert_delivered(b"new");
}
