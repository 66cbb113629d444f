//! What clients say about an object comes back to them; what S3EP says about it does not.

use e2e::at_rest::OUR_METADATA;
use e2e::client::Response;
use e2e::stack::{Mode, Stack};
use e2e::store::StoreKind;

use crate::stacks;

on_every_stack!(headers_come_back, our_metadata_is_not_accepted, creating_only_if_absent);

fn headers_come_back(stack: &Stack) {
    let said = [
        ("content-type", "text/x-s3ep"),
        ("cache-control", "max-age=60"),
        ("content-disposition", "attachment; filename=\"a b.txt\""),
        ("content-language", "de"),
        ("x-amz-meta-plain", "value"),
        ("x-amz-meta-under_score", "a  b"),
    ];
    let put =
        said.iter().fold(stack.client.object("PUT", "headers/all"), |call, (name, value)| call.header(name, value));
    let put = put.send(b"body").unwrap().expect(200).unwrap();
    for method in ["GET", "HEAD"] {
        let answer = stack.client.object(method, "headers/all").send(&[]).unwrap().expect(200).unwrap();
        for (name, value) in said {
            assert_eq!(answer.header(name), Some(value), "{method} {name}");
        }
        assert_eq!(answer.header("etag"), put.header("etag"), "{method}");
        assert!(answer.header("last-modified").is_some(), "{method}");
        assert_hides_ciphertext(&answer);
    }
    assert_hides_ciphertext(&put);
}

/// Neither our metadata nor checksums of the ciphertext show.
fn assert_hides_ciphertext(answer: &Response) {
    assert_eq!(answer.headers_with_prefix(OUR_METADATA), []);
    assert_eq!(answer.headers_with_prefix("x-amz-checksum-"), []);
}

fn our_metadata_is_not_accepted(stack: &Stack) {
    for name in ["alg", "dek", "kek", "len", "mac", "new"] {
        let call = stack.client.object("PUT", "headers/forged").header(&format!("{OUR_METADATA}{name}"), "1");
        let refused = call.send(b"body").unwrap().expect(400).unwrap();
        assert_eq!(refused.error_code().unwrap(), "InvalidArgument", "{name}");
    }
    stack.direct.object("HEAD", "headers/forged").send(&[]).unwrap().expect(404).unwrap();
}

fn creating_only_if_absent(stack: &Stack) {
    let create = |body: &[u8]| {
        let call = stack.client.object("PUT", "headers/created-once").header("if-none-match", "*");
        call.send(body).unwrap()
    };
    stack.client.object("DELETE", "headers/created-once").send(&[]).unwrap().expect(204).unwrap();
    create(b"first").expect(200).unwrap();
    assert_eq!(create(b"second").expect(412).unwrap().error_code().unwrap(), "PreconditionFailed");
    assert_eq!(stack.client.get("headers/created-once").unwrap().body, b"first");
}

/// The embedded store ignores conditions on reads.
#[test]
fn conditional_reads_full_envelope() {
    stacks::on(StoreKind::Full, Mode::Envelope, conditional_reads);
}

#[test]
fn conditional_reads_full_direct() {
    stacks::on(StoreKind::Full, Mode::Direct, conditional_reads);
}

fn conditional_reads(stack: &Stack) {
    let put = stack.client.put("headers/conditional", b"body").unwrap();
    let etag = put.header("etag").unwrap();
    let future = "Fri, 01 Jan 2100 00:00:00 GMT";
    let past = "Sat, 01 Jan 2000 00:00:00 GMT";
    let cases = [
        ("if-none-match", etag, 304),
        ("if-none-match", "\"other\"", 200),
        ("if-match", etag, 200),
        ("if-match", "\"other\"", 412),
        ("if-modified-since", past, 200),
        ("if-unmodified-since", past, 412),
        ("if-unmodified-since", future, 200),
    ];
    for method in ["GET", "HEAD"] {
        for (name, value, status) in cases {
            let answer = stack.client.object(method, "headers/conditional").header(name, value).send(&[]).unwrap();
            let answer = answer.expect(status).unwrap_or_else(|error| panic!("{method} {name}: {value}: {error}"));
            assert_eq!(answer.headers_with_prefix(OUR_METADATA), [], "{method} {name}: {value}");
            let body: &[u8] = if (method, status) == ("GET", 200) { b"body" } else { b"" };
            assert!(status == 412 || answer.body == body, "{method} {name}: {value}");
        }
    }
}
