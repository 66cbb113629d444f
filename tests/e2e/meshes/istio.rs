//! Istio itself with envoy/istio: istiod takes the manifests, and makes pods and Envoy's configuration of them; its agent gets
//! certificates from it, pulls the filter's image, and starts Envoy. What it lacks of a cluster is in [`mesh`].

mod mesh;

use e2e::at_rest::AtRest;
use e2e::istio::proxy::container;
use e2e::listing::sizes;
use e2e::plaintext::random;
use serde_json::{Value, json};

use self::mesh::{Change, Mesh, PORT, Role};
use super::dump::Dump;
use super::needs::{KMS_SHIM, STORE};
use super::{http_filters, is_part, manifest};
use crate::metrics::{prometheus, wait_for};

#[test]
fn istio_gateway_encrypts() {
    let Some(mut mesh) = Mesh::start(Role::Gateway, |_, _| {}) else { return };
    check_admission(&mesh);
    check_configuration(&mesh);
    let dump = mesh.configuration();
    assert!(connection_manager(&dump)["http_filters"].to_string().contains("envoy.filters.http.rbac"));
    check_traffic(&mut mesh);
}

#[test]
fn istio_sidecar_encrypts() {
    let Some(mut mesh) = Mesh::start(Role::Sidecar, |_, _| {}) else { return };
    check_admission(&mesh);
    check_configuration(&mesh);
    check_traffic(&mut mesh);
}

/// A mesh in which the filter is missing lets nothing through that a client has signed.
#[test]
fn istio_without_the_filter_stores_nothing() {
    let no_plugin: Change = |manifests, _| manifests.retain(|it| it["kind"] != "WasmPlugin");
    let no_image: Change = |manifests, _| {
        let plugin = manifests.iter_mut().find(|it| it["kind"] == "WasmPlugin").unwrap();
        plugin["spec"]["url"] = json!(format!("{}-missing", plugin["spec"]["url"].as_str().unwrap()));
    };
    for (change, status, text) in
        [(no_plugin, 503, "The s3ep filter is missing."), (no_image, 403, "RBAC: access denied")]
    {
        let Some(mesh) = Mesh::start(Role::Sidecar, change) else { return };
        let put = mesh.client.object("PUT", "plaintext").send(b"plaintext").unwrap().expect(status).unwrap();
        assert!(String::from_utf8_lossy(&put.body).contains(text), "{put:?}");
        mesh.direct.object("HEAD", "plaintext").send(&[]).unwrap().expect(404).unwrap();
    }
}

/// Without the MeshConfig that the README asks for, Istio changes paths.
#[test]
fn istio_normalizes_paths_unless_told_otherwise() {
    let Some(mesh) = Mesh::start(Role::Sidecar, |_, mesh| *mesh = json!({})) else { return };
    assert_eq!(connection_manager(&mesh.configuration())["normalize_path"], true);
}

/// What is added to Envoy's own configuration.
pub fn bootstrap(documents: &[Value]) -> Value {
    let text = &documents.iter().find(|it| it["kind"] == "ConfigMap").unwrap()["data"]["custom_bootstrap.json"];
    serde_saphyr::from_str(text.as_str().unwrap()).unwrap()
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

/// The listener that clients meet.
fn listener(dump: &Dump) -> &Value {
    dump.listener(&format!("0.0.0.0_{PORT}"))
}

fn connection_manager(dump: &Dump) -> &Value {
    let listener = listener(dump);
    let [chain] = listener["filter_chains"].as_array().unwrap().as_slice() else { panic!("{listener}") };
    let [connection_manager] = chain["filters"].as_array().unwrap().as_slice() else { panic!("{chain}") };
    &connection_manager["typed_config"]
}

/// istiod takes the manifests, and leaves the proxy's container what they give it.
fn check_admission(mesh: &Mesh) {
    let of_istio = mesh.manifests.iter().filter(|it| it["apiVersion"].as_str().unwrap().contains(".istio.io/"));
    let taken: Vec<_> = of_istio.map(|manifest| mesh.istiod.validate(manifest).unwrap()).collect();
    assert!(taken.len() >= 6, "{}", taken.len());
    let mut wrong = mesh.manifests.iter().find(|it| it["kind"] == "VirtualService").unwrap().clone();
    wrong["spec"]["http"][0]["retries"] = json!({ "attempts": -1 });
    assert!(mesh.istiod.validate(&wrong).is_err());

    let container = container(&mesh.pod).unwrap();
    let deployment = mesh.manifests.iter().find(|it| it["kind"] == "Deployment").unwrap();
    let mut containers = deployment["spec"]["template"]["spec"]["containers"].as_array().unwrap().iter();
    let ours = containers.find(|it| it["name"] == "istio-proxy").unwrap();
    for list in ["env", "volumeMounts"] {
        for member in ours[list].as_array().unwrap() {
            assert!(container[list].as_array().unwrap().contains(member), "{member} is not in {container:#}");
        }
    }
    assert_eq!(container["resources"]["requests"], ours["resources"]["requests"]);
    assert_eq!(mesh.pod["metadata"]["labels"]["s3ep"], "enabled");
}

/// What Istio made of the manifests is in Envoy, and it is what they say.
fn check_configuration(mesh: &Mesh) {
    let dump = mesh.configuration();
    assert_eq!(listener(&dump)["per_connection_buffer_limit_bytes"], 262_144);
    let connection_manager = connection_manager(&dump);
    assert!(is_part(connection_manager_patch(&mesh.manifests), connection_manager), "{connection_manager:#}");
    assert_eq!(connection_manager["normalize_path"], false);
    assert_eq!(connection_manager["merge_slashes"], Value::Null);
    check_filter(mesh, &dump, &connection_manager["http_filters"]);
    check_routes(mesh, &dump, connection_manager["rds"]["route_config_name"].as_str().unwrap());
    check_clusters(mesh, &dump);
    let rejected =
        mesh.proxy.log().lines().find(|line| line.contains("rejected") || line.contains("NACK")).map(str::to_owned);
    assert_eq!(rejected, None);
}

/// The filter is there, with its configuration, and before all others.
fn check_filter(mesh: &Mesh, dump: &Dump, filters: &Value) {
    let plugin = manifest(&mesh.manifests, "WasmPlugin", "s3ep");
    let [ecds] = dump.discovered_filters() else { panic!("{:?}", dump.discovered_filters()) };
    let ecds = &ecds["ecds_filter"];
    assert_eq!(filters[0]["name"], ecds["name"]);
    assert!(filters[0]["config_discovery"].is_object(), "{filters}");
    let config = &ecds["typed_config"]["config"];
    assert_eq!(config["failure_policy"], "FAIL_RELOAD");
    let configuration: Value = serde_json::from_str(config["configuration"]["value"].as_str().unwrap()).unwrap();
    assert_eq!(configuration, plugin["pluginConfig"]);
}

/// Nothing is tried again, and nothing ends because it takes long.
fn check_routes(mesh: &Mesh, dump: &Dump, name: &str) {
    let hosts = dump.route(name)["virtual_hosts"].as_array().unwrap();
    let routes: Vec<_> = hosts.iter().flat_map(|host| host["routes"].as_array().unwrap()).collect();
    let store = &manifest(&mesh.manifests, "WasmPlugin", "s3ep")["pluginConfig"]["store"]["cluster"];
    assert!(routes.iter().any(|route| route["route"]["cluster"] == *store), "{hosts:?}");
    for route in routes {
        assert_eq!(route["route"]["timeout"], "0s", "{route}");
        assert_eq!(route["route"]["retry_policy"], Value::Null, "{route}");
    }
    assert!(hosts.iter().all(|host| host["retry_policy"].is_null()), "{hosts:?}");
}

/// The clusters have the names that the filter knows them by, and what the EnvoyFilter and the DestinationRules want.
fn check_clusters(mesh: &Mesh, dump: &Dump) {
    let plugin = &manifest(&mesh.manifests, "WasmPlugin", "s3ep")["pluginConfig"];
    let store = dump.cluster(plugin["store"]["cluster"].as_str().unwrap());
    assert_eq!(store["per_connection_buffer_limit_bytes"], 262_144);
    assert_eq!(store["type"], "LOGICAL_DNS");
    // What is secret in it, Envoy does not show.
    let mut expected = options_patch(&mesh.manifests).clone();
    let mut options = store["typed_extension_protocol_options"].clone();
    for options in [&mut expected, &mut options] {
        let provider = options.pointer_mut(CREDENTIALS).unwrap_or_else(|| panic!("{store:#}"));
        provider["credentials_file_provider"].take();
    }
    assert_eq!(options, expected);
    assert_eq!(http_filters(&options).len(), 3);
    let kms_shim = dump.cluster(plugin["keys"]["envelope"]["cluster"].as_str().unwrap());
    let options = &kms_shim["typed_extension_protocol_options"][super::HTTP_OPTIONS];
    assert_eq!(options["common_http_protocol_options"]["idle_timeout"], "10s");
    assert_eq!(kms_shim["circuit_breakers"]["thresholds"][0]["max_connections"], 128);
    for (cluster, name, timeout) in [(store, STORE, "5s"), (kms_shim, KMS_SHIM, "2s")] {
        let tls = &cluster["transport_socket"]["typed_config"];
        assert_eq!(tls["sni"], name);
        assert!(tls["common_tls_context"].to_string().contains(&json!({ "exact": name }).to_string()), "{tls:#}");
        assert_eq!(cluster["connect_timeout"], timeout);
    }
}

const CREDENTIALS: &str =
    "/envoy.extensions.upstreams.http.v3.HttpProtocolOptions/http_filters/1/typed_config/credential_provider";

fn check_traffic(mesh: &mut Mesh) {
    let client = &mesh.client;
    let plaintext = random(3_000_000, 1);
    let object_key = "a/b c%2Fd+ü";
    client.put(object_key, &plaintext).unwrap();
    assert!(client.get(object_key).unwrap().body == plaintext);
    AtRest::read(&mesh.direct, object_key).unwrap().check_sealed(&plaintext).unwrap();
    let part = client.object("GET", object_key).header("range", "bytes=100000-200000").send(&[]).unwrap();
    assert!(part.expect(206).unwrap().body == plaintext[100_000..=200_000]);
    assert_eq!(sizes(client, "list-type=2").unwrap(), [(object_key.to_owned(), 3_000_000)]);

    let refused = client.object("GET", object_key).send_unsigned().unwrap();
    assert_eq!((refused.status, refused.error_code().unwrap().as_str()), (403, "AccessDenied"));
    // The path reaches filter and store as it is: otherwise the signature would not be right. MinIO itself takes no such names.
    for odd in ["a//b", "a/../b", "a/./b"] {
        let answer = client.object("PUT", odd).send(b"x").unwrap().expect(400).unwrap();
        assert!(answer.error_code().unwrap().starts_with("XMinio"), "{odd}: {answer:?}");
    }
    // A client may have signed it. Of the second one, tracing takes a sample.
    for id in ["6ba7b810-9dad-41d1-80b4-00c04fd430c8", "00000000-9dad-41d1-80b4-00c04fd430c8"] {
        client.object("GET", object_key).header("x-request-id", id).send(&[]).unwrap().expect(200).unwrap();
    }

    let metric = "s3ep_requests{s3ep_operation=\"PutObject\"} ";
    wait_for(metric, || prometheus(&mesh.proxy.admin_url), |text| text.contains(metric));

    mesh.store.stop().unwrap();
    let put = mesh.client.object("PUT", "store-down").send(b"x").unwrap();
    assert_eq!((put.status, put.error_code().unwrap().as_str()), (503, "ServiceUnavailable"));
}
