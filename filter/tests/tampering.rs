//! A store that lies: whatever it changes ends in an error before the first byte, or in a broken transfer after some
//! authentic ones. Never in a clean end.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests")]

mod fake_envoy;

use fake_envoy::{CallAnswer, End, Request, Stack, StoredObject, Windows, sample};

const SEGMENT: usize = 65_536;
const SEALED: usize = SEGMENT + 48;
/// Three segments, the last one short.
const LENGTH: usize = 2 * SEGMENT + 1_000;

/// A stack whose filter has never seen the objects in its store: `/bucket/key`, and `/bucket/other` of the same length.
fn stack() -> Stack {
    let mut stack = Stack::envelope();
    stack.given("/bucket/key", &sample(LENGTH, 1));
    stack.given("/bucket/other", &sample(LENGTH, 2));
    stack.restart(&Stack::envelope_configuration())
}

/// Reads `/bucket/key` in every way that it may arrive.
fn assert_never_whole(stack: &mut Stack, what: &str) {
    for end in [End::WithLastWindow, End::EmptyWindow, End::Trailers] {
        for windows in [Windows::Whole, Windows::Of(1_000), Windows::Of(SEALED)] {
            (stack.windows, stack.end) = (windows, end);
            let get = stack.get("/bucket/key");
            eprintln!("{what}, {windows:?}, {end:?}: {:?}", get.client);
            get.assert_broken_off(&sample(LENGTH, 1));
        }
    }
}

/// Tampers with `/bucket/key`; the second object is `/bucket/other`.
type Tamper = fn(&mut StoredObject, &StoredObject);

fn assert_all_noticed(tampers: &[(&str, Tamper)]) {
    let mut stack = stack();
    let honest = stack.store.objects.clone();
    for (what, tamper) in tampers {
        let mut object = honest["/bucket/key"].clone();
        tamper(&mut object, &honest["/bucket/other"]);
        assert_ne!(object, honest["/bucket/key"], "{what}");
        stack.store.objects.insert("/bucket/key".into(), object);
        assert_never_whole(&mut stack, what);
    }
    stack.store.objects = honest;
    stack.get("/bucket/key").assert_delivered(&sample(LENGTH, 1));
}

#[test]
fn every_field_of_every_segment_counts() {
    let mut stack = stack();
    let honest = stack.store.object("/bucket/key").clone();
    let body = sample(LENGTH, 1);
    for segment in 0..3 {
        let last = if segment == 2 { 1_047 } else { SEALED - 1 };
        for offset in [0, 4, 5, 6, 7, 8, 11, 12, 15, 16, 27, 28, 31, 32, 500, last - 16, last] {
            stack.store.object("/bucket/key").body[segment * SEALED + offset] ^= 1;
            let get = stack.get("/bucket/key");
            get.assert_broken_off(&body);
            assert!(get.client.body.len() <= segment * SEGMENT, "segment {segment}, offset {offset}");
            stack.store.objects.insert("/bucket/key".into(), honest.clone());
        }
    }
}

#[test]
fn every_bit_of_a_small_object_counts() {
    let mut stack = Stack::direct();
    stack.given("/bucket/key", b"a small object");
    for bit in 0..8 * (14 + 48) {
        stack.store.object("/bucket/key").body[bit / 8] ^= 1 << (bit % 8);
        let get = stack.get("/bucket/key");
        get.assert_broken_off(b"");
        stack.store.object("/bucket/key").body[bit / 8] ^= 1 << (bit % 8);
    }
    stack.get("/bucket/key").assert_delivered(b"a small object");
}

#[test]
fn segments_stay_where_they_are() {
    assert_all_noticed(&[
        ("two segments swapped", |object, _| {
            let first: Vec<u8> = object.body.drain(..SEALED).collect();
            let _ = object.body.splice(SEALED..SEALED, first);
        }),
        ("one in place of another", |object, _| object.body.copy_within(..SEALED, SEALED)),
        ("another object's segment", |object, other| object.body[..SEALED].copy_from_slice(&other.body[..SEALED])),
        ("another object's body", |object, other| object.body.clone_from(&other.body)),
        ("the first segment dropped", |object, _| drop(object.body.drain(..SEALED))),
        ("the middle segment dropped", |object, _| drop(object.body.drain(SEALED..2 * SEALED))),
        ("the last segment dropped", |object, _| object.body.truncate(2 * SEALED)),
        ("a segment doubled", |object, _| {
            let first = object.body[..SEALED].to_vec();
            let _ = object.body.splice(..0, first);
        }),
        ("the last byte dropped", |object, _| object.body.truncate(object.body.len() - 1)),
        ("the first byte dropped", |object, _| drop(object.body.drain(..1))),
        ("a byte added", |object, _| object.body.push(0)),
        ("the last segment doubled", |object, _| object.body.extend_from_within(2 * SEALED..)),
        ("the body dropped", |object, _| object.body.clear()),
    ]);
}

#[test]
fn metadata_counts() {
    assert_all_noticed(&[
        ("alg", |object, _| object.headers.set("x-amz-meta-s3ep-alg", "AES256-GCM-SEG1M")),
        ("dek", |object, _| object.headers.set("x-amz-meta-s3ep-dek", "AAAA")),
        ("no base64", |object, _| object.headers.set("x-amz-meta-s3ep-dek", "!")),
        ("kek", |object, _| object.headers.set("x-amz-meta-s3ep-kek", "another")),
        ("direct", |object, _| object.headers.set("x-amz-meta-s3ep-kek", "direct:demo")),
        ("shorter", |object, _| object.headers.set("x-amz-meta-s3ep-len", "1")),
        ("longer", |object, _| object.headers.set("x-amz-meta-s3ep-len", "18446744073709551615")),
        ("mac", |object, _| object.headers.set("x-amz-meta-s3ep-mac", "A".repeat(43) + "=")),
        ("another alike", |object, other| {
            for name in ["x-amz-meta-s3ep-dek", "x-amz-meta-s3ep-mac"] {
                object.headers.set(name, other.headers.get(name).unwrap());
            }
        }),
        ("another object", |object, other| object.clone_from(other)),
        ("no alg", |object, _| object.headers.remove("x-amz-meta-s3ep-alg")),
        ("no dek", |object, _| object.headers.remove("x-amz-meta-s3ep-dek")),
        ("no kek", |object, _| object.headers.remove("x-amz-meta-s3ep-kek")),
        ("no len", |object, _| object.headers.remove("x-amz-meta-s3ep-len")),
        ("no mac", |object, _| object.headers.remove("x-amz-meta-s3ep-mac")),
        ("one twice", |object, _| object.headers.add("x-amz-meta-s3ep-len", LENGTH.to_string())),
        ("one unknown", |object, _| object.headers.add("x-amz-meta-s3ep-new", "1")),
        ("all lost", |object, _| {
            for name in ["alg", "dek", "kek", "len", "mac"] {
                object.headers.remove(&format!("x-amz-meta-s3ep-{name}"));
            }
        }),
    ]);
}

/// Before the first byte: a HEAD's only message is its head, so that must not lie.
#[test]
fn a_head_states_no_length_that_is_not_authentic() {
    let mut stack = stack();
    let honest = stack.store.object("/bucket/key").clone();
    let lies: [fn(&mut StoredObject); 4] = [
        |object| object.headers.set("x-amz-meta-s3ep-len", "1"),
        |object| object.headers.set("x-amz-meta-s3ep-mac", "A".repeat(43) + "="),
        |object| object.headers.remove("x-amz-meta-s3ep-len"),
        |object| object.body.truncate(1_000),
    ];
    for lie in lies {
        lie(stack.store.object("/bucket/key"));
        let head = stack.send(&Request::new("HEAD", "/bucket/key"));
        assert_eq!(head.client.status(), 502, "{head:?}");
        stack.store.objects.insert("/bucket/key".into(), honest.clone());
    }
}

#[test]
fn an_object_under_another_name_is_noticed() {
    for configuration in Stack::both_modes() {
        let mut stack = Stack::start(&configuration);
        stack.given("/bucket/key", b"body");
        let object = stack.store.object("/bucket/key").clone();
        for path in ["/bucket/key2", "/bucke/tkey", "/bucket2/key", "/bucket/ke/y"] {
            stack.store.objects.insert(path.into(), object.clone());
            // Warm, and then cold.
            stack.get(path).assert_error(502, "InternalError");
            stack = stack.restart(&configuration);
            stack.get(path).assert_error(502, "InternalError");
        }
    }
}

/// A body that is cut short behind a head without a length, which HTTP allows.
#[test]
fn a_body_of_unknown_length_is_counted() {
    let mut stack = stack();
    let distortions: [fn(&mut CallAnswer); 4] = [
        |answer| answer.body.truncate(LENGTH),
        |answer| answer.body.truncate(2 * SEALED),
        |answer| answer.body.clear(),
        |answer| answer.body.push(0),
    ];
    for distortion in distortions {
        stack.store.distort = Some(|answer| answer.headers.remove("content-length"));
        (stack.windows, stack.end) = (Windows::Whole, End::WithLastWindow);
        stack.get("/bucket/key").assert_delivered(&sample(LENGTH, 1));
        let honest = stack.store.objects.clone();
        let mut answer = CallAnswer { body: honest["/bucket/key"].body.clone(), ..CallAnswer::default() };
        distortion(&mut answer);
        stack.store.object("/bucket/key").body = answer.body;
        assert_never_whole(&mut stack, "a body of unknown length");
        stack.store.objects = honest;
    }
}

/// The store cannot turn an answer for a whole object into one for a part of it.
#[test]
fn a_part_that_was_not_asked_for_is_refused() {
    let mut stack = stack();
    stack.store.distort = Some(|answer| {
        answer.headers.set(":status", "206");
        answer.headers.set("content-range", "bytes 0-65583/133168");
        answer.headers.set("content-length", SEALED.to_string());
        answer.body.truncate(SEALED);
    });
    let get = stack.get("/bucket/key");
    get.assert_error(502, "InternalError");
}

/// A failed GET leaves nothing behind that a later one could be fooled with.
#[test]
fn the_next_request_is_served() {
    let mut stack = stack();
    let honest = stack.store.object("/bucket/key").clone();
    stack.store.object("/bucket/key").body[SEALED] ^= 1;
    stack.get("/bucket/key").assert_broken_off(&sample(LENGTH, 1));
    stack.store.objects.insert("/bucket/key".into(), honest);
    stack.get("/bucket/key").assert_delivered(&sample(LENGTH, 1));
}
