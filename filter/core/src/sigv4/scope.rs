//! The credential scope: for which day, region and service a signature is good.

use std::fmt;

/// The service that this is.
const SERVICE: &str = "s3";
/// What every scope ends with.
pub(super) const TERMINATOR: &str = "aws4_request";

/// `date/region/service/aws4_request`, and so displayed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialScope {
    /// `yyyyMMdd`.
    pub date: String,
    /// As the client has it.
    pub region: String,
    /// `s3`, if [`check`](Self::check) says so.
    pub service: String,
}

/// What is wrong with a credential, in S3's words. What the client wrote is shown on one line, whatever it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScopeError {
    /// Not of five parts.
    #[error("the Credential is mal-formed; expecting \"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request\".")]
    Malformed,
    /// Not a date.
    #[error("incorrect date format {0:?}. This date in the credential must be in the format \"yyyyMMdd\".")]
    Date(String),
    /// Not a region that the configuration names.
    #[error("the region '{}' is wrong; expecting '{expected}'", given.escape_debug())]
    Region {
        /// The client's.
        given: String,
        /// The configuration's; of several, the first.
        expected: String,
    },
    /// Another service's.
    #[error("incorrect service {0:?}. This endpoint belongs to \"s3\".")]
    Service(String),
    /// Another protocol's.
    #[error("incorrect terminal {0:?}. This endpoint uses \"aws4_request\".")]
    Terminator(String),
}

impl CredentialScope {
    /// Splits a `Credential` into the access key id and the scope.
    pub fn parse(credential: &str) -> Result<(&str, Self), ScopeError> {
        let parts: Vec<&str> = credential.split('/').collect();
        let [access_key_id, date, region, service, terminator] = parts.as_slice() else {
            return Err(ScopeError::Malformed);
        };
        match () {
            () if access_key_id.is_empty() => return Err(ScopeError::Malformed),
            () if *terminator != TERMINATOR => return Err(ScopeError::Terminator((*terminator).into())),
            () if !is_date(date) => return Err(ScopeError::Date((*date).into())),
            () => {}
        }
        Ok((access_key_id, Self { date: (*date).into(), region: (*region).into(), service: (*service).into() }))
    }

    /// Whether the scope is this service's, in one of `regions`; None is any region.
    pub fn check(&self, regions: Option<&[String]>) -> Result<(), ScopeError> {
        if self.service != SERVICE {
            return Err(ScopeError::Service(self.service.clone()));
        }
        match regions {
            Some(regions) if !regions.contains(&self.region) => Err(ScopeError::Region {
                given: self.region.clone(),
                expected: regions.first().cloned().unwrap_or_default(),
            }),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for CredentialScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}/{TERMINATOR}", self.date, self.region, self.service)
    }
}

fn is_date(text: &str) -> bool {
    text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_has_five_parts() {
        let (access_key_id, scope) = CredentialScope::parse("AKID/20130524/us-east-1/s3/aws4_request").unwrap();
        assert_eq!(access_key_id, "AKID");
        assert_eq!(scope.to_string(), "20130524/us-east-1/s3/aws4_request");
        for credential in
            ["", "AKID", "AKID/20130524/us-east-1/s3", "a/AKID/20130524/us-east-1/s3/aws4_request", "////"]
        {
            assert_eq!(CredentialScope::parse(credential), Err(ScopeError::Malformed), "{credential}");
        }
    }

    #[test]
    fn any_or_some_regions() {
        let (_, scope) = CredentialScope::parse("AKID/20130524/eu-west-1/s3/aws4_request").unwrap();
        let regions = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert_eq!(scope.check(None), Ok(()));
        assert_eq!(scope.check(Some(&regions(&["us-east-1", "eu-west-1"]))), Ok(()));
        assert!(scope.check(Some(&[])).is_err());
        let error = scope.check(Some(&regions(&["us-east-1", "us-east-2"]))).unwrap_err();
        assert_eq!(error.to_string(), "the region 'eu-west-1' is wrong; expecting 'us-east-1'");
    }

    #[test]
    fn no_credential_breaks_a_line() {
        let error = CredentialScope::parse("AKID/20130524/us-east-1/s3/\n").unwrap_err();
        assert_eq!(error.to_string(), "incorrect terminal \"\\n\". This endpoint uses \"aws4_request\".");
        let (_, scope) = CredentialScope::parse("AKID/20130524/\n/s3/aws4_request").unwrap();
        assert_eq!(scope.check(Some(&[])).unwrap_err().to_string(), "the region '\\n' is wrong; expecting ''");
    }
}
