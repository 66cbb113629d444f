//! Envoy refuses a hostcall: the stream fails, it never goes on in clear.
//!
//! Many of the SDK's functions panic on a status that they do not expect. That takes the VM down, which Envoy turns into
//! failed streams, so a trap is allowed too: by then nothing may have got out.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests")]

mod fake_envoy;

use fake_envoy::{Exchange, Request, Stack, Windows, each_in_its_own_process, sample};
use proxy_wasm::types::Status;

const STATUSES: [Status; 3] = [Status::NotFound, Status::BadArgument, Status::InternalFailure];

/// What a PUT and a GET through kms-shim cannot do without.
const HOSTCALLS: [&str; 9] = [
    "proxy_get_header_map_pairs",
    "proxy_replace_header_map_value",
    "proxy_remove_header_map_value",
    "proxy_get_buffer_bytes",
    "proxy_set_buffer_bytes",
    "proxy_http_call",
    "proxy_continue_stream",
    "proxy_get_current_time_nanoseconds",
    "proxy_set_effective_context",
];

#[derive(Debug, Clone)]
struct Case {
    hostcall: &'static str,
    after: usize,
    status: Status,
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for hostcall in HOSTCALLS {
        for after in [0, 1, 2, 5] {
            cases.extend(STATUSES.map(|status| Case { hostcall, after, status }));
        }
    }
    cases
}

fn body() -> Vec<u8> {
    b"in clear".repeat(20_000)
}

fn assert_nothing_in_clear(exchange: &Exchange) {
    let upstream = &exchange.upstream;
    assert!(!upstream.body.windows(8).any(|window| window == b"in clear"), "{exchange:?}");
    let is_marked = upstream.header("x-amz-meta-s3ep-dek").is_some();
    assert!(upstream.headers.is_none() || is_marked, "{exchange:?}");
}

#[test]
fn a_put_never_goes_on_in_clear() {
    each_in_its_own_process(
        "a_put_never_goes_on_in_clear",
        &cases(),
        |case| {
            let mut stack = Stack::envelope();
            stack.envoy.fail(case.hostcall, case.after, case.status);
            let stream = stack.envoy.open();
            stack.send_on(stream, &Request::put("/bucket/key", &body()).signed().windows(Windows::Of(50_000)));
            stack.serve(stream);
            assert!(stack.envoy.has_failed() || case.after > 0, "the filter does not make this call");
            stack.envoy.recover();
            let exchange = stream.exchange();
            assert_nothing_in_clear(&exchange);
            if exchange.client.status() == 200 && exchange.client.ended {
                stack.get("/bucket/key").assert_delivered(&body());
            }
        },
        |case, exchanges| {
            println!("{case:?} trapped");
            exchanges.iter().for_each(assert_nothing_in_clear);
            assert!(exchanges.iter().all(|exchange| !exchange.upstream.ended || exchange.client.is_nothing()));
        },
    );
}

#[test]
fn a_get_never_releases_what_is_not_authentic() {
    fn assert_authentic(exchange: &Exchange) {
        let client = &exchange.client;
        match client.status() {
            0 => assert!(client.is_nothing()),
            200 => assert!(body().starts_with(&client.body) && client.ended == (client.body.len() == body().len())),
            _ => assert!(client.body.starts_with(b"<?xml"), "{exchange:?}"),
        }
    }
    each_in_its_own_process(
        "a_get_never_releases_what_is_not_authentic",
        &cases(),
        |case| {
            let mut stack = Stack::envelope();
            stack.given("/bucket/key", &body());
            let mut stack = stack.restart(&Stack::envelope_configuration());
            stack.windows = Windows::Of(50_000);
            stack.envoy.fail(case.hostcall, case.after, case.status);
            let stream = stack.envoy.open();
            stack.send_on(stream, &Request::get("/bucket/key"));
            stack.serve(stream);
            assert!(stack.envoy.has_failed() || case.after > 0, "the filter does not make this call");
            assert_authentic(&stream.exchange());
        },
        |_, exchanges| exchanges.iter().for_each(assert_authentic),
    );
}

#[test]
fn a_configuration_that_cannot_be_read_does_not_load() {
    // One run is enough to see it fail, since the SDK panics on most statuses.
    each_in_its_own_process(
        "a_configuration_that_cannot_be_read_does_not_load",
        &[Status::NotFound],
        |_| assert!(fake_envoy::FakeEnvoy::start("", &[]).is_err()),
        |_, _| (),
    );
}

#[test]
fn a_reply_that_fails_leaves_the_request_held() {
    each_in_its_own_process(
        "a_reply_that_fails_leaves_the_request_held",
        &STATUSES,
        |status| {
            let mut stack = Stack::envelope();
            stack.envoy.fail("proxy_send_local_response", 0, *status);
            stack.kms.instead.extend([fake_envoy::CallAnswer::reset(), fake_envoy::CallAnswer::reset()]);
            let stream = stack.envoy.open();
            stack.send_on(stream, &Request::put("/bucket/key", &sample(100_000, 1)));
            assert!(stream.upstream().is_nothing());
        },
        |_, exchanges| exchanges.iter().for_each(|exchange| assert!(exchange.upstream.is_nothing())),
    );
}
