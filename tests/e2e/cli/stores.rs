//! s3ep and what stores do: TLS, and older versions.

use std::path::Path;

use e2e::at_rest::AtRest;
use e2e::client::S3Client;
use e2e::pki::{Ca, Identity};
use e2e::s3ep::{self, s3ep};
use e2e::shim::master_key;
use e2e::stack::{BUCKET, Mode};
use e2e::store::{Store, StoreKind};
use e2e::workspace::run_dir;

use super::url;
use crate::stacks::{self, full_store, say_skipped, setup};
use crate::versions::ENABLED;

#[test]
fn plaintext_goes_to_a_store_that_is_who_it_should_be_and_to_no_other() {
    let Some(program) = full_store() else { return say_skipped() };
    let folder = run_dir().unwrap();
    let [ca, another_ca] = [Ca::generate(), Ca::generate()];
    let [ca_file, another] = [ca.write_as(folder.path(), "ca"), another_ca.write_as(folder.path(), "another")];
    let identity = Identity::for_names(&ca, &["127.0.0.1"]);
    let store = Store::full_with_tls(program, folder.path(), &identity, ca_file.clone()).unwrap();
    let direct = S3Client::new(store.endpoint.clone(), BUCKET);
    direct.bucket("PUT", "").send(&[]).unwrap().expect(200).unwrap();
    direct.put("object", b"plaintext").unwrap();
    master_key(&setup().shim, folder.path()).unwrap();
    let key = format!("demo={}", folder.path().join("master.key").display());
    let encrypt = |trusted: Option<&Path>| {
        let mut command = s3ep::keyless(&store.endpoint).unwrap();
        command.envs(trusted.map(|ca| ("AWS_CA_BUNDLE", ca))).args(["encrypt-bucket", &url(""), "--master-key", &key]);
        s3ep::run(command).unwrap()
    };
    for trusted in [None, Some(&*another)] {
        assert!(!encrypt(trusted).is_success);
    }
    assert_eq!(direct.get("object").unwrap().body, b"plaintext");
    assert!(encrypt(Some(&ca_file)).ok().unwrap().text().contains("1 objects were encrypted"));
    AtRest::read(&direct, "object").unwrap().check_sealed(b"plaintext").unwrap();
}

#[test]
fn older_versions_stay_and_are_spoken_of_full_direct() {
    stacks::on(StoreKind::Full, Mode::Direct, |stack| {
        let versioned = S3Client::new(stack.direct.endpoint.clone(), "s3ep-cli-versions");
        versioned.bucket("PUT", "").send(&[]).unwrap().expect(200).unwrap();
        versioned.bucket("PUT", "versioning").send(ENABLED).unwrap().expect(200).unwrap();
        let put = versioned.put("object", b"plaintext").unwrap();
        let old = put.header("x-amz-version-id").unwrap();
        let encrypted = s3ep(stack, &["encrypt-bucket", "s3://s3ep-cli-versions"]).unwrap().ok().unwrap();
        assert!(encrypted.text().contains("1 have older versions"), "{encrypted:?}");
        let rewrapped = s3ep(stack, &["rewrap", "--again", "s3://s3ep-cli-versions"]).unwrap().ok().unwrap();
        assert!(rewrapped.text().contains("1 have older versions"), "{rewrapped:?}");
        let decrypt = ["decrypt", "s3://s3ep-cli-versions/object"];
        assert_eq!(s3ep(stack, &decrypt).unwrap().ok().unwrap().out, b"plaintext");
        let refused = s3ep(stack, &[&decrypt[..], &["--version-id", old]].concat()).unwrap();
        assert!(refused.err.contains("not encrypted"), "{refused:?}");
    });
}
