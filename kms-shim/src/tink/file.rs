//! A keyset file: in clear or encrypted, and read again when it changes.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tokio::signal::unix::{SignalKind, signal};
use tokio::time::MissedTickBehavior;
use zeroize::Zeroizing;

use super::encrypted::{EncryptedKeyset, EncryptedKeysetError};
use super::keyset::{Keyset, KeysetError};
use super::provider::{KeysetName, TinkKeysetKek};
use crate::kek::Kek;

/// How often the file is looked at.
const POLL: Duration = Duration::from_secs(5);

/// Where a keyset lies, and the KEK that encrypts it, if one does.
pub struct KeysetFile {
    path: PathBuf,
    kek: Option<Box<dyn Kek>>,
}

/// A keyset file that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}", path.display())]
pub struct KeysetFileError {
    path: PathBuf,
    problem: Problem,
}

#[derive(Debug, thiserror::Error)]
enum Problem {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Keyset(#[from] EncryptedKeysetError),
}

/// What shows that a file has become another.
#[derive(Debug, PartialEq, Eq)]
struct Version(SystemTime, u64, u64);

impl KeysetFile {
    /// A keyset in clear, or one that this KEK encrypts. A file of the other kind is refused.
    pub fn new(path: PathBuf, kek: Option<Box<dyn Kek>>) -> Self {
        Self { path, kek }
    }

    /// Reads the file: with one call of its KEK, if it has one.
    pub async fn read(&self) -> Result<Keyset, KeysetFileError> {
        self.try_read().await.map_err(|problem| self.error(problem))
    }

    /// The KEK of the keyset in the file, which is read again on SIGHUP and within seconds of a change for as long as the
    /// program runs. A new one that cannot be used is logged, and the old one stays.
    pub async fn watch(self, name: &KeysetName) -> Result<TinkKeysetKek, KeysetFileError> {
        let version = self.version().map_err(|error| self.error(error.into()))?;
        let kek = TinkKeysetKek::new(name, &self.read().await?).map_err(|error| self.error(error.into()))?;
        if self.kek.is_none() {
            let keyset = self.path.display();
            tracing::warn!(%keyset, "the keyset lies in clear: whoever reads it reads every object");
        }
        let hangups = signal(SignalKind::hangup()).map_err(|error| self.error(error.into()))?;
        tokio::spawn(self.follow(kek.clone(), version, hangups));
        Ok(kek)
    }

    async fn follow(self, kek: TinkKeysetKek, mut version: Version, mut hangups: tokio::signal::unix::Signal) {
        let mut ticks = tokio::time::interval(POLL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let is_told = tokio::select! {
                _ = ticks.tick() => false,
                _ = hangups.recv() => true,
            };
            let current = self.version();
            if !is_told && current.as_ref().is_ok_and(|current| *current == version) {
                continue;
            }
            let keyset = self.path.display();
            // The version is that from before reading: what is written meanwhile is seen next time.
            match (self.reload(&kek).await, current) {
                (Ok(()), Ok(current)) => {
                    version = current;
                    tracing::info!(%keyset, primary_key_id = kek.primary_key_id(), "read the keyset again");
                }
                (Err(error), _) => tracing::error!(%error, "the keyset stays as it was"),
                (_, Err(error)) => tracing::error!(%keyset, %error, "the keyset stays as it was"),
            }
        }
    }

    async fn reload(&self, kek: &TinkKeysetKek) -> Result<(), KeysetFileError> {
        let keyset = self.read().await?;
        kek.replace(&keyset).map_err(|error| self.error(error.into()))
    }

    async fn try_read(&self) -> Result<Keyset, Problem> {
        let json = Zeroizing::new(std::fs::read_to_string(&self.path)?);
        let keyset = match &self.kek {
            None => Keyset::from_json(&json).map_err(EncryptedKeysetError::from),
            Some(kek) => match EncryptedKeyset::from_json(&json) {
                Ok(encrypted) => encrypted.decrypt(&**kek).await,
                Err(error) => Err(error.into()),
            },
        };
        Ok(keyset?)
    }

    fn version(&self) -> io::Result<Version> {
        use std::os::unix::fs::MetadataExt as _;
        let metadata = std::fs::metadata(&self.path)?;
        Ok(Version(metadata.modified()?, metadata.len(), metadata.ino()))
    }

    fn error(&self, problem: Problem) -> KeysetFileError {
        KeysetFileError { path: self.path.clone(), problem }
    }

    /// Writes a keyset in place of the file's, in one step, and encrypted if the file's is.
    pub async fn write(&self, keyset: &Keyset) -> Result<(), KeysetFileError> {
        let json = self.to_json(keyset).await?;
        replace(&self.path, &json).map_err(|error| self.error(error.into()))
    }

    /// The JSON that the file of this keyset would have.
    pub async fn to_json(&self, keyset: &Keyset) -> Result<Zeroizing<String>, KeysetFileError> {
        let json = match &self.kek {
            None => keyset.to_json().map_err(EncryptedKeysetError::from),
            Some(kek) => match EncryptedKeyset::encrypt(keyset, &**kek).await {
                Ok(encrypted) => encrypted.to_json().map(Zeroizing::new).map_err(EncryptedKeysetError::from),
                Err(error) => Err(error),
            },
        };
        json.map_err(|error| self.error(error.into()))
    }
}

impl From<KeysetError> for Problem {
    fn from(error: KeysetError) -> Self {
        Self::Keyset(error.into())
    }
}

/// The new file takes over the old one's mode. Files of `tempfile` have mode 0600 until then.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    use std::io::Write as _;
    // Through a symbolic link, the file that it names is meant.
    let path = path.canonicalize()?;
    let mut file = tempfile::NamedTempFile::new_in(path.parent().unwrap_or(Path::new(".")))?;
    writeln!(file, "{text}")?;
    file.as_file().set_permissions(path.metadata()?.permissions())?;
    file.as_file().sync_all()?;
    file.persist(&path)?;
    Ok(())
}
