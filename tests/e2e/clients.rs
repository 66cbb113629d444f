//! Clients that people really use: boto3 and curl on every store and in every mode, all the others in [`suite`].

mod suite;
mod table;

use std::process::Command;

use e2e::process::run;
use e2e::python::python;
use e2e::stack::Stack;
use e2e::workspace::root;

on_every_stack!(boto3, curl);

fn boto3(stack: &Stack) {
    let script = root().join("tests/e2e/boto3_round_trip.py");
    run(stack.client_command(python().unwrap()).arg(script)).unwrap();
}

/// curl signs with SigV4 by itself, sends `Expect: 100-continue`, and streams.
fn curl(stack: &Stack) {
    let folder = tempfile::tempdir().unwrap();
    let [sent, received] = ["sent", "received"].map(|name| folder.path().join(name));
    let plaintext = e2e::plaintext::random(3_000_000, 1);
    std::fs::write(&sent, &plaintext).unwrap();
    let url = format!("{}{}", stack.client.endpoint.url, stack.client.object_path("clients/curl"));
    run(curl_signed(stack).arg("--upload-file").arg(&sent).arg(&url)).unwrap();
    run(curl_signed(stack).arg("--output").arg(&received).arg(&url)).unwrap();
    assert!(std::fs::read(&received).unwrap() == plaintext);
    let head = run(curl_signed(stack).arg("--head").arg(&url)).unwrap();
    let head = String::from_utf8(head.stdout).unwrap().to_lowercase();
    assert!(head.contains("content-length: 3000000\r\n"), "{head}");
    run(curl_signed(stack).args(["--request", "DELETE"]).arg(&url)).unwrap();
    run(curl_signed(stack).arg(&url)).expect_err("the object is gone");
}

fn curl_signed(stack: &Stack) -> Command {
    let endpoint = &stack.client.endpoint;
    let mut command = Command::new("curl");
    command
        .args(["--silent", "--show-error", "--fail", "--max-time", "60", "--path-as-is"])
        .args(["--aws-sigv4", &format!("aws:amz:{}:s3", endpoint.region)])
        // Older ones do not say by themselves how the body is signed.
        .args(["--header", "x-amz-content-sha256: UNSIGNED-PAYLOAD"])
        .args(["--user", &format!("{}:{}", endpoint.access_key, endpoint.secret_key)]);
    command
}
