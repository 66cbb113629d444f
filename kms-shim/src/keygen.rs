//! `kms-shim keygen`: new keys.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::keks::{self, KeksError};
use crate::kms::{KmsSettings, KmsUri};
use crate::tink::{Keyset, KeysetError, KeysetFileError};

/// Length of a direct mode master key in bytes.
const MASTER_KEY_LEN: usize = 32;

/// Why there is no new key.
#[derive(Debug, thiserror::Error)]
pub enum KeygenError {
    /// The keyset could not be made.
    #[error(transparent)]
    Keyset(#[from] KeysetError),
    /// The keyset's file could not be read, written or encrypted.
    #[error(transparent)]
    File(#[from] KeysetFileError),
    /// The keyset's KEK cannot be used.
    #[error(transparent)]
    Kek(#[from] KeksError),
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

/// The JSON of the keyset in this file, which is in clear, or of a new one, encrypted by this key.
pub async fn encrypted_keyset(
    from: Option<PathBuf>,
    encrypt_with: KmsUri,
    kms: &KmsSettings,
) -> Result<Zeroizing<String>, KeygenError> {
    let keyset = match from {
        Some(path) => keks::keyset_file(path, None, kms).await?.read().await?,
        None => Keyset::generate()?,
    };
    let encrypted = keks::keyset_file("the new keyset".into(), Some(&encrypt_with), kms).await?;
    Ok(encrypted.to_json(&keyset).await?)
}

/// Changes the keyset in this file, which this key encrypts, if it does not lie in clear. Returns the id of the key that
/// was added or promoted.
pub async fn change(
    path: PathBuf,
    kek: Option<&KmsUri>,
    kms: &KmsSettings,
    change: Change,
) -> Result<u32, KeygenError> {
    let file = keks::keyset_file(path, kek, kms).await?;
    let mut keyset = file.read().await?;
    let key_id = match change {
        Change::AddKey => keyset.add_key()?,
        Change::Promote(key_id) => keyset.promote(key_id).map(|()| key_id)?,
    };
    file.write(&keyset).await?;
    Ok(key_id)
}

/// A step of a keyset's rotation. Between the two, every kms-shim must have read the file again, or those that have not
/// could not unwrap what the others wrap.
#[derive(Debug, Clone, Copy)]
pub enum Change {
    /// Add a new key, which only unwraps.
    AddKey,
    /// Let this key wrap.
    Promote(u32),
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
