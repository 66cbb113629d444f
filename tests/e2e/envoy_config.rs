//! The reference configuration, checked by Envoy itself.

use e2e::envoy::{Configuration, validate};
use serde_json::{Value, json};

use crate::stacks::setup;

/// A name, and a change to the filter's configuration.
type Case = (&'static str, fn(&mut Value));

const SECRETS: &[(&str, &str)] = &[("S3EP_KMS_SHIM_TOKEN", "token"), ("S3EP_CLIENT_SECRET", "secret")];

fn check(change: impl FnOnce(&mut Value), variables: &[(&str, &str)]) -> anyhow::Result<String> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("envoy.json");
    let mut configuration = Configuration::reference()?;
    configuration.set_filter(&setup().wasm);
    configuration.plugin(change);
    configuration.write(&file)?;
    validate(&setup().envoy, &file, variables)
}

#[test]
fn envoy_accepts_it() {
    let said = check(|_| {}, SECRETS).unwrap();
    assert!(said.contains("OK"), "{said}");
    // Nothing in it is deprecated, or ignored.
    assert!(!said.to_lowercase().contains("deprecated"), "{said}");
}

/// The filter reads its configuration at start-up, so a bad one keeps Envoy from starting rather than from encrypting.
#[test]
fn envoy_refuses_what_the_filter_refuses() {
    let cases: [Case; 4] = [
        ("no auth", |plugin| drop(plugin.as_object_mut().unwrap().remove("auth"))),
        ("an unknown field", |plugin| plugin["unheard_of"] = json!(1)),
        ("no keys", |plugin| plugin["keys"] = json!({})),
        ("a cluster without a name", |plugin| plugin["keys"]["envelope"]["cluster"] = json!("")),
    ];
    for (case, change) in cases {
        assert!(check(change, SECRETS).is_err(), "{case}");
    }
    for missing in 0..SECRETS.len() {
        assert!(check(|_| {}, &SECRETS[missing..=missing]).is_err(), "a secret is not in the environment");
    }
}
