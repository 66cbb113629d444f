//! Istio, a store and kms-shim with TLS, and one proxy of envoy/istio.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::thread;

use e2e::client::{Endpoint, S3Client};
use e2e::istio::Programs;
use e2e::istio::istiod::Istiod;
use e2e::istio::proxy::{self, Proxy, container};
use e2e::kubernetes::FakeKubernetes;
use e2e::pki::{Ca, Identity};
use e2e::registry::Registry;
use e2e::shim::{Shim, random_hex};
use e2e::stack::BUCKET;
use e2e::store::Store;
use e2e::workspace::run_dir;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::meshes::dump::Dump;
use crate::meshes::needs::{STORE, start_shim, start_store, tls_secret, write_credentials};
use crate::meshes::{adapted, documents, in_namespace, read};
use crate::stacks::{self, setup};

/// The port that the manifests are about.
pub const PORT: u16 = 9000;
/// The gateway, as clients know it.
const GATEWAY: &str = "s3.example.com";

/// Changes the manifests and the MeshConfig.
pub type Change = fn(&mut Vec<Value>, &mut Value);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Gateway,
    Sidecar,
}

impl Role {
    /// Its namespace, and the manifests that it has beside s3ep.yaml.
    fn manifests(self) -> (&'static str, &'static str) {
        match self {
            Self::Gateway => ("s3ep", "envoy/istio/gateway.yaml"),
            Self::Sidecar => ("application", "envoy/istio/sidecar.yaml"),
        }
    }

    /// Where clients go.
    fn url(self) -> String {
        match self {
            Self::Gateway => format!("https://{GATEWAY}:{PORT}"),
            Self::Sidecar => format!("http://{STORE}:{PORT}"),
        }
    }
}

/// Everything, for one proxy. What is declared first ends first.
pub struct Mesh {
    /// Through the proxy.
    pub client: S3Client,
    /// Straight to the store.
    pub direct: S3Client,
    /// Envoy, with its agent.
    pub proxy: Proxy,
    /// The control plane.
    pub istiod: Istiod,
    /// The store.
    pub store: Store,
    /// The mesh's manifests, in the proxy's namespace.
    pub manifests: Vec<Value>,
    /// The proxy's pod, as istiod wants it.
    pub pod: Value,
    _kubernetes: FakeKubernetes,
    _registry: Registry,
    _shim: Shim,
    _folder: TempDir,
}

impl Mesh {
    /// None: there is no Go.
    pub fn start(role: Role, change: Change) -> Option<Self> {
        let (Some(programs), Some(full_store)) = (programs(), stacks::full_store()) else {
            stacks::say("SKIPPED Istio: there is no Go to build it with");
            return None;
        };
        let run_folder = run_dir().unwrap();
        let folder = run_folder.path();
        let ca = Ca::generate();
        let ca_file = ca.write_as(folder, "ca");
        let (store, direct) = start_store(full_store, &ca, ca_file.clone(), folder).unwrap();
        let shim = start_shim(&ca, folder).unwrap();
        let registry = Registry::start(&setup().wasm, folder).unwrap();

        let mut manifests = manifests(role, &ca_file, &write_credentials(&store.endpoint, folder).unwrap(), &registry);
        point_to(&mut manifests, store.endpoint.authority());
        let mut mesh = mesh_config();
        change(&mut manifests, &mut mesh);
        let address = free_address();
        let pod = proxy::pod(manifests.iter().find(|it| it["kind"] == "Deployment").unwrap(), address);
        let others = [endpoints(&shim), gateway_secret(&ca), policy(), reachable(address), pod.clone()];
        let kubernetes = FakeKubernetes::start(objects(&manifests, others)).unwrap();
        let istiod = Istiod::start(programs, &new_folder(folder, "istiod"), &kubernetes, &mesh).unwrap();
        let pod = istiod.inject(&pod).unwrap();
        let client_secret = random_hex().unwrap();
        let secret = |name: &str| match name {
            "client-secret" => client_secret.clone(),
            "kms-shim-token" => shim.token.clone(),
            _ => panic!("{name}"),
        };
        let bootstrap = bootstrap(&pod, &manifests);
        let proxy = Proxy::start(programs, &new_folder(folder, "proxy"), &istiod, &pod, secret, bootstrap).unwrap();
        let client = Endpoint::new(role.url(), "S3EP".to_owned(), client_secret);
        let client = Endpoint { ca: Some(ca_file), ..client };
        Some(Self {
            client: S3Client::at(SocketAddr::new(address, PORT), client, BUCKET),
            direct,
            proxy,
            istiod,
            store,
            manifests,
            pod,
            _kubernetes: kubernetes,
            _registry: registry,
            _shim: shim,
            _folder: run_folder,
        })
    }
}

impl Mesh {
    /// What Envoy has been told.
    pub fn configuration(&self) -> Dump {
        Dump::of(&self.proxy.admin_url)
    }
}

impl Drop for Mesh {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("{}{}", self.istiod.log_tail(), self.proxy.log_tail());
        }
    }
}

/// Istio's programs. None: there is no Go.
fn programs() -> Option<&'static Programs> {
    static PROGRAMS: OnceLock<Option<Programs>> = OnceLock::new();
    PROGRAMS.get_or_init(|| Programs::prepare(&setup().envoy).expect("Istio")).as_ref()
}

/// What is applied for a proxy, with what a place has of its own.
fn manifests(role: Role, ca: &Path, credentials: &Path, registry: &Registry) -> Vec<Value> {
    let (namespace, file) = role.manifests();
    let changes = [
        ("oci://registry.example.com/s3ep/filter:0.1.0", format!("oci://{}", registry.image())),
        ("caCertificates: system", format!("caCertificates: {}", ca.display())),
        ("/etc/s3ep/kms-shim-ca/ca.crt", ca.display().to_string()),
        ("/etc/s3ep/store", credentials.display().to_string()),
    ];
    let mut manifests = adapted("envoy/istio/s3ep.yaml", &changes);
    manifests.extend(documents(file));
    in_namespace(namespace, manifests)
}

/// What is in the ConfigMap that the proxy's container has as a file.
fn bootstrap<'a>(pod: &Value, manifests: &'a [Value]) -> &'a str {
    let variables = container(pod).unwrap()["env"].as_array().unwrap();
    assert!(variables.iter().any(|variable| variable["name"] == "ISTIO_BOOTSTRAP_OVERRIDE"), "{variables:?}");
    let mut volumes = pod["spec"]["volumes"].as_array().unwrap().iter();
    let volume = volumes.find(|volume| volume["name"] == "custom-bootstrap-volume").unwrap();
    let is_it = |it: &&Value| it["kind"] == "ConfigMap" && it["metadata"]["name"] == volume["configMap"]["name"];
    manifests.iter().find(is_it).unwrap()["data"]["custom_bootstrap.json"].as_str().unwrap()
}

/// All that is in the cluster.
fn objects(manifests: &[Value], others: [Value; 5]) -> Vec<Value> {
    let mut objects = manifests.to_vec();
    objects.extend(in_namespace("s3ep", documents("kms-shim/kubernetes.yaml")));
    objects.extend(["s3ep", "application", "istio-system"].map(namespace));
    objects.extend(others);
    objects
}

/// Instead of asking DNS where the store is.
fn point_to(manifests: &mut [Value], store: &str) {
    let SocketAddr::V4(store) = store.parse().unwrap() else { panic!("{store}") };
    let entry = manifests.iter_mut().find(|it| it["kind"] == "ServiceEntry").unwrap();
    entry["spec"]["endpoints"] = json!([{ "address": store.ip(), "ports": { "http-s3": store.port() } }]);
}

fn new_folder(folder: &Path, name: &str) -> PathBuf {
    let folder = folder.join(name);
    fs::create_dir(&folder).unwrap();
    folder
}

/// As the README has it.
fn mesh_config() -> Value {
    let readme = read("envoy/README.md");
    let (_, block) = readme.split_once("```yaml\n  meshConfig:\n").unwrap();
    serde_saphyr::from_str(block.split_once("```").unwrap().0).unwrap()
}

/// An address of this machine alone at which nobody has the port. All that begin with 127 are.
fn free_address() -> IpAddr {
    let mut addresses =
        std::iter::repeat_with(|| Ipv4Addr::new(127, fastrand::u8(1..), fastrand::u8(..), fastrand::u8(1..255)));
    let is_free = |address: &Ipv4Addr| TcpListener::bind((*address, PORT)).is_ok();
    addresses.by_ref().take(3).find(is_free).expect("somebody listens on port 9000 of all addresses").into()
}

fn namespace(name: &str) -> Value {
    json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } })
}

/// Where the Service `kms-shim` leads to.
fn endpoints(shim: &Shim) -> Value {
    let address: SocketAddr = shim.address.parse().unwrap();
    json!({
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": "kms-shim-1", "namespace": "s3ep", "labels": { "kubernetes.io/service-name": "kms-shim" },
        },
        "addressType": "IPv4",
        "endpoints": [{ "addresses": [address.ip()], "conditions": { "ready": true } }],
        "ports": [{ "name": "https", "port": address.port(), "protocol": "TCP" }],
    })
}

/// What the gateway shows to clients.
fn gateway_secret(ca: &Ca) -> Value {
    let identity = Identity::new(ca, GATEWAY);
    tls_secret("s3ep", "s3ep-gateway-tls", &identity.certificate, &identity.key)
}

/// Somebody else's rule for the gateway, so that there is a filter which the phase puts behind the s3ep filter.
fn policy() -> Value {
    json!({
        "apiVersion": "security.istio.io/v1",
        "kind": "AuthorizationPolicy",
        "metadata": { "name": "elsewhere", "namespace": "s3ep" },
        "spec": { "action": "DENY", "rules": [{ "from": [{ "source": { "ipBlocks": ["192.0.2.1"] } }] }] },
    })
}

/// A pod's network is its own. Here the proxy has one address of it, at which it listens itself, since nothing redirects to the
/// ports that it has for that.
fn reachable(address: IpAddr) -> Value {
    let listen =
        json!({ "bind_to_port": true, "address": { "socket_address": { "address": address, "port_value": PORT } } });
    let remove = |name| {
        json!({
            "applyTo": "LISTENER",
            "match": { "listener": { "name": name } },
            "patch": { "operation": "REMOVE" },
        })
    };
    json!({
        "apiVersion": "networking.istio.io/v1alpha3",
        "kind": "EnvoyFilter",
        "metadata": { "name": "reachable", "namespace": "istio-system" },
        "spec": { "configPatches": [
            {
                "applyTo": "LISTENER",
                "match": { "listener": { "portNumber": PORT } },
                "patch": { "operation": "MERGE", "value": listen },
            },
            remove("virtualOutbound"),
            remove("virtualInbound"),
        ] },
    })
}
