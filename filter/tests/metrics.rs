//! What the filter counts, what it shows to the access log, and the trace context of its calls.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests")]

mod fake_envoy;

use fake_envoy::{CallAnswer, Request, Stack, sample};

/// Checks counters by what stands behind `s3ep.` in their names. 0: it was never counted.
#[track_caller]
fn assert_counts(stack: &Stack, expected: &[(&str, i64)]) {
    for (name, number) in expected {
        assert_eq!(stack.envoy.metric(&format!("s3ep.{name}")).unwrap_or_default(), *number, "{name}");
    }
}

#[test]
fn requests_volumes_and_calls_are_counted() {
    let mut stack = Stack::envelope();
    stack.given("/bucket/key", &sample(150_000, 1));
    let mut stack = stack.restart(&Stack::envelope_configuration());
    stack.given("/bucket/other", &sample(150_000, 1));
    stack.get("/bucket/key").assert_delivered(&sample(150_000, 1));
    stack.get("/bucket/key").assert_delivered(&sample(150_000, 1));
    assert_counts(
        &stack,
        &[
            ("requests.s3ep_operation.PutObject", 1),
            ("requests.s3ep_operation.GetObject", 2),
            ("sealed_bytes", 150_000),
            ("sealed_segments", 3),
            ("sealed_bodies", 1),
            ("opened_bytes", 300_000),
            ("opened_segments", 6),
            ("opened_bodies", 2),
            ("dek_lookups.s3ep_outcome.hit", 1),
            ("dek_lookups.s3ep_outcome.miss", 1),
            ("dek_lookups.s3ep_outcome.derived", 0),
            ("calls.s3ep_call.wrap.s3ep_outcome.ok", 1),
            ("calls.s3ep_call.unwrap.s3ep_outcome.ok", 1),
            ("failures.s3ep_operation.GetObject.s3ep_cause.integrity", 0),
        ],
    );
}

#[test]
fn failures_are_counted_by_cause() {
    let mut stack = Stack::envelope();
    stack.given("/bucket/key", &sample(150_000, 1));
    stack.store.object("/bucket/key").body[65_584 + 40] ^= 1;
    stack.get("/bucket/key");
    stack.send(&Request::put("/bucket/key?append", b"x"));
    stack.send(&Request::put("/bucket/key", b"x").header("x-amz-checksum-crc32", "AAAAAA=="));
    stack.kms.instead = [CallAnswer::new(503, ""), CallAnswer::new(503, "")].into();
    stack.put("/bucket/new", b"x").assert_error(503, "ServiceUnavailable");
    assert_counts(
        &stack,
        &[
            ("failures.s3ep_operation.GetObject.s3ep_cause.integrity", 1),
            ("failures.s3ep_operation.Unknown.s3ep_cause.not_implemented", 1),
            ("failures.s3ep_operation.PutObject.s3ep_cause.checksum", 1),
            ("failures.s3ep_operation.PutObject.s3ep_cause.kms_unavailable", 1),
            ("calls.s3ep_call.wrap.s3ep_outcome.kms_unavailable", 1),
            ("call_retries", 1),
            ("opened_segments", 1),
            ("opened_bodies", 0),
        ],
    );
    assert_eq!(stack.envoy.property("s3ep_cause").as_deref(), Some("kms_unavailable"));
}

#[test]
fn the_access_log_can_tell_what_a_stream_was() {
    for (configuration, mode) in Stack::both_modes().iter().zip(["envelope", "direct"]) {
        let mut stack = Stack::start(configuration);
        stack.given("/bucket/a-secret-name", b"x");
        let shown = |name| stack.envoy.property(name);
        assert_eq!(shown("s3ep_operation").as_deref(), Some("PutObject"));
        assert_eq!(shown("s3ep_bucket").as_deref(), Some("bucket"));
        assert_eq!(shown("s3ep_mode").as_deref(), Some(mode));
        assert!(shown("s3ep_kek").is_some());
        assert_eq!(shown("s3ep_cause"), None);
    }
}

#[test]
fn calls_carry_the_trace_context_of_their_request() {
    const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let mut stack = Stack::envelope();
    stack.given("/bucket/key", b"x");
    let stack = stack.restart(&Stack::envelope_configuration());
    let stream = stack.envoy.open();
    let request = Request::get("/bucket/key").header("range", "bytes=0-0").header("traceparent", TRACEPARENT);
    let request = request.header("tracestate", "a".repeat(513));
    stream.request_headers(request.headers, true);
    let call = stack.envoy.take_call().unwrap();
    assert_eq!(call.headers.text("traceparent"), Some(TRACEPARENT));
    assert_eq!(call.headers.text("x-request-id"), Some("7d3ab4b0-0c6e-4b0e-8f5e-0b0e6d3c5a11"));
    assert_eq!(call.headers.text("tracestate"), None, "too long");
}
