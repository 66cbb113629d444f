//! Objects that were not written through the filter.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests")]

mod fake_envoy;

use fake_envoy::{End, Headers, Request, Stack, StoredObject, Windows, sample};
use serde_json::json;

fn foreign(body: &[u8]) -> StoredObject {
    let headers =
        Headers::of(&[("content-type", "text/plain"), ("etag", "\"1\""), ("x-amz-checksum-crc32", "AAAAAA==")]);
    StoredObject { headers, body: body.to_vec() }
}

/// `unencrypted_objects` as the configuration says it, or left out.
fn stack(setting: Option<&str>) -> Stack {
    let mut configuration = Stack::envelope_configuration();
    if let Some(setting) = setting {
        configuration.as_object_mut().unwrap().insert("unencrypted_objects".into(), json!(setting));
    }
    Stack::start(&configuration)
}

#[test]
fn they_pass_byte_for_byte() {
    let looks_like_ours = [b"S3EP\x02".as_slice(), &[0; 100]].concat();
    let mut bodies: Vec<_> = [0, 1, 3, 4, 31, 32, 33, 100_000].map(|length| sample(length, 1)).into();
    bodies.extend([b"S3E".to_vec(), b"S3EP\x01\x00".to_vec(), looks_like_ours]);
    for setting in [None, Some("pass")] {
        let mut stack = stack(setting);
        for body in &bodies {
            stack.store.objects.insert("/bucket/key".into(), foreign(body));
            for windows in [Windows::Whole, Windows::Of(1_000), Windows::Of(7)] {
                for end in [End::WithLastWindow, End::EmptyWindow] {
                    (stack.windows, stack.end) = (windows, end);
                    let get = stack.get("/bucket/key");
                    get.assert_delivered(body);
                    assert_eq!(get.client.header("x-amz-checksum-crc32"), Some("AAAAAA=="));
                    assert_eq!(get.client.header("content-length"), Some(body.len().to_string().as_str()));
                }
            }
        }
        assert!(stack.kms.unwrapped.is_empty());
    }
}

#[test]
fn they_pass_with_trailers_too() {
    let mut stack = stack(None);
    stack.end = End::Trailers;
    for body in [&sample(100_000, 1)[..], b"short", b"S", b""] {
        stack.store.objects.insert("/bucket/key".into(), foreign(body));
        for windows in [Windows::Whole, Windows::Of(1)] {
            stack.windows = windows;
            stack.get("/bucket/key").assert_delivered(body);
        }
    }
}

#[test]
fn they_are_refused_if_the_configuration_says_so() {
    let mut stack = stack(Some("refuse"));
    stack.store.objects.insert("/bucket/key".into(), foreign(b"unencrypted"));
    let get = stack.get("/bucket/key");
    get.assert_error(403, "AccessDenied");
    assert!(!String::from_utf8_lossy(&get.client.body).contains("unencrypted\n"));
    assert_eq!(get.client.header("etag"), None);
    let head = stack.send(&Request::new("HEAD", "/bucket/key"));
    assert_eq!((head.client.status(), head.client.header("etag")), (403, None));

    stack.given("/bucket/ours", b"ours");
    stack.get("/bucket/ours").assert_delivered(b"ours");
    assert_eq!(stack.get("/bucket/nothing").client.status(), 404, "an error is no object");
}

/// Ciphertext that lost its metadata is no plaintext, whatever the configuration says.
#[test]
fn ciphertext_without_its_metadata_is_refused() {
    for windows in [Windows::Whole, Windows::Of(1), Windows::Of(31), Windows::Of(32), Windows::Of(33)] {
        for end in [End::WithLastWindow, End::EmptyWindow, End::Trailers] {
            let mut stack = stack(Some("pass"));
            stack.given("/bucket/key", b"body");
            let body = stack.store.object("/bucket/key").body.clone();
            stack.store.objects.insert("/bucket/key".into(), foreign(&body));
            (stack.windows, stack.end) = (windows, end);
            let get = stack.get("/bucket/key");
            get.assert_broken_off(b"");
        }
    }
}

#[test]
fn deleting_them_and_asking_for_other_things_passes() {
    let mut stack = stack(Some("refuse"));
    stack.store.objects.insert("/bucket/key".into(), foreign(b"unencrypted"));
    let deleted = stack.send(&Request::new("DELETE", "/bucket/key"));
    assert_eq!(deleted.client.status(), 204);
}
