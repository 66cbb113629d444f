//! Versions belong to the store; S3EP opens whichever one is asked for.

use e2e::client::S3Client;
use e2e::stack::{Mode, Stack};
use e2e::store::StoreKind;

use crate::stacks;

/// What switches versions on.
pub const ENABLED: &[u8] = b"<VersioningConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
    <Status>Enabled</Status></VersioningConfiguration>";

#[test]
fn every_version_opens_full_envelope() {
    stacks::on(StoreKind::Full, Mode::Envelope, every_version_opens);
}

#[test]
fn every_version_opens_full_direct() {
    stacks::on(StoreKind::Full, Mode::Direct, every_version_opens);
}

fn every_version_opens(stack: &Stack) {
    let client = S3Client::new(stack.client.endpoint.clone(), "s3ep-versions");
    client.bucket("PUT", "").send(&[]).unwrap().expect(200).unwrap();
    client.bucket("PUT", "versioning").send(ENABLED).unwrap().expect(200).unwrap();
    let write = |body: &[u8]| client.put("object", body).unwrap().header("x-amz-version-id").unwrap().to_owned();
    let read = |version: &str| {
        let answer = client.object("GET", "object").query(&format!("versionId={version}")).send(&[]);
        let answer = answer.unwrap().expect(200).unwrap();
        assert_eq!(answer.header("x-amz-version-id"), Some(version));
        answer.body
    };
    let (first, second) = (write(b"first"), write(b"the second"));
    assert_ne!(first, second);
    assert_eq!(read(&first), b"first");
    assert_eq!(read(&second), b"the second");
    let head = client.object("HEAD", "object").query(&format!("versionId={first}")).send(&[]).unwrap();
    assert_eq!(head.expect(200).unwrap().header("content-length"), Some("5"));

    let deleted = client.object("DELETE", "object").send(&[]).unwrap().expect(204).unwrap();
    assert_eq!(deleted.header("x-amz-delete-marker"), Some("true"));
    let marker = deleted.header("x-amz-version-id").unwrap();
    client.object("GET", "object").send(&[]).unwrap().expect(404).unwrap();
    assert_eq!(read(&first), b"first");
    client.object("DELETE", "object").query(&format!("versionId={marker}")).send(&[]).unwrap().expect(204).unwrap();
    assert_eq!(client.get("object").unwrap().body, b"the second");
}
