//! Configurations that the service does not start with.

use std::io;
use std::path::PathBuf;

use crate::listen::Listen;
use crate::tink::KeysetName;
use crate::token::InvalidToken;

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
    /// `listen`, and s3-encryption-proxy's name for it.
    #[error("{}: listen and bind_address are the same: give one of them", .0.display())]
    TwoAddresses(PathBuf),
    /// The configuration cannot be shown as text.
    #[error("cannot print the configuration: {0}")]
    Print(String),
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
