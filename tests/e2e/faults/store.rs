//! A store that breaks off, stalls, or says that it has failed.

use std::time::{Duration, Instant};

use e2e::client::Endpoint;
use e2e::plaintext::random;
use e2e::stack::{Builder, Mode, Stack};
use e2e::store::{Store, StoreKind};
use serde_json::json;

use super::relay::{Fault, Relay};
use crate::stacks::{self, LogsOnPanic};

const LEN: usize = 1 << 20;

/// A stack whose Envoy reaches MinIO through a relay, with a connection for every request. None: there is no MinIO.
fn behind_relay() -> Option<(Stack, Relay)> {
    let minio = &stacks::shared(StoreKind::Full, Mode::Direct)?.store.endpoint;
    let relay = Relay::to(minio.authority());
    let store = Store::at(Endpoint { url: format!("http://{}", relay.address), ..minio.clone() });
    let builder = Builder::new(stacks::setup()).unwrap().cluster("s3", |cluster| {
        let options = &mut cluster["typed_extension_protocol_options"];
        let options = &mut options["envoy.extensions.upstreams.http.v3.HttpProtocolOptions"];
        options["common_http_protocol_options"]["max_requests_per_connection"] = json!(1);
    });
    let builder = builder.connection_manager(|manager| manager["stream_idle_timeout"] = json!("2s"));
    Some((builder.start(store, Mode::Direct).unwrap(), relay))
}

/// Runs a test behind a relay, where there is a MinIO.
fn with_relay(test: fn(&Stack, &Relay)) {
    let Some((stack, relay)) = behind_relay() else { return };
    let _logs = LogsOnPanic(&stack);
    test(&stack, &relay);
}

#[test]
fn a_response_that_breaks_off_or_stalls_is_never_whole() {
    with_relay(|stack, relay| {
        let body = random(LEN, 1);
        stack.client.put("faults/read", &body).unwrap();
        let faults = [Fault::CutResponse, Fault::StallResponse];
        for (fault, after) in faults.into_iter().flat_map(|fault| [100_000, 1_000_000].map(|after| (fault, after))) {
            relay.set(fault(after));
            let start = Instant::now();
            let got = stack.client.object("GET", "faults/read").send(&[]).unwrap();
            assert!(got.broken.is_some() && got.status == 200, "{:?} after {after}", fault(after));
            assert!(got.body.len() < LEN && body.starts_with(&got.body), "bytes that are not the object's");
            assert!(start.elapsed() < Duration::from_secs(20), "as long as the store likes");
        }
        relay.set(Fault::None);
        assert!(stack.client.get("faults/read").unwrap().body == body);
    });
}

#[test]
fn an_upload_that_the_store_breaks_off_is_an_error_and_no_object() {
    with_relay(|stack, relay| {
        for after in [100, 10_000, 700_000] {
            relay.set(Fault::CutRequest(after));
            let put = stack.client.object("PUT", "faults/cut").send(&random(LEN, 1));
            assert!(put.is_err() || put.is_ok_and(|put| put.status == 503), "after {after}");
        }
        relay.set(Fault::None);
        assert_eq!(stack.direct.object("HEAD", "faults/cut").send(&[]).unwrap().status, 404);
    });
}

#[test]
fn an_error_of_the_store_s_is_shown_as_it_is() {
    with_relay(|stack, relay| {
        stack.client.put("faults/error", b"before").unwrap();
        for (status, code) in [("500 Internal Server Error", "InternalError"), ("503 Slow Down", "SlowDown")] {
            let document = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>m</Message></Error>");
            let head = format!("HTTP/1.1 {status}\r\nContent-Type: application/xml\r\nConnection: close\r\n");
            relay.set(Fault::Answer(format!("{head}Content-Length: {}\r\n\r\n{document}", document.len())));
            for (method, body, range) in
                [("PUT", b"x".as_slice(), "bytes=0-1"), ("GET", b"", "bytes=0-1"), ("GET", b"", "")]
            {
                let call = stack.client.object(method, "faults/error");
                let call = if range.is_empty() || method == "PUT" { call } else { call.header("range", range) };
                let answer = call.send(body).unwrap();
                assert_eq!(answer.status.to_string(), status[..3], "{method} {range}: {answer:?}");
                // For a range, it is the filter that asks first, with a HEAD, and errors to that have no document.
                let expected = if method == "GET" && !range.is_empty() {
                    ["InternalError", "ServiceUnavailable"].as_slice()
                } else {
                    &[code]
                };
                assert!(expected.contains(&&*answer.error_code().unwrap()), "{method} {range}: {answer:?}");
            }
        }
        relay.set(Fault::None);
        assert_eq!(stack.client.get("faults/error").unwrap().body, b"before");
    });
}
