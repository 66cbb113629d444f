//! Where the store is, and as whom to speak to it.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use aws_credential_types::Credentials;
use clap::Args;
use ureq::Agent;
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};

use super::sending::{Address, Store};

/// What the store is told by, in the order of their precedence. The first is for a store that is another's than a KMS at AWS,
/// whose SDK takes AWS_… for itself.
const FAMILIES: [&str; 2] = ["S3EP_STORE", "AWS"];

/// Where the store is. Credentials are S3EP_STORE_ACCESS_KEY_ID, S3EP_STORE_SECRET_ACCESS_KEY and, if there is one,
/// S3EP_STORE_SESSION_TOKEN; or the same with AWS_.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Store")]
pub struct StoreArgs {
    /// The store's URL; AWS_ENDPOINT_URL_S3 and AWS_ENDPOINT_URL too [default: AWS]
    #[arg(long, env = "S3EP_STORE_URL", value_name = "URL")]
    endpoint_url: Option<String>,
    /// The region to sign for; AWS_REGION and AWS_DEFAULT_REGION too [default: us-east-1]
    #[arg(long, env = "S3EP_STORE_REGION", value_name = "REGION")]
    region: Option<String>,
    /// Name the bucket in the path; without this, so it is with --endpoint-url, and not with AWS
    #[arg(long, conflicts_with = "virtual_host")]
    path_style: bool,
    /// Name the bucket in the host, with --endpoint-url too
    #[arg(long)]
    virtual_host: bool,
    /// PEM file with the CAs to trust instead of the system's
    #[arg(long, env = "AWS_CA_BUNDLE", value_name = "FILE")]
    ca_bundle: Option<PathBuf>,
}

impl Store {
    /// Gets ready; nothing is asked yet.
    pub fn open(args: StoreArgs) -> Result<Self> {
        let region = args.region.or_else(|| first_of(["AWS_REGION", "AWS_DEFAULT_REGION"]));
        let region = region.unwrap_or_else(|| "us-east-1".to_owned());
        let url = args.endpoint_url.or_else(|| first_of(["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"]));
        let is_path_style = !args.virtual_host && (args.path_style || url.is_some());
        let url = url.unwrap_or_else(|| format!("https://s3.{region}.amazonaws.com"));
        Ok(Self {
            address: address(&url, is_path_style)?,
            region,
            credentials: credentials(variable)?,
            agent: agent(args.ca_bundle.as_deref())?,
        })
    }
}

fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

fn first_of(names: [&str; 2]) -> Option<String> {
    names.into_iter().find_map(variable)
}

fn address(url: &str, is_path_style: bool) -> Result<Address> {
    let Some((scheme @ ("http" | "https"), authority)) = url.split_once("://") else {
        bail!("the store's URL begins with http:// or https://: {url}")
    };
    let authority = authority.trim_end_matches('/');
    ensure!(!authority.is_empty() && !authority.contains(['/', '?', '#', '@']), "the store's URL is a host: {url}");
    Ok(Address { scheme: scheme.to_owned(), authority: authority.to_owned(), is_path_style })
}

/// Never some of one family and some of the other: a secret would be used with an id that it does not belong to.
fn credentials(variable: impl Fn(&str) -> Option<String>) -> Result<Credentials> {
    let has_id = |family: &&str| variable(&format!("{family}_ACCESS_KEY_ID")).is_some();
    let family = FAMILIES.into_iter().find(has_id);
    let family = family.context("the store's credentials: AWS_ACCESS_KEY_ID or S3EP_STORE_ACCESS_KEY_ID is not set")?;
    let required = |name: &str| {
        let name = format!("{family}_{name}");
        variable(&name).with_context(|| format!("the store's credentials: {name} is not set"))
    };
    let session_token = variable(&format!("{family}_SESSION_TOKEN"));
    Ok(Credentials::from_keys(required("ACCESS_KEY_ID")?, required("SECRET_ACCESS_KEY")?, session_token))
}

/// Time-outs are for peers that hang: a store may take minutes to copy 5 GiB.
fn agent(ca_bundle: Option<&Path>) -> Result<Agent> {
    let tls = TlsConfig::builder()
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .root_certs(ca_bundle.map_or(Ok(RootCerts::PlatformVerifier), trusted)?)
        .build();
    let config = Agent::config_builder()
        .tls_config(tls)
        .http_status_as_error(false)
        .max_redirects(0)
        .timeout_connect(Some(Duration::from_secs(10)))
        .timeout_recv_response(Some(Duration::from_secs(600)))
        .timeout_per_read(Some(Duration::from_secs(120)))
        .timeout_per_write(Some(Duration::from_secs(120)));
    Ok(config.build().new_agent())
}

fn trusted(file: &Path) -> Result<RootCerts> {
    let pem = fs::read(file).with_context(|| file.display().to_string())?;
    let certificates = parse_pem(&pem).filter_map(|item| match item {
        Ok(PemItem::Certificate(certificate)) => Some(Ok(certificate)),
        Ok(_) => None,
        Err(error) => Some(Err(error)),
    });
    let certificates: Vec<_> = certificates.collect::<Result<_, _>>().with_context(|| file.display().to_string())?;
    ensure!(!certificates.is_empty(), "{}: there is no certificate in it", file.display());
    Ok(certificates.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_a_host() {
        for (url, authority) in [("http://h:1", "h:1"), ("https://h/", "h"), ("https://[::1]:9", "[::1]:9")] {
            assert_eq!(address(url, true).unwrap().authority, authority, "{url}");
        }
        for url in ["", "h", "ftp://h", "http://", "http://h/p", "http://u@h", "http://h?x"] {
            assert!(address(url, true).is_err(), "{url}");
        }
    }

    #[test]
    fn credentials_are_of_one_family() {
        let named = |names: &[&str]| {
            let variable = |name: &str| names.contains(&name).then(|| format!("value of {name}"));
            credentials(variable).ok().map(|found| format!("{}, {}", found.access_key_id(), found.secret_access_key()))
        };
        const STORE: [&str; 2] = ["S3EP_STORE_ACCESS_KEY_ID", "S3EP_STORE_SECRET_ACCESS_KEY"];
        const AWS: [&str; 2] = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];
        let both_of = |[id, secret]: [&str; 2]| Some(format!("value of {id}, value of {secret}"));
        assert_eq!(named(&AWS), both_of(AWS));
        assert_eq!(named(&[AWS, STORE].concat()), both_of(STORE));
        assert_eq!(named(&[AWS[0], AWS[1], STORE[0]]), None);
        assert_eq!(named(&[AWS[1], STORE[1]]), None);
    }

    #[test]
    fn a_bucket_stands_in_the_path_or_in_the_host() {
        let url = |is_path_style, path| address("https://h", is_path_style).unwrap().url(path);
        assert_eq!(url(true, "/b/k?x"), "https://h/b/k?x");
        assert_eq!(url(false, "/b/k/l?x"), "https://b.h/k/l?x");
        assert_eq!(url(false, "/b?x"), "https://b.h/?x");
        assert_eq!(url(false, "/b"), "https://b.h/");
    }
}
