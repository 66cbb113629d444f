//! Getting at DEKs, in either mode.

use std::rc::Rc;

use super::Env;
use crate::config::KeySource;
use crate::direct;
use crate::error::Error;
use crate::format::metadata::{Metadata, WrappedDek};
use crate::keys::{Dek, ObjectKeys, ObjectName};

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
        let (dek, wrapped) = direct::new_dek(master_keys, name, self.entropy)?;
        let keys = Rc::new(ObjectKeys::derive(&dek)?);
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
        let dek = direct::find_dek(master_keys, wrapped, name)?;
        let keys = Rc::new(ObjectKeys::derive(&dek)?);
        self.remember(wrapped.clone(), name, &keys);
        Ok(Some(keys))
    }

    /// Wraps a DEK for a copy, if no KMS has to be asked to.
    pub fn wrap_directly(&mut self, dek: &Dek, name: &ObjectName) -> Result<Option<WrappedDek>, Error> {
        let KeySource::Direct(master_keys) = &self.config.keys else { return Ok(None) };
        Ok(Some(direct::wrap_dek(master_keys, dek, name, self.entropy)?))
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
