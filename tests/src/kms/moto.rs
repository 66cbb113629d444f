//! AWS KMS by moto, which speaks the real protocol and has real AES-256-GCM inside, with the encryption context as AAD.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};
use rustix::process::Signal;
use serde_json::{Value, json};

use super::Kms;
use crate::process::Process;
use crate::python::environment;

/// A running moto.
#[derive(Debug)]
pub struct Moto {
    endpoint: String,
    arns: [String; 2],
    process: Process,
}

impl Moto {
    /// Starts one with its log in the folder, and makes its keys.
    pub fn start(folder: &Path) -> Result<Self> {
        let mut command = Command::new(environment("moto", "tests/e2e/kms_servers/moto.txt")?.join("moto_server"));
        command.args(["-H", "127.0.0.1", "-p", "0"]);
        let log = folder.join("moto.log");
        let mut process = Process::spawn("moto", command, log.clone())?;
        let endpoint = process.wait_until_ready(|| {
            let text = std::fs::read_to_string(&log).ok()?;
            let (_, rest) = text.split_once("Running on ")?;
            Some(rest.split_once('\n')?.0.trim().to_owned())
        })?;
        let arns = [create_key(&endpoint)?, create_key(&endpoint)?];
        Ok(Self { endpoint, arns, process })
    }

    /// How often it was asked since its keys were made, by its log of requests.
    pub fn calls(&self) -> usize {
        self.process.log().matches("POST / HTTP/1.1").count() - self.arns.len()
    }
}

fn create_key(endpoint: &str) -> Result<String> {
    let mut answer = ureq::post(endpoint)
        .header("x-amz-target", "TrentService.CreateKey")
        .header("content-type", "application/x-amz-json-1.1")
        // By which moto knows what service is meant; it verifies no signatures.
        .header("authorization", "AWS4-HMAC-SHA256 Credential=TEST/20260101/us-east-1/kms/aws4_request")
        .send(json!({}).to_string())?;
    let answer: Value = serde_json::from_str(&answer.body_mut().read_to_string()?)?;
    Ok(answer["KeyMetadata"]["Arn"].as_str().context("CreateKey names no ARN")?.to_owned())
}

impl Kms for Moto {
    fn keks(&self) -> [String; 2] {
        self.arns.clone().map(|arn| format!("aws-kms://{arn}"))
    }

    fn environment(&self, _: &Path) -> Result<Vec<(&'static str, OsString)>> {
        Ok(vec![
            ("AWS_ENDPOINT_URL_KMS", self.endpoint.clone().into()),
            ("AWS_ACCESS_KEY_ID", "TEST".into()),
            ("AWS_SECRET_ACCESS_KEY", "TEST".into()),
        ])
    }

    fn stop(&mut self) -> Result<()> {
        self.process.signal(Signal::STOP)
    }

    fn resume(&mut self) -> Result<()> {
        self.process.signal(Signal::CONT)
    }
}
