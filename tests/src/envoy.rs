//! Envoy as a child process, with envoy/envoy.yaml adapted to where things are.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::client::Endpoint;
use crate::process::{Process, free_address, memory, run};
use crate::setup::Setup;
use crate::workspace::root;

/// Where the filter gets its DEKs from.
#[derive(Debug, Clone)]
pub enum Keys {
    /// From a kms-shim.
    Envelope {
        /// `IP:port`.
        address: String,
        /// The bearer token.
        token: String,
    },
    /// From a master key, 32 bytes in base64.
    Direct {
        /// The key.
        master_key: String,
    },
}

/// The reference configuration, to be adapted.
#[derive(Debug)]
pub struct Configuration {
    document: Value,
    /// How many threads Envoy has that do the work.
    workers: u8,
    /// Where clients' listener lies, if it is in a file of its own that Envoy watches.
    listener_file: Option<PathBuf>,
}

impl Configuration {
    /// Reads envoy/envoy.yaml.
    pub fn reference() -> Result<Self> {
        Self::parse(&reference()?)
    }

    /// Reads envoy/envoy.yaml with the TLS in force that stands in it as comments, where they name these files. The files are
    /// then those on the right.
    pub fn reference_with_tls(files: &[(&str, &Path)]) -> Result<Self> {
        let text = uncommented(&reference()?, |stanza| files.iter().any(|(name, _)| stanza.contains(name)));
        let moved = files.iter().fold(text, |text, (name, file)| text.replace(name, &file.display().to_string()));
        Self::parse(&moved)
    }

    fn parse(text: &str) -> Result<Self> {
        Ok(Self { document: serde_saphyr::from_str(text)?, workers: 2, listener_file: None })
    }

    /// Gives Envoy so many threads that do the work. Otherwise there are two.
    pub fn set_workers(&mut self, workers: u8) {
        self.workers = workers;
    }

    /// Says where the filter lies.
    pub fn set_filter(&mut self, wasm: &Path) {
        self.wasm()["vm_config"]["code"]["local"]["filename"] = json!(wasm);
    }

    /// Listens on this port of the loopback interface; on 0, a free one. The admin interface and metrics take free ones.
    pub fn set_port(&mut self, port: u16) {
        // The listener `metrics` must know it beforehand.
        let admin = free_address().expect("a free port");
        self.document["admin"]["address"]["socket_address"]["port_value"] = json!(admin.port());
        point_to(self.cluster("admin"), &admin.to_string());
        self.listener("metrics")["address"]["socket_address"]["port_value"] = json!(0);
        self.listener("s3")["address"]["socket_address"]["port_value"] = json!(port);
    }

    /// Sends requests to this store, signed for it.
    pub fn set_store(&mut self, store: &Endpoint) {
        let authority = store.authority();
        self.plugin(|plugin| plugin["store"]["authority"] = json!(authority));
        let cluster = self.cluster("s3");
        point_to(cluster, authority);
        let options =
            &mut cluster["typed_extension_protocol_options"]["envoy.extensions.upstreams.http.v3.HttpProtocolOptions"];
        let signing =
            &mut named(&mut options["http_filters"], "envoy.filters.http.aws_request_signing")["typed_config"];
        signing["host_rewrite"] = json!(authority);
        signing["region"] = json!(store.region);
    }

    /// Lets this client in, and nobody else. Its secret comes from Envoy's environment.
    pub fn set_client(&mut self, client: &Endpoint) {
        let access_key_id = &client.access_key;
        let client = json!({
            "name": "client", "access_key_id": access_key_id, "secret_env": CLIENT_SECRET, "buckets": ["*"],
        });
        self.plugin(|plugin| plugin["auth"] = json!({ "clients": [client] }));
    }

    /// Takes DEKs from there. In direct mode there is no KMS, and so no cluster for one.
    pub fn set_keys(&mut self, keys: &Keys) {
        match keys {
            Keys::Envelope { address, .. } => point_to(self.cluster("kms_shim"), address),
            Keys::Direct { .. } => {
                let master_key = json!({ "name": "demo", "key_env": "S3EP_MASTER_KEY" });
                self.plugin(|plugin| plugin["keys"] = json!({ "direct": { "master_keys": [master_key] } }));
                let routes = &mut self.listener("metrics")["filter_chains"][0]["filters"][0]["typed_config"];
                let routes = &mut routes["route_config"]["virtual_hosts"][0]["routes"];
                routes.as_array_mut().expect("routes").retain(|route| route["route"]["cluster"] != "kms_shim");
                let clusters = &mut self.document["static_resources"]["clusters"];
                clusters.as_array_mut().expect("clusters").retain(|cluster| cluster["name"] != "kms_shim");
            }
        }
    }

    /// Takes the filter out of the way.
    pub fn disable_filter(&mut self) {
        self.filter()["disabled"] = json!(true);
    }

    /// Changes the filter's own configuration, which is JSON in a string.
    pub fn plugin(&mut self, change: impl FnOnce(&mut Value)) {
        let text = &mut self.wasm()["configuration"]["value"];
        let mut plugin = serde_json::from_str(text.as_str().expect("a string")).expect("JSON");
        change(&mut plugin);
        *text = json!(plugin.to_string());
    }

    /// What Envoy does with clients' connections.
    pub fn connection_manager(&mut self) -> &mut Value {
        let filters = &mut self.listener("s3")["filter_chains"][0]["filters"];
        &mut named(filters, "envoy.filters.network.http_connection_manager")["typed_config"]
    }

    /// Keeps clients' listener in a file of its own, which Envoy watches: whoever moves another one there updates it.
    pub fn watch_listener(&mut self, file: PathBuf) {
        self.listener_file = Some(file);
    }

    /// Writes it where Envoy can load it.
    pub fn write(&mut self, file: &Path) -> Result<()> {
        if let Some(listener_file) = self.listener_file.clone() {
            self.write_listener(&listener_file)?;
        }
        // Envoy takes a `.json` as it takes YAML.
        Ok(fs::write(file, serde_json::to_vec_pretty(&self.document)?)?)
    }

    /// Takes clients' listener out, into a file as a control plane would send it.
    fn write_listener(&mut self, file: &Path) -> Result<()> {
        let mut listener = self.listener("s3").take();
        listener["@type"] = json!("type.googleapis.com/envoy.config.listener.v3.Listener");
        fs::write(file, serde_json::to_vec_pretty(&json!({ "resources": [listener] }))?)?;
        let listeners = &mut self.document["static_resources"]["listeners"];
        listeners.as_array_mut().expect("listeners").retain(|listener| !listener.is_null());
        self.document["node"] = json!({ "id": "s3ep", "cluster": "s3ep" });
        self.document["dynamic_resources"] =
            json!({ "lds_config": { "resource_api_version": "V3", "path_config_source": { "path": file } } });
        Ok(())
    }

    /// Whether clients have to speak TLS.
    fn has_tls(&mut self) -> bool {
        self.listener("s3")["filter_chains"][0].get("transport_socket").is_some()
    }

    fn listener(&mut self, name: &str) -> &mut Value {
        named(&mut self.document["static_resources"]["listeners"], name)
    }

    /// Puts a cluster in the place of the one that has its name.
    pub fn set_cluster(&mut self, cluster: Value) {
        let name = cluster["name"].as_str().expect("a name").to_owned();
        *self.cluster(&name) = cluster;
    }

    /// The cluster of this name.
    pub fn cluster(&mut self, name: &str) -> &mut Value {
        named(&mut self.document["static_resources"]["clusters"], name)
    }

    fn wasm(&mut self) -> &mut Value {
        &mut self.filter()["typed_config"]["config"]
    }

    fn filter(&mut self) -> &mut Value {
        named(&mut self.connection_manager()["http_filters"], "s3ep")
    }
}

fn reference() -> Result<String> {
    let file = root().join("envoy/envoy.yaml");
    fs::read_to_string(&file).with_context(|| file.display().to_string())
}

/// The text with those commented `transport_socket`s in force that are wanted.
fn uncommented(text: &str, is_wanted: impl Fn(&str) -> bool) -> String {
    let mut lines = text.lines().peekable();
    let mut result = Vec::new();
    while let Some(line) = lines.next() {
        let mut stanza = vec![line];
        if line.trim_start() == "# transport_socket:" {
            stanza.extend(std::iter::from_fn(|| lines.next_if(|line| line.trim_start().starts_with('#'))));
        }
        match stanza.len() > 1 && is_wanted(&stanza.join("\n")) {
            true => result.extend(stanza.iter().map(|line| line.replacen("# ", "", 1))),
            false => result.extend(stanza.iter().map(|line| (*line).to_owned())),
        }
    }
    result.join("\n")
}

/// The member of a list that has this name. The lists are those of envoy/envoy.yaml: a miss is a mistake there or here.
fn named<'a>(list: &'a mut Value, name: &str) -> &'a mut Value {
    let members = list.as_array_mut().into_iter().flatten();
    let found = members.into_iter().find(|member| member["name"] == name);
    found.unwrap_or_else(|| panic!("envoy.yaml has no {name} where it should be"))
}

fn point_to(cluster: &mut Value, authority: &str) {
    let (host, port) = authority.rsplit_once(':').unwrap_or((authority, "80"));
    let port: u16 = port.parse().expect("a port");
    let endpoint = &mut cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"];
    endpoint["address"]["socket_address"] = json!({ "address": host, "port_value": port });
}

/// Lets Envoy check a configuration without serving it. Returns what it says.
pub fn validate(envoy: &Path, file: &Path, variables: &[(&str, &str)]) -> Result<String> {
    let output = run(Command::new(envoy)
        .current_dir(root())
        .env_clear()
        .envs(variables.iter().copied())
        .args(["--mode", "validate", "-c"])
        .arg(file))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr))
}

/// The variable that holds the client's secret access key.
const CLIENT_SECRET: &str = "S3EP_CLIENT_SECRET";

/// Parts of the memory that Envoy holds, in bytes. What is missing in the sum, its allocator keeps for later.
#[derive(Debug, Clone, Copy)]
pub struct MemoryParts {
    /// All of it.
    pub total: u64,
    /// What the allocator has handed out.
    pub allocated: u64,
    /// What is not the allocator's: wasm VMs, and the program itself.
    pub elsewhere: u64,
}

/// A running Envoy.
#[derive(Debug)]
pub struct Envoy {
    /// Where clients go.
    pub url: String,
    /// The admin interface.
    pub admin_url: String,
    /// What Prometheus may see.
    pub metrics_url: String,
    process: Process,
}

impl Envoy {
    /// Starts Envoy in `folder`. The environment has what it needs and nothing of ours: an `AWS_SESSION_TOKEN` of the
    /// user's would end up in the signatures.
    pub fn start(
        setup: &Setup,
        folder: &Path,
        configuration: &mut Configuration,
        store: &Endpoint,
        keys: &Keys,
        client_secret: &str,
    ) -> Result<Self> {
        let file = folder.join("envoy.json");
        let scheme = if configuration.has_tls() { "https" } else { "http" };
        configuration.write(&file)?;
        let admin_file = folder.join("envoy.admin");
        let mut command = Command::new(&setup.envoy);
        command
            .env_clear()
            .env("AWS_ACCESS_KEY_ID", &store.access_key)
            .env("AWS_SECRET_ACCESS_KEY", &store.secret_key)
            .env(CLIENT_SECRET, client_secret)
            .args([
                "--concurrency",
                &configuration.workers.to_string(),
                "--disable-hot-restart",
                "--log-level",
                "warning",
            ])
            .args(["--file-flush-interval-msec", "500", "-c"])
            .arg(&file)
            .arg("--admin-address-path")
            .arg(&admin_file);
        match keys {
            Keys::Envelope { token, .. } => command.env("S3EP_KMS_SHIM_TOKEN", token),
            Keys::Direct { master_key } => command.env("S3EP_MASTER_KEY", master_key),
        };
        let mut process = Process::spawn("envoy", command, folder.join("envoy.log"))?;
        let admin_url = process.wait_until_ready(|| {
            let address = fs::read_to_string(&admin_file).ok()?;
            let url = format!("http://{}", address.trim());
            ureq::get(format!("{url}/ready")).call().ok().map(|_| url)
        })?;
        let url = format!("{scheme}://{}", process.wait_until_ready(|| listener_address(&admin_url, "s3").ok())?);
        let metrics_url = format!("http://{}", listener_address(&admin_url, "metrics")?);
        Ok(Self { url, admin_url, metrics_url, process })
    }

    /// The most memory that Envoy has held so far, in bytes (`VmHWM` of proc(5)).
    pub fn peak_memory(&self) -> Result<u64> {
        memory(self.process.pid(), "VmHWM:")
    }

    /// The memory that Envoy holds, in bytes (`VmRSS` of proc(5)).
    pub fn memory(&self) -> Result<u64> {
        memory(self.process.pid(), "VmRSS:")
    }

    /// What the memory that Envoy holds is made of, as its admin interface says.
    pub fn memory_parts(&self) -> Result<MemoryParts> {
        let text = ureq::get(format!("{}/memory", self.admin_url)).call()?.body_mut().read_to_string()?;
        let said: Value = serde_json::from_str(&text)?;
        let bytes = |field: &str| Ok::<u64, anyhow::Error>(said[field].as_str().context("no such figure")?.parse()?);
        let (total, allocated) = (self.memory()?, bytes("allocated")?);
        Ok(MemoryParts { total, allocated, elsewhere: total.saturating_sub(bytes("total_physical_bytes")?) })
    }

    /// The processor time that Envoy has taken so far (`utime` and `stime` of proc(5)), to a hundredth of a second.
    pub fn processor_time(&self) -> Result<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process.pid()))?;
        let after_name = stat.rsplit(')').next().unwrap_or_default();
        let ticks: u64 = after_name.split_whitespace().skip(11).take(2).filter_map(|n| n.parse::<u64>().ok()).sum();
        Ok(Duration::from_millis(ticks * 10))
    }

    /// A counter or gauge of Envoy's, by its name.
    pub fn stat(&self, name: &str) -> Result<u64> {
        let url = format!("{}/stats?filter=^{name}$", self.admin_url);
        let text = ureq::get(url).call()?.body_mut().read_to_string()?;
        let value = text.trim().strip_prefix(name).and_then(|rest| rest.strip_prefix(": "));
        Ok(value.with_context(|| format!("no {name} in Envoy's statistics"))?.parse()?)
    }

    /// Its process's id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Fails if it has ended.
    pub fn ensure_running(&mut self) -> Result<()> {
        self.process.ensure_running()
    }

    /// The end of its log.
    pub fn log_tail(&self) -> String {
        self.process.log_tail()
    }
}

fn listener_address(admin_url: &str, name: &str) -> Result<String> {
    let text = ureq::get(format!("{admin_url}/listeners?format=json")).call()?.body_mut().read_to_string()?;
    let listeners: Value = serde_json::from_str(&text)?;
    let mut statuses = listeners["listener_statuses"].as_array().into_iter().flatten();
    let listener = statuses.find(|status| status["name"] == name).with_context(|| format!("no listener {name}"))?;
    let address = &listener["local_address"]["socket_address"];
    let host = address["address"].as_str().context("the listener has no address")?;
    Ok(format!("{host}:{}", address["port_value"]))
}
