//! What all sources say together.

use std::fmt;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::{Config, ConfigError, FormerName, KekSource, KeysetSource, Settings, TOKEN_ENV, keks, read};
use crate::admission::{Limits, Rate};
use crate::kms::{KmsSettings, KmsUri, SECRET_ID_ENV, VAULT_TOKEN_ENV};
use crate::listen::Listen;
use crate::tink::KeysetName;
use crate::tls::TlsFiles;
use crate::token::Token;

/// Flags before environment before file before defaults.
#[derive(Debug)]
pub struct Effective {
    settings: Settings,
    /// The token in the environment, unless a file for it was given by flag or environment.
    token: Option<Zeroizing<String>>,
    former_names: Vec<FormerName>,
}

impl Effective {
    /// Puts together what flags and environment say, the token in the environment, and the file.
    pub fn new(flags: Settings, token: Option<Zeroizing<String>>, file: Settings) -> Self {
        let former_names = FormerName::of(&file);
        let token = token.filter(|_| flags.token_file.is_none());
        let file = Settings { token_file: file.token_file.filter(|_| token.is_none()), ..file };
        let settings = flags.over(file).with_defaults();
        Self { settings, token, former_names }
    }

    /// A configuration file in YAML that says the same, but for secrets in the environment: of those, the names stand
    /// above it as comments.
    pub fn to_yaml(&self) -> Result<String, ConfigError> {
        let vault = &self.settings.vault;
        let in_environment = |name: &str| std::env::var_os(name).is_some();
        let hidden = [
            (TOKEN_ENV, self.token.is_some()),
            (VAULT_TOKEN_ENV, vault.token_file.is_none() && in_environment(VAULT_TOKEN_ENV)),
            (SECRET_ID_ENV, vault.secret_id_file.is_none() && in_environment(SECRET_ID_ENV)),
        ];
        let comments = hidden.iter().filter(|(_, is_used)| *is_used).map(|(name, _)| format!("# {name}: ***\n"));
        let yaml = serde_saphyr::to_string(&self.settings).map_err(|error| ConfigError::Print(error.to_string()))?;
        Ok(comments.collect::<String>() + &yaml)
    }

    /// The KEKs, at least one, and how to reach the KMS, for a program that takes them as the service does, and no more.
    pub fn into_keks(self) -> Result<(Vec<KekSource>, KmsSettings), ConfigError> {
        let settings = self.settings;
        let keyset = keyset(settings.keyset, settings.keyset_name, settings.keyset_kek_uri)?;
        let kms = KmsSettings { gcp: settings.gcp, vault: settings.vault };
        Ok((keks::order(&settings.kek_uri, keyset)?, kms))
    }

    /// Checks that a service can start with this, as far as nobody has to be asked.
    pub fn into_config(self) -> Result<Config, ConfigError> {
        let settings = self.settings;
        let listen = settings.listen.unwrap_or_default();
        let tls = tls_files(settings.tls_cert, settings.tls_key, settings.tls_client_ca)?;
        check_exposure(&listen, tls.is_some(), settings.allow_remote_plaintext.unwrap_or_default())?;
        let limits = Limits::default();
        let keyset = keyset(settings.keyset, settings.keyset_name, settings.keyset_kek_uri)?;
        Ok(Config {
            listen,
            tls,
            address_file: settings.address_file,
            token: token(self.token, settings.token_file)?,
            operations_listen: settings.operations_listen,
            limits: Limits {
                connections: settings.max_connections.unwrap_or(limits.connections),
                requests: settings.max_concurrent_requests.unwrap_or(limits.requests),
                rate: rate(settings.rate_limit, settings.rate_burst)?,
            },
            keks: keks::order(&settings.kek_uri, keyset)?,
            kms: KmsSettings { gcp: settings.gcp, vault: settings.vault },
            log_level: settings.log_level.unwrap_or_default(),
            log_format: settings.log_format.unwrap_or_default(),
            former_names: self.former_names,
        })
    }
}

impl Settings {
    /// These settings, and the file's for what they do not say.
    fn over(self, file: Self) -> Self {
        Self {
            listen: self.listen.or(file.listen).or(file.bind_address),
            tls_cert: self.tls_cert.or(file.tls_cert),
            tls_key: self.tls_key.or(file.tls_key),
            tls_client_ca: self.tls_client_ca.or(file.tls_client_ca),
            allow_remote_plaintext: self.allow_remote_plaintext.or(file.allow_remote_plaintext),
            address_file: self.address_file.or(file.address_file),
            token_file: self.token_file.or(file.token_file),
            operations_listen: self.operations_listen.or(file.operations_listen),
            max_connections: self.max_connections.or(file.max_connections),
            max_concurrent_requests: self.max_concurrent_requests.or(file.max_concurrent_requests),
            rate_limit: self.rate_limit.or(file.rate_limit),
            rate_burst: self.rate_burst.or(file.rate_burst),
            kek_uri: if self.kek_uri.is_empty() { file.kek_uri } else { self.kek_uri },
            keyset: self.keyset.or(file.keyset),
            keyset_name: self.keyset_name.or(file.keyset_name),
            keyset_kek_uri: self.keyset_kek_uri.or(file.keyset_kek_uri),
            gcp: self.gcp.or(file.gcp),
            vault: self.vault.or(file.vault),
            log_level: self.log_level.or(file.log_level),
            log_format: self.log_format.or(file.log_format),
            ..Self::default()
        }
    }

    fn with_defaults(self) -> Self {
        let limits = Limits::default();
        Self {
            listen: self.listen.or_else(|| Some(Listen::default())),
            allow_remote_plaintext: self.allow_remote_plaintext.or(Some(false)),
            max_connections: self.max_connections.or(Some(limits.connections)),
            max_concurrent_requests: self.max_concurrent_requests.or(Some(limits.requests)),
            rate_burst: self.rate_burst.or(self.rate_limit),
            keyset_name: self.keyset_name.or_else(|| self.keyset.as_ref().map(|_| KeysetName::default())),
            log_level: self.log_level.or_else(|| Some(Default::default())),
            log_format: self.log_format.or_else(|| Some(Default::default())),
            ..self
        }
    }
}

fn tls_files(
    certificates: Option<PathBuf>,
    key: Option<PathBuf>,
    client_ca: Option<PathBuf>,
) -> Result<Option<TlsFiles>, ConfigError> {
    match (certificates, key, client_ca) {
        (None, None, None) => Ok(None),
        (Some(certificates), Some(key), client_ca) => Ok(Some(TlsFiles { certificates, key, client_ca })),
        _ => Err(ConfigError::PartialTls),
    }
}

fn rate(per_second: Option<NonZeroU32>, burst: Option<NonZeroU32>) -> Result<Option<Rate>, ConfigError> {
    match (per_second, burst) {
        (None, Some(_)) => Err(ConfigError::BurstWithoutRate),
        (None, None) => Ok(None),
        (Some(per_second), burst) => Ok(Some(Rate { per_second, burst: burst.unwrap_or(per_second) })),
    }
}

fn check_exposure(listen: &Listen, tls: bool, allow_remote_plaintext: bool) -> Result<(), ConfigError> {
    match listen {
        Listen::Unix(_) if tls => Err(ConfigError::TlsOnSocket(listen.clone())),
        _ if listen.is_remote() && !tls && !allow_remote_plaintext => Err(ConfigError::RemotePlaintext(listen.clone())),
        _ => Ok(()),
    }
}

fn keyset(
    path: Option<PathBuf>,
    name: Option<KeysetName>,
    kek: Option<KmsUri>,
) -> Result<Option<KeysetSource>, ConfigError> {
    match (path, kek) {
        (None, Some(_)) => Err(ConfigError::KekWithoutKeyset),
        (path, kek) => Ok(path.map(|path| KeysetSource { path, name: name.unwrap_or_default(), kek })),
    }
}

fn token(value: Option<Zeroizing<String>>, file: Option<PathBuf>) -> Result<Token, ConfigError> {
    match (value, file) {
        (Some(token), _) => parse_token(&token, TOKEN_ENV),
        (None, Some(path)) => read_token(&path),
        (None, None) => Err(ConfigError::NoToken),
    }
}

fn read_token(path: &Path) -> Result<Token, ConfigError> {
    parse_token(&read(path)?, path.display())
}

fn parse_token(text: &str, origin: impl fmt::Display) -> Result<Token, ConfigError> {
    Token::new(text).map_err(|error| ConfigError::Token { origin: origin.to_string(), error })
}
