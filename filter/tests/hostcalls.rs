//! What requests cost in hostcalls: each is a way out of the VM and back.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests")]

mod fake_envoy;

use fake_envoy::{Request, Stack, sample};

/// `name × number` of each hostcall, without `proxy_`.
fn hostcalls(stack: &Stack) -> Vec<String> {
    let made = stack.envoy.take_hostcalls();
    made.iter().map(|(name, number)| format!("{} × {number}", name.trim_start_matches("proxy_"))).collect()
}

/// Sends it twice, and counts the second time.
#[track_caller]
fn assert_hostcalls(request: Request, expected: &[&str]) {
    let mut stack = Stack::envelope();
    stack.given("/bucket/key", &sample(4096, 1));
    let request = request.signed();
    stack.send(&request);
    stack.envoy.take_hostcalls();
    let exchange = stack.send(&request);
    assert!((200..300).contains(&exchange.client.status()), "{exchange:?}");
    assert_eq!(hostcalls(&stack), expected);
}

#[test]
fn a_small_object_is_read() {
    assert_hostcalls(
        Request::get("/bucket/key"),
        &[
            "get_buffer_bytes × 1",
            "get_current_time_nanoseconds × 2",
            "get_header_map_pairs × 2",
            "increment_metric × 5",
            "remove_header_map_value × 8",
            "replace_header_map_value × 3",
            "set_buffer_bytes × 1",
            "set_property × 4",
        ],
    );
}

#[test]
fn a_small_object_is_written() {
    assert_hostcalls(
        Request::put("/bucket/key", &sample(4096, 1)),
        &[
            "continue_stream × 1",
            "get_buffer_bytes × 2",
            "get_current_time_nanoseconds × 6",
            "get_header_map_pairs × 3",
            "http_call × 1",
            "increment_metric × 5",
            "record_metric × 1",
            "remove_header_map_value × 3",
            "replace_header_map_value × 8",
            "set_buffer_bytes × 1",
            "set_effective_context × 1",
            "set_property × 4",
        ],
    );
}

#[test]
fn a_range_is_read() {
    assert_hostcalls(
        Request::get("/bucket/key").header("range", "bytes=5-9"),
        &[
            "get_buffer_bytes × 1",
            "get_current_time_nanoseconds × 2",
            "get_header_map_pairs × 2",
            "increment_metric × 5",
            "remove_header_map_value × 9",
            "replace_header_map_value × 6",
            "set_buffer_bytes × 1",
            "set_property × 4",
        ],
    );
}

#[test]
fn an_object_is_deleted() {
    assert_hostcalls(
        Request::new("DELETE", "/bucket/other"),
        &[
            "get_current_time_nanoseconds × 2",
            "get_header_map_pairs × 2",
            "increment_metric × 1",
            "remove_header_map_value × 3",
            "replace_header_map_value × 1",
            "set_property × 3",
        ],
    );
}
