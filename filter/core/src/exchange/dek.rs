//! Getting at DEKs, in either mode.

use std::rc::Rc;

use super::Env;
use crate::config::KeySource;
use crate::error::{Error, InternalError, KmsError};
use crate::format::metadata::{MetadataError, WrappedDek};
use crate::keys::{Dek, ObjectKeys, ObjectName, SALT_LEN};

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
        let dek = primary.master_key.direct_dek(&salt, name)?;
        let wrapped = WrappedDek::new(salt, primary.kek.clone())?;
        Ok(NewDek::Ready(self.keep(wrapped.clone(), name, &dek)?, wrapped))
    }

    /// The keys of a stored object, if no KMS has to be asked for them.
    pub fn find_keys(&mut self, wrapped: &WrappedDek, name: &ObjectName) -> Result<Option<Rc<ObjectKeys>>, Error> {
        if let Some(keys) = self.caches.deks.get(&(wrapped.clone(), name.clone()), self.now) {
            return Ok(Some(Rc::clone(keys)));
        }
        let KeySource::Direct(master_keys) = &self.config.keys else {
            return Ok(None);
        };
        if wrapped.bytes.len() != SALT_LEN {
            // FORMAT 3.6
            return Err(MetadataError::Malformed("dek").into());
        }
        let known = master_keys.iter().find(|key| key.kek == wrapped.kek).ok_or(KmsError::Invalid)?;
        let dek = known.master_key.direct_dek(&wrapped.bytes, name)?;
        self.keep(wrapped.clone(), name, &dek).map(Some)
    }

    /// Derives the keys of a DEK and keeps them for the next time.
    pub fn keep(&mut self, wrapped: WrappedDek, name: &ObjectName, dek: &Dek) -> Result<Rc<ObjectKeys>, Error> {
        let keys = Rc::new(ObjectKeys::derive(dek)?);
        self.caches.deks.put((wrapped, name.clone()), Rc::clone(&keys), self.now);
        Ok(keys)
    }
}
