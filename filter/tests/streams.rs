//! Streams beside one another in one VM, and streams that end before their time.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests")]

mod fake_envoy;

use fake_envoy::{CallAnswer, Direction, End, Headers, Request, Stack, Stream, Windows, sample};

fn put_headers(path: &str, body: &[u8]) -> Headers {
    Request::put(path, body).headers
}

/// Sends two bodies in alternating windows of different sizes.
fn alternate(streams: [(Stream, &[u8], usize); 2], send: impl Fn(Stream, &[u8], bool)) {
    let mut windows = streams.map(|(stream, body, size)| (stream, body.chunks(size).peekable()));
    while windows.iter_mut().any(|(_, windows)| windows.peek().is_some()) {
        for (stream, windows) in &mut windows {
            if let Some(window) = windows.next() {
                send(*stream, window, windows.peek().is_none());
            }
        }
    }
}

#[test]
fn two_interleaved_streams_do_not_mix() {
    let (a, b) = (sample(150_000, 1), sample(200_000, 2));
    let mut stack = Stack::envelope();
    let (first, second) = (stack.envoy.open(), stack.envoy.open());
    first.request_headers(put_headers("/bucket/a", &a), false);
    second.request_headers(put_headers("/bucket/b", &b), false);
    first.request_body(&a[..1_000], false);

    // The answers come the other way round.
    let (call_a, call_b) = (stack.envoy.take_call().unwrap(), stack.envoy.take_call().unwrap());
    let (answer_a, answer_b) = (stack.answer_to(&call_a), stack.answer_to(&call_b));
    stack.envoy.answer(&call_b, answer_b);
    assert!(first.is_paused(Direction::Request) && !second.is_paused(Direction::Request));
    stack.envoy.answer(&call_a, answer_a);

    alternate([(first, &a[1_000..], 7_000), (second, &b, 9_999)], Stream::request_body);
    stack.serve(first);
    stack.serve(second);
    assert_eq!((first.client().status(), second.client().status()), (200, 200));

    let mut stack = stack.restart(&Stack::envelope_configuration());
    let (first, second) = (stack.envoy.open(), stack.envoy.open());
    first.request_headers(Request::get("/bucket/a").headers, true);
    second.request_headers(Request::get("/bucket/b").headers, true);
    let (answer_b, answer_a) = (stack.store.serve(&second.upstream()), stack.store.serve(&first.upstream()));
    second.response_headers(answer_b.headers, false);
    first.response_headers(answer_a.headers, false);
    second.response_body(&answer_b.body[..5_000], false);
    let (call_b, call_a) = (stack.envoy.take_call().unwrap(), stack.envoy.take_call().unwrap());
    let (dek_a, dek_b) = (stack.answer_to(&call_a), stack.answer_to(&call_b));
    stack.envoy.answer(&call_a, dek_a);
    stack.envoy.answer(&call_b, dek_b);
    alternate([(first, &answer_a.body, 8_000), (second, &answer_b.body[5_000..], 3_000)], Stream::response_body);
    first.exchange().assert_delivered(&a);
    second.exchange().assert_delivered(&b);
}

#[test]
fn one_streams_failure_is_not_the_others() {
    let body = sample(150_000, 1);
    let mut stack = Stack::envelope();
    let (failing, sound) = (stack.envoy.open(), stack.envoy.open());
    failing.request_headers(put_headers("/bucket/a", &body), false);
    sound.request_headers(put_headers("/bucket/b", &body), false);
    let call = stack.envoy.take_call().unwrap();
    stack.envoy.answer(&call, CallAnswer::new(403, ""));
    failing.exchange().assert_error(403, "AccessDenied");
    failing.request_body(&body, true);
    stack.answer_calls();
    sound.request_body(&body, true);
    stack.serve(sound);
    assert!(failing.upstream().is_nothing());
    stack.get("/bucket/b").assert_delivered(&body);
}

#[test]
fn a_client_that_leaves_in_the_middle_stores_nothing() {
    for length in [1, 65_536, 100_000] {
        let body = sample(150_000, 1);
        let mut stack = Stack::direct();
        let stream = stack.envoy.open();
        stream.request_headers(put_headers("/bucket/key", &body), false);
        stream.request_body(&body[..length], false);
        stream.client_leaves();
        let upstream = stream.upstream();
        assert!(upstream.reset && !upstream.ended);
        stack.serve(stream);
        assert!(stack.store.requests.is_empty());
        stack.given("/bucket/key", &body);
    }
}

#[test]
fn a_client_that_leaves_in_the_middle_of_a_get_hurts_nobody() {
    let mut stack = Stack::direct();
    let body = sample(150_000, 1);
    stack.given("/bucket/key", &body);
    let stream = stack.envoy.open();
    stack.send_on(stream, &Request::get("/bucket/key"));
    let answer = stack.store.serve(&stream.upstream());
    stream.response_headers(answer.headers, false);
    stream.response_body(&answer.body[..70_000], false);
    stream.client_leaves();
    assert!(body.starts_with(&stream.client().body));
    stack.get("/bucket/key").assert_delivered(&body);
}

#[test]
fn a_store_that_breaks_off_is_seen_to() {
    let mut stack = Stack::direct();
    let body = sample(150_000, 1);
    stack.given("/bucket/key", &body);
    let stream = stack.envoy.open();
    stack.send_on(stream, &Request::get("/bucket/key"));
    let answer = stack.store.serve(&stream.upstream());
    stream.response_headers(answer.headers, false);
    stream.response_body(&answer.body[..70_000], false);
    stream.upstream_resets();
    stream.exchange().assert_broken_off(&body);
    assert_eq!(stream.client().body.len(), 65_536);

    let stream = stack.envoy.open();
    stack.send_on(stream, &Request::get("/bucket/key"));
    stream.upstream_resets();
    assert_eq!((stream.client().status(), stream.client().ended), (503, true), "Envoy's own answer passes");
}

/// Envoy gives up on a request that the filter holds: its own answer passes, and the KMS's is too late.
#[test]
fn envoys_own_answer_passes_while_a_request_is_held() {
    let stack = Stack::envelope();
    let stream = stack.envoy.open();
    stream.request_headers(put_headers("/bucket/key", b"body"), false);
    let call = stack.envoy.take_call().unwrap();
    stream.upstream_resets();
    assert_eq!((stream.client().status(), stream.client().ended), (503, true));
    stack.envoy.answer(&call, CallAnswer::new(200, r#"{"wrapped":"AAAA","kek":"k"}"#));
    assert!(stream.upstream().is_nothing());
}

/// A store may refuse an upload before it has seen all of it.
#[test]
fn an_answer_that_overtakes_its_request_passes() {
    let mut stack = Stack::direct();
    let body = sample(150_000, 1);
    let stream = stack.envoy.open();
    stream.request_headers(put_headers("/bucket/key", &body), false);
    stream.request_body(&body[..70_000], false);
    let refusal = b"<Error><Code>QuotaExceeded</Code></Error>";
    let length = refusal.len().to_string();
    stream.response_headers(Headers::of(&[(":status", "403"), ("content-length", &length)]), false);
    stream.request_body(&body[70_000..100_000], false);
    stream.response_body(refusal, true);
    let (client, upstream) = (stream.client(), stream.upstream());
    assert_eq!((client.status(), client.ended, client.body.as_slice()), (403, true, refusal.as_slice()));
    assert!(upstream.reset && !upstream.ended);
    stream.request_body(&body[100_000..], true);
    stack.given("/bucket/key", &body);
}

/// HTTP/2 has no framing that would keep a body to its Content-Length.
#[test]
fn a_body_that_is_not_as_long_as_it_said_is_no_object() {
    for (stated, sent) in
        [(100_000, 99_999), (100_000, 65_536), (65_536, 0), (99_999, 100_000), (65_536, 65_537), (0, 1)]
    {
        for end in [End::WithLastWindow, End::EmptyWindow, End::Trailers] {
            for windows in [Windows::Whole, Windows::Of(65_536)] {
                let mut stack = Stack::direct();
                let request = Request::put("/bucket/key", &sample(sent, 1)).without("content-length");
                let request = request.header("content-length", stated.to_string()).windows(windows).end(end);
                let put = stack.send(&request);
                put.assert_error(400, "IncompleteBody");
                assert!(!put.upstream.ended && stack.store.requests.is_empty(), "{stated} {sent} {end:?}: {put:?}");
            }
        }
    }
}
