//! Key management services for kms-shim, on free ports, with keys of their own.

/// Google Cloud KMS, as the tests of kms-shim have it.
#[path = "../../../kms-shim/tests/support/gcp.rs"]
pub mod gcp;
pub mod moto;
pub mod openbao;

use std::ffi::OsString;
use std::path::Path;

use anyhow::Result;

/// A KMS with two keys.
pub trait Kms {
    /// The keys' URIs.
    fn keks(&self) -> [String; 2];

    /// The keys' ids.
    fn ids(&self) -> [String; 2] {
        self.keks()
    }

    /// What kms-shim finds in its environment to reach it. Files go into the folder.
    fn environment(&self, folder: &Path) -> Result<Vec<(&'static str, OsString)>>;

    /// Makes it answer nothing until [`Kms::resume`].
    fn stop(&mut self) -> Result<()>;

    /// Lets it go on.
    fn resume(&mut self) -> Result<()>;
}

/// The resource names of the keys that [`gcp::FakeGcp`] has here.
const GCP_KEYS: [&str; 2] =
    ["projects/p/locations/l/keyRings/r/cryptoKeys/first", "projects/p/locations/l/keyRings/r/cryptoKeys/second"];

/// Google Cloud KMS within this process.
pub fn gcp() -> gcp::FakeGcp {
    gcp::FakeGcp::start(&GCP_KEYS)
}

impl Kms for gcp::FakeGcp {
    fn keks(&self) -> [String; 2] {
        GCP_KEYS.map(|name| format!("gcp-kms://{name}"))
    }

    fn environment(&self, folder: &Path) -> Result<Vec<(&'static str, OsString)>> {
        let account = folder.join("account.json");
        crate::shim::write_secret(&account, &self.credentials())?;
        Ok(vec![
            ("GOOGLE_APPLICATION_CREDENTIALS", account.into()),
            ("S3EP_KMS_SHIM_GCP_ENDPOINT", self.endpoint().into()),
        ])
    }

    fn stop(&mut self) -> Result<()> {
        gcp::FakeGcp::stop(self);
        Ok(())
    }

    fn resume(&mut self) -> Result<()> {
        gcp::FakeGcp::resume(self);
        Ok(())
    }
}
