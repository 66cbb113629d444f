//! How to reach the KMS that take more than what their own libraries find.

use clap::Args;

use super::{GcpSettings, VaultSettings};

/// The settings of all of them.
#[derive(Debug, Clone, Default, Args)]
pub struct KmsSettings {
    /// How to reach Google Cloud KMS.
    #[command(flatten)]
    pub gcp: GcpSettings,
    /// How to reach Vault or OpenBao, and as whom.
    #[command(flatten)]
    pub vault: VaultSettings,
}
