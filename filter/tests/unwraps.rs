//! Many readers of one object whose DEK nobody knows yet: kms-shim is asked once.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests")]

mod fake_envoy;

use std::collections::VecDeque;

use fake_envoy::{CallAnswer, Request, Stack, Stream, sample};

const READERS: usize = 5;

/// A cold filter in front of this object.
fn stack(body: &[u8]) -> Stack {
    let mut stack = Stack::envelope();
    stack.given("/bucket/key", body);
    stack.restart(&Stack::envelope_configuration())
}

/// Sends requests whose answers from the store have come as far as their heads, and wait for the DEK.
fn waiting(stack: &mut Stack, request: &Request) -> VecDeque<Stream> {
    let wait = |_| {
        let stream = stack.envoy.open();
        stream.request_headers(request.headers.clone(), true);
        let response = stack.store.serve(&stream.upstream());
        stream.response_headers(response.headers, false);
        stream.response_body(&response.body, true);
        assert!(stream.client().is_nothing());
        stream
    };
    (0..READERS).map(wait).collect()
}

#[test]
fn readers_share_an_unwrap() {
    let body = sample(100_000, 1);
    let mut stack = stack(&body);
    let readers = waiting(&mut stack, &Request::get("/bucket/key"));
    stack.answer_calls();
    readers.iter().for_each(|reader| reader.exchange().assert_delivered(&body));
    assert_eq!(stack.kms.unwrapped.len(), 1);
    assert!(!stack.envoy.tick(), "the timer stops");
}

#[test]
fn other_objects_are_others() {
    let mut stack = Stack::envelope();
    stack.given("/bucket/key", b"one");
    stack.given("/bucket/other", b"two");
    let mut stack = stack.restart(&Stack::envelope_configuration());
    let one = waiting(&mut stack, &Request::get("/bucket/key"));
    let two = waiting(&mut stack, &Request::get("/bucket/other"));
    stack.answer_calls();
    one.iter().for_each(|reader| reader.exchange().assert_delivered(b"one"));
    two.iter().for_each(|reader| reader.exchange().assert_delivered(b"two"));
    assert_eq!(stack.kms.unwrapped.len(), 2);
}

#[test]
fn readers_share_a_failure() {
    let mut stack = stack(b"body");
    let readers = waiting(&mut stack, &Request::get("/bucket/key"));
    stack.kms.instead.push_back(CallAnswer::new(403, ""));
    stack.answer_calls();
    readers.iter().for_each(|reader| reader.exchange().assert_error(403, "AccessDenied"));
    stack.get("/bucket/key").assert_delivered(b"body");
}

/// Whoever asked may leave, one after the other: somebody who stays gets the answer.
#[test]
fn another_reader_asks_if_the_first_one_leaves() {
    let body = sample(100_000, 1);
    let mut stack = stack(&body);
    let mut readers = waiting(&mut stack, &Request::get("/bucket/key"));
    for _ in 0..3 {
        let call = stack.envoy.take_call().unwrap();
        assert!(stack.envoy.take_call().is_none());
        readers.pop_front().unwrap().client_leaves();
        let answer = stack.answer_to(&call);
        stack.envoy.answer(&call, answer);
        readers.iter().for_each(|reader| assert!(reader.client().is_nothing()));
        assert!(stack.envoy.tick());
    }
    // A call that was made in the plugin's callback is made once more as well.
    stack.kms.instead.push_back(CallAnswer::reset());
    stack.answer_calls();
    readers.iter().for_each(|reader| reader.exchange().assert_delivered(&body));
    assert_eq!(stack.kms.unwrapped.len(), 4);
}

#[test]
fn readers_that_leave_are_not_missed() {
    let mut stack = stack(b"body");
    let mut readers = waiting(&mut stack, &Request::get("/bucket/key"));
    let first = readers.pop_front().unwrap();
    readers.iter().for_each(|reader| reader.client_leaves());
    stack.answer_calls();
    first.exchange().assert_delivered(b"body");

    let mut stack = stack.restart(&Stack::envelope_configuration());
    let readers = waiting(&mut stack, &Request::get("/bucket/key"));
    readers.iter().for_each(|reader| reader.client_leaves());
    stack.answer_calls();
    stack.get("/bucket/key").assert_delivered(b"body");
}

/// What waited goes on with further calls: the DEK of a copy is wrapped for its new name.
#[test]
fn whoever_waited_can_go_on_calling() {
    let mut stack = stack(b"body");
    let copies: Vec<_> = (0..READERS)
        .map(|number| {
            let stream = stack.envoy.open();
            let request =
                Request::new("PUT", &format!("/bucket/copy-{number}")).header("x-amz-copy-source", "/bucket/key");
            stream.request_headers(request.headers, true);
            let head = stack.envoy.take_call().unwrap();
            let answer = stack.answer_to(&head);
            stack.envoy.answer(&head, answer);
            stream
        })
        .collect();
    stack.answer_calls();
    assert!(copies.iter().all(|copy| copy.upstream().ended));
    assert_eq!((stack.kms.unwrapped.len(), stack.kms.wrapped.len()), (1, 1 + READERS));
}
