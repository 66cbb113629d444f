//! Istio's proxies: the agent, and Envoy, which the agent starts.

use std::env;
use std::fs::{self, Permissions};
use std::net::{IpAddr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::istiod::Istiod;
use super::{CLUSTER, DATA, ISTIOD, Programs, created};
use crate::kubernetes::token;
use crate::process::{Process, free_address};
use crate::shim::write_secret;

/// The first pod of a Deployment, as Kubernetes makes it before it asks anybody.
pub fn pod(deployment: &Value, address: IpAddr) -> Value {
    let mut pod = deployment["spec"]["template"].clone();
    let address = address.to_string();
    pod["apiVersion"] = json!("v1");
    pod["kind"] = json!("Pod");
    pod["metadata"]["name"] = json!(format!("{}-1", deployment["metadata"]["name"].as_str().unwrap_or_default()));
    pod["metadata"]["namespace"] = deployment["metadata"]["namespace"].clone();
    if pod["spec"]["serviceAccountName"].is_null() {
        pod["spec"]["serviceAccountName"] = json!("default");
    }
    pod["status"] = json!({
        "phase": "Running",
        "podIP": address,
        "podIPs": [{ "ip": address }],
        "conditions": [{ "type": "Ready", "status": "True" }],
    });
    pod
}

/// The container of a pod's proxy. As a sidecar, it is an init container that goes on.
pub fn container(pod: &Value) -> Option<&Value> {
    let containers = ["containers", "initContainers"].map(|kind| pod["spec"][kind].as_array());
    containers.into_iter().flatten().flatten().find(|container| container["name"] == "istio-proxy")
}

/// The container's variables, as far as a test can know them. `secret` gives what is in a Secret.
fn variables(pod: &Value, secret: impl Fn(&str) -> String) -> Vec<(String, String)> {
    let environment = container(pod).and_then(|container| container["env"].as_array());
    let variable = |variable: &Value| {
        let source = &variable["valueFrom"];
        let value = match (&source["fieldRef"]["fieldPath"], &source["secretKeyRef"]["key"]) {
            (Value::String(path), _) => pod.pointer(&format!("/{}", path.replace('.', "/")))?.as_str()?.to_owned(),
            (_, Value::String(key)) => secret(key),
            _ => variable["value"].as_str()?.to_owned(),
        };
        Some((variable["name"].as_str()?.to_owned(), value))
    };
    environment.into_iter().flatten().filter_map(variable).collect()
}

/// A proxy: Istio's agent, and Envoy, which that starts. Dropping it ends both.
#[derive(Debug)]
pub struct Proxy {
    /// Envoy's admin interface.
    pub admin_url: String,
    process: Process,
    /// Where the agent would wait for probes, at all of the machine's addresses. It does without, since the port is taken.
    _probes: TcpListener,
}

impl Proxy {
    /// Starts that of a pod, which istiod has been asked about, in `folder`. `secret` gives what is in a Secret, `bootstrap` is what
    /// Envoy's own configuration has more than Istio's.
    pub fn start(
        programs: &Programs,
        folder: &Path,
        istiod: &Istiod,
        pod: &Value,
        secret: impl Fn(&str) -> String,
        bootstrap: &str,
    ) -> Result<Self> {
        let text = |pointer: &str| pod.pointer(pointer).and_then(Value::as_str).with_context(|| pointer.to_owned());
        let token = token(text("/metadata/namespace")?, text("/spec/serviceAccountName")?);
        write_secret(&created(folder.join("var/run/secrets/tokens"))?.join("istio-token"), &token)?;
        fs::write(created(folder.join("var/run/secrets/istio"))?.join("root-cert.pem"), &istiod.ca)?;
        fs::write(created(folder.join("etc/istio/pod"))?.join("labels"), labels(pod))?;
        created(folder.join(DATA[1]))?;
        fs::write(folder.join("bootstrap.yaml"), bootstrap)?;
        let admin = free_address()?;
        let probes = TcpListener::bind("127.0.0.1:0")?;

        let variables = variables(pod, secret);
        let config = variables.iter().find(|(name, _)| name == "PROXY_CONFIG").context("no PROXY_CONFIG")?;
        let mut config: Value = serde_json::from_str(&config.1)?;
        config["discoveryAddress"] = json!(istiod.address);
        config["configPath"] = json!("./etc/istio/proxy");
        config["proxyBootstrapTemplatePath"] =
            json!(programs.module.join("tools/packaging/common/envoy_bootstrap.json"));
        config["binaryPath"] = json!(bound_to_parent(&programs.envoy, folder)?);
        config["proxyAdminPort"] = json!(admin.port());
        config["statusPort"] = json!(probes.local_addr()?.port());
        config["terminationDrainDuration"] = json!("0s");
        config["proxyMetadata"] = json!({ "METRICS_LOCALHOST_ACCESS_ONLY": "true" });
        let arguments = container(pod).and_then(|container| container["args"].as_array()).context("no arguments")?;
        let namespace = text("/metadata/namespace")?;
        let mut command = Command::new(&programs.agent);
        command
            .current_dir(folder)
            .args(arguments.iter().flat_map(Value::as_str).map(|it| it.replace("$(POD_NAMESPACE)", namespace)))
            // Nothing of ours: an `AWS_SESSION_TOKEN` of the user's would end up in the signatures.
            .env_clear()
            .envs(env::var_os("PATH").map(|path| ("PATH", path)))
            .envs(variables)
            .env("ISTIO_META_CLUSTER_ID", CLUSTER)
            // As its discoveryAddress.
            .env("CA_ADDR", "")
            .env("ISTIOD_SAN", ISTIOD)
            .env("ISTIO_BOOTSTRAP_OVERRIDE", "bootstrap.yaml")
            .env("ENVOY_PROMETHEUS_PORT", "0")
            .env("PROXY_CONFIG", config.to_string());
        let mut process = Process::spawn("istio-proxy", command, folder.join("istio-proxy.log"))?;
        let admin_url = format!("http://{admin}");
        process.wait_until_ready(|| ureq::get(format!("{admin_url}/ready")).call().ok())?;
        Ok(Self { admin_url, process, _probes: probes })
    }

    /// What agent and Envoy have logged.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// The end of their log.
    pub fn log_tail(&self) -> String {
        self.process.log_tail()
    }
}

/// A program that ends when the one that started it does. Whoever kills the agent would otherwise leave its Envoy behind.
fn bound_to_parent(program: &Path, folder: &Path) -> Result<PathBuf> {
    let file = folder.join("envoy");
    let text = format!("#!/bin/sh\nexec setpriv --pdeathsig KILL '{}' \"$@\"\n", program.display());
    fs::write(&file, text)?;
    fs::set_permissions(&file, Permissions::from_mode(0o755))?;
    Ok(file)
}

fn labels(pod: &Value) -> String {
    let labels = pod["metadata"]["labels"].as_object().into_iter().flatten();
    labels.map(|(name, value)| format!("{name}={value}\n")).collect()
}
