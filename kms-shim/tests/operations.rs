//! What those who operate the service see: readiness, metrics, and requests' ids.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use kms_shim::listen::Listen;
use serde_json::json;
use support::{
    Counting, Shim, TOKEN, connect, folder, get, keyset, post, request, send, start, unwrap_request, wrap_request,
};
use tokio::io::AsyncWriteExt;

const DEK: [u8; 32] = *b"thirty-two bytes of a secret DEK";

#[tokio::test(start_paused = true)]
async fn probes_do_not_all_ask_the_kms() {
    let kek = Counting::default();
    let service = start(kek.boxed()).await;
    for asked in [2, 4] {
        for _ in 0..20 {
            assert_eq!(get(&service.address, "/readyz").await.status, 200);
        }
        assert_eq!(kek.asked(), asked, "a wrap and an unwrap");
        tokio::time::sleep(Duration::from_secs(15)).await;
    }
    for _ in 0..20 {
        assert_eq!(get(&service.address, "/healthz").await.status, 200);
    }
    assert_eq!(kek.asked(), 4, "health is not readiness");
}

#[tokio::test(start_paused = true)]
async fn a_kms_that_hangs_is_not_ready_and_is_not_asked_by_everybody() {
    let kek = Counting::slow(Duration::from_secs(3600));
    let service = start(kek.boxed()).await;
    // A caller that does not wait for the answer, and those that come meanwhile.
    let mut impatient = connect(&service.address).await;
    impatient.write_all(b"GET /readyz HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    drop(impatient);
    for _ in 0..3 {
        let answer = tokio::time::timeout(Duration::from_secs(60), get(&service.address, "/readyz")).await;
        assert_eq!(answer.expect("within a minute").failure(), (503, "unavailable"));
    }
    assert_eq!(kek.asked(), 1);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(get(&service.address, "/readyz").await.status, 503);
    assert_eq!(kek.asked(), 2, "it may be back");
}

/// The samples of `/metrics`, by name and labels.
async fn samples(address: &Listen) -> BTreeMap<String, f64> {
    let answer = get(address, "/metrics").await;
    assert_eq!(answer.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    let lines = answer.text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| line.rsplit_once(' ').unwrap())
        .map(|(name, value)| (name.to_owned(), value.parse().unwrap()))
        .collect()
}

#[tokio::test]
async fn metrics_count_calls_by_operation_outcome_and_provider_and_name_nobody() {
    let service = start(keyset()).await;
    let address = &service.address;
    let wrapped = post(address, "/v1/wrap", &wrap_request(&DEK)).await.json;
    post(address, "/v1/wrap", &wrap_request(&DEK)).await;
    post(address, "/v1/unwrap", &unwrap_request(&wrapped)).await;
    let mut moved = unwrap_request(&wrapped);
    moved["context"]["key"] = json!("elsewhere");
    post(address, "/v1/unwrap", &moved).await;
    let mut unknown = unwrap_request(&wrapped);
    unknown["kek"] = json!("secret-kms:kek-of-somebody");
    post(address, "/v1/unwrap", &unknown).await;
    send(address, request("POST", "/v1/wrap", Some("wrong"), "")).await;

    let samples = samples(address).await;
    for (name, value) in [
        (r#"kms_shim_requests_total{operation="wrap",outcome="ok"}"#, 2.0),
        (r#"kms_shim_requests_total{operation="wrap",outcome="denied"}"#, 1.0),
        (r#"kms_shim_requests_total{operation="unwrap",outcome="ok"}"#, 1.0),
        (r#"kms_shim_requests_total{operation="unwrap",outcome="context_mismatch"}"#, 1.0),
        (r#"kms_shim_requests_total{operation="unwrap",outcome="invalid"}"#, 1.0),
        (r#"kms_shim_refusals_total{reason="unauthorized"}"#, 1.0),
        (r#"kms_shim_requests_in_flight"#, 0.0),
        (r#"kms_shim_kek_call_seconds_count{provider="tink-keyset",operation="wrap",outcome="ok"}"#, 2.0),
        (r#"kms_shim_kek_call_seconds_count{provider="tink-keyset",operation="unwrap",outcome="ok"}"#, 1.0),
        (
            r#"kms_shim_kek_call_seconds_count{provider="tink-keyset",operation="unwrap",outcome="context_mismatch"}"#,
            1.0,
        ),
        (concat!("kms_shim_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"}"), 1.0),
    ] {
        assert_eq!(samples.get(name), Some(&value), "{name} in {samples:#?}");
    }
    let text = get(address, "/metrics").await.text;
    for name in ["photos", "2024", "tink-keyset:test", "secret-kms", "somebody", TOKEN] {
        assert!(!text.contains(name), "{name} in {text}");
    }
}

#[tokio::test]
async fn an_answer_carries_the_id_that_the_request_came_with_or_a_new_one() {
    let service = start(keyset()).await;
    for (theirs, taken) in [(Some("req-1"), true), (Some("not an id"), false), (None, false)] {
        for (path, status) in [("/v1/wrap", 200), ("/v1/unwrap", 400), ("/nowhere", 404)] {
            let mut request = request("POST", path, Some(TOKEN), wrap_request(&DEK).to_string());
            if let Some(id) = theirs {
                request.headers_mut().insert("x-request-id", id.parse().unwrap());
            }
            let answer = send(&service.address, request).await;
            assert_eq!(answer.status, status);
            let id = answer.headers["x-request-id"].to_str().unwrap();
            assert_eq!(theirs == Some(id), taken, "{path} {id}");
            assert!(taken || id.len() == 16, "{path} {id}");
        }
    }
}

#[tokio::test]
async fn health_and_metrics_have_an_address_of_their_own_if_one_asks_for_it() {
    let folder = folder();
    let shim = Shim::start(folder.path(), &["--listen", "127.0.0.1:0", "--operations-listen", "unix:operations.sock"]);
    let operations = Listen::Unix(folder.path().join("operations.sock"));
    for path in ["/healthz", "/readyz", "/metrics"] {
        assert_eq!(get(&operations, path).await.status, 200, "{path}");
    }
    assert_eq!(post(&operations, "/v1/wrap", &wrap_request(&DEK)).await.failure(), (404, "invalid"));
    assert_eq!(post(&shim.address, "/v1/wrap", &wrap_request(&DEK)).await.status, 200);
    assert!(get(&operations, "/metrics").await.text.contains(r#"{operation="wrap",outcome="ok"} 1"#));
    assert!(shim.stop().0.success());
    assert!(!folder.path().join("operations.sock").exists());
}
