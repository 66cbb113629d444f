//! s3ep: what Envoy wrote is read, checked and moved without it.

mod encrypt_bucket;
mod rewrap;
mod stores;

use std::fs;
use std::io::{self, Read as _};
use std::process::Stdio;

use e2e::at_rest::{AtRest, SEGMENT};
use e2e::plaintext::{Large, random};
use e2e::process::memory;
use e2e::s3ep::{self, s3ep};
use e2e::stack::{BUCKET, Mode, Stack};
use e2e::store::StoreKind;

use crate::replicas::upload;
use crate::stacks;
use crate::unencrypted::foreign;

on_every_stack!(
    decrypts_what_envoy_wrote,
    decrypts_nothing_that_was_tampered_with,
    inspects_with_and_without_keys,
    verify_finds_what_was_tampered_with,
    verify_walks_through_all_pages,
);

fn url(object_key: &str) -> String {
    format!("s3://{BUCKET}/{object_key}")
}

fn decrypts_what_envoy_wrote(stack: &Stack) {
    for (object_key, len) in [("cli/empty", 0), ("cli/a b+ü%", 1), ("cli/segment", SEGMENT), ("cli/more", 300_000)] {
        let plaintext = random(len, 1);
        stack.client.put(object_key, &plaintext).unwrap();
        let done = s3ep(stack, &["decrypt", &url(object_key)]).unwrap().ok().unwrap();
        assert!(done.out == plaintext, "{object_key}: {} bytes", done.out.len());
    }
    let parts = [random((5 << 20) + 1, 1), random(5 << 20, 2), random(77, 3)];
    upload("cli/parts", &parts, &[&stack.client]);
    let file = stack.folder().join("cli-parts");
    s3ep(stack, &["decrypt", &url("cli/parts"), "--out", file.to_str().unwrap()]).unwrap().ok().unwrap();
    assert!(fs::read(&file).unwrap() == parts.concat());
}

fn decrypts_nothing_that_was_tampered_with(stack: &Stack) {
    const OBJECT_KEY: &str = "cli/tampered";
    let plaintext = random(3 * SEGMENT, 1);
    stack.client.put(OBJECT_KEY, &plaintext).unwrap();
    let object = AtRest::read(&stack.direct, OBJECT_KEY).unwrap();
    let file = stack.folder().join("cli-tampered");
    let refused = |altered: &AtRest, case: &str| {
        altered.write(&stack.direct, OBJECT_KEY).unwrap();
        let done = s3ep(stack, &["decrypt", &url(OBJECT_KEY)]).unwrap();
        assert!(!done.is_success && plaintext.starts_with(&done.out), "{case}: {}", done.err);
        assert!(done.out.len() < plaintext.len(), "{case}");
        assert!(!s3ep(stack, &["decrypt", &url(OBJECT_KEY), "-o", file.to_str().unwrap()]).unwrap().is_success);
        assert!(!file.exists(), "{case}");
    };
    for at in [0, 40, object.body.len() / 2, object.body.len() - 1] {
        let mut altered = object.clone();
        altered.body[at] ^= 1;
        refused(&altered, &format!("byte {at}"));
    }
    let mut short = object.clone();
    short.body.truncate(short.body.len() - 1);
    refused(&short, "truncated");
    let mut lost = object.clone();
    lost.metadata.clear();
    refused(&lost, "metadata lost");
    stack.client.put("cli/other", &plaintext).unwrap();
    refused(&AtRest::read(&stack.direct, "cli/other").unwrap(), "another object");
}

/// Far more than it may take for that.
#[test]
fn decrypts_in_bounded_memory() {
    const LENGTH: u64 = 256 << 20;
    const REST: u64 = 1 << 20;
    stacks::on(StoreKind::Embedded, Mode::Envelope, |stack| {
        let put = stack.client.object("PUT", "cli/large").stream(&mut Large::new(LENGTH), LENGTH, &mut io::sink());
        put.unwrap().expect(200).unwrap();
        let mut command = s3ep::with_keys(stack, &["decrypt", &url("cli/large")]).unwrap();
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let (mut out, mut expected) = (child.stdout.take().unwrap(), Large::new(LENGTH));
        io::copy(&mut (&mut out).take(LENGTH - REST), &mut expected).unwrap();
        // It cannot end while nobody takes the rest.
        let peak = memory(child.id(), "VmHWM:").unwrap();
        io::copy(&mut out, &mut expected).unwrap();
        assert!(child.wait().unwrap().success() && expected.position() == LENGTH);
        assert!(peak < 64 << 20, "{peak} bytes");
    });
}

fn inspects_with_and_without_keys(stack: &Stack) {
    stack.client.put("cli/seen", &random(SEGMENT + 1, 1)).unwrap();
    let keyless = |object_key: &str| {
        let mut command = s3ep::keyless(&stack.direct.endpoint).unwrap();
        command.args(["inspect", &url(object_key)]);
        s3ep::run(command).unwrap().ok().unwrap().text()
    };
    let said = keyless("cli/seen");
    for line in
        ["len: 65537", "body: 65633 bytes", "plaintext: 65537 bytes, in 1 parts", "first segment: part 1, 65536 bytes"]
    {
        assert!(said.lines().any(|said| said == line), "{line}: {said}");
    }
    assert!(said.contains("\nkek: ") && said.contains("mac: not checked"), "{said}");
    let parts = [random((5 << 20) + 1, 1), random(77, 2)];
    upload("cli/seen-parts", &parts, &[&stack.client]);
    assert!(keyless("cli/seen-parts").contains("plaintext: 5242958 bytes, in 2 parts\n"));
    let inspect = || s3ep(stack, &["inspect", &url("cli/seen")]).unwrap();
    assert!(inspect().ok().unwrap().text().contains("mac: authentic\n"));
    let mut altered = AtRest::read(&stack.direct, "cli/seen").unwrap();
    let kek = altered.metadata.iter_mut().find(|(name, _)| name.ends_with("-mac")).unwrap();
    kek.1 = format!("A{}", &kek.1[1..]);
    altered.write(&stack.direct, "cli/seen").unwrap();
    assert!(!inspect().is_success);
}

/// The lines that `verify` or another walk prints of objects.
fn told(done: &s3ep::Done) -> Vec<(String, String)> {
    let line = |line: &str| line.split_once('\t').map(|(verdict, object)| (verdict.to_owned(), object.to_owned()));
    done.text().lines().filter_map(line).collect()
}

fn verify_finds_what_was_tampered_with(stack: &Stack) {
    let verify = |more: &[&str]| s3ep(stack, &[&["verify", &url("cli-verify/")], more].concat()).unwrap();
    for number in 0..10 {
        stack.client.put(&format!("cli-verify/{number}"), &random(number * 30_000, 1)).unwrap();
    }
    upload("cli-verify/parts", &[random(5 << 20, 1), random(5, 2)], &[&stack.client]);
    let done = verify(&[]).ok().unwrap();
    let plain_len = 45 * 30_000 + (5 << 20) + 5;
    assert!(done.text().contains(&format!("11 objects are authentic, of {plain_len} bytes")), "{done:?}");
    assert_eq!(told(&done), []);

    foreign(b"plaintext".to_vec()).write(&stack.direct, "cli-verify/plain").unwrap();
    let unencrypted = ("unencrypted".to_owned(), url("cli-verify/plain"));
    assert_eq!(told(&verify(&[]).ok().unwrap()), std::slice::from_ref(&unencrypted));
    assert!(!verify(&["--refuse-unencrypted"]).is_success);

    let object = AtRest::read(&stack.direct, "cli-verify/7").unwrap();
    let (mut flipped, mut lost) = (object.clone(), object.clone());
    *flipped.body.last_mut().unwrap() ^= 1;
    lost.metadata.clear();
    let other = AtRest::read(&stack.direct, "cli-verify/8").unwrap();
    for altered in [flipped, lost, other] {
        altered.write(&stack.direct, "cli-verify/7").unwrap();
        let done = verify(&["--concurrency", "3"]);
        assert!(!done.is_success && done.text().contains("10 objects are authentic"), "{done:?}");
        let mut told = told(&done);
        told.sort();
        assert_eq!(told[0], unencrypted);
        assert!(told.len() == 2 && told[1].0 == "wrong" && told[1].1.starts_with(&url("cli-verify/7: ")), "{told:?}");
    }
    object.write(&stack.direct, "cli-verify/7").unwrap();
    let keyless = s3ep::keyless(&stack.direct.endpoint).unwrap();
    let mut command = keyless;
    let other_key = stack.folder().join("other.key");
    fs::write(&other_key, "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=").unwrap();
    command.args(["verify", &url("cli-verify/1"), "--master-key", &format!("other={}", other_key.display())]);
    let done = s3ep::run(command).unwrap();
    assert!(!done.is_success && told(&done)[0].0 == "unchecked", "a key that is not there: {done:?}");
}

fn verify_walks_through_all_pages(stack: &Stack) {
    for number in 0..1_001 {
        stack.direct.put(&format!("cli-pages/{number}"), b"x").unwrap();
    }
    let done = s3ep(stack, &["verify", &url("cli-pages/")]).unwrap().ok().unwrap();
    assert!(done.text().contains("1001 are not encrypted"), "{done:?}");
    assert_eq!(told(&done).len(), 1_001);
}
