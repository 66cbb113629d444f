//! What Istio makes of envoy/istio/s3ep.yaml: after pilot/pkg/model/extensions.go, pilot/pkg/networking/core/envoyfilter and
//! pkg/proto/merge, in JSON's terms.

use serde_json::{Map, Value, json};

use super::{assert_clusters_are_there, manifest, wasm_filter};

/// An Envoy configuration with a listener, the clusters, and the filter.
pub fn configuration(documents: &[Value]) -> Value {
    let plugin = manifest(documents, "WasmPlugin", "s3ep");
    let mut clusters = json!([store(documents), kms_shim(documents)]);
    merge(&mut clusters[0], patch(documents, "CLUSTER"));
    assert_clusters_are_there(&plugin["pluginConfig"], &clusters);

    let route = json!({
        "virtual_hosts": [{ "name": "s3", "domains": ["*"], "routes": [{
            "match": { "prefix": "/" }, "route": { "cluster": clusters[0]["name"], "timeout": "0s" },
        }] }],
    });
    let mut manager = json!({
        "name": "envoy.filters.network.http_connection_manager",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": "outbound_0.0.0.0_9000",
            // The MeshConfig's part.
            "normalize_path": false,
            "http_filters": [filter(plugin), {
                "name": "envoy.filters.http.router",
                "typed_config": { "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" },
            }],
            "route_config": route,
        },
    });
    merge(&mut manager, patch(documents, "NETWORK_FILTER"));
    let mut listener = json!({
        "name": "0.0.0.0_9000",
        "address": { "socket_address": { "address": "127.0.0.1", "port_value": 9000 } },
        "filter_chains": [{ "filters": [manager] }],
    });
    merge(&mut listener, patch(documents, "LISTENER"));
    json!({ "static_resources": { "listeners": [listener], "clusters": clusters } })
}

/// What the EnvoyFilter puts in the place of the store's HTTP options.
pub fn options_patch(documents: &[Value]) -> &Value {
    &patch(documents, "CLUSTER")["typed_extension_protocol_options"]
}

/// What it adds to the connection manager.
pub fn connection_manager_patch(documents: &[Value]) -> &Value {
    &patch(documents, "NETWORK_FILTER")["typed_config"]
}

fn patch<'a>(documents: &'a [Value], apply_to: &str) -> &'a Value {
    let patches = manifest(documents, "EnvoyFilter", "s3ep")["configPatches"].as_array().unwrap();
    let patch = &patches.iter().find(|patch| patch["applyTo"] == apply_to).unwrap()["patch"];
    assert_eq!(patch["operation"], "MERGE");
    &patch["value"]
}

fn filter(plugin: &Value) -> Value {
    let variables = plugin["vmConfig"]["env"].as_array().unwrap();
    assert!(variables.iter().all(|variable| variable["valueFrom"] == "HOST"), "{variables:?}");
    let variables = variables.iter().map(|variable| variable["name"].clone()).collect();
    let mut filter = wasm_filter("s3ep.s3ep", &plugin["pluginConfig"], &variables);
    filter["typed_config"]["config"]["failure_policy"] = match plugin["failStrategy"].as_str() {
        Some("FAIL_CLOSE") => json!("FAIL_CLOSED"),
        _ => plugin["failStrategy"].clone(),
    };
    filter
}

/// The store's cluster, of the ServiceEntry and the DestinationRule.
fn store(documents: &[Value]) -> Value {
    let entry = manifest(documents, "ServiceEntry", "s3");
    let host = entry["hosts"][0].as_str().unwrap();
    let port = &entry["ports"][0];
    let address = json!({ "address": host, "port_value": port["targetPort"] });
    let mut cluster = cluster(host, &port["number"], address, manifest(documents, "DestinationRule", "s3"));
    cluster["type"] = json!("LOGICAL_DNS");
    cluster
}

/// kms-shim's, of its Service and the DestinationRule.
fn kms_shim(documents: &[Value]) -> Value {
    let rule = manifest(documents, "DestinationRule", "kms-shim");
    let host = rule["host"].as_str().unwrap();
    cluster(host, &json!(8181), json!({ "address": host, "port_value": 8181 }), rule)
}

fn cluster(host: &str, port: &Value, address: Value, rule: &Value) -> Value {
    assert_eq!(rule["host"], host);
    let tls = &rule["trafficPolicy"]["tls"];
    assert_eq!(tls["mode"], "SIMPLE");
    let ca = match tls["caCertificates"].as_str().unwrap() {
        "system" => "/etc/ssl/certs/ca-certificates.crt",
        file => file,
    };
    let name = format!("outbound|{port}||{host}");
    json!({
        "name": name,
        "type": "STRICT_DNS",
        "connect_timeout": rule["trafficPolicy"]["connectionPool"]["tcp"]["connectTimeout"],
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{ "lb_endpoints": [{ "endpoint": { "address": { "socket_address": address } } }] }],
        },
        "transport_socket": {
            "name": "envoy.transport_sockets.tls",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
                "sni": tls["sni"],
                "common_tls_context": {
                    "validation_context": {
                        "trusted_ca": { "filename": ca },
                        "match_typed_subject_alt_names": [
                            { "san_type": "DNS", "matcher": { "exact": tls["subjectAltNames"][0] } },
                        ],
                    },
                },
            },
        },
    })
}

/// Merges as Istio merges messages: fields of fields, while lists grow.
fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => merge_fields(into, from),
        (Value::Array(into), Value::Array(from)) => into.extend(from.iter().cloned()),
        (into, from) => *into = from.clone(),
    }
}

fn merge_fields(into: &mut Map<String, Value>, from: &Map<String, Value>) {
    for (name, value) in from {
        match into.get_mut(name) {
            // A map, whose entries take the place of those with the same key.
            Some(Value::Object(into)) if name == "typed_extension_protocol_options" => {
                into.extend(value.as_object().unwrap().clone());
            }
            Some(field) => merge(field, value),
            None => drop(into.insert(name.clone(), value.clone())),
        }
    }
}
