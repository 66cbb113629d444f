//! How to reach Google Cloud KMS.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use axum::http::Uri;
use clap::Args;
use serde::{Deserialize, Serialize, Serializer};

/// What flags, environment and file can say about Google Cloud KMS.
#[derive(Debug, Clone, Default, Args, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct GcpSettings {
    /// Where Google Cloud KMS answers, such as https://cloudkms.europe-west3.rep.googleapis.com or a Private Service
    /// Connect endpoint [default: https://cloudkms.googleapis.com]
    #[arg(id = "gcp-endpoint", long = "gcp-endpoint", env = "S3EP_KMS_SHIM_GCP_ENDPOINT", value_name = "URL")]
    pub endpoint: Option<Endpoint>,
}

impl GcpSettings {
    /// These settings, and for what they do not say the file's.
    #[must_use]
    pub fn or(self, file: Self) -> Self {
        Self { endpoint: self.endpoint.or(file.endpoint) }
    }
}

/// `https://HOST[:PORT]`, or `http://` and a loopback address: DEKs cross no network in clear.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Endpoint(String);

/// An endpoint of the wrong form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an endpoint is https://HOST[:PORT], or http:// and a loopback address, without a path")]
pub struct InvalidEndpoint;

impl FromStr for Endpoint {
    type Err = InvalidEndpoint;

    fn from_str(text: &str) -> Result<Self, InvalidEndpoint> {
        let uri: Uri = text.parse().map_err(|_| InvalidEndpoint)?;
        let host = uri.host().ok_or(InvalidEndpoint)?;
        let is_safe = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => is_loopback(host),
            _ => false,
        };
        let has_more = uri.path() != "/" || uri.query().is_some() || text.contains(['@', '#']);
        (is_safe && !has_more).then(|| Self(text.trim_end_matches('/').to_owned())).ok_or(InvalidEndpoint)
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    address.is_ok_and(|address| address.to_canonical().is_loopback())
}

impl TryFrom<String> for Endpoint {
    type Error = InvalidEndpoint;

    fn try_from(text: String) -> Result<Self, InvalidEndpoint> {
        text.parse()
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Endpoint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_has_tls_or_is_on_this_machine() {
        for text in [
            "https://cloudkms.googleapis.com",
            "https://cloudkms-psc.p.googleapis.com:443",
            "http://127.0.0.1:8080",
            "http://[::1]:8080",
        ] {
            assert_eq!(text.parse::<Endpoint>().unwrap().to_string(), text);
        }
        assert_eq!("https://kms.example/".parse::<Endpoint>().unwrap().to_string(), "https://kms.example");
        for text in [
            "",
            "cloudkms.googleapis.com",
            "http://cloudkms.googleapis.com",
            "http://localhost:8080",
            "http://192.0.2.1",
            "ftp://127.0.0.1",
            "https://",
            "https://host/v1",
            "https://host?a=b",
            "https://user@host",
        ] {
            assert_eq!(text.parse::<Endpoint>(), Err(InvalidEndpoint), "{text}");
        }
    }
}
