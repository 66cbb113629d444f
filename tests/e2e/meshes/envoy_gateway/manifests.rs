//! envoy/gateway/s3ep.yaml, with what is not the same everywhere changed. Names, policies and patches stay.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

use e2e::pki::Identity;
use serde_json::{Value, json};

use super::bootstrap;
use super::standalone::CONTROLLER;
use crate::meshes::needs::tls_secret;
use crate::meshes::{adapted, in_namespace};

/// Where things are on this machine.
pub struct Places {
    /// Where clients come in.
    pub gateway: u16,
    /// The store, which has a certificate of `ca`.
    pub store: u16,
    /// kms-shim, which has one of `ca` too.
    pub shim: u16,
    /// The filter's image.
    pub image: String,
    /// The DNS server.
    pub names: SocketAddr,
    /// The CA's certificate, in PEM.
    pub ca: String,
    /// The same as a file.
    pub ca_file: PathBuf,
    /// The folder with the store's `credentials`.
    pub credentials: PathBuf,
    /// The gateway's certificate.
    pub identity: Identity,
    /// The folder with the certificate that Envoy shows to Envoy Gateway.
    pub control_plane: PathBuf,
}

impl Places {
    /// The manifests, as `kubectl apply -n s3ep` would take them, and what they want to be there.
    pub fn documents(&self) -> Vec<Value> {
        let mut documents = in_namespace("s3ep", adapted("envoy/gateway/s3ep.yaml", &self.changes()));
        let proxy = documents.iter_mut().find(|document| document["kind"] == "EnvoyProxy").unwrap();
        self.lead_names_here(&mut proxy["spec"]);
        documents.extend(self.prerequisites());
        documents
    }

    fn changes(&self) -> [(&'static str, String); 8] {
        let credentials = self.credentials.display();
        [
            ("port: 443\n    protocol: HTTPS", format!("port: {}\n    protocol: HTTPS", self.gateway)),
            ("s3.example.com", "localhost".to_owned()),
            ("amazonaws.com, port: 443", format!("amazonaws.com, port: {}", self.store)),
            // As the comment there says.
            (
                "wellKnownCACertificates: System",
                "caCertificateRefs: [{ group: '', kind: ConfigMap, name: store-ca }]".to_owned(),
            ),
            ("port_value: 8181", format!("port_value: {}", self.shim)),
            ("/etc/s3ep/kms-shim-ca/ca.crt", self.ca_file.display().to_string()),
            ("/etc/s3ep/store", credentials.to_string()),
            ("registry.example.com/s3ep/filter:0.1.0", self.image.clone()),
        ]
    }

    /// Envoy takes all hosts for this machine. It shares no memory with others, which it would take for predecessors,
    /// and what it logs is soon to be seen.
    fn lead_names_here(&self, proxy: &mut Value) {
        let mut bootstrap = bootstrap(proxy);
        bootstrap["typed_dns_resolver_config"] = json!({
            "name": "envoy.network.dns_resolver.cares",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig",
                "resolvers": [{ "socket_address": {
                    "address": self.names.ip(), "port_value": self.names.port(),
                } }],
            },
        });
        proxy["bootstrap"]["value"] = json!(bootstrap.to_string());
        proxy["extraArgs"] = json!(["--disable-hot-restart", "--file-flush-interval-msec", "100"]);
    }

    /// What the manifests want to be there, and what Envoy Gateway's provider of files cannot know: in Kubernetes,
    /// `certgen` makes the Secret `envoy` of what lies in files here, and the CA's certificate lies in another place.
    fn prerequisites(&self) -> [Value; 6] {
        let file = |name: &str| fs::read_to_string(self.control_plane.join(name)).unwrap();
        [
            json!({
                "apiVersion": "gateway.networking.k8s.io/v1",
                "kind": "GatewayClass",
                "metadata": { "name": "envoy-gateway" },
                "spec": { "controllerName": CONTROLLER },
            }),
            json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "s3ep" } }),
            tls_secret("s3ep", "s3ep-gateway-tls", &self.identity.certificate, &self.identity.key),
            json!({
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": { "namespace": "s3ep", "name": "store-ca" },
                "data": { "ca.crt": self.ca },
            }),
            tls_secret("envoy-gateway-system", "envoy", &file("tls.crt"), &file("tls.key")),
            json!({
                "apiVersion": "gateway.envoyproxy.io/v1alpha1",
                "kind": "EnvoyPatchPolicy",
                "metadata": { "namespace": "s3ep", "name": "standalone" },
                "spec": {
                    "targetRef": { "group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "s3ep" },
                    "type": "JSONPatch",
                    "jsonPatches": [{
                        "type": "type.googleapis.com/envoy.config.cluster.v3.Cluster",
                        "name": "wasm_cluster",
                        "operation": {
                            "op": "replace",
                            "jsonPath": "$.transport_socket..trusted_ca.filename",
                            "value": self.control_plane.join("ca.crt"),
                        },
                    }],
                },
            }),
        ]
    }
}
