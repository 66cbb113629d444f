//! istiod, Istio's control plane.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use serde_json::{Value, json};

use super::{CLUSTER, ISTIOD, Programs, created};
use crate::kubernetes::FakeKubernetes;
use crate::pki::Ca;
use crate::process::Process;
use crate::shim::write_secret;

/// istiod. Dropping it ends it.
#[derive(Debug)]
pub struct Istiod {
    /// Where proxies find it.
    pub(super) address: String,
    /// Where the API server finds its webhooks.
    pub(super) webhooks: String,
    /// The certificate of the CA that it gives proxies their certificates with.
    pub(super) ca: String,
    process: Process,
}

impl Istiod {
    /// Starts it in `folder` with a mesh's configuration.
    pub fn start(programs: &Programs, folder: &Path, kubernetes: &FakeKubernetes, mesh: &Value) -> Result<Self> {
        let ca = Ca::generate();
        let cacerts = created(folder.join("etc/cacerts"))?;
        for name in ["ca-cert.pem", "root-cert.pem", "cert-chain.pem"] {
            fs::write(cacerts.join(name), ca.pem())?;
        }
        write_secret(&cacerts.join("ca-key.pem"), &ca.key_pem())?;
        kubernetes.write_kubeconfig(&folder.join("kubeconfig"))?;
        // JSON is YAML.
        fs::write(created(folder.join("etc/istio/config"))?.join("mesh"), mesh.to_string())?;
        let injection = created(folder.join("var/lib/istio/inject"))?;
        fs::write(injection.join("config"), injection_config(programs)?.to_string())?;
        fs::write(injection.join("values"), injection_values(programs)?.to_string())?;
        let mut command = Command::new(&programs.discovery);
        command.current_dir(folder).env_clear().arg("discovery");
        // Without an address of their own, the webhooks are where HTTP is.
        command.args(["--kubeconfig", "kubeconfig", "--httpsAddr", ""]);
        for address in ["--httpAddr", "--grpcAddr", "--secureGRPCAddr", "--monitoringAddr"] {
            command.args([address, "127.0.0.1:0"]);
        }
        command
            .args(["--ctrlz_port", "0"])
            .env("POD_NAMESPACE", "istio-system")
            .env("POD_NAME", "istiod")
            .env("CLUSTER_ID", CLUSTER)
            .env("ISTIOD_CUSTOM_HOST", ISTIOD)
            // One address for a listener, which a test can move.
            .env("ISTIO_DUAL_STACK", "false")
            // Two filters that Istio's build of Envoy has, and Envoy's own has not.
            .env("PILOT_ENABLE_METADATA_EXCHANGE", "false")
            .env("PILOT_ENABLE_ALPN_FILTER", "false");
        let log = folder.join("istiod.log");
        let mut process = Process::spawn("istiod", command, log.clone())?;
        let mut address = |service: &str| {
            process.wait_until_ready(|| {
                let log = fs::read_to_string(&log).ok()?;
                let (_, rest) = log.split_once(&format!("starting {service} at "))?;
                rest.split_once('\n').map(|(address, _)| address.to_owned())
            })
        };
        let [address, webhooks] = [address("secure gRPC discovery service")?, address("HTTP service")?];
        Ok(Self { address, webhooks, ca: ca.pem(), process })
    }

    /// The end of its log.
    pub fn log_tail(&self) -> String {
        self.process.log_tail()
    }
}

fn chart(programs: &Programs, file: &str) -> PathBuf {
    programs.module.join("manifests/charts/istio-control/istio-discovery").join(file)
}

/// The injector's templates, as Istio's chart puts them together.
fn injection_config(programs: &Programs) -> Result<Value> {
    let sidecar = fs::read_to_string(chart(programs, "files/injection-template.yaml"))?;
    let gateway = fs::read_to_string(chart(programs, "files/gateway-injection-template.yaml"))?;
    let templates = json!({ "sidecar": sidecar, "gateway": gateway });
    Ok(json!({ "policy": "enabled", "defaultTemplates": ["sidecar"], "templates": templates }))
}

/// What the templates look up: the chart's defaults.
fn injection_values(programs: &Programs) -> Result<Value> {
    let values: Value = serde_saphyr::from_str(&fs::read_to_string(chart(programs, "values.yaml"))?)?;
    let mut values = values["_internal_defaults_do_not_set"].clone();
    values["pilot"] = json!({ "cni": values["cni"], "env": values["env"] });
    Ok(values)
}
