//! A KMS that is down, slow, denying, or out of its mind: an S3 error, nothing stored, nothing released.

use std::thread;
use std::time::{Duration, Instant};

use e2e::at_rest::AtRest;
use e2e::stack::{Mode, Stack};
use e2e::store::StoreKind;
use serde_json::{Value, json};

use crate::raw;
use crate::stacks::{self, LogsOnPanic, on};

const OBJECT_KEY: &str = "kms/object";

/// Checks that a new object is refused and not stored, and that one that is there is refused and not shown.
fn assert_refused(stack: &Stack, status: u16, code: &str, case: &str) {
    let put = stack.client.object("PUT", "kms/new").send(b"plaintext").unwrap();
    let put = put.expect(status).unwrap_or_else(|error| panic!("{case}: PUT: {error}"));
    assert_eq!(put.error_code().unwrap(), code, "{case}: PUT");
    let stored = stack.direct.object("HEAD", "kms/new").send(&[]).unwrap();
    assert_eq!(stored.status, 404, "{case}: stored");
    let get = stack.client.object("GET", OBJECT_KEY).send(&[]).unwrap();
    let get = get.expect(status).unwrap_or_else(|error| panic!("{case}: GET: {error}"));
    assert_eq!(get.error_code().unwrap(), code, "{case}: GET");
    let head = stack.client.object("HEAD", OBJECT_KEY).send(&[]).unwrap();
    assert_eq!(head.status, status, "{case}: HEAD");
}

#[test]
fn kms_shim_is_down() {
    let forgetful = |plugin: &mut Value| plugin["dek_cache"] = json!({ "ttl_seconds": 1 });
    let own = stacks::own(StoreKind::Embedded, Mode::Envelope, |builder| builder.plugin(forgetful));
    let mut stack = own.unwrap();
    stack.client.put(OBJECT_KEY, b"plaintext").unwrap();
    assert_eq!(stack.client.get(OBJECT_KEY).unwrap().body, b"plaintext");
    stack.shim.as_mut().unwrap().stop().unwrap();
    thread::sleep(Duration::from_millis(1500));
    let _logs = LogsOnPanic(&stack);
    assert_refused(&stack, 503, "ServiceUnavailable", "down");
}

#[test]
fn kms_shim_is_asked_more_often_than_it_takes() {
    let limited = ["--rate-limit", "1", "--rate-burst", "1"];
    let own = stacks::own(StoreKind::Embedded, Mode::Envelope, |builder| builder.shim_arguments(limited));
    let stack = own.unwrap();
    let _logs = LogsOnPanic(&stack);
    let puts: Vec<_> = thread::scope(|scope| {
        let put = |number: usize| stack.client.object("PUT", &format!("kms/{number}")).send(b"plaintext").unwrap();
        let threads: Vec<_> = (0..8).map(|number| scope.spawn(move || put(number))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(puts.iter().any(|put| put.status == 200) && puts.iter().any(|put| put.status == 503), "{puts:?}");
    for (number, put) in puts.iter().enumerate() {
        let stored = stack.direct.object("HEAD", &format!("kms/{number}")).send(&[]).unwrap().status;
        assert_eq!(stored, if put.status == 200 { 200 } else { 404 }, "{number}");
        assert!(put.status == 200 || put.error_code().unwrap() == "ServiceUnavailable", "{put:?}");
    }
}

#[test]
fn the_token_is_wrong() {
    on(StoreKind::Embedded, Mode::Envelope, |shared| {
        let address = shared.shim.as_ref().unwrap().address.clone();
        let stack = stack_with_kms(&address, |_| {});
        assert_refused(&stack, 403, "AccessDenied", "wrong token");
    });
}

#[test]
fn the_kms_never_answers() {
    let stack = stack_with_kms(&raw::serve(None), |plugin| plugin["keys"]["envelope"]["timeout_ms"] = json!(500));
    let start = Instant::now();
    assert_refused(&stack, 503, "ServiceUnavailable", "hanging");
    let waited = start.elapsed();
    assert!((Duration::from_millis(1500)..Duration::from_secs(20)).contains(&waited), "{waited:?} for three calls");
}

#[test]
fn the_kms_hangs_up() {
    let stack = stack_with_kms(&raw::serve(Some(String::new())), |_| {});
    assert_refused(&stack, 503, "ServiceUnavailable", "hanging up");
}

#[test]
fn the_kms_answers_garbage() {
    let error = |kind: &str| json!({ "error": { "kind": kind, "message": "m" } }).to_string();
    // Valid as far as it goes, but too short to be a DEK, and no sealing of one.
    let short = json!({ "wrapped": "", "kek": "k", "plaintext": "AAAA" }).to_string();
    let cases = [
        ("HTML", "200 OK", "<html>".to_owned(), 502, "InternalError"),
        ("an empty body", "200 OK", String::new(), 502, "InternalError"),
        ("an empty object", "200 OK", "{}".to_owned(), 502, "InternalError"),
        ("a short DEK", "200 OK", short, 502, "InternalError"),
        ("a megabyte", "200 OK", "x".repeat(1 << 20), 502, "InternalError"),
        ("denied", "403 Forbidden", error("denied"), 403, "AccessDenied"),
        ("unavailable", "503 Service Unavailable", error("unavailable"), 503, "ServiceUnavailable"),
    ];
    for (case, status_line, body, status, code) in cases {
        let length = body.len();
        let answer = format!("HTTP/1.1 {status_line}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
        let stack = stack_with_kms(&raw::serve(Some(answer)), |_| {});
        assert_refused(&stack, status, code, case);
    }
}

#[test]
fn the_kms_unwraps_another_dek() {
    let body = json!({ "plaintext": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=" }).to_string();
    let length = body.len();
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
    let stack = stack_with_kms(&raw::serve(Some(answer)), |_| {});
    for method in ["GET", "HEAD"] {
        stack.client.object(method, OBJECT_KEY).send(&[]).unwrap().expect(502).unwrap();
    }
}

/// Each of Envoy's two workers has a VM of its own, and asks for itself.
#[test]
fn readers_of_a_cold_object_share_an_unwrap() {
    const READERS: u64 = 20;
    let mut stack = stacks::own(StoreKind::Embedded, Mode::Envelope, |builder| builder).unwrap();
    stack.client.put(OBJECT_KEY, b"plaintext").unwrap();
    let cold = stack.replica(stacks::setup()).unwrap();
    let shim = stack.shim.as_mut().unwrap();
    shim.pause().unwrap();
    thread::scope(|scope| {
        let readers: Vec<_> = (0..READERS).map(|_| scope.spawn(|| cold.client.get(OBJECT_KEY).unwrap())).collect();
        let deadline = Instant::now() + Duration::from_secs(60);
        while cold.envoy.stat("cluster.s3.upstream_rq_total").unwrap_or(0) < READERS && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(10));
        }
        shim.resume().unwrap();
        readers.into_iter().for_each(|reader| assert_eq!(reader.join().unwrap().body, b"plaintext"));
    });
    let asked = cold.envoy.stat("cluster.kms_shim.upstream_rq_total").unwrap();
    assert!((1..=2).contains(&asked), "{asked} unwraps for {READERS} readers");
}

/// A stack whose KMS is at this address, and in whose store an object lies that was sealed with a real one.
fn stack_with_kms(address: &str, change: impl FnOnce(&mut Value)) -> Stack {
    let own = stacks::own(StoreKind::Embedded, Mode::Envelope, |builder| {
        builder.plugin(change).foreign_kms(address.to_owned())
    });
    let stack = own.unwrap();
    sealed_object().write(&stack.direct, OBJECT_KEY).unwrap();
    stack
}

fn sealed_object() -> AtRest {
    let shared = stacks::shared(StoreKind::Embedded, Mode::Envelope).unwrap();
    shared.client.put(OBJECT_KEY, b"plaintext").unwrap();
    AtRest::read(&shared.direct, OBJECT_KEY).unwrap()
}
