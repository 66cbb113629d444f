//! The clusters of envoy/stores, checked by Envoy in the place of the reference configuration's.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use e2e::envoy::{Configuration, validate};
use e2e::pki::Ca;
use e2e::workspace::root;
use serde_json::{Value, json};

use crate::stacks::setup;

const STORES: [&str; 5] = ["aws", "ceph", "gcs", "minio", "r2"];

/// Certificates that the files name, and that need not be there on the machine that tests.
const TRUSTED: [&str; 2] = ["/etc/ssl/certs/ca-certificates.crt", "/etc/s3ep/store-ca.pem"];

#[test]
fn envoy_accepts_the_cluster_of_every_store() {
    for store in STORES {
        check(store, cluster(store));
    }
}

#[test]
fn envoy_accepts_every_way_to_credentials() {
    let ways: BTreeMap<String, Value> = serde_saphyr::from_str(&read("credentials")).unwrap();
    assert_eq!(ways.len(), 6);
    for (name, way) in ways {
        let mut cluster = cluster("aws");
        signing(&mut cluster)["credential_provider"] = way;
        check(&name, cluster);
    }
}

/// A store's host stands in four places of its file, and its port in two.
#[test]
fn a_store_is_asked_for_by_one_name() {
    for store in STORES {
        let mut cluster = cluster(store);
        let tls = &cluster["transport_socket"]["typed_config"];
        let san = &tls["common_tls_context"]["validation_context"]["match_typed_subject_alt_names"];
        assert_eq!(*san, json!([{ "san_type": "DNS", "matcher": { "exact": tls["sni"] } }]), "{store}");
        let endpoint = &cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"];
        let address = endpoint["address"]["socket_address"].clone();
        assert_eq!(address["address"], tls["sni"], "{store}");
        // Envoy asks for a host without the default port, and the store signs over the same.
        let authority = match (address["address"].as_str().unwrap(), address["port_value"].as_u64().unwrap()) {
            (host, 443) => host.to_owned(),
            (host, port) => format!("{host}:{port}"),
        };
        assert_eq!(signing(&mut cluster)["host_rewrite"], authority, "{store}");
    }
}

/// A store that the tests do not know is one that they do not check.
#[test]
fn every_file_is_checked() {
    let files = fs::read_dir(root().join("envoy/stores")).unwrap();
    let mut names: Vec<_> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    let mut known: Vec<_> = STORES.iter().chain(&["credentials"]).map(|name| format!("{name}.yaml")).collect();
    known.sort();
    assert_eq!(names, known);
}

fn check(case: &str, cluster: Value) {
    let folder = tempfile::tempdir().unwrap();
    let mut configuration = Configuration::reference().unwrap();
    configuration.set_filter(&setup().wasm);
    configuration.set_cluster(trusting(cluster, folder.path()));
    let file = folder.path().join("envoy.json");
    configuration.write(&file).unwrap();
    let said = validate(&setup().envoy, &file, &[("S3EP_KMS_SHIM_TOKEN", "token"), ("S3EP_CLIENT_SECRET", "secret")]);
    let said = said.unwrap_or_else(|error| panic!("{case}: {error:#}"));
    assert!(!said.to_lowercase().contains("deprecated"), "{case}: {said}");
}

/// The cluster with a CA that is there.
fn trusting(mut cluster: Value, folder: &Path) -> Value {
    let context = &mut cluster["transport_socket"]["typed_config"]["common_tls_context"]["validation_context"];
    let file = &mut context["trusted_ca"]["filename"];
    assert!(TRUSTED.iter().any(|trusted| *file == *trusted), "{file}");
    *file = json!(Ca::generate().write_as(folder, "ca"));
    cluster
}

fn cluster(store: &str) -> Value {
    serde_saphyr::from_str(&read(store)).unwrap()
}

fn read(name: &str) -> String {
    fs::read_to_string(root().join(format!("envoy/stores/{name}.yaml"))).unwrap()
}

fn signing(cluster: &mut Value) -> &mut Value {
    let options = &mut cluster["typed_extension_protocol_options"];
    let filters = &mut options["envoy.extensions.upstreams.http.v3.HttpProtocolOptions"]["http_filters"];
    assert_eq!(filters[0]["name"], "envoy.filters.http.aws_request_signing");
    &mut filters[0]["typed_config"]
}
