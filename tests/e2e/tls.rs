//! TLS on both sides of Envoy, as envoy/envoy.yaml has it in comments, with private certificate authorities.

use std::path::Path;
use std::process::Command;

use e2e::at_rest::AtRest;
use e2e::pki::{Ca, Identity};
use e2e::plaintext::random;
use e2e::process::run;
use e2e::python::python;
use e2e::stack::{Builder, Mode, Stack};
use e2e::store::Store;
use e2e::workspace::root;

use crate::stacks::{LogsOnPanic, full_store, say_skipped, setup};

/// The name that envoy/envoy.yaml expects in the store's certificate.
const STORE: &str = "s3.eu-central-1.amazonaws.com";

/// A stack whose store has a certificate for this name, of a CA that Envoy trusts, or not.
fn stack(name: &str, is_trusted: bool) -> Option<Stack> {
    let Some(program) = full_store() else {
        say_skipped();
        return None;
    };
    let builder = Builder::new(setup()).unwrap();
    let folder = builder.folder();
    let [ca, store_ca, another_ca] = [Ca::generate(), Ca::generate(), Ca::generate()];
    let [server, private_key] = Identity::for_names(&ca, &["127.0.0.1", "localhost"]).write_as(&folder, "envoy");
    let store_ca_file = store_ca.write_as(&folder, "store-ca");
    let identity = Identity::for_names(&store_ca, &[name, "127.0.0.1"]);
    let store = Store::full_with_tls(program, &folder, &identity, store_ca_file.clone()).unwrap();
    let trusted = if is_trusted { store_ca_file } else { another_ca.write_as(&folder, "another-ca") };
    let files: [(&str, &Path); 3] = [
        ("/etc/s3ep/tls/server.crt", &server),
        ("/etc/s3ep/tls/server.key", &private_key),
        ("/etc/ssl/certs/ca-certificates.crt", &trusted),
    ];
    let builder = builder.tls(&files).unwrap().trusted(ca.write_as(&folder, "ca"));
    Some(builder.start(store, Mode::Envelope).unwrap())
}

#[test]
fn clients_and_store_speak_tls() {
    let Some(stack) = stack(STORE, true) else { return };
    let _logs = LogsOnPanic(&stack);
    run(stack.client_command(python().unwrap()).arg(root().join("tests/e2e/boto3_tls.py"))).unwrap();
    http_2(&stack);
    plain_http_is_not_answered(&stack);
}

/// What curl speaks over TLS if it is let.
fn http_2(stack: &Stack) {
    let endpoint = &stack.client.endpoint;
    let plaintext = random(1_000_000, 2);
    let file = stack.folder().join("plaintext");
    std::fs::write(&file, &plaintext).unwrap();
    let url = format!("{}{}", endpoint.url, stack.client.object_path("tls/http2"));
    let curl = |arguments: &[&str]| {
        let mut command = Command::new("curl");
        command.args(["--silent", "--show-error", "--fail", "--max-time", "60", "--http2", "--cacert"]);
        command.arg(endpoint.ca.as_ref().unwrap()).args(["--aws-sigv4", "aws:amz:us-east-1:s3", "--user"]);
        command.arg(format!("{}:{}", endpoint.access_key, endpoint.secret_key));
        command.args(["--header", "x-amz-content-sha256: UNSIGNED-PAYLOAD"]).args(arguments).arg(&url);
        run(&mut command).unwrap().stdout
    };
    let version = curl(&["--upload-file", file.to_str().unwrap(), "--write-out", "%{http_version}"]);
    assert_eq!(String::from_utf8_lossy(&version), "2");
    assert!(curl(&[]) == plaintext);
    AtRest::read(&stack.direct, "tls/http2").unwrap().check_sealed(&plaintext).unwrap();
}

fn plain_http_is_not_answered(stack: &Stack) {
    let url = stack.client.endpoint.url.replacen("https", "http", 1);
    assert!(ureq::get(&url).call().is_err());
}

#[test]
fn a_store_that_cannot_say_who_it_is_gets_nothing() {
    for (name, is_trusted) in [(STORE, false), ("s3.eu-west-1.amazonaws.com", true)] {
        let Some(stack) = stack(name, is_trusted) else { return };
        let _logs = LogsOnPanic(&stack);
        let answer = stack.client.object("PUT", "tls/refused").send(b"body").unwrap().expect(503).unwrap();
        assert_eq!(answer.error_code().unwrap(), "ServiceUnavailable");
        stack.direct.object("HEAD", "tls/refused").send(&[]).unwrap().expect(404).unwrap();
    }
}
