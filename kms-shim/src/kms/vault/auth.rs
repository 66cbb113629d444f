//! Who asks Vault: a token, an AppRole, or a Kubernetes service account.

use std::path::{Path, PathBuf};

use serde::Serialize;
use zeroize::Zeroizing;

use crate::kms::vault_settings::{SECRET_ID_ENV, VAULT_TOKEN_ENV, VaultSettings, VaultSettingsError};

const SERVICE_ACCOUNT_TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/// Where a token comes from.
pub(super) enum Auth {
    Token(Origin),
    Login { mount: String, role: Role },
}

/// A secret, or the file that it is read from each time, because others renew it there.
pub(super) enum Origin {
    Value(Zeroizing<String>),
    File(PathBuf),
}

pub(super) enum Role {
    AppRole { role_id: String, secret_id: Origin },
    Kubernetes { role: String, jwt: Origin },
}

/// The body of a login.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Login<'a> {
    AppRole { role_id: &'a str, secret_id: Zeroizing<String> },
    Kubernetes { role: &'a str, jwt: Zeroizing<String> },
}

impl Auth {
    pub(super) fn new(settings: &VaultSettings) -> Result<Self, VaultSettingsError> {
        let mount = |default: &str| settings.auth_mount.as_deref().unwrap_or(default).trim_matches('/').to_owned();
        match (&settings.token_file, &settings.role_id, &settings.kubernetes_role) {
            (token_file, None, None) => {
                let token = Origin::new(token_file.as_deref(), VAULT_TOKEN_ENV)?;
                Ok(Self::Token(token))
            }
            (None, Some(role_id), None) => {
                let secret_id = Origin::new(settings.secret_id_file.as_deref(), SECRET_ID_ENV)?;
                let role = Role::AppRole { role_id: role_id.clone(), secret_id };
                Ok(Self::Login { mount: mount("approle"), role })
            }
            (None, None, Some(role)) => {
                let file = settings.kubernetes_token_file.as_deref().unwrap_or(Path::new(SERVICE_ACCOUNT_TOKEN));
                let role = Role::Kubernetes { role: role.clone(), jwt: Origin::File(file.to_owned()) };
                Ok(Self::Login { mount: mount("kubernetes"), role })
            }
            _ => Err(VaultSettingsError::Auth),
        }
    }
}

impl Role {
    pub(super) fn login(&self) -> Result<Login<'_>, VaultSettingsError> {
        Ok(match self {
            Self::AppRole { role_id, secret_id } => Login::AppRole { role_id, secret_id: secret_id.read()? },
            Self::Kubernetes { role, jwt } => Login::Kubernetes { role, jwt: jwt.read()? },
        })
    }
}

impl Origin {
    fn new(file: Option<&Path>, variable: &str) -> Result<Self, VaultSettingsError> {
        match (file, std::env::var(variable)) {
            (Some(file), _) => Ok(Self::File(file.to_owned())),
            (None, Ok(value)) => Ok(Self::Value(Zeroizing::new(value))),
            (None, Err(_)) => Err(VaultSettingsError::Auth),
        }
    }

    /// The secret, without the white space around it, as a file ends in a newline.
    pub(super) fn read(&self) -> Result<Zeroizing<String>, VaultSettingsError> {
        let (text, origin) = match self {
            Self::Value(value) => (value.clone(), "Vault's secret in the environment".to_owned()),
            Self::File(path) => {
                let text = std::fs::read_to_string(path);
                let text = text.map_err(|error| VaultSettingsError::Read { path: path.clone(), error })?;
                (Zeroizing::new(text), path.display().to_string())
            }
        };
        let secret = text.trim();
        if secret.is_empty() || !secret.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(VaultSettingsError::Characters(origin));
        }
        Ok(Zeroizing::new(secret.to_owned()))
    }
}
