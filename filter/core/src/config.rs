//! The plugin configuration: the JSON that Envoy hands to the filter, parsed into what cannot be wrong any more.

mod auth;

use std::num::NonZeroUsize;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use zeroize::Zeroizing;

use auth::AuthSchema;

use crate::clients::Clients;
use crate::keys::MasterKey;

/// The largest configuration that is read, in bytes.
pub const MAX_LEN: usize = 1 << 20;

/// The filter's configuration.
#[derive(Debug)]
pub struct Config {
    /// Who may enter.
    pub auth: Auth,
    /// Where DEKs come from.
    pub keys: KeySource,
    /// How the filter asks the store on its own account.
    pub store: Upstream,
    /// What happens to objects without our metadata.
    pub unencrypted_objects: UnencryptedObjects,
    /// Whether buckets hold objects that are not encrypted beside those that are: their listings cannot tell the one from
    /// the other, and keep the sizes that the store states.
    pub mixed_buckets: bool,
    /// How many DEKs a VM keeps.
    pub dek_cache_entries: NonZeroUsize,
    /// For how long.
    pub dek_cache_ttl: Duration,
    /// How much UploadPartCopy may hold in memory.
    pub upload_part_copy: UploadPartCopy,
    /// Host suffixes below which a label is a bucket's name (virtual-host style), without the leading dot.
    pub virtual_host_suffixes: Vec<String>,
}

/// Who may enter.
#[derive(Debug)]
pub enum Auth {
    /// Whoever reaches the listener.
    None,
    /// Those who sign as one of these.
    Clients(Clients),
}

/// Where DEKs come from.
#[derive(Debug)]
pub enum KeySource {
    /// Random, wrapped by kms-shim.
    Envelope(Shim),
    /// Made from a master key (FORMAT 3.6). The first key seals, all open. Never empty.
    Direct(Vec<NamedMasterKey>),
}

/// How to reach kms-shim.
#[derive(Debug)]
pub struct Shim {
    /// Cluster, host and time-out.
    pub upstream: Upstream,
    /// The bearer token.
    pub token: Token,
}

/// A secret that `Debug` does not show.
pub struct Token(Zeroizing<String>);

/// An Envoy cluster, as `dispatch_http_call` wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// The cluster's name.
    pub cluster: String,
    /// What `:authority` says.
    pub authority: String,
    /// How long a call may take.
    pub timeout: Duration,
}

/// A master key and the name that objects know it by.
#[derive(Debug)]
pub struct NamedMasterKey {
    /// The configured name, which is in the `kek` of the objects.
    pub name: String,
    /// The key.
    pub master_key: MasterKey,
}

/// Bounds of UploadPartCopy, which holds a whole part in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct UploadPartCopy {
    /// The largest part that is copied, in bytes of plaintext.
    pub max_part_bytes: u64,
    /// What all copies of a VM may hold together, in bytes. Beyond it clients are asked to try again.
    pub max_bytes_in_flight: u64,
}

impl Default for UploadPartCopy {
    fn default() -> Self {
        Self { max_part_bytes: 64 << 20, max_bytes_in_flight: 192 << 20 }
    }
}

impl UploadPartCopy {
    /// A VM has 4 GiB of memory in all.
    const MOST: u64 = 1 << 30;

    fn check(self) -> Result<Self, ConfigError> {
        if self.max_part_bytes > self.max_bytes_in_flight {
            return Err(invalid("upload_part_copy.max_part_bytes", "must not be above max_bytes_in_flight"));
        }
        if self.max_bytes_in_flight > Self::MOST {
            return Err(invalid("upload_part_copy.max_bytes_in_flight", "must be at most 1073741824"));
        }
        Ok(self)
    }
}

/// What happens to objects without our metadata.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UnencryptedObjects {
    /// They reach the client as they are.
    #[default]
    Pass,
    /// The client gets 403.
    Refuse,
}

/// Why a configuration does not load. One line, naming the field, showing no value that may be secret.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ConfigError {
    /// More than [`MAX_LEN`].
    #[error("the configuration is larger than {MAX_LEN} bytes")]
    TooLarge,
    /// Not JSON, or not of the schema.
    #[error("the configuration is not valid: {0}")]
    Schema(String),
    /// A field's value is no good.
    #[error("{field}: {problem}")]
    Field {
        /// The field's path.
        field: String,
        /// What is wrong with it.
        problem: String,
    },
}

impl Token {
    /// The token in clear.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(..)")
    }
}

/// Reads a variable of the VM's environment.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

impl NamedMasterKey {
    /// Takes a name, 1 to 64 visible ASCII characters, and the key in base64, with white space around it.
    pub fn parse(name: String, text: &str) -> Result<Self, ConfigError> {
        if !(1..=64).contains(&name.len()) || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(invalid("keys.direct.master_keys.name", "must be 1 to 64 visible ASCII characters"));
        }
        let bytes = STANDARD.decode(text.trim_ascii()).map(Zeroizing::new).ok();
        let master_key = bytes.and_then(|bytes| MasterKey::from_slice(&bytes)).ok_or_else(|| {
            invalid(&format!("keys.direct.master_keys[{name}].key"), "must be the base64 of 32 bytes")
        })?;
        Ok(Self { name, master_key })
    }
}

impl Config {
    /// Parses and checks a configuration.
    pub fn parse(json: &[u8], environment: Environment<'_>) -> Result<Self, ConfigError> {
        if json.len() > MAX_LEN {
            return Err(ConfigError::TooLarge);
        }
        let schema: Schema = serde_json::from_slice(json).map_err(|error| schema_error(&error))?;
        schema.check(environment)
    }
}

/// serde's messages quote unexpected values, and a value may be a key: only unknown and missing fields, which name
/// fields, are told in its words.
fn schema_error(error: &serde_json::Error) -> ConfigError {
    let text = error.to_string();
    let place = format!("line {}, column {}", error.line(), error.column());
    let names_fields =
        ["unknown field", "missing field", "duplicate field"].iter().any(|start| text.starts_with(start));
    // A field's name is whatever somebody wrote, line breaks too.
    ConfigError::Schema(if names_fields {
        text.escape_debug().to_string()
    } else {
        format!("wrong type, value or syntax at {place}")
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Schema {
    auth: AuthSchema,
    keys: KeysSchema,
    store: UpstreamSchema,
    #[serde(default)]
    unencrypted_objects: UnencryptedObjects,
    #[serde(default)]
    mixed_buckets: bool,
    #[serde(default)]
    dek_cache: DekCacheSchema,
    #[serde(default)]
    upload_part_copy: UploadPartCopy,
    #[serde(default)]
    virtual_host_suffixes: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeysSchema {
    envelope: Option<EnvelopeSchema>,
    direct: Option<DirectSchema>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EnvelopeSchema {
    cluster: String,
    authority: String,
    timeout_ms: Option<u64>,
    token: Option<Zeroizing<String>>,
    token_env: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DirectSchema {
    master_keys: Vec<MasterKeySchema>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MasterKeySchema {
    name: String,
    key: Option<Zeroizing<String>>,
    key_env: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UpstreamSchema {
    cluster: String,
    authority: String,
    timeout_ms: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct DekCacheSchema {
    max_entries: usize,
    ttl_seconds: u64,
}

impl Default for DekCacheSchema {
    fn default() -> Self {
        Self { max_entries: 1_024, ttl_seconds: 300 }
    }
}

const DEFAULT_SHIM_TIMEOUT_MS: u64 = 5_000;
const DEFAULT_STORE_TIMEOUT_MS: u64 = 10_000;

impl Schema {
    fn check(self, environment: Environment<'_>) -> Result<Config, ConfigError> {
        let dek_cache_entries = NonZeroUsize::new(self.dek_cache.max_entries)
            .ok_or_else(|| invalid("dek_cache.max_entries", "must be at least 1"))?;
        if self.virtual_host_suffixes.iter().any(|suffix| suffix.is_empty() || suffix.starts_with('.')) {
            return Err(invalid("virtual_host_suffixes", "a suffix is a host name, without a leading dot"));
        }
        Ok(Config {
            auth: self.auth.check(environment)?,
            keys: self.keys.check(environment)?,
            store: self.store.check("store", DEFAULT_STORE_TIMEOUT_MS)?,
            unencrypted_objects: self.unencrypted_objects,
            mixed_buckets: self.mixed_buckets,
            dek_cache_entries,
            dek_cache_ttl: Duration::from_secs(self.dek_cache.ttl_seconds),
            upload_part_copy: self.upload_part_copy.check()?,
            virtual_host_suffixes: self.virtual_host_suffixes.iter().map(|s| s.to_ascii_lowercase()).collect(),
        })
    }
}

impl KeysSchema {
    fn check(self, environment: Environment<'_>) -> Result<KeySource, ConfigError> {
        match (self.envelope, self.direct) {
            (Some(envelope), None) => envelope.check(environment).map(KeySource::Envelope),
            (None, Some(direct)) => direct.check(environment).map(KeySource::Direct),
            _ => Err(invalid("keys", "needs exactly one of envelope and direct")),
        }
    }
}

impl EnvelopeSchema {
    fn check(self, environment: Environment<'_>) -> Result<Shim, ConfigError> {
        let upstream = UpstreamSchema { cluster: self.cluster, authority: self.authority, timeout_ms: self.timeout_ms };
        let token = secret("keys.envelope.token", self.token, self.token_env, environment)?;
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(invalid("keys.envelope.token", "must be visible ASCII characters, at least one"));
        }
        Ok(Shim { upstream: upstream.check("keys.envelope", DEFAULT_SHIM_TIMEOUT_MS)?, token: Token(token) })
    }
}

impl DirectSchema {
    fn check(self, environment: Environment<'_>) -> Result<Vec<NamedMasterKey>, ConfigError> {
        let field = "keys.direct.master_keys";
        let keys: Vec<_> = self.master_keys.into_iter().map(|key| key.check(environment)).collect::<Result<_, _>>()?;
        let mut names: Vec<_> = keys.iter().map(|key| key.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        match () {
            () if keys.is_empty() => Err(invalid(field, "needs at least one key")),
            () if names.len() < keys.len() => Err(invalid(field, "two keys have the same name")),
            () => Ok(keys),
        }
    }
}

impl MasterKeySchema {
    fn check(self, environment: Environment<'_>) -> Result<NamedMasterKey, ConfigError> {
        let field = format!("keys.direct.master_keys[{}].key", self.name);
        let text = secret(&field, self.key, self.key_env, environment)?;
        NamedMasterKey::parse(self.name, &text)
    }
}

impl UpstreamSchema {
    fn check(self, field: &str, default_timeout_ms: u64) -> Result<Upstream, ConfigError> {
        if self.cluster.is_empty() {
            return Err(invalid(&format!("{field}.cluster"), "must name an Envoy cluster"));
        }
        if self.authority.is_empty() {
            return Err(invalid(&format!("{field}.authority"), "must name a host"));
        }
        let timeout_ms = self.timeout_ms.unwrap_or(default_timeout_ms);
        if !(1..=600_000).contains(&timeout_ms) {
            return Err(invalid(&format!("{field}.timeout_ms"), "must be 1 to 600000"));
        }
        Ok(Upstream { cluster: self.cluster, authority: self.authority, timeout: Duration::from_millis(timeout_ms) })
    }
}

/// A secret is given either in place or by the name of a variable, which keeps it out of Envoy's config dump.
fn secret(
    field: &str,
    in_place: Option<Zeroizing<String>>,
    variable: Option<String>,
    environment: Environment<'_>,
) -> Result<Zeroizing<String>, ConfigError> {
    match (in_place, variable) {
        (Some(value), None) => Ok(value),
        (None, Some(variable)) => environment(&variable).map(Zeroizing::new).ok_or_else(|| {
            invalid(&format!("{field}_env"), &format!("the VM's environment has no variable {variable}"))
        }),
        _ => Err(invalid(field, "must be given exactly once, in place or as an _env variable")),
    }
}

fn invalid(field: &str, problem: &str) -> ConfigError {
    ConfigError::Field { field: field.to_owned(), problem: problem.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const KEY: &str = "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=";

    fn envelope() -> Value {
        json!({
            "auth": "none",
            "keys": {"envelope": {"cluster": "kms_shim", "authority": "kms-shim", "token": "t0ken"}},
            "store": {"cluster": "s3", "authority": "store:9000"},
        })
    }

    fn parse(value: &Value) -> Result<Config, ConfigError> {
        Config::parse(value.to_string().as_bytes(), &|name| (name == "SET").then(|| KEY.to_owned()))
    }

    #[test]
    fn defaults_are_the_documented_ones() {
        let config = parse(&envelope()).unwrap();
        assert_eq!(config.unencrypted_objects, UnencryptedObjects::Pass);
        assert_eq!((config.dek_cache_entries.get(), config.dek_cache_ttl.as_secs()), (1_024, 300));
        let KeySource::Envelope(shim) = config.keys else { panic!() };
        assert_eq!(shim.upstream.timeout.as_millis(), 5_000);
    }

    #[test]
    fn a_master_key_comes_from_the_environment_or_in_place() {
        for key in [json!({"name": "k", "key": KEY}), json!({"name": "k", "key_env": "SET"})] {
            let mut config = envelope();
            config["keys"] = json!({"direct": {"master_keys": [key]}});
            let KeySource::Direct(keys) = parse(&config).unwrap().keys else { panic!() };
            assert_eq!(keys[0].name, "k");
        }
    }

    #[test]
    fn every_fault_names_its_field_and_no_secret() {
        let direct = |keys: Value| json!({"direct": {"master_keys": keys}});
        let short = "c2VjcmV0";
        let client = |change: Value| {
            let mut client = json!({
                "name": "app", "access_key_id": "AKIDAPP", "secret_access_key": "hush", "buckets": ["*"],
            });
            client.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
            json!({"clients": [client]})
        };
        let twice = json!({"clients": [client(json!({}))["clients"][0], client(json!({}))["clients"][0]]});
        let cases = [
            ("/auth", json!(null), "wrong type"),
            ("/auth", json!("hush"), "wrong type"),
            ("/auth", json!({"clients": []}), "auth.clients: "),
            ("/auth", json!({"clients": [], "other": 1}), "unknown field `other`"),
            ("/auth", json!({}), "missing field `clients`"),
            ("/auth", client(json!({"name": "a b"})), "auth.clients.name: "),
            ("/auth", client(json!({"access_key_id": "a/b"})), "auth.clients[app].access_key_id: "),
            ("/auth", client(json!({"secret_env": "SET"})), "auth.clients[app].secret_access_key: "),
            ("/auth", client(json!({"secret_access_key": null})), "auth.clients[app].secret_access_key: "),
            ("/auth", client(json!({"secret_access_key": ""})), "auth.clients[app].secret_access_key: "),
            (
                "/auth",
                client(json!({"secret_access_key": null, "secret_env": "UNSET"})),
                "auth.clients[app].secret_access_key_env: ",
            ),
            ("/auth", client(json!({"session_token_env": "UNSET"})), "auth.clients[app].session_token_env: "),
            ("/auth", client(json!({"buckets": []})), "auth.clients[app].buckets: "),
            ("/auth", client(json!({"buckets": null})), "wrong type"),
            ("/auth", client(json!({"read_only": "hush"})), "wrong type"),
            ("/auth", client(json!({"a\nb": 1})), "unknown field `a\\nb`"),
            ("/auth", twice, "auth.clients: two"),
            ("/keys", json!({}), "keys: "),
            ("/keys/direct", json!({"master_keys": []}), "keys: "),
            ("/keys/envelope/token", json!(["hush"]), "wrong type"),
            ("/keys/envelope/token", json!("hush\n"), "keys.envelope.token: "),
            ("/keys/envelope/token_env", json!("SET"), "keys.envelope.token: "),
            ("/keys/envelope/cluster", json!(""), "keys.envelope.cluster: "),
            ("/keys/envelope/timeout_ms", json!(0), "keys.envelope.timeout_ms: "),
            ("/keys/envelope/surprise", json!(0), "unknown field `surprise`"),
            ("/keys", direct(json!([])), "keys.direct.master_keys: "),
            ("/keys", direct(json!([{"name": "a", "key": short}])), "keys.direct.master_keys[a].key: "),
            ("/keys", direct(json!([{"name": "a", "key_env": "UNSET"}])), "keys.direct.master_keys[a].key_env: "),
            ("/keys", direct(json!([{"name": "a b", "key": KEY}])), "keys.direct.master_keys.name: "),
            (
                "/keys",
                direct(json!([{"name": "a", "key": KEY}, {"name": "a", "key": KEY}])),
                "keys.direct.master_keys: two",
            ),
            ("/dek_cache", json!({"max_entries": 0}), "dek_cache.max_entries: "),
            ("/upload_part_copy", json!({"max_part_bytes": 200 << 20}), "upload_part_copy.max_part_bytes: "),
            (
                "/upload_part_copy",
                json!({"max_bytes_in_flight": 2_u64 << 30}),
                "upload_part_copy.max_bytes_in_flight: ",
            ),
            ("/unencrypted_objects", json!("hush"), "wrong type"),
            ("/virtual_host_suffixes", json!([".s3"]), "virtual_host_suffixes: "),
            ("/store", json!(null), "wrong type"),
            ("/store", json!({"cluster": "s3", "authority": ""}), "store.authority: "),
        ];
        for (pointer, value, expected) in cases {
            let mut config = envelope();
            let (parent, field) = pointer.rsplit_once('/').unwrap();
            config.pointer_mut(parent).unwrap().as_object_mut().unwrap().insert(field.into(), value);
            let error = parse(&config).unwrap_err().to_string();
            assert!(error.contains(expected), "{pointer}: {error}");

            assert!(!error.contains("hush") && !error.contains(KEY) && !error.contains('\n'), "{error}");
        }
        let mut unauthenticated = envelope();
        unauthenticated.as_object_mut().unwrap().remove("auth");
        assert!(parse(&unauthenticated).unwrap_err().to_string().contains("missing field `auth`"));
        assert_eq!(Config::parse(&vec![b' '; MAX_LEN + 1], &|_| None).unwrap_err(), ConfigError::TooLarge);
    }
}
