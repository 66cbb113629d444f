//! What goes in comes out, at every length where the format has a border; and the store sees none of it.

use e2e::at_rest::{AtRest, SEGMENT, sealed_len, shows};
use e2e::plaintext::random;
use e2e::stack::Stack;

on_every_stack!(
    lengths_around_the_segment_border,
    twenty_mebibytes,
    object_keys_are_opaque,
    overwriting_is_seen_at_once,
    equal_objects_have_nothing_in_common_at_rest,
    a_deleted_object_is_gone,
);

fn lengths_around_the_segment_border(stack: &Stack) {
    for len in [0, 1, 65_535, 65_536, 65_537, 131_072, 131_073, (1 << 20) + 1] {
        let object_key = format!("round-trip/{len}");
        let plaintext = random(len, len as u64);
        stack.client.put(&object_key, &plaintext).unwrap();
        let stored = AtRest::read(&stack.direct, &object_key).unwrap();
        stored.check_sealed(&plaintext).unwrap_or_else(|error| panic!("{len}: {error:#}"));
        let head = stack.client.object("HEAD", &object_key).send(&[]).unwrap().expect(200).unwrap();
        assert_eq!(head.header("content-length"), Some(&*len.to_string()), "HEAD");
        let got = stack.client.get(&object_key).unwrap();
        assert_eq!(got.header("content-length"), Some(&*len.to_string()), "GET");
        assert!(got.body == plaintext, "{len} bytes came back as {} others", got.body.len());
    }
}

fn twenty_mebibytes(stack: &Stack) {
    let plaintext = random(20 << 20, 20);
    stack.client.put("round-trip/20m", &plaintext).unwrap();
    let stored = AtRest::read(&stack.direct, "round-trip/20m").unwrap();
    assert_eq!(stored.body.len(), sealed_len(plaintext.len()));
    let tail = plaintext.len() - SEGMENT;
    assert!(!shows(&stored.body[tail..], &plaintext[tail..]));
    assert!(stack.client.get("round-trip/20m").unwrap().body == plaintext);
    stack.client.object("DELETE", "round-trip/20m").send(&[]).unwrap().expect(204).unwrap();
}

fn object_keys_are_opaque(stack: &Stack) {
    // Not every store takes `a//b`; what it refuses, S3EP cannot make up for.
    let object_keys = ["a b", "ü", "a+b", "100%", "%41", "a%2Fb", "x~y", "q?r&s=t", "h#i", "!*'()", "=;:@$,", "日本"];
    for object_key in object_keys.map(|name| format!("round-trip/opaque/{name}")) {
        let plaintext = object_key.as_bytes();
        stack.client.put(&object_key, plaintext).unwrap_or_else(|error| panic!("{object_key}: {error:#}"));
        let got = stack.client.get(&object_key).unwrap_or_else(|error| panic!("{object_key}: {error:#}"));
        assert_eq!(got.body, plaintext, "{object_key}");
        AtRest::read(&stack.direct, &object_key).unwrap().check_sealed(plaintext).unwrap();
    }
}

fn overwriting_is_seen_at_once(stack: &Stack) {
    for (seed, len) in [(1, 100), (2, 200_000), (3, 0), (4, 100)] {
        let plaintext = random(len, seed);
        stack.client.put("round-trip/overwritten", &plaintext).unwrap();
        assert!(stack.client.get("round-trip/overwritten").unwrap().body == plaintext, "{len} bytes");
    }
}

fn equal_objects_have_nothing_in_common_at_rest(stack: &Stack) {
    let plaintext = random(1000, 1);
    let [first, second] = ["round-trip/one", "round-trip/other"].map(|object_key| {
        stack.client.put(object_key, &plaintext).unwrap();
        AtRest::read(&stack.direct, object_key).unwrap()
    });
    assert!(!shows(&first.body[32..], &second.body[32..]), "ciphertext in common");
    assert_ne!(first.ours("dek"), second.ours("dek"));
    assert_ne!(first.ours("mac"), second.ours("mac"));
}

fn a_deleted_object_is_gone(stack: &Stack) {
    stack.client.put("round-trip/deleted", b"soon gone").unwrap();
    stack.client.object("DELETE", "round-trip/deleted").send(&[]).unwrap().expect(204).unwrap();
    stack.direct.object("HEAD", "round-trip/deleted").send(&[]).unwrap().expect(404).unwrap();
    let got = stack.client.object("GET", "round-trip/deleted").send(&[]).unwrap().expect(404).unwrap();
    assert_eq!(got.error_code().unwrap(), "NoSuchKey");
}
