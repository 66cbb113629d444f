//! Who may enter, and what they may do there.

use std::collections::HashMap;

use wildmatch::WildMatch;

use crate::error::RequestError;
use crate::sigv4::Credential;

/// The clients that the configuration knows.
#[derive(Debug)]
pub struct Clients {
    by_access_key_id: HashMap<String, Client>,
    /// The regions that they may sign for. None: any.
    pub regions: Option<Vec<String>>,
}

/// A client.
#[derive(Debug)]
pub struct Client {
    /// What the configuration calls it.
    pub name: String,
    /// What it signs with.
    pub credential: Credential,
    /// The buckets that it may use.
    pub permissions: Permissions,
}

/// What a client may do.
#[derive(Debug, Clone)]
pub struct Permissions {
    /// The names of the buckets that it may use: `*` is any text, `?` any character.
    buckets: Vec<WildMatch>,
    is_read_only: bool,
}

/// What is done with a bucket, or with an object in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Nothing changes.
    Read,
    /// Anything else.
    Write,
}

impl Clients {
    /// Clients that sign for these regions. None if two have the same access key id.
    pub fn new(clients: Vec<(String, Client)>, regions: Option<Vec<String>>) -> Option<Self> {
        let count = clients.len();
        let by_access_key_id: HashMap<_, _> = clients.into_iter().collect();
        (by_access_key_id.len() == count).then_some(Self { by_access_key_id, regions })
    }

    /// The client with this access key id.
    pub fn find(&self, access_key_id: &str) -> Option<&Client> {
        self.by_access_key_id.get(access_key_id)
    }
}

impl Permissions {
    /// The buckets that match one of these patterns.
    pub fn new(buckets: &[String], is_read_only: bool) -> Self {
        Self { buckets: buckets.iter().map(|pattern| WildMatch::new(pattern)).collect(), is_read_only }
    }

    /// Whether the bucket may be used so.
    pub fn check(&self, access: Access, bucket: &str) -> Result<(), RequestError> {
        let is_denied = access == Access::Write && self.is_read_only;
        match !is_denied && self.includes(bucket) {
            true => Ok(()),
            false => Err(RequestError::AccessDenied),
        }
    }

    /// Whether the bucket is one of the client's.
    pub fn includes(&self, bucket: &str) -> bool {
        self.buckets.iter().any(|pattern| pattern.matches(bucket))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_stays_in_its_buckets() {
        let permissions = |patterns: &[&str], is_read_only| {
            let patterns: Vec<_> = patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
            Permissions::new(&patterns, is_read_only)
        };
        let cases = [
            (permissions(&["*"], false), Access::Write, "any", true),
            (permissions(&["*"], true), Access::Read, "any", true),
            (permissions(&["*"], true), Access::Write, "any", false),
            (permissions(&["team-a", "team-b-*"], false), Access::Write, "team-a", true),
            (permissions(&["team-a", "team-b-*"], false), Access::Write, "team-b-logs", true),
            (permissions(&["team-a", "team-b-*"], false), Access::Read, "team-a-logs", false),
            (permissions(&["team-a", "team-b-*"], false), Access::Read, "Team-a", false),
            (permissions(&["log-?"], false), Access::Read, "log-1", true),
            (permissions(&["log-?"], false), Access::Read, "log-12", false),
            (permissions(&[], false), Access::Read, "any", false),
        ];
        for (permissions, access, bucket, expected) in cases {
            assert_eq!(permissions.check(access, bucket).is_ok(), expected, "{permissions:?} {access:?} {bucket}");
        }
    }
}
