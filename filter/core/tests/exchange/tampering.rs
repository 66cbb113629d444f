//! A store that alters what it holds: found out at the first segment where it shows.

use s3ep_core::format::layout::SEALED_SEGMENT;

use crate::support::{MODES, Object, Request, Split, Stack, StoreResponse, both, plaintext};

const KEY: &str = "/bucket/key";
const SEGMENT: usize = SEALED_SEGMENT as usize;

/// A change to an object, under a name.
type Change<'a> = (&'a str, &'a dyn Fn(&mut Object));

fn set(object: &mut Object, name: &str, value: Option<&str>) {
    object.set(&format!("x-amz-meta-s3ep-{name}"), value);
}

/// What `change` makes of a stored object, over modes and splits, is refused, and nothing but the plaintext's first
/// `released` bytes, if any, gets out.
#[track_caller]
fn assert_found_out(plain: &[u8], released: usize, (name, change): Change<'_>) {
    for (mode, split) in both(Split::samples()) {
        let mut stack = Stack::new(mode);
        stack.put(KEY, plain);
        stack.put("/bucket/other", &plaintext(77, plain.len()));
        change(stack.store.object(KEY));
        stack.down = split;
        for cold in [false, true] {
            if cold {
                stack.forget();
            }
            let outcome = stack.get(KEY);
            let got = outcome.failed();
            assert!(got.len() <= released && plain.starts_with(got), "{name}: {} bytes got out", got.len());
        }
    }
}

#[test]
fn metadata() {
    let cases: [Change<'_>; 23] = [
        ("no alg", &|object| set(object, "alg", None)),
        ("no dek", &|object| set(object, "dek", None)),
        ("no kek", &|object| set(object, "kek", None)),
        ("no len", &|object| set(object, "len", None)),
        ("no mac", &|object| set(object, "mac", None)),
        ("another alg", &|object| set(object, "alg", Some("AES256-GCM-SEG128K"))),
        ("empty alg", &|object| set(object, "alg", Some(""))),
        ("another dek", &|object| set(object, "dek", Some("AAAA"))),
        ("a dek that is not base64", &|object| set(object, "dek", Some("@"))),
        ("an empty dek", &|object| set(object, "dek", Some(""))),
        ("another kek", &|object| set(object, "kek", Some("direct:second"))),
        ("an empty kek", &|object| set(object, "kek", Some(""))),
        ("a shorter len", &|object| set(object, "len", Some("69999"))),
        ("a longer len", &|object| set(object, "len", Some("70001"))),
        ("a len of 0", &|object| set(object, "len", Some("0"))),
        ("the len spelt otherwise", &|object| set(object, "len", Some("070000"))),
        ("a len beyond all", &|object| set(object, "len", Some("18446744073709551615"))),
        ("another mac", &|object| set(object, "mac", Some(&"A".repeat(44)))),
        ("an empty mac", &|object| set(object, "mac", Some(""))),
        ("half a mac", &|object| set(object, "mac", Some("AAAAAAAAAAAAAAAAAAAAAA=="))),
        ("parts where there were none", &|object| set(object, "parts", Some("1x70096"))),
        ("a checksum where there was none", &|object| set(object, "checksum", Some("CRC32:AAAAAA=="))),
        ("a header of ours that is new", &|object| set(object, "new", Some("1"))),
    ];
    for case in cases {
        assert_found_out(&plaintext(1, 70_000), 0, case);
    }
}

#[test]
fn metadata_twice() {
    for name in ["alg", "dek", "kek", "len", "mac"] {
        let repeat = |object: &mut Object| {
            let name = format!("x-amz-meta-s3ep-{name}");
            let value = object.header(&name).unwrap().to_owned();
            object.headers.push((name, value));
        };
        assert_found_out(&plaintext(1, 70_000), 0, (name, &repeat));
    }
}

#[test]
fn lengths() {
    let cases: [Change<'_>; 5] = [
        ("a byte less", &|object| object.body.truncate(object.body.len() - 1)),
        ("a byte more", &|object| object.body.push(0)),
        ("a segment less", &|object| object.body.truncate(SEGMENT)),
        ("nothing left", &|object| object.body.clear()),
        ("a segment twice", &|object| object.body.extend_from_within(..SEGMENT)),
    ];
    for case in cases {
        assert_found_out(&plaintext(1, 131_072), 0, case);
    }
}

#[test]
fn bodies_of_the_right_length() {
    let second = 65_536;
    let cases: [(usize, Change<'_>); 9] = [
        (0, ("the magic", &|object| object.body[0] ^= 1)),
        (0, ("the index", &|object| object.body[11] ^= 1)),
        (0, ("the nonce", &|object| object.body[16] ^= 1)),
        (0, ("the first byte", &|object| object.body[32] ^= 1)),
        (0, ("the first tag", &|object| object.body[SEGMENT - 1] ^= 1)),
        (0, ("segments swapped", &|object| object.body.rotate_left(SEGMENT))),
        (0, ("all zeros", &|object| object.body.fill(0))),
        (second, ("the second segment", &|object| object.body[SEGMENT + 32] ^= 1)),
        (second, ("the last tag", &|object| *object.body.last_mut().unwrap() ^= 1)),
    ];
    for (released, case) in cases {
        assert_found_out(&plaintext(1, 131_072), released, case);
    }
}

#[test]
fn an_empty_object_has_no_body() {
    let cases: [Change<'_>; 2] =
        [("a byte", &|object| object.body.push(0)), ("a segment", &|object| object.body.resize(SEGMENT, 0))];
    for case in cases {
        assert_found_out(b"", 0, case);
    }
}

#[test]
fn another_object_s_body_or_all_of_it() {
    for mode in MODES {
        let plain = plaintext(1, 70_000);
        let mut stack = Stack::new(mode);
        stack.put(KEY, &plain);
        stack.put("/bucket/other", &plaintext(2, 70_000));
        let [ours, other] = [KEY, "/bucket/other"].map(|path| stack.store.object(path).clone());
        stack.store.object(KEY).body.clone_from(&other.body);
        assert_eq!(stack.get(KEY).failed(), b"", "another body");
        *stack.store.object(KEY) = other;
        for request in [Request::get(KEY), Request::head(KEY), Request::get(KEY).header("range", "bytes=0-9")] {
            assert_eq!(stack.send(&request).refused().0, 502, "another object");
        }
        stack.store.objects.insert("/tekcub/key".into(), ours.clone());
        assert_eq!(stack.get("/tekcub/key").refused().0, 502, "another bucket");
        *stack.store.object(KEY) = ours;
        assert_eq!(stack.get(KEY).complete().body, plain);
    }
}

#[test]
fn truncation_without_a_length_shows_at_the_end() {
    let plain = plaintext(1, 131_073);
    for split in Split::samples() {
        let mut stack = Stack::new(MODES[0]);
        stack.put(KEY, &plain);
        stack.down = split;
        let object = stack.store.object(KEY).clone();
        for cut in [1, 31, 32, 48, 49, SEGMENT - 1, SEGMENT, SEGMENT + 1, 2 * SEGMENT, 2 * SEGMENT + 48] {
            let body = object.body[..cut].to_vec();
            stack.store.instead.push_back(StoreResponse::new(200, object.headers.clone(), body));
            let outcome = stack.get(KEY);
            let got = outcome.failed();
            assert!(got.len() <= cut / SEGMENT * 65_536 && plain.starts_with(got), "cut to {cut}");
        }
    }
}
