//! The configuration: flags before environment before file before defaults, all in one schema.

mod effective;
mod error;
mod former;
mod keks;

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::admission::Limits;
use crate::kms::{GcpSettings, KmsSettings, KmsUri, VaultSettings};
use crate::listen::Listen;
use crate::tink::KeysetName;
use crate::tls::TlsFiles;
use crate::token::Token;

pub use effective::Effective;
pub use error::ConfigError;
pub use former::{EncryptionType, FormerName};
pub use keks::{InvalidKekUri, KekSource, KekUri, KeysetSource};

/// The environment variable that may hold the bearer token itself.
pub const TOKEN_ENV: &str = "S3EP_KMS_SHIM_TOKEN";

/// What flags, environment and file can say. The file has these members in YAML or JSON, and no others; relative paths
/// are taken from the working directory.
#[derive(Debug, Clone, Default, Args, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Address to listen on: IP:port (port 0 takes a free one) or unix:/path [default: 127.0.0.1:8181]
    #[arg(long, env = "S3EP_KMS_SHIM_LISTEN", value_name = "ADDRESS")]
    pub listen: Option<Listen>,

    /// PEM file with the certificate for TLS, and those that lead to its root; for TCP addresses
    #[arg(long, env = "S3EP_KMS_SHIM_TLS_CERT", value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,

    /// PEM file with the certificate's private key
    #[arg(long, env = "S3EP_KMS_SHIM_TLS_KEY", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,

    /// PEM file with the CAs of which every client must have a certificate [default: clients need none]
    #[arg(long, env = "S3EP_KMS_SHIM_TLS_CLIENT_CA", value_name = "FILE")]
    pub tls_client_ca: Option<PathBuf>,

    /// Allow an address that other machines reach without TLS, although DEKs cross it in clear
    #[arg(long, env = "S3EP_KMS_SHIM_ALLOW_REMOTE_PLAINTEXT", value_name = "BOOL")]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub allow_remote_plaintext: Option<bool>,

    /// File that the address is written to once the service listens, and that goes when it stops
    #[arg(long, env = "S3EP_KMS_SHIM_ADDRESS_FILE", value_name = "FILE")]
    pub address_file: Option<PathBuf>,

    /// File with the bearer token; instead, S3EP_KMS_SHIM_TOKEN may hold the token
    #[arg(long, env = "S3EP_KMS_SHIM_TOKEN_FILE", value_name = "FILE")]
    pub token_file: Option<PathBuf>,

    /// Address for /healthz, /readyz and /metrics alone, without TLS, which may be remote [default: none]
    #[arg(long, env = "S3EP_KMS_SHIM_OPERATIONS_LISTEN", value_name = "ADDRESS")]
    pub operations_listen: Option<Listen>,

    /// Connections at a time; more wait [default: 1024]
    #[arg(long, env = "S3EP_KMS_SHIM_MAX_CONNECTIONS", value_name = "N")]
    pub max_connections: Option<NonZeroU32>,

    /// Wrap and unwrap requests under way at a time [default: 512]
    #[arg(long, env = "S3EP_KMS_SHIM_MAX_CONCURRENT_REQUESTS", value_name = "N")]
    pub max_concurrent_requests: Option<NonZeroU32>,

    /// Wrap and unwrap requests in a second, all callers together [default: no limit]
    #[arg(long, env = "S3EP_KMS_SHIM_RATE_LIMIT", value_name = "N")]
    pub rate_limit: Option<NonZeroU32>,

    /// How many may come at once within the rate limit [default: the rate limit]
    #[arg(long, env = "S3EP_KMS_SHIM_RATE_BURST", value_name = "N")]
    pub rate_burst: Option<NonZeroU32>,

    /// KEKs: the first wraps, each unwraps what it wrapped. aws-kms://…, gcp-kms://…, hcvault://…, or tink-keyset:NAME
    /// for the keyset, which otherwise comes first. To be repeated, or with commas
    #[arg(long, env = "S3EP_KMS_SHIM_KEK_URI", value_name = "URI", value_delimiter = ',')]
    #[serde(deserialize_with = "keks::one_or_more")]
    pub kek_uri: Vec<KekUri>,

    /// Tink JSON keyset with AES-256-GCM keys, in clear unless --keyset-kek-uri is given
    #[arg(long, env = "S3EP_KMS_SHIM_KEYSET", value_name = "FILE")]
    pub keyset: Option<PathBuf>,

    /// Name of the keyset in the KEK's id, tink-keyset:NAME, which is stored with every object [default: default]
    #[arg(long, env = "S3EP_KMS_SHIM_KEYSET_NAME", value_name = "NAME")]
    pub keyset_name: Option<KeysetName>,

    /// Key of a KMS that encrypts the keyset
    #[arg(long, env = "S3EP_KMS_SHIM_KEYSET_KEK_URI", value_name = "URI")]
    pub keyset_kek_uri: Option<KmsUri>,

    /// How to reach Google Cloud KMS.
    #[command(flatten)]
    pub gcp: GcpSettings,

    /// How to reach Vault or OpenBao, and as whom.
    #[command(flatten)]
    pub vault: VaultSettings,

    /// Log what is at least this important [default: info]
    #[arg(long, env = "S3EP_KMS_SHIM_LOG_LEVEL", value_name = "LEVEL")]
    pub log_level: Option<LogLevel>,

    /// Form of the log on standard error [default: text]
    #[arg(long, env = "S3EP_KMS_SHIM_LOG_FORMAT", value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,

    /// What s3-encryption-proxy calls `listen`. In files alone, like the others of its names.
    #[arg(skip)]
    #[serde(skip_serializing)]
    pub bind_address: Option<Listen>,

    /// How s3-encryption-proxy gets DEKs: by a KEK, as kms-shim always does.
    #[arg(skip)]
    #[serde(skip_serializing)]
    pub encryption_type: Option<EncryptionType>,

    /// Refused, with what to give instead.
    #[arg(skip)]
    #[serde(skip_serializing, deserialize_with = "former::refuse_aes_key")]
    aes_key: (),

    /// Refused, with what to give instead.
    #[arg(skip)]
    #[serde(skip_serializing, deserialize_with = "former::refuse_credentials_path")]
    credentials_path: (),
}

/// How important a log line must be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// No log at all.
    Off,
    /// The service cannot go on.
    Error,
    /// Refused and failed requests.
    Warn,
    /// Start and stop.
    #[default]
    Info,
    /// Every request.
    Debug,
    /// What the libraries say.
    Trace,
}

/// The form of a log line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// The configuration that the service runs with.
#[derive(Debug)]
pub struct Config {
    /// Where to listen. Not remote without TLS, unless that was allowed.
    pub listen: Listen,
    /// With which certificates, if with TLS.
    pub tls: Option<TlsFiles>,
    /// Where to write the actual address.
    pub address_file: Option<PathBuf>,
    /// What callers must send.
    pub token: Token,
    /// Where to serve health and metrics besides.
    pub operations_listen: Option<Listen>,
    /// How much is taken on.
    pub limits: Limits,
    /// The KEKs, at least one. The first wraps.
    pub keks: Vec<KekSource>,
    /// How to reach the KMS.
    pub kms: KmsSettings,
    /// How important a log line must be.
    pub log_level: LogLevel,
    /// The form of the log.
    pub log_format: LogFormat,
    /// Names of s3-encryption-proxy in the file.
    pub former_names: Vec<FormerName>,
}

impl Settings {
    /// Reads a configuration file.
    pub fn from_file(path: &Path) -> Result<Self, ConfigError> {
        let text = read(path)?;
        // The message quotes nothing of the file but the names of its members: somebody may have put the token there.
        let options = serde_saphyr::options! { with_snippet: false };
        let file: Self = serde_saphyr::from_str_with_options(&text, options)
            .map_err(|error| ConfigError::Parse { path: path.to_owned(), error: error.to_string() })?;
        match (&file.listen, &file.bind_address) {
            (Some(_), Some(_)) => Err(ConfigError::TwoAddresses(path.to_owned())),
            _ => Ok(file),
        }
    }
}

/// Reads a text file that may hold a secret.
pub(crate) fn read(path: &Path) -> Result<Zeroizing<String>, ConfigError> {
    let text = std::fs::read_to_string(path);
    text.map(Zeroizing::new).map_err(|error| ConfigError::Read { path: path.to_owned(), error })
}
