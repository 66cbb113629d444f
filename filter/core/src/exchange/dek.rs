//! Getting at DEKs, in either mode.

use std::rc::Rc;

use super::Env;
use crate::config::KeySource;
use crate::error::{Error, IntegrityError, InternalError, KmsError};
use crate::format::metadata::{Metadata, MetadataError, WrappedDek};
use crate::keys::{Dek, ObjectKeys, ObjectName, SALT_LEN};

/// What the `kek` of an object in direct mode begins with; the master key's name follows.
const DIRECT: &str = "direct:";
/// Likewise for copies, whose DEK is their source's.
const DIRECT_WRAP: &str = "direct-wrap:";

/// A DEK for a new object.
pub enum NewDek {
    /// The KMS has to wrap it first.
    ToWrap(Dek),
    /// It needs no KMS.
    Ready(Rc<ObjectKeys>, WrappedDek),
}

impl Env<'_> {
    /// Makes a DEK for a new object.
    pub fn new_dek(&mut self, name: &ObjectName) -> Result<NewDek, Error> {
        let KeySource::Direct(master_keys) = &self.config.keys else {
            return Ok(NewDek::ToWrap(Dek::generate(self.entropy)?));
        };
        let primary = master_keys.first().ok_or(InternalError("direct mode without a master key"))?;
        let mut salt = vec![0; SALT_LEN];
        self.entropy.fill(&mut salt)?;
        let keys = Rc::new(ObjectKeys::derive(&primary.master_key.direct_dek(&salt, name)?)?);
        let wrapped = WrappedDek::new(salt, format!("{DIRECT}{}", primary.name))?;
        self.remember(wrapped.clone(), name, &keys);
        Ok(NewDek::Ready(keys, wrapped))
    }

    /// The keys of a stored object, if no KMS has to be asked for them.
    pub fn find_keys(&mut self, wrapped: &WrappedDek, name: &ObjectName) -> Result<Option<Rc<ObjectKeys>>, Error> {
        self.account.kek = Some(wrapped.kek.clone());
        if let Some(keys) = self.caches.deks.get(&(wrapped.clone(), name.clone()), self.now) {
            self.account.deks.hits += 1;
            return Ok(Some(Rc::clone(keys)));
        }
        let KeySource::Direct(master_keys) = &self.config.keys else {
            self.account.deks.misses += 1;
            return Ok(None);
        };
        self.account.deks.derived += 1;
        let (is_copy, key_name) = match wrapped.kek.strip_prefix(DIRECT_WRAP) {
            Some(key_name) => (true, key_name),
            None => (false, wrapped.kek.strip_prefix(DIRECT).ok_or(KmsError::Invalid)?),
        };
        let known = master_keys.iter().find(|key| key.name == key_name).ok_or(KmsError::Invalid)?;
        let dek = match is_copy {
            // FORMAT 3.7
            true => known.master_key.unwrap(&wrapped.bytes, name)?.ok_or(IntegrityError::WrappedDek)?,
            // FORMAT 3.6
            false if wrapped.bytes.len() != SALT_LEN => return Err(MetadataError::Malformed("dek").into()),
            false => known.master_key.direct_dek(&wrapped.bytes, name)?,
        };
        let keys = Rc::new(ObjectKeys::derive(&dek)?);
        self.remember(wrapped.clone(), name, &keys);
        Ok(Some(keys))
    }

    /// Wraps a DEK for a copy, if no KMS has to be asked to.
    pub fn wrap_directly(&mut self, dek: &Dek, name: &ObjectName) -> Result<Option<WrappedDek>, Error> {
        let KeySource::Direct(master_keys) = &self.config.keys else { return Ok(None) };
        let primary = master_keys.first().ok_or(InternalError("direct mode without a master key"))?;
        let wrapped = primary.master_key.wrap(dek, name, self.entropy)?;
        Ok(Some(WrappedDek::new(wrapped, format!("{DIRECT_WRAP}{}", primary.name))?))
    }

    /// Takes the unwrapped DEK of a stored object, if it is the one that the metadata commits to.
    pub fn learn(&mut self, metadata: &Metadata, name: &ObjectName, dek: &Dek) -> Result<Rc<ObjectKeys>, Error> {
        let keys = Rc::new(ObjectKeys::derive(dek)?);
        metadata.verify(&keys)?;
        self.remember(metadata.wrapped_dek().clone(), name, &keys);
        Ok(keys)
    }

    /// Keeps the keys of a DEK that is known to be right for the next time.
    pub fn remember(&mut self, wrapped: WrappedDek, name: &ObjectName, keys: &Rc<ObjectKeys>) {
        self.account.kek = Some(wrapped.kek.clone());
        self.caches.deks.put((wrapped, name.clone()), Rc::clone(keys), self.now);
    }
}
