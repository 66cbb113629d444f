//! Store, kms-shim and Envoy, running together.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::Value;
use tempfile::TempDir;

use crate::client::{Endpoint, S3Client};
use crate::envoy::{Configuration, Envoy, Keys};
use crate::kms::Kms;
use crate::setup::Setup;
use crate::shim::{Shim, ShimOptions, master_key, random_hex};
use crate::store::Store;
use crate::workspace::run_dir;

/// The bucket of every stack.
pub const BUCKET: &str = "s3ep-demo";

/// How DEKs come about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Mode {
    /// A DEK for each object, wrapped by kms-shim.
    Envelope,
    /// DEKs made from a master key, without a KMS.
    Direct,
}

/// A running stack. Dropping it ends all of it, Envoy first.
#[derive(Debug)]
pub struct Stack {
    /// Through Envoy, as everybody sees it.
    pub client: S3Client,
    /// Straight to the store, as the store's owner sees it.
    pub direct: S3Client,
    /// Envoy.
    pub envoy: Envoy,
    /// The keys' origin.
    pub keys: Keys,
    /// kms-shim, where it is ours.
    pub shim: Option<Shim>,
    /// The store.
    pub store: Store,
    folder: TempDir,
}

/// What a stack is made from.
#[derive(Debug)]
pub struct Builder<'a> {
    setup: &'a Setup,
    folder: TempDir,
    configuration: Configuration,
    port: u16,
    foreign_kms: Option<Keys>,
    shim: ShimOptions,
    /// The certificate of the CA that clients know Envoy by, in PEM.
    ca: Option<PathBuf>,
}

impl<'a> Builder<'a> {
    /// A stack of the programs in `setup`, in a folder of its own.
    pub fn new(setup: &'a Setup) -> Result<Self> {
        Ok(Self {
            setup,
            folder: run_dir()?,
            configuration: Configuration::reference()?,
            port: 0,
            foreign_kms: None,
            shim: ShimOptions::default(),
            ca: None,
        })
    }

    /// Where the stack's data and logs lie; for a [`Store`] to be made there.
    pub fn folder(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    /// Envoy listens on this port instead of a free one.
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Puts the TLS in force that stands in envoy/envoy.yaml as comments, where they name these files, with those on the right.
    /// Comes before other changes to the configuration.
    pub fn tls(mut self, files: &[(&str, &Path)]) -> Result<Self> {
        self.configuration = Configuration::reference_with_tls(files)?;
        Ok(self)
    }

    /// Clients speak TLS, and know Envoy by a certificate of this CA, given in PEM.
    pub fn trusted(mut self, ca: PathBuf) -> Self {
        self.ca = Some(ca);
        self
    }

    /// Changes the filter's configuration.
    pub fn plugin(mut self, change: impl FnOnce(&mut Value)) -> Self {
        self.configuration.plugin(change);
        self
    }

    /// Changes Envoy's cluster of this name.
    pub fn cluster(mut self, name: &str, change: impl FnOnce(&mut Value)) -> Self {
        change(self.configuration.cluster(name));
        self
    }

    /// Changes what Envoy does with clients' connections.
    pub fn connection_manager(mut self, change: impl FnOnce(&mut Value)) -> Self {
        change(self.configuration.connection_manager());
        self
    }

    /// Envoy watches a file with clients' listener, and takes what is moved there. Gives the file.
    pub fn watched(mut self) -> (Self, PathBuf) {
        let file = self.folder.path().join("listener.json");
        self.configuration.watch_listener(file.clone());
        (self, file)
    }

    /// Envoy has so many threads that do the work.
    pub fn workers(mut self, workers: u8) -> Self {
        self.configuration.set_workers(workers);
        self
    }

    /// Envoy runs without the filter.
    pub fn without_filter(mut self) -> Self {
        self.configuration.disable_filter();
        self
    }

    /// Gives kms-shim these arguments more.
    pub fn shim_arguments(mut self, arguments: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.shim.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// kms-shim wraps with the first key of this KMS, and unwraps with the second too.
    pub fn kms(mut self, kms: &dyn Kms) -> Result<Self> {
        self.shim.environment = kms.environment(self.folder.path())?;
        let [first, second] = kms.keks();
        Ok(self.shim_arguments(["--kek-uri", &first, "--kek-uri", &second, "--kek-uri", "tink-keyset:default"]))
    }

    /// kms-shim wraps with a keyset that the first key of this KMS encrypts.
    pub fn keyset_encrypted_by(mut self, kms: &dyn Kms) -> Result<Self> {
        self.shim.environment = kms.environment(self.folder.path())?;
        let [first, _] = kms.keks();
        self.shim.keyset_kek = Some(first);
        Ok(self)
    }

    /// Envelope mode with somebody else's KMS service instead of a kms-shim.
    pub fn foreign_kms(mut self, address: String) -> Self {
        let token = "s3ep-test-token".to_owned();
        self.foreign_kms = Some(Keys::Envelope { address, token });
        self
    }

    /// Starts everything.
    pub fn start(mut self, store: Store, mode: Mode) -> Result<Stack> {
        let (keys, shim) = self.keys(mode)?;
        let client = Endpoint::new(String::new(), "S3EPCLIENT".to_owned(), random_hex()?);
        let client = Endpoint { ca: self.ca, ..client };
        self.configuration.set_port(self.port);
        let envoy = start_envoy(self.setup, self.folder.path(), self.configuration, &store, &keys, &client)?;
        let stack = Stack {
            client: through(&envoy, client),
            direct: S3Client::new(store.endpoint.clone(), BUCKET),
            envoy,
            keys,
            shim,
            store,
            folder: self.folder,
        };
        stack.create_bucket()?;
        Ok(stack)
    }

    fn keys(&mut self, mode: Mode) -> Result<(Keys, Option<Shim>)> {
        if let Some(keys) = self.foreign_kms.take() {
            return Ok((keys, None));
        }
        let folder = self.folder.path();
        if mode == Mode::Direct {
            let master_key = master_key(&self.setup.shim, folder)?;
            return Ok((Keys::Direct { master_key }, None));
        }
        let shim = Shim::start(&self.setup.shim, folder, &self.shim)?;
        let (address, token) = (shim.address.clone(), shim.token.clone());
        Ok((Keys::Envelope { address, token }, Some(shim)))
    }
}

/// One more Envoy in front of a stack's store and KMS.
#[derive(Debug)]
pub struct Replica {
    /// Through this Envoy.
    pub client: S3Client,
    /// The Envoy.
    pub envoy: Envoy,
    _folder: TempDir,
}

/// Starts Envoy for one client.
fn start_envoy(
    setup: &Setup,
    folder: &Path,
    mut configuration: Configuration,
    store: &Store,
    keys: &Keys,
    client: &Endpoint,
) -> Result<Envoy> {
    configuration.set_filter(&setup.wasm);
    configuration.set_store(&store.endpoint);
    configuration.set_keys(keys);
    configuration.set_client(client);
    Envoy::start(setup, folder, &mut configuration, &store.endpoint, keys, &client.secret_key)
}

/// The client, through this Envoy.
fn through(envoy: &Envoy, client: Endpoint) -> S3Client {
    S3Client::new(Endpoint { url: envoy.url.clone(), ..client }, BUCKET)
}

impl Stack {
    /// Starts one more Envoy, with the reference configuration, for the same client, store and KMS.
    pub fn replica(&self, setup: &Setup) -> Result<Replica> {
        self.replica_with(setup, Configuration::reference()?)
    }

    /// The same with another configuration.
    pub fn replica_with(&self, setup: &Setup, configuration: Configuration) -> Result<Replica> {
        self.replica_of(setup, configuration, &self.keys)
    }

    /// The same with keys of its own, too.
    pub fn replica_of(&self, setup: &Setup, mut configuration: Configuration, keys: &Keys) -> Result<Replica> {
        let folder = run_dir()?;
        configuration.set_port(0);
        let client = self.client.endpoint.clone();
        let envoy = start_envoy(setup, folder.path(), configuration, &self.store, keys, &client)?;
        Ok(Replica { client: through(&envoy, client), envoy, _folder: folder })
    }

    /// The stack's folder.
    pub fn folder(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    /// A command with the AWS variables of a client of this stack.
    pub fn client_command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let endpoint = &self.client.endpoint;
        let mut command = Command::new(program);
        command
            .envs(endpoint.ca.iter().map(|ca| ("AWS_CA_BUNDLE", ca)))
            .env("AWS_ENDPOINT_URL", &endpoint.url)
            .env("AWS_ACCESS_KEY_ID", &endpoint.access_key)
            .env("AWS_SECRET_ACCESS_KEY", &endpoint.secret_key)
            .env("AWS_REGION", &endpoint.region)
            .env("S3EP_BUCKET", &self.client.bucket)
            .env_remove("AWS_SESSION_TOKEN")
            .env_remove("AWS_PROFILE");
        command
    }

    /// Fails if one of the processes has ended.
    pub fn ensure_running(&mut self) -> Result<()> {
        self.envoy.ensure_running()?;
        self.shim.as_mut().map_or(Ok(()), Shim::ensure_running)?;
        self.store.ensure_running()
    }

    /// The ends of all logs, for a failure's message.
    pub fn log_tails(&self) -> String {
        let shim = self.shim.as_ref().map(Shim::log_tail).unwrap_or_default();
        self.envoy.log_tail() + &shim + &self.store.log_tail()
    }

    fn create_bucket(&self) -> Result<()> {
        let is_there = self.direct.bucket("HEAD", "").send(&[])?.status == 200;
        if !is_there {
            self.direct.bucket("PUT", "").send(&[])?.expect(200).context("the bucket")?;
        }
        Ok(())
    }
}
