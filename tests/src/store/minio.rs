//! The full store: MinIO, built with `go install`.
//!
//! versitygw 1.8.0 was tried beside it. It builds in 2.5 minutes of CPU time instead of 4.5, and covers as much
//! (versions, tags, conditional requests, all of multipart). But it stores an upload that broke off as if it were
//! whole, which S3 never does and which these tests have to be able to see. So MinIO it is.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use ureq::Agent;

use crate::client::{Endpoint, trusting};
use crate::go;
use crate::pki::Identity;
use crate::process::{Process, free_address};
use crate::shim::write_secret;

const MODULE: &str = "github.com/minio/minio";
/// A commit's version: MinIO tags its releases in a way that Go does not take for versions.
const VERSION: &str = "v0.0.0-20260212201848-7aac2a2c5b7c";

/// Lets it answer SSE-S3 and SSE-KMS as S3 does: a key's name, and 32 bytes of zeros, which keep no secret here.
const KMS_KEY: &str = "s3ep-test:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

/// The store's program, built on first use. None: there is no Go.
pub fn binary() -> Result<Option<PathBuf>> {
    go::program(MODULE, VERSION)
}

/// Where its certificate is looked for below its folder: without one it speaks plain HTTP.
const CERTIFICATES: &str = "certificates";

/// Gives a store in `folder` its certificate.
pub fn certify(folder: &Path, identity: &Identity) -> Result<()> {
    let certificates = folder.join(CERTIFICATES);
    fs::create_dir_all(&certificates)?;
    fs::write(certificates.join("public.crt"), &identity.certificate)?;
    write_secret(&certificates.join("private.key"), &identity.key)
}

/// Serves objects in a folder below `folder` on a free port. `ca` vouches for its certificate, if it has one.
pub fn serve(program: &Path, folder: &Path, endpoint: &mut Endpoint) -> Result<Process> {
    let objects = folder.join("full");
    fs::create_dir_all(&objects)?;
    let address = free_address()?;
    let mut command = Command::new(program);
    command
        .env("MINIO_ROOT_USER", &endpoint.access_key)
        .env("MINIO_ROOT_PASSWORD", &endpoint.secret_key)
        .env("MINIO_BROWSER", "off")
        .env("MINIO_UPDATE", "off")
        .env("MINIO_KMS_SECRET_KEY", KMS_KEY)
        .args(["server", "--quiet", "--address", &address.to_string(), "--certs-dir"])
        .arg(folder.join(CERTIFICATES))
        .arg(objects);
    let mut process = Process::spawn("minio", command, folder.join("minio.log"))?;
    let scheme = if endpoint.ca.is_some() { "https" } else { "http" };
    endpoint.url = format!("{scheme}://{address}");
    let agent = Agent::config_builder().tls_config(trusting(endpoint.ca.as_deref())).build().new_agent();
    process.wait_until_ready(|| agent.get(format!("{}/minio/health/cluster", endpoint.url)).call().ok())?;
    Ok(process)
}
