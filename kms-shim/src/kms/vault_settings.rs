//! How to reach Vault, and as whom.

use std::io;
use std::path::PathBuf;

use clap::Args;
use serde::{Deserialize, Serialize};

/// The environment variable that may hold Vault's token itself.
pub const VAULT_TOKEN_ENV: &str = "S3EP_KMS_SHIM_VAULT_TOKEN";

/// The environment variable that may hold AppRole's secret id itself.
pub const SECRET_ID_ENV: &str = "S3EP_KMS_SHIM_VAULT_SECRET_ID";

/// What flags, environment and file can say about Vault and OpenBao.
#[derive(Debug, Clone, Default, Args, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct VaultSettings {
    /// File with Vault's token, read again when Vault refuses it; instead, S3EP_KMS_SHIM_VAULT_TOKEN may hold the token
    #[arg(
        id = "vault-token-file",
        long = "vault-token-file",
        env = "S3EP_KMS_SHIM_VAULT_TOKEN_FILE",
        value_name = "FILE"
    )]
    pub token_file: Option<PathBuf>,

    /// Role id, to log in to Vault by AppRole
    #[arg(id = "vault-role-id", long = "vault-role-id", env = "S3EP_KMS_SHIM_VAULT_ROLE_ID", value_name = "ID")]
    pub role_id: Option<String>,

    /// File with AppRole's secret id; instead, S3EP_KMS_SHIM_VAULT_SECRET_ID may hold the secret id
    #[arg(
        id = "vault-secret-id-file",
        long = "vault-secret-id-file",
        env = "S3EP_KMS_SHIM_VAULT_SECRET_ID_FILE",
        value_name = "FILE"
    )]
    pub secret_id_file: Option<PathBuf>,

    /// Role, to log in to Vault as a Kubernetes service account
    #[arg(
        id = "vault-kubernetes-role",
        long = "vault-kubernetes-role",
        env = "S3EP_KMS_SHIM_VAULT_KUBERNETES_ROLE",
        value_name = "ROLE"
    )]
    pub kubernetes_role: Option<String>,

    /// File with the service account's token [default: where Kubernetes puts it]
    #[arg(
        long = "vault-kubernetes-token-file",
        env = "S3EP_KMS_SHIM_VAULT_KUBERNETES_TOKEN_FILE",
        value_name = "FILE"
    )]
    pub kubernetes_token_file: Option<PathBuf>,

    /// Where the auth method is mounted [default: approle or kubernetes]
    #[arg(
        id = "vault-auth-mount",
        long = "vault-auth-mount",
        env = "S3EP_KMS_SHIM_VAULT_AUTH_MOUNT",
        value_name = "PATH"
    )]
    pub auth_mount: Option<String>,

    /// Namespace of key and auth method
    #[arg(
        id = "vault-namespace",
        long = "vault-namespace",
        env = "S3EP_KMS_SHIM_VAULT_NAMESPACE",
        value_name = "NAMESPACE"
    )]
    pub namespace: Option<String>,

    /// PEM file with the CAs that may have signed Vault's certificate [default: the system's]
    #[arg(id = "vault-ca-file", long = "vault-ca-file", env = "S3EP_KMS_SHIM_VAULT_CA_FILE", value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
}

/// Settings with which Vault cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum VaultSettingsError {
    /// Nothing or too much says who asks.
    #[error(
        "Vault takes one of: --vault-token-file or {VAULT_TOKEN_ENV}; \
         --vault-role-id with --vault-secret-id-file or {SECRET_ID_ENV}; --vault-kubernetes-role"
    )]
    Auth,
    /// A file cannot be read.
    #[error("{}: {error}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What failed.
        error: io::Error,
    },
    /// A token or an id that is no visible ASCII.
    #[error("{0} is not visible ASCII without spaces")]
    Characters(String),
    /// The CA file has no certificate, or a broken one.
    #[error("{}: {problem}", path.display())]
    Ca {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
}

impl VaultSettings {
    /// These settings, and for what they do not say the file's. Who asks is taken from one of them as a whole.
    #[must_use]
    pub fn or(self, file: Self) -> Self {
        let base = if self.says_who() { &self } else { &file };
        Self {
            token_file: base.token_file.clone(),
            role_id: base.role_id.clone(),
            secret_id_file: base.secret_id_file.clone(),
            kubernetes_role: base.kubernetes_role.clone(),
            kubernetes_token_file: base.kubernetes_token_file.clone(),
            auth_mount: base.auth_mount.clone(),
            namespace: self.namespace.clone().or(file.namespace.clone()),
            ca_file: self.ca_file.clone().or(file.ca_file.clone()),
        }
    }

    fn says_who(&self) -> bool {
        self.token_file.is_some() || self.role_id.is_some() || self.kubernetes_role.is_some()
    }
}
