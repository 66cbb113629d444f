//! Google Cloud KMS as the KEK: the program and Google's own client, against a server that speaks the documented API.
#![cfg(feature = "gcp")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use support::gcp::{FakeGcp, Fault};
use support::{Answer, Shim, finish, folder, get, post, program, unwrap_request, wrap_request};
use tempfile::TempDir;

const DEK: [u8; 32] = *b"thirty-two bytes of a secret DEK";
const KEY: &str = "projects/p/locations/europe-west3/keyRings/r/cryptoKeys/k";
const OTHER_KEY: &str = "projects/p/locations/europe-west3/keyRings/r/cryptoKeys/other";

/// A folder with a token, and the service account's key.
fn account(gcp: &FakeGcp) -> TempDir {
    let folder = folder();
    std::fs::write(folder.path().join("account.json"), gcp.credentials()).unwrap();
    folder
}

fn with_gcp(mut command: Command, gcp: &FakeGcp, folder: &Path) -> Command {
    command.current_dir(folder).env("GOOGLE_APPLICATION_CREDENTIALS", "account.json");
    command.env("S3EP_KMS_SHIM_GCP_ENDPOINT", gcp.endpoint());
    command
}

fn start(gcp: &FakeGcp, folder: &Path) -> Shim {
    let mut command = with_gcp(program(), gcp, folder);
    command.args(["serve", "--listen", "127.0.0.1:0", "--token-file", "token", "--log-level", "trace"]);
    command.args(["--kek-uri", &format!("gcp-kms://{KEY}"), "--kek-uri", &format!("gcp-kms://{OTHER_KEY}")]);
    Shim::spawn(command, folder)
}

async fn wrap(shim: &Shim) -> Answer {
    post(&shim.address, "/v1/wrap", &wrap_request(&DEK)).await
}

async fn unwrap(shim: &Shim, request: &Value) -> Answer {
    post(&shim.address, "/v1/unwrap", request).await
}

#[tokio::test]
async fn a_dek_unwraps_under_its_own_context_and_key_alone() {
    let gcp = FakeGcp::start(&[KEY, OTHER_KEY]);
    let folder = account(&gcp);
    let shim = start(&gcp, folder.path());
    assert_eq!(gcp.calls(), 0, "nothing to ask at start");
    let wrapped = wrap(&shim).await.json;
    assert_eq!(wrapped["kek"], format!("gcp-kms://{KEY}"));
    let request = unwrap_request(&wrapped);
    let unwrapped = unwrap(&shim, &request).await;
    assert_eq!(unwrapped.json["plaintext"], wrap_request(&DEK)["plaintext"], "{}", unwrapped.text);
    assert_eq!(gcp.calls(), 2);

    let mut altered = STANDARD.decode(wrapped["wrapped"].as_str().unwrap()).unwrap();
    *altered.last_mut().unwrap() ^= 1;
    let changes: [(&str, &str, Value); 4] = [
        ("another object key", "/context/key", "2024/other.jpg".into()),
        ("another bucket", "/context/bucket", "other".into()),
        ("another key", "/kek", format!("gcp-kms://{OTHER_KEY}").into()),
        ("an altered DEK", "/wrapped", STANDARD.encode(&altered).into()),
    ];
    for (case, pointer, value) in changes {
        let mut request = request.clone();
        *request.pointer_mut(pointer).unwrap() = value;
        assert_eq!(unwrap(&shim, &request).await.failure(), (422, "context_mismatch"), "{case}");
    }
    let (_, log) = shim.stop();
    let account: Value = serde_json::from_str(&gcp.credentials()).unwrap();
    let private_key = account["private_key"].as_str().unwrap();
    for secret in [&*STANDARD.encode(DEK), "thirty-two bytes", &private_key[40..80], "eyJ"] {
        assert!(!log.contains(secret), "{secret} in {log}");
    }
}

/// Google asks that checksums be compared at both ends, and that a mismatch be tried again.
#[tokio::test]
async fn what_goes_wrong_is_told_apart() {
    const UNAVAILABLE: (u16, &str) = (503, "unavailable");
    const DENIED: (u16, &str) = (403, "denied");
    const FINE: (u16, &str) = (200, "");
    for (fault, at_wrap, at_unwrap) in [
        (Fault::RequestDamaged, UNAVAILABLE, UNAVAILABLE),
        (Fault::AnswerDamaged, UNAVAILABLE, UNAVAILABLE),
        (Fault::Unverified, UNAVAILABLE, FINE),
        (Fault::OtherKey, UNAVAILABLE, FINE),
        (Fault::Denied, DENIED, DENIED),
        (Fault::Disabled, DENIED, DENIED),
        (Fault::Exhausted, UNAVAILABLE, UNAVAILABLE),
        (Fault::Unavailable, UNAVAILABLE, UNAVAILABLE),
    ] {
        let gcp = FakeGcp::start(&[KEY]);
        let folder = account(&gcp);
        let shim = start(&gcp, folder.path());
        let request = unwrap_request(&wrap(&shim).await.json);
        gcp.set_fault(fault);
        let before = gcp.calls();
        assert_eq!(wrap(&shim).await.failure(), at_wrap, "{fault:?}: wrap");
        assert_eq!(gcp.calls() - before > 1, at_wrap == UNAVAILABLE, "{fault:?}: tried again");
        assert_eq!(unwrap(&shim, &request).await.failure(), at_unwrap, "{fault:?}: unwrap");
        gcp.set_fault(None);
        assert_eq!(wrap(&shim).await.failure(), FINE, "{fault:?}: over");
    }
}

#[tokio::test]
async fn a_key_that_is_not_there_is_no_fault_of_the_object() {
    let gcp = FakeGcp::start(&[OTHER_KEY]);
    let folder = account(&gcp);
    assert_eq!(wrap(&start(&gcp, folder.path())).await.failure(), (400, "invalid"));
}

#[tokio::test]
async fn another_account_is_denied_and_none_does_not_start() {
    let gcp = FakeGcp::start(&[KEY]);
    let folder = account(&FakeGcp::start(&[]));
    assert_eq!(wrap(&start(&gcp, folder.path())).await.failure(), (403, "denied"));

    std::fs::remove_file(folder.path().join("account.json")).unwrap();
    let mut command = with_gcp(program(), &gcp, folder.path());
    command.args(["serve", "--listen", "127.0.0.1:0", "--token-file", "token", "--kek-uri"]);
    command.arg(format!("gcp-kms://{KEY}"));
    let said = String::from_utf8(finish(command).stderr).unwrap();
    assert!(said.contains("Google's credentials") && said.contains("account.json"), "{said}");
}

/// Driven straight over HTTP; tests/e2e has the same through Envoy.
#[tokio::test]
async fn an_encrypted_keyset_asks_its_key_at_start_alone() {
    let gcp = FakeGcp::start(&[KEY, OTHER_KEY]);
    let folder = account(&gcp);
    let file = folder.path().join("encrypted.json");
    let mut keygen = with_gcp(program(), &gcp, folder.path());
    keygen.args(["keygen", "keyset", "--out", "encrypted.json", "--encrypt-with", &format!("gcp-kms://{KEY}")]);
    assert!(finish(keygen).status.success() && file.exists());
    let serve = |key: &str| {
        let mut command = with_gcp(program(), &gcp, folder.path());
        command.args(["serve", "--listen", "127.0.0.1:0", "--token-file", "token", "--keyset", "encrypted.json"]);
        command.args(["--keyset-kek-uri", &format!("gcp-kms://{key}")]);
        command
    };
    let refused = finish(serve(OTHER_KEY));
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success() && said.contains("Decryption failed"), "{said}");

    let before = gcp.calls();
    let shim = Shim::spawn(serve(KEY), folder.path());
    assert_eq!(gcp.calls() - before, 1);
    for _ in 0..10_000 {
        let wrapped = wrap(&shim).await;
        assert_eq!(wrapped.status, 200, "{}", wrapped.text);
    }
    let metrics = get(&shim.address, "/metrics").await.text;
    assert!(metrics.contains("operation=\"wrap\",outcome=\"ok\"} 10000"), "{metrics}");
    assert_eq!(gcp.calls() - before, 1);
}

#[tokio::test]
async fn a_kms_that_went_away_is_used_again_when_it_is_back() {
    let mut gcp = FakeGcp::start(&[KEY]);
    let folder = account(&gcp);
    let shim = start(&gcp, folder.path());
    let request = unwrap_request(&wrap(&shim).await.json);
    gcp.stop();
    assert_eq!(unwrap(&shim, &request).await.failure(), (503, "unavailable"));
    gcp.resume();
    let is_back = async || {
        while unwrap(&shim, &request).await.status != 200 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), is_back()).await.expect("it is not used again");
}
