//! Requests to Vault, with a token that is got anew when Vault refuses it.

use std::time::Duration;

use axum::body::Bytes;
use axum::http::{HeaderValue, StatusCode};
use kms_api::ErrorKind;
use reqwest::{Certificate, Client, Response, redirect};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use zeroize::{Zeroize, Zeroizing};

use super::auth::{Auth, Role};
use crate::kek::KekError;
use crate::kms::vault_settings::{VaultSettings, VaultSettingsError};
use crate::kms::with_causes;

/// How long one request may take. Whoever asks the KEK may be less patient.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Longest answer in bytes, and room for a request, so that writing it leaves no copies of a DEK in smaller buffers.
const MAX_LEN: usize = 64 * 1024;

pub(super) struct Session {
    http: Client,
    base: String,
    namespace: Option<HeaderValue>,
    auth: Auth,
    token: Mutex<Option<HeaderValue>>,
}

/// The envelope of an answer.
#[derive(Deserialize)]
struct Answer<T> {
    data: T,
}

#[derive(Deserialize)]
struct LoginAnswer {
    auth: Granted,
}

#[derive(Deserialize)]
struct Granted {
    client_token: Zeroizing<String>,
}

#[derive(Deserialize)]
struct Refusal {
    errors: Vec<String>,
}

impl Session {
    pub(super) fn new(authority: &str, settings: &VaultSettings) -> Result<Self, VaultSettingsError> {
        let namespace = settings.namespace.as_deref().map(|name| {
            HeaderValue::from_str(name).map_err(|_| VaultSettingsError::Characters("the namespace".to_owned()))
        });
        Ok(Self {
            http: client(settings)?,
            base: format!("https://{authority}/v1/"),
            namespace: namespace.transpose()?,
            auth: Auth::new(settings)?,
            token: Mutex::new(None),
        })
    }

    /// `POST` of the request to a path below `/v1/`; the answer's `data`. A token that Vault refuses may have run out,
    /// and is tried to be replaced, once.
    pub(super) async fn call<T: DeserializeOwned>(&self, path: &str, request: &impl Serialize) -> Result<T, KekError> {
        let token = self.token(None).await?;
        let first = self.post(path, Some(&token), request).await;
        let answer: Answer<T> = match first {
            Err(error) if error.kind == ErrorKind::Denied => {
                let newer = self.token(Some(&token)).await?;
                if newer == token {
                    return Err(error);
                }
                self.post(path, Some(&newer), request).await?
            }
            other => other?,
        };
        Ok(answer.data)
    }

    /// The token, if it is not the one that was refused, and otherwise a new one. Who comes while another logs in waits
    /// and takes what that one got.
    async fn token(&self, refused: Option<&HeaderValue>) -> Result<HeaderValue, KekError> {
        let mut token = self.token.lock().await;
        match token.as_ref() {
            Some(known) if Some(known) != refused => Ok(known.clone()),
            _ => Ok(token.insert(self.new_token().await?).clone()),
        }
    }

    async fn new_token(&self) -> Result<HeaderValue, KekError> {
        let token = match &self.auth {
            Auth::Token(origin) => origin.read().map_err(unreadable)?,
            Auth::Login { mount, role } => self.log_in(mount, role).await?,
        };
        let header = HeaderValue::from_str(&token);
        let mut header =
            header.map_err(|_| KekError::new(ErrorKind::Unavailable, "Vault's token is no header's value"))?;
        header.set_sensitive(true);
        Ok(header)
    }

    async fn log_in(&self, mount: &str, role: &Role) -> Result<Zeroizing<String>, KekError> {
        let login = role.login().map_err(unreadable)?;
        let answer = self.post(&format!("auth/{mount}/login"), None, &login).await;
        // Vault has 400 for a wrong secret id.
        let answer: LoginAnswer = answer.map_err(|error| match error.kind {
            ErrorKind::Unavailable => error,
            _ => KekError::new(ErrorKind::Denied, format!("login by {mount}: {error}")),
        })?;
        Ok(answer.auth.client_token)
    }

    async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        token: Option<&HeaderValue>,
        request: &impl Serialize,
    ) -> Result<T, KekError> {
        let mut body = Zeroizing::new(Vec::with_capacity(MAX_LEN));
        serde_json::to_writer(&mut *body, request).map_err(|_| unavailable("the request could not be written"))?;
        let mut post = self.http.post(format!("{}{path}", self.base)).body(Bytes::from_owner(body));
        // Vault asks for this one of requests that come through its agent.
        post = post.header("x-vault-request", "true");
        if let Some(namespace) = &self.namespace {
            post = post.header("x-vault-namespace", namespace);
        }
        if let Some(token) = token {
            post = post.header("x-vault-token", token);
        }
        let answer = post.send().await.map_err(|error| unreachable_vault(&error))?;
        let status = answer.status();
        let body = read(answer).await?;
        if !status.is_success() {
            return Err(refusal(status, &body));
        }
        serde_json::from_slice(&body)
            .map_err(|error| unavailable(&format!("Vault's answer: {}", crate::json::problem(&error))))
    }
}

fn client(settings: &VaultSettings) -> Result<Client, VaultSettingsError> {
    // A redirect would take token and DEK to wherever it says.
    let mut builder =
        Client::builder().https_only(true).redirect(redirect::Policy::none()).timeout(TIMEOUT).connect_timeout(TIMEOUT);
    if let Some(path) = &settings.ca_file {
        let pem = std::fs::read(path).map_err(|error| VaultSettingsError::Read { path: path.clone(), error })?;
        let broken = |problem: &dyn std::error::Error| VaultSettingsError::Ca {
            path: path.clone(),
            problem: with_causes(problem),
        };
        let certificates = Certificate::from_pem_bundle(&pem).map_err(|error| broken(&error))?;
        if certificates.is_empty() {
            return Err(VaultSettingsError::Ca { path: path.clone(), problem: "no certificate in it".to_owned() });
        }
        builder = builder.tls_certs_only(certificates);
    }
    builder.build().map_err(|error| VaultSettingsError::Ca {
        path: settings.ca_file.clone().unwrap_or_default(),
        problem: with_causes(&error),
    })
}

async fn read(mut answer: Response) -> Result<Zeroizing<Vec<u8>>, KekError> {
    let mut body = Zeroizing::new(Vec::with_capacity(MAX_LEN));
    while let Some(chunk) = answer.chunk().await.map_err(|error| unreachable_vault(&error))? {
        if body.len() + chunk.len() > MAX_LEN {
            return Err(unavailable("Vault's answer is too long"));
        }
        body.extend_from_slice(&chunk);
        if let Ok(mut buffer) = chunk.try_into_mut() {
            buffer.as_mut().zeroize();
        }
    }
    Ok(body)
}

/// What Vault says, by status and, as 400 is for much, by its words.
fn refusal(status: StatusCode, body: &[u8]) -> KekError {
    let said = serde_json::from_slice::<Refusal>(body).map(|refusal| refusal.errors.join("; ")).unwrap_or_default();
    let is_altered = said.contains("message authentication failed") || said.contains("invalid ciphertext");
    let kind = match status {
        StatusCode::BAD_REQUEST if is_altered => ErrorKind::ContextMismatch,
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => ErrorKind::Denied,
        StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => ErrorKind::Invalid,
        _ => ErrorKind::Unavailable,
    };
    KekError::new(kind, format!("Vault answered {}: {said}", status.as_u16()))
}

fn unavailable(message: &str) -> KekError {
    KekError::new(ErrorKind::Unavailable, message)
}

fn unreachable_vault(error: &reqwest::Error) -> KekError {
    unavailable(&format!("Vault could not be asked: {}", with_causes(error)))
}

fn unreadable(error: VaultSettingsError) -> KekError {
    unavailable(&error.to_string())
}
