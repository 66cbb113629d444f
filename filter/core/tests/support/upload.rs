//! Multipart uploads as a client makes them.

use super::{Request, Stack};

/// Begins an upload; gives its UploadId as it stands in a query.
#[track_caller]
pub fn create(stack: &mut Stack, path: &str) -> String {
    let response = stack.send(&Request::new("POST", &format!("{path}?uploads"))).complete();
    let document = String::from_utf8(response.body).unwrap();
    document.split_once("<UploadId>").unwrap().1.split_once('<').unwrap().0.to_owned()
}

/// Ends an upload of that many parts.
#[track_caller]
pub fn complete(stack: &mut Stack, path: &str, upload_id: &str, parts: usize) {
    let part = |number: usize| format!("<Part><PartNumber>{number}</PartNumber><ETag>\"e\"</ETag></Part>");
    let listed: String = (1..=parts.max(1)).map(part).collect();
    let document = format!("<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>");
    let request = Request::new("POST", &format!("{path}?uploadId={upload_id}")).body(document.as_bytes());
    let request = request.header("content-length", &document.len().to_string());
    assert_eq!(stack.send(&request).complete().status, 200);
}

/// Makes an object of these parts, the last one uploaded first.
#[track_caller]
pub fn make(stack: &mut Stack, path: &str, parts: &[Vec<u8>]) {
    let upload_id = create(stack, path);
    for (number, part) in (1..).zip(parts).collect::<Vec<_>>().into_iter().rev() {
        stack.put(&format!("{path}?partNumber={number}&uploadId={upload_id}"), part);
    }
    complete(stack, path, &upload_id, parts.len());
}
