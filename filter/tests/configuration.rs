//! A configuration that is wrong does not load, and says why in one line that names the field and shows no secret.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests")]

mod fake_envoy;

use fake_envoy::{FakeEnvoy, FakeKms, Request, Stack};
use proxy_wasm::types::LogLevel;
use serde_json::{Value, json};

fn with(pointer: &str, value: Value) -> Value {
    let mut configuration = Stack::envelope_configuration();
    let (parent, field) = pointer.rsplit_once('/').unwrap();
    let parent = configuration.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    match value {
        Value::Null => drop(parent.remove(field)),
        value => drop(parent.insert(field.to_owned(), value)),
    }
    configuration
}

/// Loads it, and gives back the one line that refuses it.
fn refusal(configuration: &str) -> String {
    let logs = FakeEnvoy::start(configuration, &[]).unwrap_err().0;
    let errors: Vec<_> = logs.iter().filter(|line| line.level == LogLevel::Error).collect();
    assert_eq!(errors.len(), 1, "{logs:?}");
    assert!(!errors[0].message.contains('\n'), "{logs:?}");
    errors[0].message.clone()
}

#[test]
fn what_is_wrong_is_named() {
    let secret = "c2VjcmV0LXNlY3JldA==";
    let direct = |key: Value| json!({"direct": {"master_keys": [key]}});
    let both = json!({
        "envelope": {"cluster": "kms_shim", "authority": "k", "token": "t"},
        "direct": {"master_keys": [{"name": "a", "key": Stack::MASTER_KEY}]},
    });
    let cases = [
        ("/auth", Value::Null, "auth"),
        ("/keys", Value::Null, "keys"),
        ("/keys", json!({}), "keys"),
        ("/keys", both, "keys"),
        ("/keys", direct(json!({"name": "a"})), "key"),
        ("/keys", direct(json!({"name": "a", "key": secret})), "keys.direct.master_keys[a].key"),
        ("/keys", direct(json!({"name": "a", "key_env": "S3EP_TEST_NOT_SET"})), "S3EP_TEST_NOT_SET"),
        ("/keys", json!({"direct": {"master_keys": []}}), "keys.direct.master_keys"),
        ("/keys/envelope/cluster", Value::Null, "cluster"),
        ("/keys/envelope/token", Value::Null, "token"),
        ("/keys/envelope/token", json!("two words"), "token"),
        ("/keys/envelope/token_env", json!("S3EP_TEST_NOT_SET"), "token"),
        ("/keys/envelope/timeout_ms", json!(0), "timeout_ms"),
        ("/keys/envelope/tokn", json!(secret), "tokn"),
        ("/unencrypted_object", json!("refuse"), "unencrypted_object"),
        ("/dek_cache", json!({"max_entries": 0}), "dek_cache.max_entries"),
        ("/virtual_host_suffixes", json!([".s3.example.com"]), "virtual_host_suffixes"),
    ];
    for (pointer, value, named) in cases {
        let message = refusal(&with(pointer, value.clone()).to_string());
        assert!(message.contains(named), "{pointer} = {value}: {message}");
        assert!(!message.contains(secret) && !message.contains(FakeKms::TOKEN), "{message}");
    }
}

#[test]
fn what_is_no_configuration_is_refused() {
    let valid = Stack::envelope_configuration().to_string();
    let oversized = format!("{valid}{}", " ".repeat(2 << 20));
    for configuration in ["", "{", "[]", "null", "\u{1}", &valid[..valid.len() - 1], &format!("{valid}x"), &oversized] {
        refusal(configuration);
    }
}

#[test]
fn a_wrong_type_is_refused_without_showing_the_value() {
    for pointer in
        ["/auth", "/unencrypted_objects", "/dek_cache", "/keys/envelope/timeout_ms", "/virtual_host_suffixes"]
    {
        let message = refusal(&with(pointer, json!("top-secret")).to_string());
        assert!(!message.contains("top-secret"), "{message}");
    }
}

#[test]
fn secrets_may_come_from_the_environment() {
    let mut configuration = Stack::direct_configuration();
    configuration["keys"]["direct"]["master_keys"] = json!([{"name": "demo", "key_env": "S3EP_TEST_MASTER_KEY"}]);
    let configuration = configuration.to_string();
    let envoy = FakeEnvoy::start(&configuration, &[("S3EP_TEST_MASTER_KEY", Stack::MASTER_KEY)]).unwrap();
    let stream = envoy.open();
    stream.request_headers(Request::put("/bucket/key", b"body").headers, false);
    stream.request_body(b"body", true);
    assert!(stream.upstream().ended);
    stream.client_leaves();
    drop(envoy);
    assert!(refusal(&configuration).contains("S3EP_TEST_MASTER_KEY"));
}

#[test]
fn that_nobody_is_authenticated_is_said_at_start() {
    let logs = Stack::envelope().envoy.logs();
    assert!(logs.iter().any(|line| line.level == LogLevel::Warn && line.message.contains("auth")), "{logs:?}");
}

#[test]
fn which_cipher_it_is_is_said_at_start() {
    let logs = Stack::envelope().envoy.logs();
    // Natively it is never our own.
    assert!(logs.iter().any(|line| line.message.ends_with("AES-256-GCM: portable")), "{logs:?}");
}
