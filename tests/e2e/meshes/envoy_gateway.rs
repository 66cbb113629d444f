//! envoy/gateway/s3ep.yaml, and what Envoy Gateway itself makes of it.

mod manifests;
mod names;
mod standalone;
mod statuses;

use e2e::at_rest::AtRest;
use e2e::client::{Endpoint, Response, S3Client};
use e2e::listing::sizes;
use e2e::plaintext::random;
use serde_json::{Value, json};

use self::standalone::Standalone;
use super::dump::Dump;
use super::{is_part, manifest, reference};
use crate::metrics::{prometheus, wait_for};
use crate::stacks;

/// What the EnvoyPatchPolicy puts in the place of the store's HTTP options.
pub fn options_patch(documents: &[Value]) -> &Value {
    patched(documents, "/typed_extension_protocol_options")
}

/// What it adds for failures that Envoy itself answers.
pub fn local_reply_config(documents: &[Value]) -> &Value {
    patched(documents, "/filter_chains/0/filters/0/typed_config/local_reply_config")
}

/// What an EnvoyProxy adds to Envoy's own configuration.
pub fn bootstrap(proxy: &Value) -> Value {
    assert_eq!(proxy["bootstrap"]["type"], "Merge");
    serde_saphyr::from_str(proxy["bootstrap"]["value"].as_str().unwrap()).unwrap()
}

fn patched<'a>(documents: &'a [Value], path: &str) -> &'a Value {
    let patches = manifest(documents, "EnvoyPatchPolicy", "s3ep")["jsonPatches"].as_array().unwrap();
    &patches.iter().find(|patch| patch["operation"]["path"] == path).unwrap()["operation"]["value"]
}

#[test]
fn envoy_gateway_runs_the_manifests() {
    let Some(gateway) = Standalone::start().unwrap() else {
        stacks::say("SKIPPED Envoy Gateway: there is no Go to build it and the full store with");
        return;
    };
    statuses::check(&gateway);
    configuration(&gateway);
    requests(&gateway);
    access_log(&gateway);
    metrics(&gateway);
    no_image(&gateway);
    no_filter(&gateway);
}

/// What has come to Envoy.
fn configuration(gateway: &Standalone) {
    let dump = gateway.configuration();
    let manager = connection_manager(&dump);
    let expected = super::connection_manager(&reference());
    for field in [
        "http2_protocol_options",
        "local_reply_config",
        "normalize_path",
        "path_with_escaped_slashes_action",
        "preserve_external_request_id",
        "request_headers_timeout",
        "server_header_transformation",
        "stream_idle_timeout",
        "use_remote_address",
    ] {
        assert!(is_part(&expected[field], &manager[field]), "{field}: {}", manager[field]);
    }
    assert_eq!(log_format(manager), log_format(&expected));
    // What is not there is off.
    assert_eq!(manager["merge_slashes"], Value::Null);
    assert_eq!(manager["request_timeout"], "0s");

    let filters = manager["http_filters"].as_array().unwrap();
    assert_eq!(filters.len(), 2, "{filters:?}");
    assert_eq!(filters[0]["typed_config"]["config"]["name"], "s3ep");
    assert_eq!(filters[0]["typed_config"]["config"]["failure_policy"], "FAIL_RELOAD");
    assert_eq!(filters[1]["name"], "envoy.filters.http.router");

    let route = first_route(&dump);
    assert_eq!(route["route"]["cluster"], "httproute/s3ep/s3ep/rule/0");
    assert_eq!(route["route"]["timeout"], "0s");
    assert_eq!(route["route"]["retry_policy"], Value::Null);
    assert_eq!(route["route"]["upgrade_configs"], Value::Null);
    let removed = json!(["x-forwarded-for", "x-forwarded-proto", "x-envoy-external-address"]);
    assert_eq!(route["request_headers_to_remove"], removed);
    // The filter is there for all routes, and in force for those that ask for it.
    assert_eq!(filters[0]["disabled"], true);
    let here = &route["typed_per_filter_config"][filters[0]["name"].as_str().unwrap()];
    assert!(here.is_object() && here["disabled"] != true, "{here}");

    let store = dump.cluster("httproute/s3ep/s3ep/rule/0");
    assert_eq!(store["connect_timeout"], "5s");
    assert_eq!(store["per_connection_buffer_limit_bytes"], 262_144);
    dump.cluster("kms_shim");
}

fn connection_manager(dump: &Dump) -> &Value {
    &dump.listener("s3ep/s3ep/https")["filter_chains"][0]["filters"][0]["typed_config"]
}

fn first_route(dump: &Dump) -> &Value {
    &dump.route("s3ep/s3ep/https")["virtual_hosts"][0]["routes"][0]
}

fn log_format(manager: &Value) -> &str {
    let format = &manager["access_log"][0]["typed_config"]["log_format"];
    format["text_format_source"]["inline_string"].as_str().unwrap_or_else(|| panic!("{format}"))
}

fn requests(gateway: &Standalone) {
    let client = &gateway.client;
    let plaintext = random(200_000, 1);
    let object_key = "gateway/an object";
    client.put(object_key, &plaintext).unwrap();
    assert!(client.get(object_key).unwrap().body == plaintext);
    let range = client.object("GET", object_key).header("range", "bytes=65000-66000").send(&[]).unwrap();
    assert!(range.expect(206).unwrap().body == plaintext[65_000..=66_000]);
    assert_eq!(sizes(client, "list-type=2").unwrap(), [(object_key.to_owned(), 200_000)]);
    AtRest::read(&gateway.direct, object_key).unwrap().check_sealed(&plaintext).unwrap();

    client.object("GET", object_key).send_unsigned().unwrap().expect(403).unwrap();
    let endpoint = Endpoint { secret_key: "another".to_owned(), ..client.endpoint.clone() };
    let stranger = S3Client::new(endpoint, &client.bucket);
    let refused = |answer: Response| answer.expect(403).unwrap().error_code().unwrap();
    assert_eq!(refused(stranger.object("GET", object_key).send(&[]).unwrap()), "SignatureDoesNotMatch");
    assert_eq!(refused(stranger.object("PUT", "refused").send(b"plaintext").unwrap()), "SignatureDoesNotMatch");
    gateway.direct.object("HEAD", "refused").send(&[]).unwrap().expect(404).unwrap();
    // The store hears the path that was signed, whatever it thinks of it.
    for object_key in ["gateway//object", "gateway/./object", "gateway/a/../object"] {
        let answer = client.object("GET", object_key).send(&[]).unwrap();
        assert!(matches!(answer.status, 400 | 404), "{object_key}: {}", answer.status);
        let resource = format!("<Resource>{}</Resource>", client.object_path(object_key));
        assert!(String::from_utf8_lossy(&answer.body).contains(&resource), "{answer:?}");
    }
}

fn access_log(gateway: &Standalone) {
    let call = gateway.client.object("GET", "logged").query("X-Amz-Signature=5ec7e7");
    assert!((400..500).contains(&call.send(&[]).unwrap().status));
    let log = gateway.log_with(&format!("GET {} HTTP/1.1", gateway.client.object_path("logged")));
    assert!(!log.contains("5ec7e7"), "a signature is in the log");
    assert!(log.contains("s3ep=GetObject"), "the filter's fields are not in the log");
}

fn metrics(gateway: &Standalone) {
    let line = "s3ep_requests{s3ep_operation=\"PutObject\"} 1";
    wait_for(line, || prometheus(&gateway.admin_url), |text| text.lines().any(|shown| shown == line));
}

/// An image that cannot be pulled does not make way for plaintext.
fn no_image(gateway: &Standalone) {
    let change = |documents: &mut Vec<Value>| {
        let policy = documents.iter_mut().find(|document| document["kind"] == "EnvoyExtensionPolicy").unwrap();
        let url = &mut policy["spec"]["wasm"][0]["code"]["image"]["url"];
        *url = json!(url.as_str().unwrap().replace(":0.1.0", ":0.2.0"));
    };
    gateway.change(change, |dump| !first_route(dump)["direct_response"].is_null());
    nothing_is_stored(gateway, "no image", 500);
}

/// Nor does an EnvoyExtensionPolicy that somebody has deleted: what still has a client's signature is not signed anew.
fn no_filter(gateway: &Standalone) {
    let change = |documents: &mut Vec<Value>| documents.retain(|document| document["kind"] != "EnvoyExtensionPolicy");
    gateway.change(change, |dump| {
        let filters = connection_manager(dump)["http_filters"].as_array().unwrap();
        filters.len() == 1 && first_route(dump)["direct_response"].is_null()
    });
    let answer = nothing_is_stored(gateway, "no filter", 503);
    assert!(String::from_utf8_lossy(&answer.body).contains("The s3ep filter is missing."), "{answer:?}");
}

fn nothing_is_stored(gateway: &Standalone, object_key: &str, status: u16) -> Response {
    let answer = gateway.client.object("PUT", object_key).send(b"plaintext").unwrap().expect(status).unwrap();
    gateway.direct.object("HEAD", object_key).send(&[]).unwrap().expect(404).unwrap();
    answer
}
