//! The object stores behind Envoy.

pub mod embedded;
pub mod memory;
pub mod minio;

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};

use crate::client::Endpoint;
use crate::pki::Identity;
use crate::process::Process;
use crate::shim::random_hex;

/// Which store a test runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreKind {
    /// s3s-fs inside this process: always there. No versions, tags, conditional reads, or ETags in listings.
    Embedded,
    /// MinIO, where Go is there to build it.
    Full,
}

/// A store that is running.
#[derive(Debug)]
pub struct Store {
    /// Where it is, and its credentials.
    pub endpoint: Endpoint,
    /// Where its objects lie as files, if this is known.
    pub files: Option<PathBuf>,
    process: Option<Process>,
}

impl Store {
    /// Starts the embedded store with its files in `folder`.
    pub fn embedded(folder: &Path) -> Result<Self> {
        let files = folder.join("embedded");
        let (access_key, secret_key) = ("S3EPSTORE".to_owned(), random_hex()?);
        let address = embedded::serve(&files, &access_key, &secret_key)?;
        Ok(Self {
            endpoint: Endpoint::new(format!("http://{address}"), access_key, secret_key),
            files: Some(files),
            process: None,
        })
    }

    /// Starts a store for measurements, in memory.
    pub fn memory() -> Result<Self> {
        let address = memory::serve()?;
        let endpoint = Endpoint::new(format!("http://{address}"), "S3EPSTORE".to_owned(), random_hex()?);
        Ok(Self::at(endpoint))
    }

    /// Starts the full store with its files in `folder`. `program` is from [`minio::binary`].
    pub fn full(program: &Path, folder: &Path) -> Result<Self> {
        Self::start_full(program, folder, None)
    }

    /// The same with TLS. `ca` is the file with the certificate of the CA that its own is of.
    pub fn full_with_tls(program: &Path, folder: &Path, identity: &Identity, ca: PathBuf) -> Result<Self> {
        minio::certify(folder, identity)?;
        Self::start_full(program, folder, Some(ca))
    }

    fn start_full(program: &Path, folder: &Path, ca: Option<PathBuf>) -> Result<Self> {
        let endpoint = Endpoint::new(String::new(), "S3EPSTORE".to_owned(), random_hex()?);
        let mut endpoint = Endpoint { ca, ..endpoint };
        let process = minio::serve(program, folder, &mut endpoint)?;
        Ok(Self { endpoint, files: None, process: Some(process) })
    }

    /// A store that somebody else runs. Credentials come from the environment, and the region if it is
    /// not us-east-1.
    pub fn external(url: &str) -> Result<Self> {
        ensure!(
            !url.starts_with("https://"),
            "The demo reaches its store over plain HTTP. For a store with TLS, see the cluster `s3` in envoy/envoy.yaml"
        );
        let Some(authority) = url.strip_prefix("http://").map(|rest| rest.trim_end_matches('/')) else {
            bail!("the store's URL must begin with http://");
        };
        ensure!(!authority.contains('/'), "the store's URL must not have a path");
        let variable = |name: &str| env::var(name).with_context(|| format!("--store needs {name} in the environment"));
        let mut endpoint = Endpoint::new(
            format!("http://{authority}"),
            variable("S3EP_STORE_ACCESS_KEY_ID")?,
            variable("S3EP_STORE_SECRET_ACCESS_KEY")?,
        );
        if let Ok(region) = env::var("S3EP_STORE_REGION") {
            endpoint.region = region;
        }
        Ok(Self::at(endpoint))
    }

    /// A store that somebody else runs, there.
    pub fn at(endpoint: Endpoint) -> Self {
        Self { endpoint, files: None, process: None }
    }

    /// Ends it, if it is a process of ours; Envoy then finds nobody at its address.
    pub fn stop(&mut self) -> Result<()> {
        self.process.as_mut().map_or(Ok(()), |process| process.stop().map(drop))
    }

    /// Fails if it is a process of ours and has ended.
    pub fn ensure_running(&mut self) -> Result<()> {
        self.process.as_mut().map_or(Ok(()), Process::ensure_running)
    }

    /// The end of its log, if it is a process of ours.
    pub fn log_tail(&self) -> String {
        self.process.as_ref().map(Process::log_tail).unwrap_or_default()
    }
}
