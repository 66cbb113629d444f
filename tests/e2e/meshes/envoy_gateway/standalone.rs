//! Envoy Gateway without Kubernetes: it reads the manifests from a folder, and runs Envoy as a process on this machine
//! (https://gateway.envoyproxy.io/docs/tasks/operations/standalone-deployment-mode/).

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use e2e::client::{Endpoint, S3Client};
use e2e::go;
use e2e::pki::{Ca, Identity};
use e2e::process::{Process, free_address, run};
use e2e::registry::Registry;
use e2e::shim::{Shim, random_hex, write_secret};
use e2e::stack::BUCKET;
use e2e::store::Store;
use e2e::workspace::run_dir;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::manifests::Places;
use super::names;
use crate::meshes::dump::Dump;
use crate::meshes::needs::{start_shim, start_store, write_credentials};
use crate::stacks::{full_store, setup};

const PACKAGE: &str = "github.com/envoyproxy/gateway/cmd/envoy-gateway";
const VERSION: &str = "v1.9.1";
/// Who takes care of a GatewayClass.
pub const CONTROLLER: &str = "gateway.envoyproxy.io/gatewayclass-controller";
/// Ports that Envoy Gateway and its Envoy take, and that nothing can change: health, xDS, Wasm, readiness.
const PORTS: [u16; 4] = [8081, 18000, 18002, 19003];

/// The folder that Envoy Gateway watches.
const RESOURCES: &str = "resources";

/// Envoy Gateway with its Envoy, a store, and kms-shim.
pub struct Standalone {
    /// Through Envoy.
    pub client: S3Client,
    /// Straight to the store.
    pub direct: S3Client,
    /// Envoy's admin interface.
    pub admin_url: String,
    process: Process,
    shim: Shim,
    store: Store,
    places: Places,
    _registry: Registry,
    folder: TempDir,
}

impl Standalone {
    /// Starts all of it. None: there is no Go.
    pub fn start() -> Result<Option<Self>> {
        let (Some(program), Some(store_program)) = (go::program(PACKAGE, VERSION)?, full_store()) else {
            return Ok(None);
        };
        let run_dir = run_dir()?;
        let folder = run_dir.path();
        let ca = Ca::generate();
        let ca_file = ca.write_as(folder, "ca");
        let (store, direct) = start_store(store_program, &ca, ca_file.clone(), folder)?;
        let shim = start_shim(&ca, folder)?;
        let registry = Registry::start(&setup().wasm, folder)?;
        let places = Places {
            gateway: free_address()?.port(),
            store: port(store.endpoint.authority())?,
            shim: port(&shim.address)?,
            image: registry.image(),
            names: names::serve()?,
            ca: ca.pem(),
            ca_file: ca_file.clone(),
            credentials: write_credentials(&store.endpoint, folder)?,
            identity: Identity::new(&ca, "localhost"),
            control_plane: control_plane(&program, folder)?,
        };
        let client = Endpoint {
            ca: Some(ca_file),
            ..Endpoint::new(format!("https://localhost:{}", places.gateway), "S3EP".to_owned(), random_hex()?)
        };
        let configuration = write_configuration(folder)?;
        apply(&places.documents(), folder)?;
        wait_for_ports()?;
        let mut command = Command::new(&program);
        command
            // Envoy gets it from Envoy Gateway.
            .env_clear()
            .env("HOME", folder)
            .env("S3EP_KMS_SHIM_TOKEN", &shim.token)
            .env("S3EP_CLIENT_SECRET", &client.secret_key)
            .args(["server", "--config-path"])
            .arg(configuration);
        let mut process = Process::spawn("envoy-gateway", command, folder.join("envoy-gateway.log"))?;
        let admin_url = process.wait_until_ready(|| ready(folder))?;
        Ok(Some(Self {
            client: S3Client::new(client, BUCKET),
            direct,
            admin_url,
            process,
            shim,
            store,
            places,
            _registry: registry,
            folder: run_dir,
        }))
    }

    /// Applies the manifests with a change, and waits until Envoy's configuration is as expected.
    pub fn change(&self, change: impl FnOnce(&mut Vec<Value>), is_expected: impl Fn(&Dump) -> bool) {
        let mut documents = self.places.documents();
        change(&mut documents);
        apply(&documents, self.folder.path()).unwrap();
        wait_until("Envoy with the change", || is_expected(&self.configuration()).then_some(()));
    }

    /// What Envoy has been told.
    pub fn configuration(&self) -> Dump {
        Dump::of(&self.admin_url)
    }

    /// What Envoy Gateway and Envoy have logged.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// What they have logged, once this is in it.
    pub fn log_with(&self, expected: &str) -> String {
        wait_until(expected, || Some(self.log()).filter(|log| log.contains(expected)))
    }
}

impl Drop for Standalone {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("{}{}{}", self.process.log_tail(), self.shim.log_tail(), self.store.log_tail());
        }
    }
}

/// Makes the certificates that Envoy Gateway and Envoy know each other by. Gives the folder with Envoy's.
fn control_plane(program: &Path, folder: &Path) -> Result<PathBuf> {
    let configuration = folder.join("config");
    run(Command::new(program).args(["certgen", "--local", "--config-home"]).arg(&configuration))?;
    Ok(configuration.join("certs/envoy"))
}

/// Puts the manifests where Envoy Gateway looks for them, in one step.
fn apply(documents: &[Value], folder: &Path) -> Result<()> {
    let beside = folder.join("s3ep.yaml");
    let text: String = documents.iter().map(|document| format!("---\n{document}\n")).collect();
    write_secret(&beside, &text)?;
    Ok(fs::rename(beside, folder.join(RESOURCES).join("s3ep.yaml"))?)
}

/// Writes Envoy Gateway's own configuration.
fn write_configuration(folder: &Path) -> Result<PathBuf> {
    install_envoy(folder)?;
    let resources = folder.join(RESOURCES);
    fs::create_dir(&resources)?;
    let admin = free_address()?;
    let configuration = json!({
        "apiVersion": "gateway.envoyproxy.io/v1alpha1",
        "kind": "EnvoyGateway",
        "gateway": { "controllerName": CONTROLLER },
        // As the manifests' head says.
        "extensionApis": { "enableBackend": true, "enableEnvoyPatchPolicy": true },
        "logging": { "encoder": "JSON" },
        "admin": { "address": { "host": admin.ip(), "port": admin.port() } },
        "telemetry": { "metrics": { "prometheus": { "disable": true } } },
        "provider": { "type": "Custom", "custom": {
            "resource": { "type": "File", "file": { "paths": [resources] } },
            "infrastructure": { "type": "Host", "host": {
                "configHome": folder.join("config"),
                "dataHome": folder.join("data"),
                "stateHome": folder.join("state"),
                "runtimeDir": folder.join("run"),
            } },
        } },
    });
    let file = folder.join("envoy-gateway.json");
    fs::write(&file, configuration.to_string())?;
    Ok(file)
}

/// Puts our Envoy where Envoy Gateway looks before it downloads one.
fn install_envoy(folder: &Path) -> Result<()> {
    let version = "1.0.0";
    fs::write(folder.join("config/envoy-version"), version)?;
    let programs = folder.join("data/envoy-versions").join(version).join("bin");
    fs::create_dir_all(&programs)?;
    Ok(symlink(&setup().envoy, programs.join("envoy"))?)
}

/// The admin interface's URL, once clients' listener is there.
fn ready(folder: &Path) -> Option<String> {
    let mut runs = fs::read_dir(folder.join("run")).ok()?;
    let address = fs::read_to_string(runs.next()?.ok()?.path().join("admin-address.txt")).ok()?;
    let url = format!("http://{}", address.trim());
    ureq::get(format!("{url}/ready")).call().ok()?;
    let listeners = ureq::get(format!("{url}/listeners")).call().ok()?.body_mut().read_to_string().ok()?;
    listeners.contains("s3ep/s3ep/https").then_some(url)
}

/// One Envoy Gateway at a time: another run of these tests may have one.
fn wait_for_ports() -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(180);
    for port in PORTS {
        while let Err(error) = TcpListener::bind(("0.0.0.0", port)) {
            ensure!(Instant::now() < deadline, "Envoy Gateway needs port {port}: {error}");
            thread::sleep(Duration::from_millis(500));
        }
    }
    Ok(())
}

/// Waits for what comes within seconds.
pub fn wait_until<T>(what: &str, probe: impl Fn() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(Instant::now() < deadline, "in vain: {what}");
        thread::sleep(Duration::from_millis(100));
    }
}

fn port(authority: &str) -> Result<u16> {
    Ok(authority.rsplit_once(':').context("no port")?.1.parse()?)
}
