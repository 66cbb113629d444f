//! Who is not known, or did not sign right, stays out; and who was handed a presigned URL gets in.

use std::process::Command;
use std::thread;
use std::time::Duration;

use e2e::client::{Endpoint, S3Client};
use e2e::process::run;
use e2e::python::python;
use e2e::stack::Stack;
use e2e::workspace::root;

use crate::raw;

on_every_stack!(strangers_stay_out, presigned_urls_work);

fn strangers_stay_out(stack: &Stack) {
    const OBJECT_KEY: &str = "auth/refused";
    let known = &stack.client.endpoint;
    let cases = [
        (Endpoint { secret_key: "another".into(), ..known.clone() }, "SignatureDoesNotMatch"),
        (Endpoint { access_key: "NOBODY".into(), ..known.clone() }, "InvalidAccessKeyId"),
    ];
    for (endpoint, code) in cases {
        let stranger = S3Client::new(endpoint, &stack.client.bucket);
        let answer = stranger.object("PUT", OBJECT_KEY).send(b"body").unwrap().expect(403).unwrap();
        assert_eq!(answer.error_code().unwrap(), code);
        stranger.bucket("GET", "list-type=2").send(&[]).unwrap().expect(403).unwrap();
    }
    let authority = known.authority();
    let path = stack.client.object_path(OBJECT_KEY);
    let anonymous =
        format!("PUT {path} HTTP/1.1\r\nHost: {authority}\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbody");
    let answer = raw::exchange(authority, &anonymous);
    assert!(answer.starts_with("HTTP/1.1 403 ") && answer.contains("<Code>AccessDenied</Code>"), "{answer}");
    stack.direct.object("HEAD", OBJECT_KEY).send(&[]).unwrap().expect(404).unwrap();
    for secret in [&known.secret_key, "AWS4-HMAC-SHA256"] {
        assert!(!stack.envoy.log().contains(secret), "Envoy's log shows what clients sign with");
    }
}

/// boto3 signs, and curl, which knows nothing of S3 here, uses it.
fn presigned_urls_work(stack: &Stack) {
    let script = root().join("tests/e2e/boto3_presign.py");
    let signed = run(stack.client_command(python().unwrap()).arg(script)).unwrap();
    let signed = String::from_utf8(signed.stdout).unwrap();
    let urls: Vec<_> = signed.lines().collect();
    let [put, get, expired] = urls.as_slice() else { panic!("{signed}") };
    let curl = |arguments: &[&str]| {
        let mut command = Command::new("curl");
        command.args(["--silent", "--show-error", "--fail", "--max-time", "60", "--path-as-is"]).args(arguments);
        run(&mut command)
    };
    curl(&["--request", "PUT", "--data-binary", "presigned", put]).unwrap();
    assert_eq!(curl(&[get]).unwrap().stdout, b"presigned");
    thread::sleep(Duration::from_secs(2));
    curl(&[expired]).expect_err("its time is over");
    curl(&[&get.replace("auth/", "auth/other-")]).expect_err("it is another object's");
    assert_ne!(stack.direct.get("auth/presigned +ü").unwrap().body, b"presigned");
}
