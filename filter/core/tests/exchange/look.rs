//! The look at the head before a ranged read: what it finds is of one object, and is never taken for another's.

use crate::support::{MODES, Mode, Mood, Object, Request, Stack, StoreResponse, both, plaintext};

const KEY: &str = "/bucket/key";

fn ranged(range: &str) -> Request {
    Request::get(KEY).header("range", range)
}

/// A stack with one object of `len` bytes, and nothing remembered or counted of its upload.
fn holding(mode: Mode, len: usize) -> (Stack, Vec<u8>) {
    let mut stack = Stack::new(mode);
    let plain = plaintext(len as u32, len);
    stack.put(KEY, &plain);
    stack.forget();
    stack.store.requests.clear();
    (stack, plain)
}

#[test]
fn one_unwrap_serves_all_ranges() {
    let (mut stack, _) = holding(Mode::Envelope, 200_000);
    for range in ["bytes=0-9", "bytes=100000-", "bytes=-5"] {
        assert_eq!(stack.send(&ranged(range)).complete().status, 206);
    }
    assert_eq!((stack.kms.unwraps, stack.store.count("HEAD")), (1, 1));
}

#[test]
fn an_object_replaced_after_the_look_is_never_mixed() {
    for (mode, len) in both([70_000, 66_000]) {
        let (mut stack, _) = holding(mode, 70_000);
        let old = stack.store.object(KEY).clone();
        let new_plain = plaintext(99, len);
        stack.put(KEY, &new_plain);
        let new = stack.store.objects.insert(KEY.into(), old).unwrap();
        stack.forget();
        stack.store.after_head = Some((KEY.into(), new));
        let response = stack.send(&ranged("bytes=65600-65700")).complete();
        assert_eq!((response.status, response.body.as_slice()), (206, &new_plain[65_600..=65_700]));
        assert_eq!(response.header("content-range"), Some(&*format!("bytes 65600-65700/{len}")));
    }
}

/// With If-Match, and in stores that know none on a GET, where the metadata tells.
#[test]
fn a_head_that_went_stale_is_looked_at_again() {
    for (mode, ignores_if_match) in both([false, true]) {
        let (mut stack, _) = holding(mode, 70_000);
        stack.store.ignores_if_match = ignores_if_match;
        assert_eq!(stack.send(&ranged("bytes=0-9")).complete().status, 206);
        let plain = plaintext(99, 70_000);
        stack
            .send(&Request::put(KEY, &plain).header("x-amz-meta-of", "the user's").header("content-type", "a/b"))
            .complete();
        let response = stack.send(&ranged("bytes=65530-69999")).complete();
        assert_eq!((response.status, response.body.as_slice()), (206, &plain[65_530..]));
        assert_eq!(response.header("content-range"), Some("bytes 65530-69999/70000"));
        assert_eq!(response.header("x-amz-meta-of"), Some("the user's"));
        assert!(response.header("etag").unwrap().ends_with("-01\""), "{response:?}");
        response.assert_hides_encryption();
        stack.store.requests.clear();
        assert_eq!(stack.send(&ranged("bytes=0-9")).complete().body, plain[..10]);
        assert_eq!(stack.store.requests.len(), 1, "the new head is known");
    }
}

#[test]
fn a_range_of_a_replaced_object_may_lie_beyond_its_end() {
    let (mut stack, _) = holding(Mode::Envelope, 70_000);
    assert_eq!(stack.send(&ranged("bytes=0-9")).complete().status, 206);
    stack.put(KEY, b"short");
    assert_eq!(stack.send(&ranged("bytes=69999-")).refused(), (416, "InvalidRange"));
}

#[test]
fn of_a_replaced_object_large_ranges_and_heads_of_parts_must_be_asked_for_again() {
    let (mut stack, _) = holding(Mode::Direct, (8 << 20) + 2);
    let head = Request::head(&format!("{KEY}?partNumber=1"));
    for (request, body) in [(ranged("bytes=1-"), 1..(8 << 20) + 2), (head, 0..0)] {
        assert_eq!(stack.send(&request).complete().status, 206);
        let plain = plaintext(99, (8 << 20) + 2);
        stack.put(KEY, &plain);
        assert_eq!(stack.send(&request).refused(), (503, "SlowDown"));
        assert_eq!(stack.send(&request).complete().body, plain[body], "the old head was still known");
    }
}

#[test]
fn a_second_attempt_is_the_last_one() {
    let (mut stack, _) = holding(Mode::Envelope, 70_000);
    assert_eq!(stack.send(&ranged("bytes=0-9")).complete().status, 206);
    stack.put(KEY, &plaintext(2, 70_000));
    let second = stack.store.object(KEY).clone();
    stack.put(KEY, &plaintext(3, 70_000));
    let third = stack.store.objects.insert(KEY.into(), second).unwrap();
    stack.store.after_head = Some((KEY.into(), third));
    assert_eq!(stack.send(&ranged("bytes=0-9")).refused(), (503, "SlowDown"));
    assert_eq!(stack.send(&ranged("bytes=0-9")).complete().body, plaintext(3, 70_000)[..10]);
}

#[test]
fn a_look_that_fails_is_told() {
    let (mut stack, plain) = holding(Mode::Envelope, 70_000);
    stack.is_store_up = false;
    assert_eq!(stack.send(&ranged("bytes=0-9")).refused(), (503, "ServiceUnavailable"));
    stack.is_store_up = true;
    stack.kms.mood = Mood::Failing(s3ep_core::error::KmsError::Unavailable);
    assert_eq!(stack.send(&ranged("bytes=0-9")).refused(), (503, "ServiceUnavailable"));
    stack.kms.mood = Mood::Honest;
    assert_eq!(stack.send(&ranged("bytes=0-9")).complete().body, plain[..10]);
    assert_eq!(stack.send(&Request::get("/bucket/none").header("range", "bytes=0-9")).complete().status, 404);
}

/// A look that met a fault, and a read that does not: the client may try again, and must not be told of tampering.
#[test]
fn a_look_that_met_a_passing_fault_is_no_tampering() {
    for status in [403, 429, 500] {
        let (mut stack, _) = holding(Mode::Envelope, 70_000);
        stack.store.instead.push_back(StoreResponse::new(status, Vec::new(), Vec::new()));
        let outcome = stack.send(&ranged("bytes=0-9"));
        assert!(matches!(outcome.status(), 206 | 503), "{status}: {}", outcome.summary());
    }
}

#[test]
fn what_a_look_finds_is_remembered_only_if_it_is_authentic() {
    let tamper: [fn(&mut Object); 2] =
        [|object| object.set("x-amz-meta-s3ep-len", Some("9")), |object| object.body.truncate(65_584)];
    for (mode, tamper) in both(tamper) {
        let (mut stack, plain) = holding(mode, 70_000);
        let honest = stack.store.object(KEY).clone();
        tamper(stack.store.object(KEY));
        assert_eq!(stack.send(&ranged("bytes=0-9")).refused().0, 502);
        *stack.store.object(KEY) = honest;
        let outcome = stack.send(&ranged("bytes=0-9"));
        assert_eq!(outcome.complete().body, plain[..10], "the bad head was still known");
    }
}

/// Two buckets that are named by the host are two paths to everything behind Envoy.
#[test]
fn ranges_of_virtual_hosts() {
    for mode in MODES {
        let mut stack = Stack::with(mode, serde_json::json!({ "virtual_host_suffixes": ["s3.example.com"] }));
        for round in 0..2 {
            for (seed, host) in [(1, "one.s3.example.com"), (2, "two.s3.example.com")] {
                let plain = plaintext(seed, 70_000);
                if round == 0 {
                    assert_eq!(stack.send(&Request::put("/key", &plain).authority(host)).complete().status, 200);
                }
                assert_eq!(stack.send(&Request::get("/key").authority(host)).complete().body, plain);
                let request = Request::get("/key").authority(host).header("range", "bytes=65530-65540");
                assert_eq!(stack.send(&request).complete().body, plain[65_530..=65_540], "{host}");
            }
        }
    }
}
