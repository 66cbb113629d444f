//! Parts of objects, in plaintext terms.

use e2e::at_rest::{AtRest, HEADER, OVERHEAD, SEGMENT, refusal};
use e2e::plaintext::random;
use e2e::stack::Stack;

on_every_stack!(ranges_are_of_the_plaintext, ranges_beyond_the_end, a_range_is_authenticated);

const LEN: usize = 2 * SEGMENT + 1000;

fn ranges_are_of_the_plaintext(stack: &Stack) {
    let plaintext = random(LEN, 1);
    stack.client.put("ranges/object", &plaintext).unwrap();
    let cases = [
        ("bytes=0-0", 0, 1),
        ("bytes=0-65535", 0, SEGMENT),
        ("bytes=65535-65536", SEGMENT - 1, SEGMENT + 1),
        ("bytes=65536-65536", SEGMENT, SEGMENT + 1),
        ("bytes=100-131999", 100, 132_000),
        ("bytes=131072-", 2 * SEGMENT, LEN),
        ("bytes=132071-999999999", LEN - 1, LEN),
        ("bytes=-1", LEN - 1, LEN),
        ("bytes=-70000", LEN - 70_000, LEN),
        ("bytes=-999999999", 0, LEN),
        ("bytes=0-", 0, LEN),
    ];
    for (range, start, end) in cases {
        let answer = stack.client.object("GET", "ranges/object").header("range", range).send(&[]).unwrap();
        let answer = answer.expect(206).unwrap_or_else(|error| panic!("{range}: {error}"));
        assert!(answer.body == plaintext[start..end], "{range}: {} bytes", answer.body.len());
        let content_range = format!("bytes {start}-{}/{LEN}", end - 1);
        assert_eq!(answer.header("content-range"), Some(&*content_range), "{range}");
        assert_eq!(answer.header("content-length"), Some(&*(end - start).to_string()), "{range}");
    }
}

fn ranges_beyond_the_end(stack: &Stack) {
    stack.client.put("ranges/short", b"twelve bytes").unwrap();
    // At rest it is longer: only its plaintext ends here.
    for range in ["bytes=12-", "bytes=12-20", "bytes=-0"] {
        let answer = stack.client.object("GET", "ranges/short").header("range", range).send(&[]).unwrap();
        let answer = answer.expect(416).unwrap_or_else(|error| panic!("{range}: {error}"));
        assert_eq!(answer.error_code().unwrap(), "InvalidRange", "{range}");
    }
}

fn a_range_is_authenticated(stack: &Stack) {
    let plaintext = random(LEN, 2);
    stack.client.put("ranges/tampered", &plaintext).unwrap();
    let mut tampered = AtRest::read(&stack.direct, "ranges/tampered").unwrap();
    tampered.body[SEGMENT + OVERHEAD + HEADER + 1] ^= 1;
    tampered.write(&stack.direct, "ranges/tampered").unwrap();
    let get = |range| stack.client.object("GET", "ranges/tampered").header("range", range).send(&[]).unwrap();
    refusal(&get("bytes=65536-65540"), b"").unwrap();
    refusal(&get("bytes=131071-131072"), b"").unwrap();
    // A segment that is not asked for is not looked at.
    assert!(get("bytes=0-65535").expect(206).unwrap().body == plaintext[..SEGMENT]);
    assert!(get("bytes=131072-").expect(206).unwrap().body == plaintext[2 * SEGMENT..]);
}
