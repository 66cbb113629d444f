//! A body on its way to the store: decoded, hashed and sealed.

use std::rc::Rc;

use super::{Body, Env};
use crate::account::Account;
use crate::error::{Error, InternalError, RequestError};
use crate::format::layout::sealed_len;
use crate::keys::ObjectKeys;
use crate::s3::checksum::Checksum;
use crate::s3::upload::Upload;
use crate::seal::Sealer;

/// A write of object data: `W` is what it keeps while it waits for its DEK.
pub enum Writing<W> {
    /// Nothing has come yet.
    Start,
    /// The KMS is being asked.
    Waiting(W),
    /// The head went out, the body streams.
    Sealing(Box<Sealing>),
}

impl<W> Writing<W> {
    /// What was kept, if an answer is waited for.
    pub fn take(&mut self) -> Result<W, InternalError> {
        match std::mem::replace(self, Self::Start) {
            Self::Waiting(kept) => Ok(kept),
            _ => Err(InternalError("an answer came that nobody asked for")),
        }
    }

    /// The streaming body.
    pub fn sealing(&mut self) -> Result<&mut Sealing, InternalError> {
        match self {
            Self::Sealing(sealing) => Ok(sealing),
            _ => Err(InternalError("a body came before its head")),
        }
    }

    /// Adds what was sealed since this was called last.
    pub fn settle(&mut self, account: &mut Account) {
        if let Self::Sealing(sealing) = self {
            account.sealed += sealing.sealer.take_volume();
        }
    }

    /// The `x-amz-checksum-*` that the body was found to have: S3 repeats it in the response.
    pub fn verified(&self) -> Option<&Checksum> {
        match self {
            Self::Sealing(sealing) => sealing.upload.verified(),
            _ => None,
        }
    }
}

/// One part that streams.
pub struct Sealing {
    upload: Upload,
    sealer: Sealer,
    is_complete: bool,
}

impl Sealing {
    /// Begins the part of that number. Also gives the length of what goes upstream.
    pub fn begin(upload: Upload, keys: Rc<ObjectKeys>, part: u16) -> Result<(Self, u64), Error> {
        let body_len = sealed_len(upload.plain_len()).ok_or(RequestError::EntityTooLarge)?;
        let sealer = Sealer::new(keys, part, upload.plain_len());
        Ok((Self { upload, sealer, is_complete: false }, body_len))
    }

    /// Takes a window of the client's body; gives the segments that it completes.
    pub fn push(&mut self, env: &mut Env<'_>, window: &[u8], is_end: bool) -> Result<Body, Error> {
        let mut sealed = Vec::with_capacity(self.sealer.sealed_len_for(window.len()));
        match self.is_complete {
            false => {
                let sealer = &mut self.sealer;
                self.is_complete = self.upload.push(window, |plain| sealer.push(env.entropy, plain, &mut sealed))?;
                if self.is_complete {
                    // Before the last segment goes out: a bad upload must not become an object.
                    self.upload.verify()?;
                    self.sealer.finish(env.entropy, &mut sealed)?;
                }
            }
            true if window.is_empty() => {}
            true => return Err(RequestError::BodyTooLong.into()),
        }
        if is_end {
            self.end()?;
        }
        Ok(Body::Replaced(sealed))
    }

    /// The client's body has ended.
    pub fn end(&mut self) -> Result<(), Error> {
        if !self.is_complete && self.upload.plain_len() == 0 {
            // A body of nothing may end without any window of it having come.
            self.is_complete = self.upload.push(&[], |_| Ok(()))?;
            self.upload.verify()?;
        }
        if self.is_complete { Ok(()) } else { Err(RequestError::IncompleteBody.into()) }
    }
}
