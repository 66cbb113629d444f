//! Several Envoys in front of one store: whatever one has begun, another one can go on with.

use std::thread;

use e2e::client::{Response, S3Client};
use e2e::plaintext::random;
use e2e::stack::Mode;
use e2e::store::StoreKind;

use crate::stacks;

#[test]
fn parts_take_any_replica() {
    for mode in [Mode::Envelope, Mode::Direct] {
        stacks::on(StoreKind::Full, mode, |stack| {
            let other = stack.replica(stacks::setup()).unwrap();
            let parts = [random((5 << 20) + 1, 1), random(5 << 20, 2), random(77, 3)];
            upload("replicas/parts", &parts, &[&stack.client, &other.client]);
            for client in [&stack.client, &other.client] {
                assert!(client.get("replicas/parts").unwrap().body == parts.concat());
                let range = client.object("GET", "replicas/parts").header("range", "bytes=-100").send(&[]).unwrap();
                assert!(range.expect(206).unwrap().body == parts.concat()[(10 << 20) + 78 - 100..]);
            }
        });
    }
}

/// As many parts as S3 allows. They are too small for the store to make an object of them, which it says when it has
/// read the whole document; an object of 10,000 parts of 5 MiB would be 50 GB.
#[test]
fn ten_thousand_parts() {
    stacks::on(StoreKind::Embedded, Mode::Envelope, |stack| {
        let other = stack.replica(stacks::setup()).unwrap();
        let parts: Vec<_> = (0..10_000).map(|number| random(1 + number % 3, number as u64)).collect();
        let answer = try_upload("replicas/many", &parts, &[&stack.client, &other.client]);
        assert_eq!((answer.status, answer.error_code().unwrap().as_str()), (400, "EntityTooSmall"));
    });
}

/// Uploads an object of these parts, each through another client.
pub fn upload(object_key: &str, parts: &[Vec<u8>], clients: &[&S3Client]) {
    try_upload(object_key, parts, clients).expect(200).unwrap();
}

/// Uploads parts from the last to the first, four at a time, to one client after the other. Gives the answer to the end.
fn try_upload(object_key: &str, parts: &[Vec<u8>], clients: &[&S3Client]) -> Response {
    let created = clients[0].object("POST", object_key).query("uploads").send(&[]).unwrap().expect(200).unwrap();
    let upload_id = text(&created.body, "UploadId");
    let numbers: Vec<usize> = (1..=parts.len()).rev().collect();
    let etags = thread::scope(|scope| {
        let put = |number: usize| put_part(clients[number % clients.len()], object_key, &upload_id, number, parts);
        let share = |thread| numbers.iter().copied().filter(move |number| number % 4 == thread);
        let threads: Vec<_> =
            (0..4).map(|thread| scope.spawn(move || share(thread).map(put).collect::<Vec<_>>())).collect();
        let mut etags: Vec<_> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        etags.sort();
        etags
    });
    let listed: String = etags
        .iter()
        .map(|(number, etag)| format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>"))
        .collect();
    let document = format!("<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>");
    let last = clients[clients.len() - 1];
    let complete = last.object("POST", object_key).query(&format!("uploadId={upload_id}"));
    complete.send(document.as_bytes()).unwrap()
}

fn put_part(client: &S3Client, object_key: &str, upload_id: &str, number: usize, parts: &[Vec<u8>]) -> (usize, String) {
    let query = format!("partNumber={number}&uploadId={upload_id}");
    let answer = client.object("PUT", object_key).query(&query).send(&parts[number - 1]).unwrap().expect(200).unwrap();
    (number, answer.header("etag").unwrap().to_owned())
}

/// The text of the element with this name.
fn text(document: &[u8], name: &str) -> String {
    let document = roxmltree::Document::parse(str::from_utf8(document).unwrap()).unwrap();
    let found = document.descendants().find(|node| node.has_tag_name(name)).unwrap();
    found.text().unwrap().to_owned()
}
