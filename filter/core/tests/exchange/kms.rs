//! DEKs: when the KMS is asked for them, and what happens if it does not answer as it should.

use std::time::Duration;

use s3ep_core::error::KmsError;

use crate::support::{MODES, Mode, Mood, Request, Stack, both, plaintext};

const KEY: &str = "/bucket/a%20key";

#[test]
fn the_dek_cache_saves_unwraps() {
    let mut stack = Stack::new(Mode::Envelope);
    stack.put(KEY, b"body");
    let unwraps = |stack: &mut Stack| {
        assert_eq!(stack.get(KEY).complete().body, b"body");
        stack.kms.unwraps
    };
    assert_eq!(unwraps(&mut stack), 0, "who wrapped it need not ask");
    stack.forget();
    assert_eq!((unwraps(&mut stack), unwraps(&mut stack)), (1, 1));
    stack.now += Duration::from_secs(299);
    assert_eq!(unwraps(&mut stack), 1);
    stack.now += Duration::from_secs(1);
    assert_eq!(unwraps(&mut stack), 2, "it lived for the 300 seconds of the default");
    assert_eq!(stack.kms.wraps, 1);
}

#[test]
fn direct_mode_asks_no_kms() {
    let mut stack = Stack::new(Mode::Direct);
    stack.put(KEY, b"body");
    stack.forget();
    assert_eq!(stack.get(KEY).complete().body, b"body");
    assert_eq!((stack.kms.wraps, stack.kms.unwraps), (0, 0));
}

#[test]
fn no_two_objects_share_a_dek() {
    for mode in MODES {
        let mut stack = Stack::new(mode);
        let mut stored = Vec::new();
        for path in [KEY, "/bucket/other", KEY] {
            stack.put(path, b"the same plaintext every time");
            let object = stack.store.object(path);
            stored.push((object.header("x-amz-meta-s3ep-dek").unwrap().to_owned(), object.body.clone()));
        }
        for (at, (dek, body)) in stored.iter().enumerate() {
            assert!(stored[at + 1..].iter().all(|(other_dek, other)| other_dek != dek && other != body));
        }
    }
}

#[test]
fn what_the_kms_says_reaches_the_client() {
    let cases = [
        (KmsError::Denied, (403, "AccessDenied"), (403, "AccessDenied")),
        (KmsError::Unavailable, (503, "ServiceUnavailable"), (503, "ServiceUnavailable")),
        (KmsError::Garbage, (502, "InternalError"), (502, "InternalError")),
        (KmsError::Invalid, (502, "InternalError"), (502, "InternalError")),
        (KmsError::ContextMismatch, (502, "InternalError"), (502, "InternalError")),
    ];
    for (error, on_put, on_get) in cases {
        let mut stack = Stack::new(Mode::Envelope);
        stack.put(KEY, b"body");
        stack.kms.mood = Mood::Failing(error);
        let requests = stack.store.requests.len();
        assert_eq!(stack.send(&Request::put(KEY, b"new body")).refused(), on_put, "{error:?}");
        assert_eq!(stack.store.requests.len(), requests, "{error:?}: a request went on without a DEK");
        stack.forget();
        for request in [Request::get(KEY), Request::head(KEY), Request::get(KEY).header("range", "bytes=0-1")] {
            assert_eq!(stack.send(&request).refused(), on_get, "{error:?}");
        }
        stack.kms.mood = Mood::Honest;
        assert_eq!(stack.get(KEY).complete().body, b"body", "a failure is not remembered");
    }
}

#[test]
fn a_kms_that_hands_out_another_dek_is_found_out() {
    let mut stack = Stack::new(Mode::Envelope);
    stack.put(KEY, b"body");
    stack.forget();
    stack.kms.mood = Mood::Confused;
    for request in [Request::get(KEY), Request::head(KEY), Request::get(KEY).header("range", "bytes=0-1")] {
        assert_eq!(stack.send(&request).refused(), (502, "InternalError"));
    }
}

#[test]
fn a_kms_that_hands_out_another_dek_once_is_asked_again() {
    let mut stack = Stack::new(Mode::Envelope);
    stack.put(KEY, b"body");
    stack.forget();
    stack.kms.mood = Mood::Confused;
    assert_eq!(stack.get(KEY).refused().0, 502);
    stack.kms.mood = Mood::Honest;
    assert_eq!(stack.get(KEY).complete().body, b"body");
}

#[test]
fn without_randomness_nothing_is_sealed() {
    for (mode, left) in both(0..=1) {
        let mut stack = Stack::new(mode);
        stack.entropy.left = Some(left);
        assert_eq!(stack.send(&Request::put(KEY, &plaintext(1, 70_000))).refused(), (500, "InternalError"));
        assert!(stack.store.objects.is_empty());
    }
}
