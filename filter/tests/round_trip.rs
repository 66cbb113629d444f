//! What a client puts comes back, however Envoy cuts it into windows, and lies sealed in the store.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests")]

mod fake_envoy;

use fake_envoy::{Direction, End, Request, Stack, Windows, sample};

const SEGMENT: usize = 65_536;
/// Header and tag of a segment.
const OVERHEAD: usize = 48;

/// Around every border: nothing, one byte, header and tag sizes, one, two and three segments.
const LENGTHS: [usize; 14] = [
    0,
    1,
    31,
    32,
    48,
    49,
    SEGMENT - 1,
    SEGMENT,
    SEGMENT + 1,
    2 * SEGMENT - 1,
    2 * SEGMENT,
    2 * SEGMENT + 1,
    3 * SEGMENT,
    200_000,
];

/// Around the sizes of segments, in plaintext and ciphertext, and around that of a header.
const SPLITS: [Windows; 7] = [
    Windows::Whole,
    Windows::Of(1_000),
    Windows::Of(SEGMENT - 1),
    Windows::Of(SEGMENT),
    Windows::Of(SEGMENT + OVERHEAD),
    Windows::Of(SEGMENT + OVERHEAD + 1),
    Windows::Of(31),
];

fn round_trip(stack: &mut Stack, length: usize, windows: Windows, end: End) {
    let body = sample(length, length as u64);
    (stack.windows, stack.end) = (windows, end);

    let put = stack.send(&Request::put("/bucket/key", &body).windows(windows).end(end));
    assert_eq!(put.client.status(), 200, "{length} {windows:?} {end:?}: {put:?}");
    let sealed_length = length + OVERHEAD * length.div_ceil(SEGMENT);
    assert_eq!(put.upstream.header("content-length"), Some(sealed_length.to_string().as_str()));
    assert_is_sealed(&stack.store.object("/bucket/key").body, length);

    let get = stack.get("/bucket/key");
    get.assert_delivered(&body);
    assert_eq!(get.client.header("content-length"), Some(length.to_string().as_str()));
    let is_trailed = end == End::Trailers;
    assert_eq!((put.upstream.trailers.is_some(), get.client.trailers.is_some()), (is_trailed, is_trailed));
}

/// The layout of FORMAT.md section 1, read without the filter's code.
fn assert_is_sealed(mut stored: &[u8], length: usize) {
    let count = length.div_ceil(SEGMENT);
    for index in 0..count {
        let is_final = index + 1 == count;
        let len = if is_final { length - index * SEGMENT } else { SEGMENT };
        let number = |at: usize| u32::from_be_bytes(stored[at..at + 4].try_into().unwrap()) as usize;
        assert_eq!(&stored[..8], &[b'S', b'3', b'E', b'P', 1, u8::from(is_final), 0, 1]);
        assert_eq!((number(8), number(12), number(28)), (index, len, 0));
        stored = &stored[len + OVERHEAD..];
    }
    assert!(stored.is_empty());
}

fn matrix(end: End) {
    for configuration in Stack::both_modes() {
        let mut stack = Stack::start(&configuration);
        for length in LENGTHS {
            SPLITS.into_iter().for_each(|windows| round_trip(&mut stack, length, windows, end));
        }
    }
}

#[test]
fn a_body_ends_with_its_last_window() {
    matrix(End::WithLastWindow);
}

#[test]
fn an_empty_last_window_ends_a_body() {
    matrix(End::EmptyWindow);
}

/// With trailers no window says that it is the last, and none can be added to any more.
#[test]
fn trailers_end_a_body_in_both_directions() {
    matrix(End::Trailers);
}

#[test]
fn one_byte_at_a_time() {
    let mut stack = Stack::envelope();
    let ends = [End::WithLastWindow, End::EmptyWindow, End::Trailers];
    for end in ends {
        [0, 1, 2, 49].into_iter().for_each(|length| round_trip(&mut stack, length, Windows::Of(1), end));
    }
    for (length, end) in [SEGMENT - 1, SEGMENT, SEGMENT + 1].into_iter().zip(ends) {
        round_trip(&mut stack, length, Windows::Of(1), end);
    }
}

#[test]
fn a_body_that_comes_before_its_dek_is_held_whole() {
    let body = sample(100_000, 1);
    for end in [End::WithLastWindow, End::EmptyWindow, End::Trailers] {
        let mut stack = Stack::envelope();
        let stream = stack.envoy.open();
        stream.request_headers(Request::put("/bucket/key", &body).headers, false);
        body.chunks(30_000).for_each(|window| stream.request_body(window, false));
        match end {
            End::WithLastWindow => stream.request_body(&body[..0], true),
            End::EmptyWindow => stream.request_body(&[], true),
            End::Trailers => stream.request_trailers(fake_envoy::Headers::of(&[("x-trailer", "1")])),
        }
        assert!(stream.is_paused(Direction::Request) && stream.upstream().is_nothing());
        stack.answer_calls();
        stack.serve(stream);
        assert_eq!(stream.client().status(), 200);
        stack.get("/bucket/key").assert_delivered(&body);
    }
}

#[test]
fn a_response_that_comes_before_its_dek_is_held_whole() {
    let body = sample(100_000, 1);
    let mut stack = Stack::envelope();
    stack.given("/bucket/key", &body);
    let mut stack = stack.restart(&Stack::envelope_configuration());
    let stream = stack.envoy.open();
    stack.send_on(stream, &Request::get("/bucket/key"));
    let answer = stack.store.serve(&stream.upstream());
    stream.response_headers(answer.headers, false);
    answer.body.chunks(40_000).for_each(|window| stream.response_body(window, false));
    stream.response_body(&[], true);
    assert!(stream.client().is_nothing());
    stack.answer_calls();
    stream.exchange().assert_delivered(&body);
}

#[test]
fn no_plaintext_lies_in_the_store_and_nothing_repeats() {
    for configuration in Stack::both_modes() {
        let mut stack = Stack::start(&configuration);
        let body = b"sixteen letters!".repeat(5_000);
        for path in ["/bucket/1", "/bucket/2", "/bucket/1"] {
            stack.given(path, &body);
        }
        let stored: Vec<_> = stack.store.requests.iter().map(|request| request.body.clone()).collect();
        for (i, body) in stored.iter().enumerate() {
            assert!(!body.windows(8).any(|window| b"sixteen letters!".windows(8).any(|plain| plain == window)));
            let nonce = |body: &[u8], segment: usize| body[segment * (SEGMENT + OVERHEAD) + 16..][..12].to_vec();
            assert_ne!(nonce(body, 0), nonce(body, 1));
            assert!(stored[..i].iter().all(|other| nonce(other, 0) != nonce(body, 0) && other[32..] != body[32..]));
        }
    }
}
