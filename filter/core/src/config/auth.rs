//! The configuration's member `auth`: `"none"`, or the clients.

use std::fmt;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, Visitor};
use zeroize::Zeroizing;

use super::{Auth, ConfigError, Environment, invalid, secret};
use crate::clients::{Client, Clients, Permissions};
use crate::sigv4::Credential;

/// What stands in the configuration. That nobody is checked must be written out.
pub enum AuthSchema {
    /// `"none"`.
    None,
    /// An object.
    Clients(ClientsSchema),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientsSchema {
    clients: Vec<ClientSchema>,
    regions: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClientSchema {
    name: String,
    access_key_id: String,
    secret_access_key: Option<Zeroizing<String>>,
    secret_env: Option<String>,
    session_token: Option<Zeroizing<String>>,
    session_token_env: Option<String>,
    buckets: Vec<String>,
    #[serde(default)]
    read_only: bool,
}

impl<'de> Deserialize<'de> for AuthSchema {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AuthVisitor)
    }
}

/// Unlike serde's untagged enums, this lets an unknown field be named.
struct AuthVisitor;

impl<'de> Visitor<'de> for AuthVisitor {
    type Value = AuthSchema;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"none\", or an object with clients")
    }

    fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<AuthSchema, E> {
        match word {
            "none" => Ok(AuthSchema::None),
            _ => Err(E::custom("neither \"none\" nor clients")),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<AuthSchema, A::Error> {
        ClientsSchema::deserialize(MapAccessDeserializer::new(map)).map(AuthSchema::Clients)
    }
}

impl AuthSchema {
    pub fn check(self, environment: Environment<'_>) -> Result<Auth, ConfigError> {
        match self {
            Self::None => Ok(Auth::None),
            Self::Clients(clients) => clients.check(environment).map(Auth::Clients),
        }
    }
}

impl ClientsSchema {
    fn check(self, environment: Environment<'_>) -> Result<Clients, ConfigError> {
        if self.clients.is_empty() {
            return Err(invalid("auth.clients", "needs at least one client"));
        }
        let is_region =
            |region: &String| !region.is_empty() && region.bytes().all(|b| b.is_ascii_graphic() && b != b'/');
        if self.regions.as_ref().is_some_and(|regions| regions.is_empty() || !regions.iter().all(is_region)) {
            return Err(invalid("auth.regions", "must be names of regions, at least one"));
        }
        let clients = self.clients.into_iter().map(|client| client.check(environment)).collect::<Result<_, _>>()?;
        Clients::new(clients, self.regions)
            .ok_or_else(|| invalid("auth.clients", "two clients have the same access_key_id"))
    }
}

impl ClientSchema {
    /// Gives the client and its access key id.
    fn check(self, environment: Environment<'_>) -> Result<(String, Client), ConfigError> {
        if !is_name(&self.name) {
            return Err(invalid("auth.clients.name", "must be 1 to 128 visible ASCII characters"));
        }
        let field = |name: &str| format!("auth.clients[{}].{name}", self.name);
        if !is_name(&self.access_key_id) || self.access_key_id.contains(['/', ',', '=']) {
            return Err(invalid(&field("access_key_id"), "must be 1 to 128 visible ASCII characters without / , ="));
        }
        if self.buckets.is_empty() || self.buckets.iter().any(String::is_empty) {
            return Err(invalid(&field("buckets"), "must be bucket names, in which * is any text, at least one"));
        }
        let secret_access_key =
            secret(&field("secret_access_key"), self.secret_access_key, self.secret_env, environment)?;
        if secret_access_key.is_empty() {
            return Err(invalid(&field("secret_access_key"), "must not be empty"));
        }
        let session_token = match (self.session_token, self.session_token_env) {
            (None, None) => None,
            (in_place, variable) => Some(secret(&field("session_token"), in_place, variable, environment)?),
        };
        let permissions = Permissions::new(&self.buckets, self.read_only);
        let credential = Credential { secret_access_key, session_token };
        Ok((self.access_key_id, Client { name: self.name, credential, permissions }))
    }
}

fn is_name(text: &str) -> bool {
    (1..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}
