//! The Transit secrets engine of HashiCorp Vault and OpenBao: `POST MOUNT/encrypt/NAME` and `MOUNT/decrypt/NAME` with the
//! context as `associated_data`, for keys of an AEAD type (`aes256-gcm96`, which is Transit's default).

mod auth;
mod session;

use std::fmt;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kms_api::{ErrorKind, Secret};
use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;

use super::uri::VaultKey;
use super::vault_settings::{VaultSettings, VaultSettingsError};
use crate::kek::{Context, Kek, KekError};
use session::Session;

/// A Transit key. Its id is `hcvault:`, the namespace if there is one, the mount, `keys` and the key's name: not the
/// host, so that Vault may move.
pub(super) struct VaultTransit {
    id: String,
    key: VaultKey,
    session: Session,
    binds: OnceCell<()>,
}

#[derive(Serialize)]
struct EncryptRequest<'a> {
    plaintext: &'a Secret,
    associated_data: String,
}

#[derive(Deserialize)]
struct EncryptAnswer {
    ciphertext: String,
}

#[derive(Serialize)]
struct DecryptRequest<'a> {
    ciphertext: &'a str,
    associated_data: String,
}

#[derive(Deserialize)]
struct DecryptAnswer {
    plaintext: Secret,
}

impl VaultTransit {
    /// Asks nothing of Vault yet.
    pub(super) fn open(key: &VaultKey, settings: &VaultSettings) -> Result<Self, VaultSettingsError> {
        let namespace = settings.namespace.as_deref().map(|name| format!("{}/", name.trim_matches('/')));
        let id = format!("hcvault:{}{}/keys/{}", namespace.unwrap_or_default(), key.mount, key.name);
        let session = Session::new(&key.authority, settings)?;
        Ok(Self { id, key: key.clone(), session, binds: OnceCell::new() })
    }

    async fn encrypt(&self, dek: &Secret, context: &Context) -> Result<String, KekError> {
        let path = format!("{}/encrypt/{}", self.key.mount, self.key.name);
        let request = EncryptRequest { plaintext: dek, associated_data: associated_data(context) };
        let EncryptAnswer { ciphertext } = self.session.call(&path, &request).await?;
        Ok(ciphertext)
    }

    async fn decrypt(&self, ciphertext: &str, context: &Context) -> Result<Secret, KekError> {
        let path = format!("{}/decrypt/{}", self.key.mount, self.key.name);
        let request = DecryptRequest { ciphertext, associated_data: associated_data(context) };
        let DecryptAnswer { plaintext } = self.session.call(&path, &request).await?;
        Ok(plaintext)
    }

    /// Vault before 1.13 passes over `associated_data` without a word, and would unwrap a DEK under any name.
    async fn check_that_it_binds(&self, ciphertext: &str, context: &Context) -> Result<(), KekError> {
        let other = Context::new("another", "object").unwrap_or_else(|_| Context::of_keyset());
        let is_bound = async || match self.decrypt(ciphertext, &other).await {
            Ok(_) => Err(KekError::new(
                ErrorKind::Invalid,
                "Vault unwraps a DEK under another name than its own: it needs Vault 1.13 or OpenBao, and a key of an AEAD type",
            )),
            Err(error) if error.kind == ErrorKind::ContextMismatch => Ok(()),
            Err(error) => Err(error),
        };
        if *context == other { Ok(()) } else { self.binds.get_or_try_init(is_bound).await.copied() }
    }
}

#[async_trait]
impl Kek for VaultTransit {
    fn id(&self) -> &str {
        &self.id
    }

    async fn wrap(&self, dek: &Secret, context: &Context) -> Result<Vec<u8>, KekError> {
        let ciphertext = self.encrypt(dek, context).await?;
        self.check_that_it_binds(&ciphertext, context).await?;
        Ok(ciphertext.into_bytes())
    }

    async fn unwrap(&self, wrapped: &[u8], context: &Context) -> Result<Secret, KekError> {
        // Transit's ciphertexts are text: "vault:v1:" and base64.
        let ciphertext = std::str::from_utf8(wrapped)
            .map_err(|_| KekError::new(ErrorKind::ContextMismatch, "the wrapped DEK is not Vault's, or was altered"))?;
        self.decrypt(ciphertext, context).await
    }
}

impl fmt::Debug for VaultTransit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VaultTransit").field("id", &self.id).finish_non_exhaustive()
    }
}

fn associated_data(context: &Context) -> String {
    STANDARD.encode(context.canonical_bytes())
}
