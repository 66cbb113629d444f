//! Parts of objects: only the segments that hold them are read, and only authentic bytes of them released.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests")]

mod fake_envoy;

use fake_envoy::{CallAnswer, End, Exchange, Request, Stack, Windows, sample};

const SEGMENT: usize = 65_536;
const SEALED: usize = SEGMENT + 48;
const LENGTH: usize = 3 * SEGMENT + 1_000;

fn stack(configuration: &serde_json::Value) -> Stack {
    let mut stack = Stack::start(configuration);
    stack.given("/bucket/key", &sample(LENGTH, 1));
    let mut stack = stack.restart(configuration);
    stack.store.requests.clear();
    stack
}

fn range(stack: &mut Stack, range: &str) -> Exchange {
    stack.send(&Request::get("/bucket/key").header("range", range))
}

fn assert_part(exchange: &Exchange, first: usize, last: usize) {
    let client = &exchange.client;
    assert_eq!((client.status(), client.ended), (206, true), "{exchange:?}");
    assert_eq!(client.header("content-range"), Some(format!("bytes {first}-{last}/{LENGTH}").as_str()));
    assert_eq!(client.header("content-length"), Some((last - first + 1).to_string().as_str()));
    assert!(client.body == sample(LENGTH, 1)[first..=last], "{first}-{last}");
}

#[test]
fn a_range_is_the_bytes_it_names() {
    let borders = [0, 1, SEGMENT - 1, SEGMENT, SEGMENT + 1, 2 * SEGMENT, 3 * SEGMENT - 1, 3 * SEGMENT, LENGTH - 1];
    for configuration in Stack::both_modes() {
        let mut stack = stack(&configuration);
        for (i, first) in borders.into_iter().enumerate() {
            for last in borders[i..].iter().copied() {
                for (windows, end) in [
                    (Windows::Whole, End::WithLastWindow),
                    (Windows::Of(10_000), End::EmptyWindow),
                    (Windows::Of(SEALED), End::Trailers),
                ] {
                    (stack.windows, stack.end) = (windows, end);
                    assert_part(&range(&mut stack, &format!("bytes={first}-{last}")), first, last);
                }
            }
        }
    }
}

#[test]
fn every_form_of_a_range_is_understood() {
    let mut stack = stack(&Stack::direct_configuration());
    for (text, first, last) in [
        ("bytes=100-", 100, LENGTH - 1),
        ("bytes=-100", LENGTH - 100, LENGTH - 1),
        ("bytes=-1000000", 0, LENGTH - 1),
        ("bytes=0-1000000", 0, LENGTH - 1),
    ] {
        assert_part(&range(&mut stack, text), first, last);
    }
    for text in ["bytes=197608-", "bytes=1000000-1000001", "bytes=-0"] {
        let refused = range(&mut stack, text);
        refused.assert_error(416, "InvalidRange");
        assert_eq!(refused.client.header("content-range"), Some(format!("bytes */{LENGTH}").as_str()));
    }
}

#[test]
fn only_the_segments_that_hold_it_are_read() {
    let mut stack = stack(&Stack::envelope_configuration());
    assert_part(&range(&mut stack, "bytes=65536-65536"), SEGMENT, SEGMENT);
    let asked: Vec<_> =
        stack.store.requests.iter().map(|request| (request.header(":method"), request.header("range"))).collect();
    assert_eq!(asked, [(Some("HEAD"), None), (Some("GET"), Some("bytes=65584-131167"))]);
    stack.store.requests.clear();
    assert_part(&range(&mut stack, "bytes=0-0"), 0, 0);
    assert_eq!((stack.store.requests.len(), stack.kms.unwrapped.len()), (1, 1), "warm: nothing is asked twice");
}

#[test]
fn tampering_with_what_is_read_is_noticed() {
    let mut stack = stack(&Stack::envelope_configuration());
    let honest = stack.store.object("/bucket/key").clone();
    for offset in [SEALED, SEALED + 5, SEALED + 12, SEALED + 20, SEALED + 1_000, 2 * SEALED - 1] {
        stack.store.object("/bucket/key").body[offset] ^= 1;
        let get = range(&mut stack, "bytes=65536-70000");
        assert!(get.client.body.is_empty() && get.client.reset, "{offset}: {get:?}");
        stack.store.objects.insert("/bucket/key".into(), honest.clone());
    }
    // Another segment in the place of the one that was asked for.
    stack.store.object("/bucket/key").body.copy_within(..SEALED, SEALED);
    let get = range(&mut stack, "bytes=65536-70000");
    assert!(get.client.body.is_empty() && get.client.reset, "{get:?}");
}

#[test]
fn an_answer_to_another_range_is_noticed() {
    let lies: [fn(&mut CallAnswer); 6] = [
        |answer| {
            answer.body.truncate(1_000);
            answer.headers.set("content-length", "1000");
        },
        |answer| {
            answer.body.truncate(SEALED - 1);
            answer.headers.remove("content-length");
        },
        |answer| {
            answer.body.clear();
            answer.headers.remove("content-length");
        },
        |answer| answer.headers.set("content-range", "bytes 0-65583/197752"),
        |answer| answer.headers.remove("content-range"),
        |answer| answer.headers.set(":status", "200"),
    ];
    for lie in lies {
        for end in [End::WithLastWindow, End::EmptyWindow, End::Trailers] {
            let mut stack = stack(&Stack::direct_configuration());
            assert_part(&range(&mut stack, "bytes=0-0"), 0, 0);
            stack.end = end;
            stack.store.distort = Some(lie);
            let get = range(&mut stack, "bytes=65536-70000");
            let length = get.client.body.len();
            assert!(get.client.reset || get.client.status() == 502, "{get:?}");
            assert!(get.client.status() == 502 || get.client.body == sample(LENGTH, 1)[SEGMENT..SEGMENT + length]);
        }
    }
}

/// The object is replaced after the filter learned of it: the answer is of the new one, never a mixture of both.
#[test]
fn a_replaced_object_is_not_mixed_with_the_old_one() {
    for configuration in Stack::both_modes() {
        let mut stack = stack(&configuration);
        let old = stack.store.object("/bucket/key").clone();
        stack.given("/bucket/key", &sample(LENGTH, 2));
        let new = std::mem::replace(stack.store.object("/bucket/key"), old);
        let mut stack = stack.restart(&configuration);
        assert_part(&range(&mut stack, "bytes=0-0"), 0, 0);
        stack.store.objects.insert("/bucket/key".into(), new);
        // A client may have to ask twice, as of S3 itself when an object changes under it.
        let first = range(&mut stack, "bytes=0-70000");
        assert!(first.client.status() >= 400 || first.client.body == sample(LENGTH, 2)[..=70_000], "{first:?}");
        let second = range(&mut stack, "bytes=0-70000").client;
        assert!(second.status() == 206 && second.body == sample(LENGTH, 2)[..=70_000], "{second:?}");
    }
}

#[test]
fn a_store_that_does_not_answer_is_unavailable() {
    for answer in [CallAnswer::reset(), CallAnswer::timeout(), CallAnswer::new(503, "")] {
        let stack = stack(&Stack::direct_configuration());
        let stream = stack.envoy.open();
        stream.request_headers(Request::get("/bucket/key").header("range", "bytes=0-0").headers, true);
        let call = stack.envoy.take_call().unwrap();
        assert_eq!((call.cluster.as_str(), call.headers.text(":authority")), ("s3", Some("127.0.0.1:9000")));
        stack.envoy.answer(&call, answer);
        stream.exchange().assert_error(503, "ServiceUnavailable");
        assert!(stream.upstream().is_nothing());
    }
}

#[test]
fn ranges_of_what_is_not_encrypted_are_the_stores_business() {
    let mut stack = stack(&Stack::envelope_configuration());
    let object = stack.store.object("/bucket/key");
    object.body = sample(100_000, 3);
    for name in ["alg", "dek", "kek", "len", "mac"] {
        object.headers.remove(&format!("x-amz-meta-s3ep-{name}"));
    }
    let get = range(&mut stack, "bytes=70000-80000");
    assert_eq!((get.client.status(), get.client.body.as_slice()), (206, &sample(100_000, 3)[70_000..=80_000]));
    assert_eq!(get.client.header("content-range"), Some("bytes 70000-80000/100000"));
    assert_eq!(stack.send(&Request::get("/bucket/nothing").header("range", "bytes=0-0")).client.status(), 404);
}
