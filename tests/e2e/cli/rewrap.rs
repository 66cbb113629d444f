//! `s3ep rewrap`: a bucket moves to another KEK, and an Envoy that knows no other reads all of it.

use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use e2e::at_rest::AtRest;
use e2e::envoy::{Configuration, Keys};
use e2e::plaintext::random;
use e2e::s3ep::{self, Done};
use e2e::shim::{Shim, ShimOptions};
use e2e::stack::{Mode, Replica, Stack};
use e2e::store::StoreKind;
use e2e::workspace::run_dir;
use tempfile::TempDir;

use super::{told, url};
use crate::replicas::upload;
use crate::stacks::{self, setup};
use crate::unencrypted::foreign;

on_every_stack!(moves_a_bucket_to_another_kek, goes_on_where_it_was_killed);

/// Another KEK: a kms-shim with a keyset of its own, and an Envoy in front of the same store that asks nobody else.
struct Second {
    envoy: Replica,
    shim: Shim,
    _folder: TempDir,
}

impl Second {
    fn start(stack: &Stack) -> Self {
        let folder = run_dir().unwrap();
        let options = ShimOptions { arguments: vec!["--keyset-name".into(), "second".into()], ..Default::default() };
        let shim = Shim::start(&setup().shim, folder.path(), &options).unwrap();
        let keys = Keys::Envelope { address: shim.address.clone(), token: shim.token.clone() };
        let envoy = stack.replica_of(setup(), Configuration::reference().unwrap(), &keys).unwrap();
        Self { envoy, shim, _folder: folder }
    }

    /// s3ep with this KEK, and none of the stack's.
    fn s3ep(&self, stack: &Stack, arguments: &[&str]) -> Command {
        let mut command = s3ep::keyless(&stack.direct.endpoint).unwrap();
        command.args(arguments).arg("--keyset").arg(&self.shim.keyset).args(["--keyset-name", "second"]);
        command
    }

    /// `s3ep rewrap` from the stack's KEK to this one.
    fn rewrap(&self, stack: &Stack, prefix: &str, more: &[&str]) -> Command {
        let mut command = self.s3ep(stack, &["rewrap", &url(prefix)]);
        match &stack.shim {
            Some(shim) => command.arg("--old-keyset").arg(format!("default={}", shim.keyset.display())),
            None => command.arg("--master-key").arg(format!("demo={}", stack.folder().join("master.key").display())),
        };
        command.args(more);
        command
    }

    fn rewrapped(&self, stack: &Stack, prefix: &str, more: &[&str]) -> Done {
        s3ep::run(self.rewrap(stack, prefix, more)).unwrap().ok().unwrap()
    }
}

fn moves_a_bucket_to_another_kek(stack: &Stack) {
    const DESCRIBED: [(&str, &str); 3] =
        [("content-type", "text/plain"), ("cache-control", "no-cache"), ("x-amz-meta-mine", "a b")];
    let key = |name: &str| format!("cli-rewrap/{name}");
    // Names that a listing encodes, and a copy's source too.
    let names = ["empty", "a b", "a+b", "ü%25&=?", "~'(*)!;:@$,"];
    let mut objects: Vec<_> = (0..).zip(names).map(|(number, name)| (key(name), random(number * 50_000, 1))).collect();
    for (object_key, plaintext) in &objects {
        let put = stack.client.object("PUT", object_key).headers(&DESCRIBED.map(|(n, v)| (n.to_owned(), v.to_owned())));
        put.send(plaintext).unwrap().expect(200).unwrap();
    }
    let parts = [random((5 << 20) + 1, 1), random((6 << 20) + 7, 2), random(77, 3)];
    upload(&key("parts"), &parts, &[&stack.client]);
    objects.push((key("parts"), parts.concat()));
    foreign(b"plaintext".to_vec()).write(&stack.direct, &key("plain")).unwrap();
    let at_rest = |object_key: &str| {
        let mut object = AtRest::read(&stack.direct, object_key).unwrap();
        object.metadata.sort();
        object
    };
    let before: Vec<_> = objects.iter().map(|(object_key, _)| at_rest(object_key)).collect();

    let second = Second::start(stack);
    let dry = second.rewrapped(stack, "cli-rewrap/", &["--dry-run"]);
    assert_eq!(told(&dry).iter().filter(|(verdict, _)| verdict == "would be").count(), 6, "{dry:?}");
    let is_as_before =
        |(object, (object_key, _)): (&AtRest, &(String, _))| at_rest(object_key).metadata == object.metadata;
    assert!(before.iter().zip(&objects).all(is_as_before));

    let done = second.rewrapped(stack, "cli-rewrap/", &[]);
    assert!(done.text().contains("6 objects were rewrapped"), "{done:?}");
    assert_eq!(told(&done), [("unencrypted".to_owned(), url(&key("plain")))]);
    for (before, (object_key, plaintext)) in before.iter().zip(&objects) {
        let after = at_rest(object_key);
        assert!(after.body == before.body && after.ours("kek") == Some("tink-keyset:second"), "{object_key}");
        let got = second.envoy.client.get(object_key).unwrap();
        assert!(got.body == *plaintext, "{object_key}");
        if !object_key.ends_with("parts") {
            assert_eq!(DESCRIBED.map(|(name, _)| got.header(name)), DESCRIBED.map(|(_, value)| Some(value)));
        }
    }
    assert_across_parts(&second, &key("parts"), &parts);
    let verified = s3ep::run(second.s3ep(stack, &["verify", &url("cli-rewrap/")])).unwrap().ok().unwrap();
    assert!(verified.text().contains("6 objects are authentic"), "{verified:?}");
    let again = second.rewrapped(stack, "cli-rewrap/", &[]).text();
    assert!(again.contains("0 objects were rewrapped") && again.contains("6 are so already"), "{again}");
}

/// The bytes around the end of the first part, which is not of whole segments, as a range.
fn assert_across_parts(second: &Second, object_key: &str, parts: &[Vec<u8>]) {
    let end = parts[0].len();
    let range = format!("bytes={}-{}", end - 5, end + 5);
    let get = || second.envoy.client.object("GET", object_key).header("range", &range).send(&[]).unwrap();
    // A worker of Envoy's that remembers the object as it was before asks its client to try again.
    let mut answers = std::iter::repeat_with(get).take(10);
    let got = answers.find(|answer| answer.status != 503).unwrap();
    assert!(got.expect(206).unwrap().body == parts.concat()[end - 5..=end + 5]);
}

/// Where the store copies only small objects at once.
fn moves_large_objects_in_parts(stack: &Stack) {
    let key = |name: &str| format!("cli-rewrap-large/{name}");
    let (single, parts) = (random(12 << 20, 1), [random((5 << 20) + 1, 2), random((6 << 20) + 7, 3)]);
    stack.client.put(&key("single"), &single).unwrap();
    upload(&key("parts"), &parts, &[&stack.client]);
    for name in ["single", "parts"] {
        let tags = b"<Tagging><TagSet><Tag><Key>a b</Key><Value>1+1</Value></Tag></TagSet></Tagging>";
        stack.direct.object("PUT", &key(name)).query("tagging=").send(tags).unwrap().expect(200).unwrap();
    }
    let second = Second::start(stack);
    for more in [&["--max-copy-bytes", "5242880"][..], &["--again"]] {
        let done = second.rewrapped(stack, "cli-rewrap-large/", more).text();
        assert!(done.contains("2 objects were rewrapped"), "{done}");
        assert!(second.envoy.client.get(&key("single")).unwrap().body == single);
        assert!(second.envoy.client.get(&key("parts")).unwrap().body == parts.concat());
        assert_across_parts(&second, &key("parts"), &parts);
        for name in ["single", "parts"] {
            let tags = stack.direct.object("GET", &key(name)).query("tagging=").send(&[]).unwrap().expect(200).unwrap();
            let tags = String::from_utf8(tags.body).unwrap();
            assert!(tags.contains("<Key>a b</Key><Value>1+1</Value>"), "{name}: {tags}");
        }
    }
}

#[test]
fn moves_large_objects_in_parts_full_envelope() {
    stacks::on(StoreKind::Full, Mode::Envelope, moves_large_objects_in_parts);
}

fn goes_on_where_it_was_killed(stack: &Stack) {
    const OBJECTS: usize = 100;
    let key = |number: usize| format!("cli-killed/{number}");
    (0..OBJECTS).for_each(|number| drop(stack.client.put(&key(number), b"plaintext").unwrap()));
    let second = Second::start(stack);
    let moved = || {
        let is_moved =
            |number| AtRest::read(&stack.direct, &key(number)).unwrap().ours("kek") == Some("tink-keyset:second");
        (0..OBJECTS).filter(|number| is_moved(*number)).count()
    };
    let mut child = second.rewrap(stack, "cli-killed/", &["--concurrency", "1"]).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    // The first one in the order of names.
    while AtRest::read(&stack.direct, &key(0)).unwrap().ours("kek") != Some("tink-keyset:second") {
        assert!(Instant::now() < deadline);
        thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let before = moved();
    assert!((1..OBJECTS).contains(&before), "{before} were rewrapped before it was killed");
    let done = second.rewrapped(stack, "cli-killed/", &[]).text();
    assert!(done.contains(&format!("{} objects were rewrapped", OBJECTS - before)), "{done}");
    assert!(done.contains(&format!("{before} are so already")), "{done}");
    (0..OBJECTS).for_each(|number| assert_eq!(second.envoy.client.get(&key(number)).unwrap().body, b"plaintext"));
}
