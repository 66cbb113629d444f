//! Direct mode: DEKs from master keys, without a KMS (FORMAT 3.6 and 3.7).

use crate::config::NamedMasterKey;
use crate::entropy::Entropy;
use crate::error::{Error, IntegrityError, InternalError, KmsError};
use crate::format::metadata::{MetadataError, WrappedDek};
use crate::keys::{Dek, ObjectName, SALT_LEN};

/// What the `kek` of an object in direct mode begins with; the master key's name follows.
const DIRECT: &str = "direct:";
/// Likewise for copies, whose DEK is their source's.
const DIRECT_WRAP: &str = "direct-wrap:";

/// The name of the master key in a KEK's id. None: the id is a KMS's.
pub fn key_name(kek: &str) -> Option<&str> {
    kek.strip_prefix(DIRECT).or_else(|| kek.strip_prefix(DIRECT_WRAP))
}

/// Makes the DEK of a new object from the first master key.
pub fn new_dek(
    master_keys: &[NamedMasterKey],
    name: &ObjectName,
    entropy: &mut dyn Entropy,
) -> Result<(Dek, WrappedDek), Error> {
    let primary = primary(master_keys)?;
    let mut salt = vec![0; SALT_LEN];
    entropy.fill(&mut salt)?;
    let dek = primary.master_key.direct_dek(&salt, name)?;
    Ok((dek, WrappedDek::new(salt, format!("{DIRECT}{}", primary.name))?))
}

/// The DEK of a stored object. [`KmsError::Invalid`] if none of the master keys made it.
pub fn find_dek(master_keys: &[NamedMasterKey], wrapped: &WrappedDek, name: &ObjectName) -> Result<Dek, Error> {
    let key_name = key_name(&wrapped.kek).ok_or(KmsError::Invalid)?;
    let known = master_keys.iter().find(|key| key.name == key_name).ok_or(KmsError::Invalid)?;
    match wrapped.kek.starts_with(DIRECT_WRAP) {
        // FORMAT 3.7
        true => Ok(known.master_key.unwrap(&wrapped.bytes, name)?.ok_or(IntegrityError::WrappedDek)?),
        // FORMAT 3.6
        false if wrapped.bytes.len() != SALT_LEN => Err(MetadataError::Malformed("dek").into()),
        false => Ok(known.master_key.direct_dek(&wrapped.bytes, name)?),
    }
}

/// Wraps a DEK that is there already, with the first master key (FORMAT 3.7).
pub fn wrap_dek(
    master_keys: &[NamedMasterKey],
    dek: &Dek,
    name: &ObjectName,
    entropy: &mut dyn Entropy,
) -> Result<WrappedDek, Error> {
    let primary = primary(master_keys)?;
    let wrapped = primary.master_key.wrap(dek, name, entropy)?;
    Ok(WrappedDek::new(wrapped, format!("{DIRECT_WRAP}{}", primary.name))?)
}

fn primary(master_keys: &[NamedMasterKey]) -> Result<&NamedMasterKey, InternalError> {
    master_keys.first().ok_or(InternalError("direct mode without a master key"))
}
