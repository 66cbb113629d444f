//! s3ep, run by one who has the store and the keys, past Envoy.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, Result, ensure};

use crate::client::Endpoint;
use crate::envoy::Keys;
use crate::kms::Kms;
use crate::stack::Stack;
use crate::wasm::build_s3ep;

/// What s3ep did.
#[derive(Debug)]
pub struct Done {
    /// Whether it exited with 0.
    pub is_success: bool,
    /// Its standard output.
    pub out: Vec<u8>,
    /// Its standard error.
    pub err: String,
}

/// Runs s3ep with a stack's store and keys.
pub fn s3ep(stack: &Stack, arguments: &[&str]) -> Result<Done> {
    run(with_keys(stack, arguments)?)
}

/// s3ep with a stack's store and keys.
pub fn with_keys(stack: &Stack, arguments: &[&str]) -> Result<Command> {
    let mut command = keyless(&stack.direct.endpoint)?;
    command.args(arguments);
    match (&stack.shim, &stack.keys) {
        (Some(shim), _) => command.env("S3EP_KMS_SHIM_KEYSET", &shim.keyset),
        (None, Keys::Direct { .. }) => {
            command.arg("--master-key").arg(format!("demo={}", stack.folder().join("master.key").display()))
        }
        _ => &mut command,
    };
    Ok(command)
}

/// s3ep with a store and without keys.
pub fn keyless(store: &Endpoint) -> Result<Command> {
    at_store(store, "AWS_ENDPOINT_URL", "AWS")
}

/// s3ep with a stack's store and the keys of a KMS. The store's credentials are not those of AWS, which may be the KMS's.
pub fn with_kms(stack: &Stack, kms: &dyn Kms, keks: &[String], arguments: &[&str]) -> Result<Command> {
    let mut command = at_store(&stack.direct.endpoint, "S3EP_STORE_URL", "S3EP_STORE")?;
    command.envs(kms.environment(&stack.folder())?).args(arguments).arg("--kek-uri").arg(keks.join(","));
    Ok(command)
}

/// s3ep with a store in its environment: the URL in this variable, and the rest in those of this family.
fn at_store(store: &Endpoint, url: &str, family: &str) -> Result<Command> {
    let mut command = Command::new(program()?);
    command
        .env_clear()
        .env(url, &store.url)
        .env(format!("{family}_ACCESS_KEY_ID"), &store.access_key)
        .env(format!("{family}_SECRET_ACCESS_KEY"), &store.secret_key)
        .env(format!("{family}_REGION"), &store.region);
    Ok(command)
}

/// Runs it to its end.
pub fn run(mut command: Command) -> Result<Done> {
    let Output { status, stdout, stderr } = command.stdin(Stdio::null()).output()?;
    Ok(Done { is_success: status.success(), out: stdout, err: String::from_utf8_lossy(&stderr).into_owned() })
}

impl Done {
    /// Fails unless it exited with 0.
    pub fn ok(self) -> Result<Self> {
        ensure!(self.is_success, "s3ep: {}", self.err);
        Ok(self)
    }

    /// Its standard output as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.out).into_owned()
    }
}

fn program() -> Result<PathBuf> {
    static PROGRAM: Mutex<Option<PathBuf>> = Mutex::new(None);
    let mut program = PROGRAM.lock().unwrap_or_else(PoisonError::into_inner);
    if program.is_none() {
        *program = Some(build_s3ep()?);
    }
    program.clone().context("s3ep was built")
}
