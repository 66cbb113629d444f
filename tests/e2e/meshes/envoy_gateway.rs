//! What Envoy Gateway makes of envoy/gateway/s3ep.yaml: after what its own tests of its translator expect
//! (internal/xds/translator/testdata), with the patches applied as it applies them.

use serde_json::{Value, json};

use super::{assert_clusters_are_there, manifest, wasm_filter};

const NAMESPACE: &str = "s3ep";
const LISTENER: &str = "type.googleapis.com/envoy.config.listener.v3.Listener";
const CLUSTER: &str = "type.googleapis.com/envoy.config.cluster.v3.Cluster";

/// An Envoy configuration with a listener, the clusters, and the filter.
pub fn configuration(documents: &[Value]) -> Value {
    let plugin = &manifest(documents, "EnvoyExtensionPolicy", "s3ep")["wasm"][0];
    let mut resources = vec![(LISTENER, listener(plugin)), (CLUSTER, store(documents))];
    for patch in patches(documents) {
        apply(patch, &mut resources);
    }
    let of = |kind| resources.iter().filter(|(of, _)| *of == kind).map(|(_, resource)| resource.clone()).collect();
    let (listeners, clusters): (Value, Value) = (of(LISTENER), of(CLUSTER));
    assert_clusters_are_there(&plugin["config"], &clusters);
    let manager = &listeners[0]["filter_chains"][0]["filters"][0]["typed_config"];
    assert_eq!(manager["normalize_path"], false);
    assert_eq!(manager["http_filters"][0]["typed_config"]["config"]["failure_policy"], "FAIL_RELOAD");
    json!({ "static_resources": { "listeners": listeners, "clusters": clusters } })
}

/// What the EnvoyPatchPolicy puts in the place of the store's HTTP options.
pub fn options_patch(documents: &[Value]) -> &Value {
    patched(documents, "/typed_extension_protocol_options")
}

/// What it adds for failures that Envoy itself answers.
pub fn local_reply_config(documents: &[Value]) -> &Value {
    patched(documents, "/filter_chains/0/filters/0/typed_config/local_reply_config")
}

fn patched<'a>(documents: &'a [Value], path: &str) -> &'a Value {
    &patches(documents).iter().find(|patch| patch["operation"]["path"] == path).unwrap()["operation"]["value"]
}

fn patches(documents: &[Value]) -> &[Value] {
    manifest(documents, "EnvoyPatchPolicy", "s3ep")["jsonPatches"].as_array().unwrap()
}

/// Applies a JSON patch to the resource that it is for, or makes a new one.
fn apply(patch: &Value, resources: &mut Vec<(&'static str, Value)>) {
    let kind = [LISTENER, CLUSTER].into_iter().find(|kind| patch["type"] == *kind).unwrap();
    let operation = &patch["operation"];
    if operation["path"] == "" {
        assert_eq!(operation["value"]["name"], patch["name"]);
        resources.push((kind, operation["value"].clone()));
        return;
    }
    let named = |(of, resource): &&mut (&str, Value)| *of == kind && resource["name"] == patch["name"];
    let (_, resource) = resources.iter_mut().find(named).unwrap_or_else(|| panic!("no {}", patch["name"]));
    let path = pointer(operation, resource);
    let (parent, field) = path.rsplit_once('/').unwrap();
    let parent = resource.pointer_mut(parent).unwrap_or_else(|| panic!("no {parent}"));
    let before = parent.as_object_mut().unwrap().insert(field.to_owned(), operation["value"].clone());
    // `replace` needs something to replace, while `add` does either.
    assert!(before.is_some() || operation["op"] == "add", "{path}");
}

/// The place that a patch is for. Of JSONPath, what envoy/gateway/s3ep.yaml uses.
fn pointer(operation: &Value, resource: &Value) -> String {
    let path = operation["path"].as_str().unwrap();
    let Some(json_path) = operation["jsonPath"].as_str() else { return path.to_owned() };
    let filters = "/filter_chains/0/filters/0/typed_config/http_filters";
    let name = json_path.strip_prefix("$.filter_chains[0].filters[0].typed_config.http_filters[?(@.name=='").unwrap();
    let name = name.strip_suffix("')].typed_config.config").unwrap();
    let mut known = resource.pointer(filters).unwrap().as_array().unwrap().iter();
    let index = known.position(|filter| filter["name"] == name).unwrap_or_else(|| panic!("no {name}"));
    format!("{filters}/{index}/typed_config/config{path}")
}

fn listener(plugin: &Value) -> Value {
    let name = format!("envoy.filters.http.wasm/envoyextensionpolicy/{NAMESPACE}/s3ep/wasm/0");
    assert_eq!(plugin["failOpen"], false);
    let mut filter = wasm_filter(&name, &plugin["config"], &plugin["env"]["hostKeys"]);
    // The filter is there for all routes, and in force for those that ask for it.
    filter["disabled"] = json!(true);
    let manager = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "https-10443",
        "normalize_path": true,
        "http_filters": [filter, {
            "name": "envoy.filters.http.router",
            "typed_config": { "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" },
        }],
        "route_config": { "virtual_hosts": [{ "name": "s3", "domains": ["s3.example.com"], "routes": [{
            "match": { "prefix": "/" },
            "route": { "cluster": store_name(), "timeout": "0s" },
            "typed_per_filter_config": {
                name: { "@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig", "config": {} },
            },
        }] }] },
    });
    json!({
        "name": format!("{NAMESPACE}/s3ep/https"),
        "address": { "socket_address": { "address": "127.0.0.1", "port_value": 10443 } },
        "filter_chains": [{
            "filters": [{ "name": "envoy.filters.network.http_connection_manager", "typed_config": manager }],
        }],
    })
}

fn store_name() -> String {
    format!("httproute/{NAMESPACE}/s3ep/rule/0")
}

/// The store's cluster, of the Backend and the BackendTLSPolicy.
fn store(documents: &[Value]) -> Value {
    let fqdn = &manifest(documents, "Backend", "s3")["endpoints"][0]["fqdn"];
    let validation = &manifest(documents, "BackendTLSPolicy", "s3")["validation"];
    assert_eq!(validation["wellKnownCACertificates"], "System");
    json!({
        "name": store_name(),
        "type": "STRICT_DNS",
        "load_assignment": {
            "cluster_name": store_name(),
            "endpoints": [{ "lb_endpoints": [{ "endpoint": { "address": { "socket_address": {
                "address": fqdn["hostname"], "port_value": fqdn["port"],
            } } } }] }],
        },
        "transport_socket": {
            "name": "envoy.transport_sockets.tls",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
                "sni": validation["hostname"],
                "common_tls_context": {
                    "validation_context": {
                        "trusted_ca": { "filename": "/etc/ssl/certs/ca-certificates.crt" },
                        "match_typed_subject_alt_names": [
                            { "san_type": "DNS", "matcher": { "exact": validation["hostname"] } },
                        ],
                    },
                },
            },
        },
    })
}
