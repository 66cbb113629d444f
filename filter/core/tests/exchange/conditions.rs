//! Conditional reads of ranges: the filter's own If-Match must not change what the client's conditions mean.

use crate::support::{MODES, Mode, Request, Stack, plaintext};

const KEY: &str = "/bucket/key";
const OTHER: &str = "\"0123456789abcdef\"";
const BEFORE: &str = "Thu, 01 Jan 2026 00:00:00 GMT";
const AFTER: &str = "Thu, 01 Jan 2026 00:00:59 GMT";

/// A stack with an object that was written a second after [`BEFORE`], and its ETag as the client knows it.
fn holding(mode: Mode) -> (Stack, Vec<u8>, String) {
    let mut stack = Stack::new(mode);
    stack.put("/bucket/first", b"takes the second of BEFORE");
    let plain = plaintext(4, 70_000);
    let etag = stack.put(KEY, &plain).header("etag").unwrap().to_owned();
    (stack, plain, etag)
}

/// The status of a ranged read with these conditions; its body must be what the status says.
fn status(stack: &mut Stack, plain: &[u8], conditions: &[(&str, &str)]) -> u16 {
    let request = Request::get(KEY).header("range", "bytes=65530-65539");
    let request = conditions.iter().fold(request, |request, (name, value)| request.header(name, value));
    let response = stack.send(&request).complete();
    match response.status {
        200 => assert_eq!(response.body, plain),
        206 => assert_eq!(response.body, plain[65_530..65_540]),
        304 => assert!(response.body.is_empty()),
        _ => assert!(response.body.starts_with(b"<Error>")),
    }
    response.status
}

#[test]
fn conditions_mean_what_they_say_cold_and_warm() {
    for mode in MODES {
        let (mut stack, plain, etag) = holding(mode);
        let list = format!("{OTHER}, {etag}");
        let cases: [(&[(&str, &str)], u16); 18] = [
            (&[], 206),
            (&[("if-match", &etag)], 206),
            (&[("if-match", "*")], 206),
            (&[("if-match", &list)], 206),
            (&[("if-match", OTHER)], 412),
            (&[("if-none-match", &etag)], 304),
            (&[("if-none-match", "*")], 304),
            (&[("if-none-match", OTHER)], 206),
            (&[("if-modified-since", BEFORE)], 206),
            (&[("if-modified-since", AFTER)], 304),
            (&[("if-none-match", OTHER), ("if-modified-since", AFTER)], 206),
            (&[("if-match", &etag), ("if-none-match", &etag)], 304),
            (&[("if-match", &etag), ("if-unmodified-since", BEFORE)], 206),
            (&[("if-range", &etag)], 206),
            (&[("if-range", OTHER)], 200),
            (&[("if-range", BEFORE)], 200),
            (&[("if-range", &etag), ("if-match", OTHER)], 412),
            (&[("if-unmodified-since", AFTER)], 206),
        ];
        for (conditions, expected) in cases {
            stack.forget();
            assert_eq!(status(&mut stack, &plain, conditions), expected, "{conditions:?}, cold");
            // Warm, whatever this case itself leaves behind.
            assert_eq!(status(&mut stack, &plain, &[]), 206);
            assert_eq!(status(&mut stack, &plain, conditions), expected, "{conditions:?}, warm");
        }
    }
}

/// RFC 9110 section 13.2.2: beside an If-Match, a store does not look at If-Unmodified-Since.
#[test]
fn if_unmodified_since_is_not_lost() {
    for mode in MODES {
        let (mut stack, plain, _) = holding(mode);
        let conditions = [("if-unmodified-since", BEFORE)];
        assert_eq!(status(&mut stack, &plain, &conditions), 412, "cold");
        assert_eq!(status(&mut stack, &plain, &[]), 206);
        assert_eq!(status(&mut stack, &plain, &conditions), 412, "warm");
    }
}

/// The object has an ETag all the while, and it is the filter's own condition that fails.
#[test]
fn if_match_star_holds_for_a_replaced_object() {
    let (mut stack, plain, _) = holding(Mode::Envelope);
    let old = stack.store.object(KEY).clone();
    let new_plain = plaintext(5, 70_000);
    stack.put(KEY, &new_plain);
    let new = stack.store.objects.insert(KEY.into(), old).unwrap();
    stack.store.after_head = Some((KEY.into(), new));
    let request = Request::get(KEY).header("range", "bytes=0-9").header("if-match", "*");
    let outcome = stack.send(&request);
    assert_ne!(outcome.status(), 412, "{}", outcome.summary());
    assert_eq!(status(&mut stack, &new_plain, &[("if-match", "*")]), 206);
    assert_ne!(plain, new_plain);
}

#[test]
fn a_replaced_object_fails_the_client_s_own_if_match() {
    let (mut stack, plain, etag) = holding(Mode::Envelope);
    let old = stack.store.object(KEY).clone();
    let new_plain = plaintext(5, 70_000);
    stack.put(KEY, &new_plain);
    let new = stack.store.objects.insert(KEY.into(), old).unwrap();
    stack.store.after_head = Some((KEY.into(), new));
    assert_eq!(status(&mut stack, &plain, &[("if-match", &etag)]), 412);
    assert_eq!(status(&mut stack, &new_plain, &[]), 206, "the old head was still known");
}

#[test]
fn an_unsatisfiable_range_under_a_condition() {
    let (mut stack, plain, etag) = holding(Mode::Envelope);
    let beyond = |name: &str, value: &str| Request::get(KEY).header("range", "bytes=70000-").header(name, value);
    for is_warm in [false, true] {
        if is_warm {
            assert_eq!(status(&mut stack, &plain, &[]), 206);
        }
        assert_eq!(stack.send(&beyond("if-match", &etag)).refused().0, 416);
        assert_eq!(stack.send(&beyond("if-match", OTHER)).complete().status, 412);
        assert_eq!(stack.send(&beyond("if-none-match", &etag)).complete().status, 304);
        assert_eq!(stack.send(&beyond("if-range", OTHER)).complete().body, plain);
        assert_eq!(stack.send(&beyond("if-range", &etag)).refused().0, 416);
    }
}
