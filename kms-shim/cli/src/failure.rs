//! Errors of the core, for a person.

use anyhow::{Error, Result};
use s3ep_core::error::{Error as CoreError, IntegrityError};
use s3ep_core::format::metadata::MetadataError;
use s3ep_core::open::OpenError;

/// Turns results of the core into those of this program, in which [`is_integrity`] finds what it looks for.
pub trait Failed<T> {
    /// The same result, its error said once.
    fn plainly(self) -> Result<T>;
}

impl<T> Failed<T> for Result<T, CoreError> {
    fn plainly(self) -> Result<T> {
        self.map_err(|error| match error {
            CoreError::Integrity(error) => error.into(),
            other => other.into(),
        })
    }
}

impl<T> Failed<T> for Result<T, MetadataError> {
    fn plainly(self) -> Result<T> {
        self.map_err(|error| IntegrityError::from(error).into())
    }
}

impl<T> Failed<T> for Result<T, OpenError> {
    fn plainly(self) -> Result<T> {
        self.map_err(|error| IntegrityError::from(error).into())
    }
}

/// Whether the stored object is not what was stored, rather than that it could not be looked at.
pub fn is_integrity(error: &Error) -> bool {
    error.downcast_ref::<IntegrityError>().is_some()
}
