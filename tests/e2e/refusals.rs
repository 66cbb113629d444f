//! What S3EP does not do, it refuses: no plaintext byte goes to the store because of a request that it does not know.

use e2e::stack::Stack;

use crate::raw;

on_every_stack!(
    an_upload_without_a_length,
    writes_that_are_not_supported,
    customer_keys,
    a_body_shorter_than_its_stated_length,
);

fn assert_nothing_stored(stack: &Stack, object_key: &str) {
    let stored = stack.direct.object("HEAD", object_key).send(&[]).unwrap();
    assert_eq!(stored.status, 404, "{object_key} is in the store");
}

fn an_upload_without_a_length(stack: &Stack) {
    let head = stack.client.object("PUT", "refusals/chunked").head().unwrap();
    let request = format!("{head}Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n4\r\nbody\r\n0\r\n\r\n");
    let answer = raw::exchange(stack.client.endpoint.authority(), &request);
    assert!(answer.starts_with("HTTP/1.1 411 "), "{answer}");
    assert!(answer.contains("<Code>MissingContentLength</Code>"), "{answer}");
    assert_nothing_stored(stack, "refusals/chunked");
}

fn writes_that_are_not_supported(stack: &Stack) {
    const OBJECT_KEY: &str = "refusals/unsupported";
    let cases = [
        ("PUT", "renameObject", ("x-amz-rename-source", "refusals/source")),
        ("PUT", "", ("x-amz-write-offset-bytes", "0")),
        ("PUT", "unheard-of", ("x-test", "1")),
        ("POST", "", ("x-test", "1")),
        ("POST", "select&select-type=2", ("x-test", "1")),
        ("PATCH", "", ("x-test", "1")),
    ];
    for (method, query, (name, value)) in cases {
        let call = stack.client.object(method, OBJECT_KEY).query(query).header(name, value);
        let body: &[u8] = if method == "PATCH" { b"" } else { b"plaintext" };
        let refused = call.send(body).unwrap();
        let refused = refused.expect(501).unwrap_or_else(|error| panic!("{method} ?{query} {name}: {error}"));
        assert_eq!(refused.error_code().unwrap(), "NotImplemented", "{method} ?{query} {name}");
        assert_nothing_stored(stack, OBJECT_KEY);
    }
    post_form_upload(stack, OBJECT_KEY);
}

/// A browser's upload, whose object key is inside the body.
fn post_form_upload(stack: &Stack, object_key: &str) {
    let form = format!(
        "--x\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\n{object_key}\r\n\
         --x\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\nplaintext\r\n--x--\r\n"
    );
    let call = stack.client.bucket("POST", "").header("content-type", "multipart/form-data; boundary=x");
    call.send(form.as_bytes()).unwrap().expect(501).unwrap();
    assert_nothing_stored(stack, object_key);
}

fn customer_keys(stack: &Stack) {
    let call = stack.client.object("PUT", "refusals/sse-c");
    let call = call.header("x-amz-server-side-encryption-customer-algorithm", "AES256");
    call.send(b"plaintext").unwrap().expect(501).unwrap();
    assert_nothing_stored(stack, "refusals/sse-c");
}

fn a_body_shorter_than_its_stated_length(stack: &Stack) {
    let head = stack.client.object("PUT", "refusals/short").head().unwrap();
    let request = [head.as_bytes(), b"Content-Length: 100000\r\n\r\n", &[b'x'; 70_000]].concat();
    raw::send_and_leave(stack.client.endpoint.authority(), &request);
    // The store sees the connection break; nothing tells when it is done with that.
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert_nothing_stored(stack, "refusals/short");
}
