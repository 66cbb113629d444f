//! The store's S3 API, spoken to straight: requests signed with SigV4 and sent over HTTP/1.1.

mod answer;
mod args;
mod listing;
mod sending;
mod survey;
mod upload;
mod writing;

use anyhow::{Error, Result};
use percent_encoding::utf8_percent_encode;
use s3ep_core::keys::ObjectName;
use s3ep_core::s3::copy_source::CopySource;
use s3ep_core::s3::query::UNRESERVED;

use crate::sealed::Sealed;
pub use answer::{Answer, Refused};
pub use args::StoreArgs;
pub use listing::{Listed, Page};
pub use sending::{Call, Store};
pub use upload::Upload;
pub use writing::{Head, Written};

impl Store {
    /// GetObject, of one version if it is named.
    pub fn get(&self, name: &ObjectName, version_id: Option<&str>) -> Result<Sealed> {
        let answer = self.send(Call::new("GET", path(name, version_id)))?.expect(&[200])?;
        Ok(answer.into_sealed())
    }
}

/// The object's path, path-style and encoded, with the version if one is named.
fn path(name: &ObjectName, version_id: Option<&str>) -> String {
    CopySource { name: name.clone(), version_id: version_id.map(str::to_owned) }.path()
}

/// A value in a query, encoded.
fn encode(value: &str) -> String {
    utf8_percent_encode(value, UNRESERVED).to_string()
}

/// Whether the store says that there is no such object.
pub fn is_gone(error: &Error) -> bool {
    error.downcast_ref::<Refused>().is_some_and(|refused| refused.status == 404)
}
