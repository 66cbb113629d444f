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

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use getrandom::SysRng;

    use super::*;

    fn key(name: &str, byte: u8) -> NamedMasterKey {
        NamedMasterKey::parse(name.into(), &format!(" {}\n", STANDARD.encode([byte; 32]))).unwrap()
    }

    fn name() -> ObjectName {
        ObjectName { bucket: "b".into(), object_key: "k".into() }
    }

    #[test]
    fn what_the_first_key_makes_is_found_wherever_it_stands() {
        let (dek, made) = new_dek(&[key("new", 1), key("old", 2)], &name(), &mut SysRng).unwrap();
        let wrapped = wrap_dek(&[key("new", 1)], &dek, &name(), &mut SysRng).unwrap();
        assert_eq!([&*made.kek, &*wrapped.kek], ["direct:new", "direct-wrap:new"]);
        for stored in [made, wrapped] {
            assert_eq!(key_name(&stored.kek), Some("new"));
            assert_eq!(find_dek(&[key("newer", 3), key("new", 1)], &stored, &name()).unwrap(), dek);
            let other = ObjectName { object_key: "l".into(), ..name() };
            assert!(find_dek(&[key("new", 1)], &stored, &other).map_or(true, |found| found != dek));
        }
    }

    #[test]
    fn what_no_key_made_is_not_found() {
        let keys = [key("new", 1)];
        for (kek, len) in [("tink-keyset:new", 32), ("direct:old", 32), ("direct-wrap:old", 60), ("new", 32)] {
            let stored = WrappedDek::new(vec![0; len], kek.into()).unwrap();
            assert!(matches!(find_dek(&keys, &stored, &name()), Err(Error::Kms(KmsError::Invalid))), "{kek}");
        }
        for (kek, len) in [("direct:new", 31), ("direct:new", 33), ("direct-wrap:new", 59), ("direct-wrap:new", 60)] {
            let stored = WrappedDek::new(vec![0; len], kek.into()).unwrap();
            assert!(matches!(find_dek(&keys, &stored, &name()), Err(Error::Integrity(_))), "{kek} {len}");
        }
        assert!(new_dek(&[], &name(), &mut SysRng).is_err());
    }
}
