//! Key URIs.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize, Serializer};

use crate::kek::MAX_ID_LEN;

/// A key of a KMS.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum KmsUri {
    /// `aws-kms://ARN`
    Aws(AwsKey),
    /// `gcp-kms://projects/P/locations/L/keyRings/R/cryptoKeys/K`
    Gcp(GcpKey),
    /// `hcvault://HOST[:PORT]/MOUNT/keys/NAME`
    Vault(VaultKey),
}

/// The ARN of a key, or of an alias, in AWS KMS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwsKey {
    /// The whole ARN.
    pub arn: String,
    /// The region in it.
    pub region: String,
    /// Whether it is an alias's.
    pub is_alias: bool,
}

/// A key's resource name in Google Cloud KMS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GcpKey {
    /// `projects/P/locations/L/keyRings/R/cryptoKeys/K`
    pub name: String,
}

/// A key of the Transit secrets engine of HashiCorp Vault or OpenBao.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VaultKey {
    /// Host and port.
    pub authority: String,
    /// Where the engine is mounted, without slashes around it.
    pub mount: String,
    /// The key's name.
    pub name: String,
}

/// A key URI of the wrong form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a key URI is aws-kms://arn:aws:kms:REGION:ACCOUNT:key/ID (or alias/NAME), \
     gcp-kms://projects/P/locations/L/keyRings/R/cryptoKeys/K, or hcvault://HOST[:PORT]/MOUNT/keys/NAME"
)]
pub struct InvalidUri;

impl FromStr for KmsUri {
    type Err = InvalidUri;

    fn from_str(uri: &str) -> Result<Self, InvalidUri> {
        let (scheme, rest) = uri.split_once("://").ok_or(InvalidUri)?;
        if uri.len() > MAX_ID_LEN || !rest.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(InvalidUri);
        }
        let key = match scheme {
            "aws-kms" => AwsKey::parse(rest).map(Self::Aws),
            "gcp-kms" => GcpKey::parse(rest).map(Self::Gcp),
            "hcvault" => VaultKey::parse(rest).map(Self::Vault),
            _ => None,
        };
        key.ok_or(InvalidUri)
    }
}

impl TryFrom<String> for KmsUri {
    type Error = InvalidUri;

    fn try_from(uri: String) -> Result<Self, InvalidUri> {
        uri.parse()
    }
}

impl fmt::Display for KmsUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Aws(key) => write!(f, "aws-kms://{}", key.arn),
            Self::Gcp(key) => write!(f, "gcp-kms://{}", key.name),
            Self::Vault(VaultKey { authority, mount, name }) => write!(f, "hcvault://{authority}/{mount}/keys/{name}"),
        }
    }
}

impl Serialize for KmsUri {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl AwsKey {
    fn parse(arn: &str) -> Option<Self> {
        let fields: Vec<&str> = arn.splitn(6, ':').collect();
        let ["arn", partition, "kms", region, account, resource] = fields[..] else {
            return None;
        };
        let (kind, name) = resource.split_once('/')?;
        let is_alias = match kind {
            "key" => false,
            "alias" => true,
            _ => return None,
        };
        let complete = [partition, region, account, name].iter().all(|field| !field.is_empty());
        complete.then(|| Self { arn: arn.to_owned(), region: region.to_owned(), is_alias })
    }
}

impl GcpKey {
    fn parse(name: &str) -> Option<Self> {
        let segments: Vec<&str> = name.split('/').collect();
        let ["projects", project, "locations", location, "keyRings", ring, "cryptoKeys", key] = segments[..] else {
            return None;
        };
        are_plain(&[project, location, ring, key]).then(|| Self { name: name.to_owned() })
    }
}

impl VaultKey {
    fn parse(rest: &str) -> Option<Self> {
        let (authority, path) = rest.split_once('/')?;
        let (mount, name) = path.rsplit_once("/keys/")?;
        let mount_segments: Vec<&str> = mount.split('/').collect();
        let well_formed = is_authority(authority) && are_plain(&mount_segments) && are_plain(&[name]);
        well_formed.then(|| Self { authority: authority.to_owned(), mount: mount.to_owned(), name: name.to_owned() })
    }
}

/// Host and port, and nothing with a meaning of its own in a URL.
fn is_authority(authority: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
    !authority.is_empty() && authority.bytes().all(allowed)
}

/// Segments of a path that mean the same in a URL as they are, and do not climb up in it.
fn are_plain(segments: &[&str]) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:".contains(&byte);
    segments
        .iter()
        .all(|segment| !segment.is_empty() && !matches!(*segment, "." | "..") && segment.bytes().all(allowed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_uris_are_written_as_tink_writes_them() {
        for uri in [
            "aws-kms://arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab",
            "aws-kms://arn:aws-us-gov:kms:us-gov-west-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab",
            "aws-kms://arn:aws:kms:eu-central-1:111122223333:alias/s3ep/prod",
            "gcp-kms://projects/p-1/locations/europe-west3/keyRings/r_1/cryptoKeys/k",
            "gcp-kms://projects/example.com:p/locations/global/keyRings/r/cryptoKeys/k",
            "hcvault://vault.example.com:8200/transit/keys/s3ep",
            "hcvault://[::1]:8200/team/a/transit/keys/s3ep",
            "hcvault://vault/transit/keys/s3ep",
        ] {
            assert_eq!(uri.parse::<KmsUri>().map(|parsed| parsed.to_string()).as_deref(), Ok(uri));
        }
        let Ok(KmsUri::Aws(key)) = "aws-kms://arn:aws:kms:eu-central-1:111122223333:alias/a".parse() else { panic!() };
        assert_eq!((&*key.region, key.is_alias), ("eu-central-1", true));
        let Ok(KmsUri::Vault(key)) = "hcvault://vault:8200/a/keys/b/keys/c".parse() else { panic!() };
        assert_eq!((&*key.authority, &*key.mount, &*key.name), ("vault:8200", "a/keys/b", "c"));
    }

    #[test]
    fn anything_else_is_refused() {
        let long = format!("hcvault://vault/transit/keys/{}", "k".repeat(228));
        for uri in [
            "",
            "aws-kms",
            "aws-kms://",
            "aws-kms:arn:aws:kms:us-east-1:111122223333:key/1",
            "AWS-KMS://arn:aws:kms:us-east-1:111122223333:key/1",
            "aws-kms://1234abcd-12ab-34cd-56ef-1234567890ab",
            "aws-kms://arn:aws:s3:us-east-1:111122223333:key/1",
            "aws-kms://arn:aws:kms::111122223333:key/1",
            "aws-kms://arn:aws:kms:us-east-1:111122223333:key/",
            "aws-kms://arn:aws:kms:us-east-1:111122223333:grant/1",
            "gcp-kms://projects/p/locations/l/keyRings/r",
            "gcp-kms://projects/p/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1",
            "gcp-kms://projects/p/locations//keyRings/r/cryptoKeys/k",
            "gcp-kms://projects/../locations/l/keyRings/r/cryptoKeys/k",
            "hcvault://vault:8200/transit/s3ep",
            "hcvault:///transit/keys/s3ep",
            "hcvault://vault//keys/s3ep",
            "hcvault://vault/transit/keys/",
            "hcvault://vault/transit/keys/a/b",
            "hcvault://vault/transit/keys/a?b",
            "hcvault://vault/../keys/a",
            "hcvault://user:secret@vault/transit/keys/a",
            "hcvault://vault/transit/keys/ü",
            "azure-kv://vault/keys/a",
            &long,
        ] {
            assert_eq!(uri.parse::<KmsUri>(), Err(InvalidUri), "{uri}");
        }
    }
}
