//! The configuration: flags before environment before file before defaults, all in one schema.

mod keks;

use std::fmt;
use std::io;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::admission::{Limits, Rate};
use crate::kms::{KmsUri, VaultSettings};
use crate::listen::Listen;
use crate::tink::KeysetName;
use crate::tls::TlsFiles;
use crate::token::{InvalidToken, Token};

pub use keks::{InvalidKekUri, KekSource, KekUri, KeysetSource};

/// The environment variable that may hold the bearer token itself.
pub const TOKEN_ENV: &str = "S3EP_KMS_SHIM_TOKEN";

/// What flags, environment and file can say. The file has these members in YAML or JSON, and no others; relative paths
/// are taken from the working directory.
#[derive(Debug, Default, Args, Deserialize)]
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

    /// KEKs: the first wraps, each unwraps what it wrapped. aws-kms://…, hcvault://…, or tink-keyset:NAME for the keyset,
    /// which otherwise comes first. To be repeated, or with commas
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

    /// How to reach Vault or OpenBao, and as whom.
    #[command(flatten)]
    pub vault: VaultSettings,

    /// Log what is at least this important [default: info]
    #[arg(long, env = "S3EP_KMS_SHIM_LOG_LEVEL", value_name = "LEVEL")]
    pub log_level: Option<LogLevel>,

    /// Form of the log on standard error [default: text]
    #[arg(long, env = "S3EP_KMS_SHIM_LOG_FORMAT", value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
}

/// How important a log line must be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum, Deserialize)]
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
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum, Deserialize)]
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
    /// How to reach Vault, and as whom.
    pub vault: VaultSettings,
    /// How important a log line must be.
    pub log_level: LogLevel,
    /// The form of the log.
    pub log_format: LogFormat,
}

/// A configuration that the service does not start with.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file that the configuration names could not be read.
    #[error("{}: {error}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What failed.
        error: io::Error,
    },
    /// The configuration file is malformed or has unknown members.
    #[error("{}: {error}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        error: String,
    },
    /// Nothing says what the token is.
    #[error("no bearer token: give --token-file or S3EP_KMS_SHIM_TOKEN")]
    NoToken,
    /// The token could never be sent.
    #[error("{origin}: {error}")]
    Token {
        /// The file or variable that has it.
        origin: String,
        /// What is wrong with it.
        error: InvalidToken,
    },
    /// Nothing says which KEK.
    #[error("no KEK: give --kek-uri or --keyset (`kms-shim keygen keyset` makes one)")]
    NoKek,
    /// A keyset is named that has no file.
    #[error("there is no keyset {0}: give its --keyset and --keyset-name")]
    UnknownKeyset(KeysetName),
    /// A key is to encrypt a keyset that is not there.
    #[error("--keyset-kek-uri is for a --keyset")]
    KekWithoutKeyset,
    /// Other machines could read DEKs off the wire.
    #[error(
        "{0} is not a loopback address: DEKs would cross the network in clear; \
         give --tls-cert and --tls-key (or --allow-remote-plaintext)"
    )]
    RemotePlaintext(Listen),
    /// Some of TLS's files are missing.
    #[error("TLS takes --tls-cert and --tls-key, and --tls-client-ca only with them")]
    PartialTls,
    /// A burst within no rate.
    #[error("--rate-burst is for a --rate-limit, and there is none")]
    BurstWithoutRate,
    /// TLS on a socket that no other machine reaches.
    #[error("{0}: TLS is for TCP addresses; on a Unix socket, file permissions say who may connect")]
    TlsOnSocket(Listen),
}

impl Settings {
    /// Reads a configuration file.
    pub fn from_file(path: &Path) -> Result<Self, ConfigError> {
        let text = read(path)?;
        // The message quotes nothing of the file but the names of its members: somebody may have put the token there.
        let options = serde_saphyr::options! { with_snippet: false };
        serde_saphyr::from_str_with_options(&text, options)
            .map_err(|error| ConfigError::Parse { path: path.to_owned(), error: error.to_string() })
    }

    /// Puts these settings (flags and environment), the token in the environment, and the file's settings together.
    pub fn resolve(self, token: Option<Zeroizing<String>>, file: Settings) -> Result<Config, ConfigError> {
        let listen = self.listen.or(file.listen).unwrap_or_default();
        let tls = tls_files(
            self.tls_cert.or(file.tls_cert),
            self.tls_key.or(file.tls_key),
            self.tls_client_ca.or(file.tls_client_ca),
        )?;
        let allow_remote = self.allow_remote_plaintext.or(file.allow_remote_plaintext).unwrap_or_default();
        check_exposure(&listen, tls.is_some(), allow_remote)?;
        let token = match (self.token_file, token, file.token_file) {
            (Some(path), _, _) | (None, None, Some(path)) => read_token(&path)?,
            (None, Some(token), _) => parse_token(&token, TOKEN_ENV)?,
            (None, None, None) => return Err(ConfigError::NoToken),
        };
        let limits = Limits::default();
        let keyset = keyset(
            self.keyset.or(file.keyset),
            self.keyset_name.or(file.keyset_name),
            self.keyset_kek_uri.or(file.keyset_kek_uri),
        )?;
        let uris = if self.kek_uri.is_empty() { file.kek_uri } else { self.kek_uri };
        Ok(Config {
            listen,
            tls,
            address_file: self.address_file.or(file.address_file),
            token,
            operations_listen: self.operations_listen.or(file.operations_listen),
            limits: Limits {
                connections: self.max_connections.or(file.max_connections).unwrap_or(limits.connections),
                requests: self.max_concurrent_requests.or(file.max_concurrent_requests).unwrap_or(limits.requests),
                rate: rate(self.rate_limit.or(file.rate_limit), self.rate_burst.or(file.rate_burst))?,
            },
            keks: keks::order(&uris, keyset)?,
            vault: self.vault.or(file.vault),
            log_level: self.log_level.or(file.log_level).unwrap_or_default(),
            log_format: self.log_format.or(file.log_format).unwrap_or_default(),
        })
    }
}

fn tls_files(
    certificates: Option<PathBuf>,
    key: Option<PathBuf>,
    client_ca: Option<PathBuf>,
) -> Result<Option<TlsFiles>, ConfigError> {
    match (certificates, key, client_ca) {
        (None, None, None) => Ok(None),
        (Some(certificates), Some(key), client_ca) => Ok(Some(TlsFiles { certificates, key, client_ca })),
        _ => Err(ConfigError::PartialTls),
    }
}

fn rate(per_second: Option<NonZeroU32>, burst: Option<NonZeroU32>) -> Result<Option<Rate>, ConfigError> {
    match (per_second, burst) {
        (None, Some(_)) => Err(ConfigError::BurstWithoutRate),
        (None, None) => Ok(None),
        (Some(per_second), burst) => Ok(Some(Rate { per_second, burst: burst.unwrap_or(per_second) })),
    }
}

fn check_exposure(listen: &Listen, tls: bool, allow_remote_plaintext: bool) -> Result<(), ConfigError> {
    match listen {
        Listen::Unix(_) if tls => Err(ConfigError::TlsOnSocket(listen.clone())),
        _ if listen.is_remote() && !tls && !allow_remote_plaintext => Err(ConfigError::RemotePlaintext(listen.clone())),
        _ => Ok(()),
    }
}

fn keyset(
    path: Option<PathBuf>,
    name: Option<KeysetName>,
    kek: Option<KmsUri>,
) -> Result<Option<KeysetSource>, ConfigError> {
    match (path, kek) {
        (None, Some(_)) => Err(ConfigError::KekWithoutKeyset),
        (path, kek) => Ok(path.map(|path| KeysetSource { path, name: name.unwrap_or_default(), kek })),
    }
}

/// Reads a text file that may hold a secret.
pub(crate) fn read(path: &Path) -> Result<Zeroizing<String>, ConfigError> {
    let text = std::fs::read_to_string(path);
    text.map(Zeroizing::new).map_err(|error| ConfigError::Read { path: path.to_owned(), error })
}

fn read_token(path: &Path) -> Result<Token, ConfigError> {
    parse_token(&read(path)?, path.display())
}

fn parse_token(text: &str, origin: impl fmt::Display) -> Result<Token, ConfigError> {
    Token::new(text).map_err(|error| ConfigError::Token { origin: origin.to_string(), error })
}
