//! The manifests for Istio, Envoy Gateway and Kubernetes: against the schemas of their kinds, and what the two meshes make of
//! them. Both run here, without a cluster.

mod dump;
mod envoy_gateway;
mod istio;
mod needs;

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use e2e::process::run;
use e2e::python::environment;
use e2e::stack::Mode;
use e2e::store::StoreKind;
use e2e::workspace::root;
use serde_json::{Value, json};

use crate::stacks::{self, LogsOnPanic};

const MANIFESTS: [&str; 5] = [
    "envoy/gateway/s3ep.yaml",
    "envoy/istio/gateway.yaml",
    "envoy/istio/s3ep.yaml",
    "envoy/istio/sidecar.yaml",
    "kms-shim/kubernetes.yaml",
];

/// Where the CustomResourceDefinitions are. Envoy Gateway's charts have those of the Gateway API that it speaks, too.
const CRDS: [(&str, &[&str]); 2] = [
    ("istio.io/api@v1.32.0", &["kubernetes/customresourcedefinitions.gen.yaml"]),
    (
        "github.com/envoyproxy/gateway@v1.9.1",
        &[
            "charts/gateway-helm/charts/crds/crds/gatewayapi-crds.yaml",
            "charts/gateway-helm/charts/crds/crds/generated",
        ],
    ),
];

#[test]
fn manifests_fit_the_schemas_of_their_kinds() {
    let manifests: Vec<_> = MANIFESTS.iter().map(|manifest| root().join(manifest)).collect();
    let said = check(&manifests).unwrap();
    assert!(said.contains(" 0 mistakes"), "{said}");
}

/// A check that finds nothing may look at nothing.
#[test]
fn the_check_finds_mistakes() {
    let cases = [
        ("kms-shim/kubernetes.yaml", "readOnlyRootFilesystem", "readOnlyRootFileSystem"),
        ("kms-shim/kubernetes.yaml", "kind: PodDisruptionBudget", "kind: PodDisruption"),
        ("envoy/istio/s3ep.yaml", "failStrategy: FAIL_RELOAD", "failStrategy: FAIL_SOFT"),
        ("envoy/istio/s3ep.yaml", "subjectAltNames", "subjectAltName"),
        ("envoy/gateway/s3ep.yaml", "failOpen", "failsOpen"),
        ("envoy/gateway/s3ep.yaml", "request: 0s", "request: never"),
    ];
    let folder = tempfile::tempdir().unwrap();
    let without_crds = crds().is_none();
    for (manifest, from, to) in cases {
        if without_crds && manifest.starts_with("envoy/") {
            continue;
        }
        let text = fs::read_to_string(root().join(manifest)).unwrap();
        let changed = text.replace(from, to);
        assert!(text != changed, "{from} is not in {manifest}");
        let file = folder.path().join("changed.yaml");
        fs::write(&file, changed).unwrap();
        assert!(check(&[file]).is_err(), "{to}");
    }
}

/// The meshes' manifests repeat what the reference configuration and the stores' say.
#[test]
fn what_is_written_twice_is_the_same() {
    let aws: Value = serde_saphyr::from_str(&read("envoy/stores/aws.yaml")).unwrap();
    let ways: Value = serde_saphyr::from_str(&read("envoy/stores/credentials.yaml")).unwrap();
    let mut signed = http_filters(&aws["typed_extension_protocol_options"]).to_vec();
    signed[0]["typed_config"]["credential_provider"] = ways["file"].clone();
    let istio = documents("envoy/istio/s3ep.yaml");
    let gateway = documents("envoy/gateway/s3ep.yaml");
    let [of_istio, of_gateway] = [istio::options_patch(&istio), envoy_gateway::options_patch(&gateway)];
    assert_eq!(of_istio, of_gateway);
    assert_eq!(http_filters(of_istio)[1..], signed);

    let bootstrap = istio::bootstrap(&istio);
    assert_eq!(bootstrap, envoy_gateway::bootstrap(manifest(&gateway, "EnvoyProxy", "s3ep")));
    assert!(is_part(&bootstrap, &reference()));
    let reference = connection_manager(&reference());
    assert!(is_part(istio::connection_manager_patch(&istio), &reference));
    assert_eq!(envoy_gateway::local_reply_config(&gateway), &reference["local_reply_config"]);
}

/// In a mesh the filter may be missing where the signature is not. A client's request then goes no further.
#[test]
fn nothing_is_signed_that_has_not_been_through_the_filter() {
    let istio = documents("envoy/istio/s3ep.yaml");
    let guard = &http_filters(istio::options_patch(&istio))[0];
    assert_eq!(guard["name"], "envoy.filters.http.lua");
    let stack = |is_disabled: bool| {
        let stack = stacks::own(StoreKind::Embedded, Mode::Direct, |builder| {
            let guarded = builder.cluster("s3", |cluster| {
                let options = &mut cluster["typed_extension_protocol_options"][HTTP_OPTIONS];
                options["http_filters"].as_array_mut().unwrap().insert(0, guard.clone());
            });
            if is_disabled { guarded.without_filter() } else { guarded }
        });
        stack.unwrap()
    };

    let whole = stack(false);
    let _logs = LogsOnPanic(&whole);
    whole.client.put("guarded", b"plaintext").unwrap();
    assert_eq!(whole.client.get("guarded").unwrap().body, b"plaintext");

    let without_filter = stack(true);
    let _logs = LogsOnPanic(&without_filter);
    for (method, body) in [("PUT", b"plaintext".as_slice()), ("GET", b"")] {
        let answer = without_filter.client.object(method, "guarded").send(body).unwrap().expect(503).unwrap();
        assert_eq!(answer.error_code().unwrap(), "ServiceUnavailable", "{method}");
    }
    without_filter.direct.object("HEAD", "guarded").send(&[]).unwrap().expect(404).unwrap();
}

/// Checks manifests with check_manifests.py. Without Go, Kubernetes' own kinds alone.
fn check(manifests: &[PathBuf]) -> anyhow::Result<String> {
    let python = environment("manifests", "tests/e2e/meshes/requirements.txt")?.join("python");
    let mut command = Command::new(python);
    command.arg(root().join("tests/e2e/meshes/check_manifests.py"));
    match crds() {
        Some(files) => {
            for file in files {
                command.arg("--crds").arg(file);
            }
        }
        None => {
            stacks::say("SKIPPED the schemas of Istio's and Envoy Gateway's kinds: there is no Go to get them with");
            command.arg("--skip-custom");
        }
    }
    let output = run(command.args(manifests))?;
    Ok(String::from_utf8(output.stdout)?)
}

/// The files with CustomResourceDefinitions. None: there is no Go.
fn crds() -> Option<Vec<PathBuf>> {
    let mut files = Vec::new();
    for (module, paths) in CRDS {
        let folder = e2e::go::module(module).unwrap()?;
        for path in paths.iter().map(|path| folder.join(path)) {
            match path.is_dir() {
                true => files.extend(fs::read_dir(path).unwrap().map(|file| file.unwrap().path())),
                false => files.push(path),
            }
        }
    }
    Some(files)
}

fn documents(file: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(&read(file)).unwrap()
}

/// A file's manifests with what a place has of its own.
fn adapted(file: &str, changes: &[(&str, String)]) -> Vec<Value> {
    let text = changes.iter().fold(read(file), |text, (from, to)| {
        assert!(text.contains(from), "{from} is not in {file}");
        text.replace(from, to)
    });
    serde_saphyr::from_multiple(&text).unwrap()
}

/// As `kubectl apply -n` has it.
fn in_namespace(namespace: &str, mut manifests: Vec<Value>) -> Vec<Value> {
    for manifest in &mut manifests {
        manifest["metadata"]["namespace"] = json!(namespace);
    }
    manifests
}

fn read(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap()
}

/// The only manifest of this kind and name.
fn manifest<'a>(documents: &'a [Value], kind: &str, name: &str) -> &'a Value {
    let mut found = documents.iter().filter(|it| it["kind"] == kind && it["metadata"]["name"] == name);
    let manifest = found.next().unwrap_or_else(|| panic!("no {kind} {name}"));
    assert!(found.next().is_none(), "two of {kind} {name}");
    &manifest["spec"]
}

fn reference() -> Value {
    serde_saphyr::from_str(&read("envoy/envoy.yaml")).unwrap()
}

fn connection_manager(configuration: &Value) -> Value {
    configuration["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"].clone()
}

const HTTP_OPTIONS: &str = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

/// The upstream filters of a cluster's options.
fn http_filters(options: &Value) -> &[Value] {
    options[HTTP_OPTIONS]["http_filters"].as_array().unwrap()
}

/// Whether all that is in `part` is in `whole` too.
fn is_part(part: &Value, whole: &Value) -> bool {
    match part.as_object() {
        Some(fields) => fields.iter().all(|(name, value)| is_part(value, &whole[name])),
        None => part == whole,
    }
}
