//! The keys that DEKs are wrapped with: kms-shim's KEKs, or master keys in direct mode.

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::str::FromStr;

use anyhow::{Context as _, Error, Result, bail, ensure};
use clap::Args;
use getrandom::SysRng;
use kms_api::{ErrorKind, Secret};
use kms_shim::config::{ConfigError, Effective, KekSource, KekUri, KeysetSource, Settings};
use kms_shim::kek::{Context, KekError};
use kms_shim::keks::{self, Keks};
use kms_shim::kms::{KmsSettings, KmsUri};
use kms_shim::metrics::Metrics;
use kms_shim::tink::KeysetName;
use s3ep_core::config::NamedMasterKey;
use s3ep_core::direct;
use s3ep_core::error::IntegrityError;
use s3ep_core::format::metadata::WrappedDek;
use s3ep_core::keys::{Dek, ObjectKeys, ObjectName};
use tokio::runtime::{self, Runtime};
use zeroize::Zeroizing;

use crate::failure::Failed as _;

/// Which keys there are. The KEKs are given as to kms-shim, in the same flags, variables and file.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Keys")]
pub struct KeyArgs {
    /// kms-shim's configuration file: what it says of KEKs holds, and all else is left alone
    #[arg(long, env = "S3EP_KMS_SHIM_CONFIG", value_name = "FILE")]
    kms_shim_config: Option<PathBuf>,
    /// KEKs: aws-kms://…, gcp-kms://…, hcvault://…, or tink-keyset:NAME for the keyset. The first wraps.
    /// To be repeated, or with commas
    #[arg(long, env = "S3EP_KMS_SHIM_KEK_URI", value_name = "URI", value_delimiter = ',')]
    kek_uri: Vec<KekUri>,
    /// Tink JSON keyset, in clear unless --keyset-kek-uri is given
    #[arg(long, env = "S3EP_KMS_SHIM_KEYSET", value_name = "FILE")]
    keyset: Option<PathBuf>,
    /// Name of the keyset in the KEK's id [default: default]
    #[arg(long, env = "S3EP_KMS_SHIM_KEYSET_NAME", value_name = "NAME")]
    keyset_name: Option<KeysetName>,
    /// Keyset in clear that unwraps only: one of another name, to rewrap from. May be repeated
    #[arg(long, value_name = "NAME=FILE")]
    old_keyset: Vec<NamedFile>,
    /// Key of a KMS that encrypts the keyset
    #[arg(long, env = "S3EP_KMS_SHIM_KEYSET_KEK_URI", value_name = "URI")]
    keyset_kek_uri: Option<KmsUri>,
    #[command(flatten)]
    kms: KmsSettings,
    /// Master key of direct mode: the name that the filter knows it by, and a file with its base64. May be repeated; the
    /// first wraps, if there is no KEK
    #[arg(long, value_name = "NAME=FILE")]
    master_key: Vec<NamedFile>,
}

/// A key's name and its file.
#[derive(Debug, Clone)]
struct NamedFile {
    name: String,
    file: PathBuf,
}

impl FromStr for NamedFile {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (name, file) = text.split_once('=').context("it is not NAME=FILE")?;
        Ok(Self { name: name.to_owned(), file: file.into() })
    }
}

impl NamedFile {
    fn keyset(&self) -> Result<KekSource> {
        Ok(KekSource::Keyset(KeysetSource { path: self.file.clone(), name: self.name.parse()?, kek: None }))
    }

    fn master_key(&self) -> Result<NamedMasterKey> {
        let text = read_secret(&self.file)?;
        NamedMasterKey::parse(self.name.clone(), &text).with_context(|| self.file.display().to_string())
    }
}

fn read_secret(file: &Path) -> Result<Zeroizing<String>> {
    std::fs::read_to_string(file).map(Zeroizing::new).with_context(|| file.display().to_string())
}

impl KeyArgs {
    /// Opens all of them. None: there are none.
    pub fn open(self) -> Result<Option<Keyring>> {
        let file = self.kms_shim_config.as_deref().map(Settings::from_file).transpose()?.unwrap_or_default();
        let master_keys = self.master_key.iter().map(NamedFile::master_key).collect::<Result<Vec<_>>>()?;
        let old_keysets = self.old_keyset.iter().map(NamedFile::keyset).collect::<Result<Vec<_>>>()?;
        let mut flags = Settings::default();
        (flags.kek_uri, flags.gcp, flags.vault) = (self.kek_uri, self.kms.gcp, self.kms.vault);
        (flags.keyset, flags.keyset_name, flags.keyset_kek_uri) = (self.keyset, self.keyset_name, self.keyset_kek_uri);
        let runtime = runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let keks = match Effective::new(flags, None, file).into_keks() {
            Ok((sources, kms)) => {
                let sources = [sources, old_keysets].concat();
                Some(runtime.block_on(keks::open(&sources, &kms, &Metrics::new()))?)
            }
            Err(ConfigError::NoKek) if !old_keysets.is_empty() => {
                bail!("--old-keyset is for a KEK that wraps beside it")
            }
            Err(ConfigError::NoKek) if master_keys.is_empty() => return Ok(None),
            Err(ConfigError::NoKek) => None,
            Err(error) => return Err(error.into()),
        };
        Ok(Some(Keyring { keks, master_keys, runtime }))
    }

    /// Opens all of them. Fails if there are none.
    pub fn require(self) -> Result<Keyring> {
        self.open()?.context("no key: give --keyset, --kek-uri or --kms-shim-config as to kms-shim, or --master-key")
    }
}

/// KEKs and master keys. Threads share it.
pub struct Keyring {
    keks: Option<Keks>,
    /// Never empty if there are no KEKs.
    master_keys: Vec<NamedMasterKey>,
    runtime: Runtime,
}

impl Keyring {
    /// The keys of a stored object. An [`IntegrityError`] if its DEK is another object's, or was altered.
    pub fn keys(&self, wrapped: &WrappedDek, name: &ObjectName) -> Result<Rc<ObjectKeys>> {
        let dek = match direct::key_name(&wrapped.kek) {
            Some(_) => self.find_directly(wrapped, name)?,
            None => self.unwrap(wrapped, name)?,
        };
        Ok(Rc::new(ObjectKeys::derive(&dek)?))
    }

    /// Whether DEKs that this KEK wrapped need not be wrapped again.
    pub fn is_current(&self, kek: &str) -> bool {
        match (&self.keks, self.master_keys.first()) {
            (Some(keks), _) => keks.first().id() == kek,
            (None, first) => first.is_some_and(|first| direct::key_name(kek) == Some(&*first.name)),
        }
    }

    /// Wraps a DEK for this object, by the first KEK, or if there is none by the first master key. Makes sure that it can be
    /// had back, before what it is the only way to is given up: an older wrapping, or the plaintext.
    pub fn wrap(&self, dek: &Dek, name: &ObjectName) -> Result<WrappedDek> {
        let Some(keks) = &self.keks else {
            return direct::wrap_dek(&self.master_keys, dek, name, &mut SysRng).plainly();
        };
        let (kek, secret) = (keks.first(), Secret::new(dek.expose().to_vec()));
        let wrapped = self.runtime.block_on(kek.wrap(&secret, &context(name)?)).context("the KEK does not wrap")?;
        let wrapped = WrappedDek::new(wrapped, kek.id().to_owned()).plainly()?;
        ensure!(self.unwrap(&wrapped, name)? == *dek, "the KEK does not unwrap what it wrapped");
        Ok(wrapped)
    }

    /// The keys of a new object.
    pub fn new_keys(&self, name: &ObjectName) -> Result<(Rc<ObjectKeys>, WrappedDek)> {
        let (dek, wrapped) = match self.keks {
            None => direct::new_dek(&self.master_keys, name, &mut SysRng).plainly()?,
            Some(_) => {
                let dek = Dek::generate(&mut SysRng)?;
                let wrapped = self.wrap(&dek, name)?;
                (dek, wrapped)
            }
        };
        Ok((Rc::new(ObjectKeys::derive(&dek)?), wrapped))
    }

    fn find_directly(&self, wrapped: &WrappedDek, name: &ObjectName) -> Result<Dek> {
        let is_known = |key: &NamedMasterKey| direct::key_name(&wrapped.kek) == Some(&*key.name);
        if !self.master_keys.iter().any(is_known) {
            bail!("its master key is not there: {}", wrapped.kek);
        }
        direct::find_dek(&self.master_keys, wrapped, name).plainly()
    }

    fn unwrap(&self, wrapped: &WrappedDek, name: &ObjectName) -> Result<Dek> {
        let kek = self.keks.as_ref().and_then(|keks| keks.find(&wrapped.kek));
        let kek = kek.with_context(|| format!("its KEK is not there: {}", wrapped.kek))?;
        let dek = self.runtime.block_on(kek.unwrap(&wrapped.bytes, &context(name)?)).map_err(of_kek)?;
        Dek::from_slice(dek.expose()).context("the KEK unwrapped something that is no DEK")
    }
}

fn context(name: &ObjectName) -> Result<Context> {
    Ok(Context::new(&name.bucket, &name.object_key)?)
}

/// The KEK did its part: if the context does not fit, then it is the store that hands out another object's DEK.
fn of_kek(error: KekError) -> Error {
    match error.kind {
        ErrorKind::ContextMismatch => IntegrityError::WrappedDek.into(),
        _ => Error::new(error).context("the KEK does not unwrap its DEK"),
    }
}
