//! Everything that must be there before a stack can run.

use std::path::PathBuf;

use anyhow::Result;

use crate::envoy_binary::envoy_binary;
use crate::progress::Progress;
use crate::wasm::{build_filter, build_shim};

/// The programs that a stack runs.
#[derive(Debug)]
pub struct Setup {
    /// The filter.
    pub wasm: PathBuf,
    /// kms-shim.
    pub shim: PathBuf,
    /// Envoy.
    pub envoy: PathBuf,
}

impl Setup {
    /// Builds and fetches what is missing: minutes on a fresh clone, a second afterwards.
    pub fn prepare() -> Result<Self> {
        let mut progress = Progress::new(3);
        Ok(Self {
            wasm: progress.step("building the filter (s3ep_filter.wasm)", build_filter)?,
            shim: progress.step("building kms-shim", build_shim)?,
            envoy: progress.step("fetching Envoy", envoy_binary)?,
        })
    }
}
