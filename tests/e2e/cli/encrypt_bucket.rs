//! `s3ep encrypt-bucket`: plaintext that was there before S3EP is sealed under its name, and nothing of it remains.

use std::fs;
use std::path::Path;

use e2e::at_rest::{AtRest, MAGIC, OVERHEAD, SEGMENT, sealed_len, shows};
use e2e::envoy::Configuration;
use e2e::plaintext::random;
use e2e::s3ep::s3ep;
use e2e::stack::{Mode, Stack};
use e2e::store::StoreKind;
use serde_json::json;

use super::{told, url};
use crate::stacks::{self, setup};
use crate::unencrypted::foreign;

on_every_stack!(brings_plaintext_in, leaves_ciphertext_without_metadata_alone);

/// Beyond what goes to the store at once.
const LARGE: usize = (33 << 20) + 1;

fn key(name: &str) -> String {
    format!("cli-encrypt/{name}")
}

fn brings_plaintext_in(stack: &Stack) {
    let encrypt =
        |more: &[&str]| s3ep(stack, &[&["encrypt-bucket", &url("cli-encrypt/")], more].concat()).unwrap().ok().unwrap();
    let objects = [("empty", 0), ("small", 40), ("segment", SEGMENT), ("a+b ü%25&=?", SEGMENT + 1), ("large", LARGE)];
    let objects = objects.map(|(name, len)| (key(name), random(len, len as u64)));
    for (object_key, plaintext) in &objects {
        foreign(plaintext.clone()).write(&stack.direct, object_key).unwrap();
    }
    let has_tags = stack.store.files.is_none();
    if has_tags {
        let tags = b"<Tagging><TagSet><Tag><Key>a b</Key><Value>1+1</Value></Tag></TagSet></Tagging>";
        for object_key in [key("small"), key("large")] {
            stack.direct.object("PUT", &object_key).query("tagging=").send(tags).unwrap().expect(200).unwrap();
        }
    }
    stack.client.put(&key("sealed"), b"sealed already").unwrap();

    let dry = encrypt(&["--dry-run"]);
    assert_eq!(told(&dry).len(), objects.len(), "{dry:?}");
    assert!(objects.iter().all(|(object_key, plaintext)| stack.direct.get(object_key).unwrap().body == *plaintext));

    let done = encrypt(&[]).text();
    assert!(done.contains("5 objects were encrypted") && done.contains("1 are so already"), "{done}");
    let mut refusing = Configuration::reference().unwrap();
    refusing.plugin(|plugin| plugin["unencrypted_objects"] = json!("refuse"));
    let strict = stack.replica_with(setup(), refusing).unwrap();
    for (object_key, plaintext) in &objects {
        let got = strict.client.get(object_key).unwrap();
        assert!(got.body == *plaintext, "{object_key}");
        assert_eq!((got.header("content-type"), got.header("x-amz-meta-origin")), (Some("text/plain"), Some("before")));
        let at_rest = AtRest::read(&stack.direct, object_key).unwrap();
        assert_eq!(at_rest.body.len(), sealed_len(plaintext.len()));
        assert!(at_rest.body.chunks(SEGMENT + OVERHEAD).all(|segment| segment.starts_with(MAGIC)));
        if plaintext.len() < LARGE {
            at_rest.check_sealed(plaintext).unwrap();
        }
    }
    if has_tags {
        for object_key in [key("small"), key("large")] {
            let tags =
                stack.direct.object("GET", &object_key).query("tagging=").send(&[]).unwrap().expect(200).unwrap();
            let tags = String::from_utf8(tags.body).unwrap();
            assert!(tags.contains("<Key>a b</Key><Value>1+1</Value>"), "{object_key}: {tags}");
        }
    }
    let range = strict.client.object("GET", &key("large")).header("range", "bytes=-10").send(&[]).unwrap();
    assert!(range.expect(206).unwrap().body == objects[4].1[LARGE - 10..]);
    assert_eq!(strict.client.get(&key("sealed")).unwrap().body, b"sealed already");
    let again = encrypt(&[]).text();
    assert!(again.contains("0 objects were encrypted") && again.contains("6 are so already"), "{again}");
    s3ep(stack, &["verify", "--refuse-unencrypted", &url("cli-encrypt/")]).unwrap().ok().unwrap();
}

fn leaves_ciphertext_without_metadata_alone(stack: &Stack) {
    const OBJECT_KEY: &str = "cli-encrypt-lost/object";
    stack.client.put(OBJECT_KEY, b"plaintext").unwrap();
    let mut lost = AtRest::read(&stack.direct, OBJECT_KEY).unwrap();
    lost.metadata.clear();
    lost.write(&stack.direct, OBJECT_KEY).unwrap();
    let done = s3ep(stack, &["encrypt-bucket", &url("cli-encrypt-lost/")]).unwrap();
    assert!(!done.is_success && told(&done)[0].0 == "failed", "{done:?}");
    assert!(AtRest::read(&stack.direct, OBJECT_KEY).unwrap().body == lost.body);
}

#[test]
fn nothing_of_the_plaintext_remains_in_the_store() {
    let stack = stacks::own(StoreKind::Embedded, Mode::Direct, |builder| builder).unwrap();
    let files = stack.store.files.clone().unwrap();
    let objects = [("a/b", 100), ("c", 70_000)].map(|(object_key, len)| (object_key, random(len, 1)));
    for (object_key, plaintext) in &objects {
        foreign(plaintext.clone()).write(&stack.direct, object_key).unwrap();
    }
    let is_there = || objects.iter().any(|(_, plaintext)| is_in(&files, plaintext));
    assert!(is_there());
    s3ep(&stack, &["encrypt-bucket", &url("")]).unwrap().ok().unwrap();
    assert!(!is_there());
}

fn is_in(folder: &Path, plaintext: &[u8]) -> bool {
    fs::read_dir(folder).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() { is_in(&path, plaintext) } else { shows(&fs::read(path).unwrap(), plaintext) }
    })
}
