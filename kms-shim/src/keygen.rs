//! `kms-shim keygen`: new keys.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::tink::{Keyset, KeysetError};

/// Length of a direct mode master key in bytes.
const MASTER_KEY_LEN: usize = 32;

/// Why there is no new key.
#[derive(Debug, thiserror::Error)]
pub enum KeygenError {
    /// The keyset could not be made.
    #[error(transparent)]
    Keyset(#[from] KeysetError),
    /// The keyset could not be written as JSON.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// The operating system gave no randomness.
    #[error("no randomness from the operating system: {0}")]
    Random(#[from] getrandom::Error),
    /// The file could not be written; one that is there is never overwritten.
    #[error("{path}: {error}")]
    Write {
        /// The file.
        path: PathBuf,
        /// What failed.
        error: io::Error,
    },
}

/// The JSON of a new Tink keyset in clear, with one AES-256-GCM key.
pub fn keyset() -> Result<Zeroizing<String>, KeygenError> {
    Ok(Keyset::generate()?.to_json()?)
}

/// A new master key for the filter's direct mode: 32 random bytes in standard base64.
pub fn master_key() -> Result<Zeroizing<String>, KeygenError> {
    let mut key = Zeroizing::new([0; MASTER_KEY_LEN]);
    getrandom::fill(&mut *key)?;
    Ok(Zeroizing::new(STANDARD.encode(key.as_slice())))
}

/// Writes a key and a newline to standard output, or to a new file that only this user can read (mode 0600).
pub fn write(key: &str, out: Option<&Path>) -> Result<(), KeygenError> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |error| KeygenError::Write { path, error }
    };
    match out {
        None => writeln!(io::stdout().lock(), "{key}").map_err(at(Path::new("standard output"))),
        Some(path) => write_new(key, path).map_err(at(path)),
    }
}

fn write_new(key: &str, path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Files of `tempfile` have mode 0600.
    let mut file = tempfile::NamedTempFile::new_in(parent)?;
    writeln!(file, "{key}")?;
    file.as_file().sync_all()?;
    file.persist_noclobber(path)?;
    Ok(())
}
