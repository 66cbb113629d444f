//! kms-shim as a child process, with a keyset and a token of its own.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use rustix::process::Signal;

use crate::process::{Process, run};

/// A running kms-shim.
#[derive(Debug)]
pub struct Shim {
    /// `IP:port`.
    pub address: String,
    /// The bearer token.
    pub token: String,
    /// The Tink keyset, in clear unless its options say otherwise.
    pub keyset: PathBuf,
    process: Process,
}

/// What a kms-shim has beside its keyset and its token.
#[derive(Debug, Default)]
pub struct ShimOptions {
    /// More arguments.
    pub arguments: Vec<OsString>,
    /// More variables in its environment.
    pub environment: Vec<(&'static str, OsString)>,
    /// The URI of the key that encrypts its keyset; none: it lies in clear.
    pub keyset_kek: Option<String>,
}

impl Shim {
    /// Makes a keyset and a token in `folder`, and serves there.
    pub fn start(program: &Path, folder: &Path, options: &ShimOptions) -> Result<Self> {
        let keyset = folder.join("keyset.json");
        let mut keygen = options.command(program);
        keygen.args(["keygen", "keyset", "--out"]).arg(&keyset);
        run(keygen.args(options.keyset_kek.iter().flat_map(|uri| ["--encrypt-with", uri])))?;
        let token = random_hex()?;
        let token_file = folder.join("kms-shim.token");
        write_secret(&token_file, &token)?;
        let address_file = folder.join("kms-shim.address");
        let mut command = options.command(program);
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--log-level", "debug"])
            .args(&options.arguments)
            .args(options.keyset_kek.iter().flat_map(|uri| ["--keyset-kek-uri", uri]))
            .arg("--keyset")
            .arg(&keyset)
            .arg("--token-file")
            .arg(&token_file)
            .arg("--address-file")
            .arg(&address_file);
        let mut process = Process::spawn("kms-shim", command, folder.join("kms-shim.log"))?;
        let address = process.wait_until_ready(|| {
            let text = fs::read_to_string(&address_file).ok()?;
            Some(text.trim().to_owned()).filter(|address| !address.is_empty())
        })?;
        Ok(Self { address, token, keyset, process })
    }

    /// Makes it answer nothing until [`Shim::resume`]. What is sent to it waits.
    pub fn pause(&mut self) -> Result<()> {
        self.process.signal(Signal::STOP)
    }

    /// Lets it go on after [`Shim::pause`].
    pub fn resume(&mut self) -> Result<()> {
        self.process.signal(Signal::CONT)
    }

    /// Ends it; Envoy then finds nobody at its address.
    pub fn stop(&mut self) -> Result<()> {
        self.process.stop().map(drop)
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

impl ShimOptions {
    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }
}

/// Makes a master key for direct mode: 32 random bytes in base64.
pub fn master_key(program: &Path, folder: &Path) -> Result<String> {
    let file = folder.join("master.key");
    run(Command::new(program).args(["keygen", "master-key", "--out"]).arg(&file))?;
    Ok(fs::read_to_string(file)?.trim().to_owned())
}

/// 32 random bytes in hex: a token, or a secret access key.
pub fn random_hex() -> Result<String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Writes a file that only this user can read.
pub fn write_secret(file: &Path, text: &str) -> Result<()> {
    use std::io::Write as _;
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    Ok(options.open(file)?.write_all(text.as_bytes())?)
}
