//! KEKs that a key management service (KMS) holds, named by key URIs as Tink writes them. Each service is a cargo
//! feature.

#[cfg(feature = "aws")]
mod aws;
#[cfg(feature = "gcp")]
mod gcp;
mod gcp_settings;
mod settings;
mod uri;
#[cfg(feature = "vault")]
mod vault;
mod vault_settings;

use crate::kek::{Kek, KekError};
pub use gcp_settings::{Endpoint, GcpSettings, InvalidEndpoint};
pub use settings::KmsSettings;
pub use uri::{AwsKey, GcpKey, InvalidUri, KmsUri, VaultKey};
pub use vault_settings::{SECRET_ID_ENV, VAULT_TOKEN_ENV, VaultSettings, VaultSettingsError};

/// Why a KMS's key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// This kms-shim cannot speak to that KMS.
    #[error("this kms-shim was built without the cargo feature `{0}`")]
    NotBuiltIn(&'static str),
    /// How to reach Vault is not said, or not well.
    #[error(transparent)]
    Vault(#[from] VaultSettingsError),
    /// The KMS did not answer, or not well.
    #[error(transparent)]
    Kms(#[from] KekError),
}

/// Opens the key that the URI names. Only what must be asked is asked of the KMS.
#[cfg_attr(not(any(feature = "gcp", feature = "vault")), expect(unused_variables, reason = "AWS has no settings"))]
pub async fn open(uri: &KmsUri, settings: &KmsSettings) -> Result<Box<dyn Kek>, OpenError> {
    match uri {
        #[cfg(feature = "aws")]
        KmsUri::Aws(key) => Ok(Box::new(aws::AwsKms::open(key).await?)),
        #[cfg(not(feature = "aws"))]
        KmsUri::Aws(_) => Err(OpenError::NotBuiltIn("aws")),
        #[cfg(feature = "gcp")]
        KmsUri::Gcp(key) => Ok(Box::new(gcp::GcpKms::open(key, &settings.gcp).await?)),
        #[cfg(not(feature = "gcp"))]
        KmsUri::Gcp(_) => Err(OpenError::NotBuiltIn("gcp")),
        #[cfg(feature = "vault")]
        KmsUri::Vault(key) => Ok(Box::new(vault::VaultTransit::open(key, &settings.vault)?)),
        #[cfg(not(feature = "vault"))]
        KmsUri::Vault(_) => Err(OpenError::NotBuiltIn("vault")),
    }
}

/// An error's message and those of its causes, without saying anything twice.
#[cfg(any(feature = "aws", feature = "gcp", feature = "vault"))]
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut message = error.to_string();
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    for cause in causes.map(ToString::to_string) {
        if !message.contains(&cause) {
            message = format!("{message}: {cause}");
        }
    }
    message
}
