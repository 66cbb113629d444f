//! All KEKs of the service: the first wraps, each unwraps what it wrapped.

use std::path::PathBuf;

use crate::config::{KekSource, KeysetSource};
use crate::kek::Kek;
use crate::kms::{self, KmsSettings, KmsUri, OpenError};
use crate::metrics::Metrics;
use crate::resilience::{self, resilient};
use crate::tink::{KeysetFile, KeysetFileError};

/// One KEK or several, of different ids.
pub struct Keks {
    first: Box<dyn Kek>,
    others: Vec<Box<dyn Kek>>,
}

/// Two KEKs of the same id, so that nobody could tell which of them wrapped a DEK.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("two KEKs have the id {0}")]
pub struct SameId(String);

/// Why there are no KEKs.
#[derive(Debug, thiserror::Error)]
pub enum KeksError {
    /// A KMS's key cannot be used.
    #[error("{uri}: {error}")]
    Kms {
        /// The key.
        uri: KmsUri,
        /// What is wrong with it.
        error: OpenError,
    },
    /// The keyset cannot be used.
    #[error(transparent)]
    Keyset(#[from] KeysetFileError),
    /// KEKs that nobody could tell apart.
    #[error(transparent)]
    SameId(#[from] SameId),
    /// There must be one.
    #[error("no KEK")]
    None,
}

/// Opens these KEKs. A keyset's file is watched from then on.
pub async fn open(sources: &[KekSource], kms: &KmsSettings, metrics: &Metrics) -> Result<Keks, KeksError> {
    let mut keks = Vec::new();
    for source in sources {
        keks.push(match source {
            KekSource::Kms(uri) => open_resilient(uri, kms, metrics).await?,
            KekSource::Keyset(KeysetSource { path, name, kek }) => {
                let kek = match kek {
                    Some(uri) => Some(open_resilient(uri, kms, metrics).await?),
                    None => None,
                };
                Box::new(KeysetFile::new(path.clone(), kek).watch(name).await?)
            }
        });
    }
    let mut keks = keks.into_iter();
    let first = keks.next().ok_or(KeksError::None)?;
    Ok(Keks::new(first, keks.collect())?)
}

/// The file of a keyset, for one who makes or changes it.
pub async fn keyset_file(path: PathBuf, kek: Option<&KmsUri>, kms: &KmsSettings) -> Result<KeysetFile, KeksError> {
    let kek = match kek {
        Some(uri) => Some(open_kms(uri, kms).await?),
        None => None,
    };
    Ok(KeysetFile::new(path, kek))
}

async fn open_resilient(uri: &KmsUri, kms: &KmsSettings, metrics: &Metrics) -> Result<Box<dyn Kek>, KeksError> {
    Ok(Box::new(resilient(open_kms(uri, kms).await?, &resilience::Settings::default(), metrics)))
}

async fn open_kms(uri: &KmsUri, settings: &KmsSettings) -> Result<Box<dyn Kek>, KeksError> {
    kms::open(uri, settings).await.map_err(|error| KeksError::Kms { uri: uri.clone(), error })
}

impl Keks {
    /// Takes the KEK that wraps, and others that only unwrap.
    pub fn new(first: Box<dyn Kek>, others: Vec<Box<dyn Kek>>) -> Result<Self, SameId> {
        let keks = Self { first, others };
        let mut ids: Vec<&str> = keks.ids().collect();
        ids.sort_unstable();
        let doubled = ids.windows(2).find_map(|pair| match pair {
            [one, next] if one == next => Some(SameId(one.to_string())),
            _ => None,
        });
        doubled.map_or(Ok(keks), Err)
    }

    /// The KEK that wraps.
    pub fn first(&self) -> &dyn Kek {
        &*self.first
    }

    /// The KEK of this id.
    pub fn find(&self, id: &str) -> Option<&dyn Kek> {
        self.iter().find(|kek| kek.id() == id)
    }

    /// All ids, that of the first KEK first.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.iter().map(Kek::id)
    }

    fn iter(&self) -> impl Iterator<Item = &dyn Kek> {
        std::iter::once(&self.first).chain(&self.others).map(|kek| &**kek)
    }
}

impl From<Box<dyn Kek>> for Keks {
    fn from(first: Box<dyn Kek>) -> Self {
        Self { first, others: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tink::{Keyset, TinkKeysetKek};

    fn kek(name: &str) -> Box<dyn Kek> {
        Box::new(TinkKeysetKek::new(&name.parse().unwrap(), &Keyset::generate().unwrap()).unwrap())
    }

    #[test]
    fn a_kek_is_found_by_its_id_and_ids_are_unique() {
        let keks = Keks::new(kek("b"), vec![kek("a"), kek("c")]).unwrap();
        assert_eq!(keks.first().id(), "tink-keyset:b");
        assert!(keks.ids().eq(["tink-keyset:b", "tink-keyset:a", "tink-keyset:c"]));
        for name in ["a", "b", "c"] {
            let id = format!("tink-keyset:{name}");
            assert_eq!(keks.find(&id).unwrap().id(), id);
        }
        assert!(keks.find("tink-keyset:d").is_none());
        for others in [vec!["a"], vec!["b", "c", "b"]] {
            let others = others.into_iter().map(kek).collect();
            let doubled = Keks::new(kek("a"), others).err();
            assert!(doubled.is_some_and(|SameId(id)| id == "tink-keyset:a" || id == "tink-keyset:b"));
        }
    }
}
