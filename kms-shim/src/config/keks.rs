//! Which KEKs there are, and in which order.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::ConfigError;
use crate::kms::{InvalidUri, KmsUri};
use crate::tink::{InvalidName, KeysetName, SCHEME};

/// A KEK: the key of a KMS, or the keyset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KekUri {
    /// `tink-keyset:NAME`
    Keyset(KeysetName),
    /// A key URI.
    Kms(KmsUri),
}

/// What is no KEK.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKekUri {
    /// Not a key URI.
    #[error(transparent)]
    Kms(#[from] InvalidUri),
    /// Not the name of a keyset.
    #[error(transparent)]
    Keyset(#[from] InvalidName),
}

/// A KEK to be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KekSource {
    /// A keyset's file.
    Keyset(KeysetSource),
    /// The key of a KMS.
    Kms(KmsUri),
}

/// A keyset's file, and what it takes to read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeysetSource {
    /// The file.
    pub path: PathBuf,
    /// The keyset's name in the KEK's id.
    pub name: KeysetName,
    /// The key that encrypts it; none: it lies in clear.
    pub kek: Option<KmsUri>,
}

/// The KEKs in order. The keyset comes first, unless one of the URIs says where it comes.
pub(super) fn order(uris: &[KekUri], keyset: Option<KeysetSource>) -> Result<Vec<KekSource>, ConfigError> {
    let source = |uri: &KekUri| match (uri, &keyset) {
        (KekUri::Kms(uri), _) => Ok(KekSource::Kms(uri.clone())),
        (KekUri::Keyset(name), Some(keyset)) if *name == keyset.name => Ok(KekSource::Keyset(keyset.clone())),
        (KekUri::Keyset(name), _) => Err(ConfigError::UnknownKeyset(name.clone())),
    };
    let mut sources = uris.iter().map(source).collect::<Result<Vec<_>, _>>()?;
    if let Some(keyset) = keyset.map(KekSource::Keyset)
        && !sources.contains(&keyset)
    {
        sources.insert(0, keyset);
    }
    if sources.is_empty() { Err(ConfigError::NoKek) } else { Ok(sources) }
}

impl FromStr for KekUri {
    type Err = InvalidKekUri;

    fn from_str(uri: &str) -> Result<Self, InvalidKekUri> {
        match uri.strip_prefix(SCHEME) {
            Some(name) => Ok(Self::Keyset(name.parse()?)),
            None => Ok(Self::Kms(uri.parse()?)),
        }
    }
}

impl fmt::Display for KekUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Keyset(name) => write!(f, "{SCHEME}{name}"),
            Self::Kms(uri) => uri.fmt(f),
        }
    }
}

impl Serialize for KekUri {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// One URI, or a list of them.
pub(super) fn one_or_more<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<KekUri>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMore {
        One(String),
        More(Vec<String>),
    }
    let texts = match OneOrMore::deserialize(deserializer)? {
        OneOrMore::One(text) => vec![text],
        OneOrMore::More(texts) => texts,
    };
    texts.iter().map(|text| text.parse().map_err(serde::de::Error::custom)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const AWS: &str = "aws-kms://arn:aws:kms:us-east-1:111122223333:key/1";
    const VAULT: &str = "hcvault://vault:8200/transit/keys/s3ep";

    fn keyset() -> KeysetSource {
        KeysetSource { path: "keyset.json".into(), name: "old".parse().unwrap(), kek: None }
    }

    fn ordered(uris: &[&str], keyset: Option<KeysetSource>) -> Result<Vec<String>, String> {
        let uris: Vec<KekUri> = uris.iter().map(|uri| uri.parse().unwrap()).collect();
        let sources = order(&uris, keyset).map_err(|error| error.to_string())?;
        let name = |source| match source {
            KekSource::Keyset(keyset) => keyset.name.to_string(),
            KekSource::Kms(uri) => uri.to_string(),
        };
        Ok(sources.into_iter().map(name).collect())
    }

    #[test]
    fn the_keyset_comes_first_unless_it_is_said_where_it_comes() {
        let keyset_uri = "tink-keyset:old";
        let cases: &[(&[&str], bool, &[&str])] = &[
            (&[], true, &["old"]),
            (&[AWS], false, &[AWS]),
            (&[VAULT, AWS], false, &[VAULT, AWS]),
            (&[AWS, VAULT], true, &["old", AWS, VAULT]),
            (&[AWS, keyset_uri], true, &[AWS, "old"]),
            (&[keyset_uri, AWS], true, &["old", AWS]),
        ];
        for (uris, with_keyset, expected) in cases {
            let sources = ordered(uris, with_keyset.then(keyset)).unwrap();
            assert_eq!(sources, *expected, "{uris:?} {with_keyset}");
        }
        for (uris, with_keyset, reason) in
            [(&[][..], false, "no KEK"), (&[keyset_uri], false, "old"), (&["tink-keyset:new"], true, "new")]
        {
            let error = ordered(uris, with_keyset.then(keyset)).unwrap_err();
            assert!(error.contains(reason), "{uris:?}: {error}");
        }
    }

    #[test]
    fn a_file_may_have_one_uri_or_a_list() {
        #[derive(Deserialize)]
        struct File(#[serde(deserialize_with = "one_or_more")] Vec<KekUri>);
        let read = |yaml: &str| serde_saphyr::from_str::<File>(yaml).map(|File(uris)| uris);
        assert_eq!(read(AWS).unwrap(), [AWS.parse().unwrap()]);
        let list = read(&format!("- {AWS}\n- tink-keyset:old\n")).unwrap();
        assert_eq!(list, [AWS.parse().unwrap(), "tink-keyset:old".parse().unwrap()]);
        assert!(read("https://vault").unwrap_err().to_string().contains("a key URI is"));
    }
}
