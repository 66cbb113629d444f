//! The keys of an upload in progress, whose wrapped DEK the UploadId carries (FORMAT.md section 8).

use std::rc::Rc;

use super::{Answer, Call, Env};
use crate::error::{Error, KmsError, RequestError};
use crate::keys::{ObjectKeys, ObjectName};
use crate::s3::multipart::{Token, UploadId};

/// An upload whose keys are being asked for.
pub struct UploadKeys {
    name: ObjectName,
    upstream: String,
    token: Token,
}

/// What is known of an upload's keys.
pub enum Found {
    /// They are known.
    Keys(Rc<ObjectKeys>),
    /// The KMS must be asked this.
    Ask(Box<UploadKeys>, Call),
}

impl UploadKeys {
    /// The keys of an upload of `name`. [`RequestError::NoSuchUpload`] if the UploadId is not one of ours.
    pub fn find(env: &mut Env<'_>, name: &ObjectName, upload_id: &UploadId) -> Result<Found, Error> {
        let UploadId { upstream, token } = upload_id.clone();
        let token = token.ok_or(RequestError::NoSuchUpload)?;
        if let Some(keys) = env.find_keys(&token.wrapped_dek, name).map_err(foreign)? {
            token.verify(&upstream, &keys)?;
            return Ok(Found::Keys(keys));
        }
        let call = Call::Unwrap(token.wrapped_dek.clone(), name.clone());
        Ok(Found::Ask(Box::new(Self { name: name.clone(), upstream, token }), call))
    }

    /// The answer to what was asked.
    pub fn answered(self, env: &mut Env<'_>, answer: Answer) -> Result<Rc<ObjectKeys>, Error> {
        let dek = answer.unwrapped().map_err(foreign)?;
        let keys = Rc::new(ObjectKeys::derive(&dek)?);
        self.token.verify(&self.upstream, &keys)?;
        env.remember(self.token.wrapped_dek, &self.name, &keys);
        Ok(keys)
    }
}

/// A DEK in an UploadId came from the client: one that does not unwrap is the client's fault, not the store's.
fn foreign(error: Error) -> Error {
    match error {
        Error::Kms(KmsError::ContextMismatch | KmsError::Invalid) | Error::Integrity(_) => {
            RequestError::NoSuchUpload.into()
        }
        other => other,
    }
}
