//! As much of a Kubernetes API server as a mesh's control plane asks for, within this process: it lists the objects that it was
//! given, of which none ever changes, believes every token, and allows everything. What it is to store, it forgets.

use std::collections::HashSet;
use std::convert::Infallible;
use std::fs;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use anyhow::Result;
use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hyper::body::Frame;
use serde_json::{Value, json};

use crate::server::Server;

/// The server. Dropping it ends it.
#[derive(Debug)]
pub struct FakeKubernetes(Server);

impl FakeKubernetes {
    /// Serves these objects on a free port.
    pub fn start(mut objects: Vec<Value>) -> Result<Self> {
        let definitions: HashSet<_> = objects.iter().filter_map(definition).collect();
        objects.extend(definitions.iter().map(|name| {
            json!({
                "apiVersion": "apiextensions.k8s.io/v1",
                "kind": "CustomResourceDefinition",
                "metadata": { "name": name },
            })
        }));
        for (index, object) in objects.iter_mut().enumerate() {
            let metadata = &mut object["metadata"];
            metadata["uid"] = json!(index.to_string());
            metadata["resourceVersion"] = json!("1");
            metadata["creationTimestamp"] = json!("2026-01-01T00:00:00Z");
        }
        Ok(Self(Server::start(Router::new().fallback(answer).with_state(Arc::new(objects)))?))
    }

    /// Writes a file that clients find it by.
    pub fn write_kubeconfig(&self, file: &Path) -> Result<()> {
        let kubeconfig = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{ "name": "fake", "cluster": { "server": format!("http://{}", self.0.address()) } }],
            "contexts": [{ "name": "fake", "context": { "cluster": "fake", "user": "fake" } }],
            "users": [{ "name": "fake", "user": {} }],
            "current-context": "fake",
        });
        Ok(fs::write(file, kubeconfig.to_string())?)
    }
}

/// A token for a service account, as this server believes it.
pub fn token(namespace: &str, service_account: &str) -> String {
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let claims = json!({
        "aud": ["istio-ca"],
        "sub": format!("system:serviceaccount:{namespace}:{service_account}"),
        // 2100.
        "exp": 4_102_444_800_u64,
    });
    format!("{}.{}.{}", part(json!({ "alg": "none" })), part(claims), part(json!("signature")))
}

/// Where an object is in the API, or a request goes.
#[derive(Debug, Default, PartialEq, Eq)]
struct Place<'a> {
    group: &'a str,
    version: &'a str,
    namespace: Option<&'a str>,
    plural: &'a str,
    name: Option<&'a str>,
}

impl<'a> Place<'a> {
    fn parse(path: &'a str) -> Option<Self> {
        let mut parts = path.split('/').skip(1);
        let mut place = match parts.next()? {
            "api" => Self { version: parts.next()?, ..Self::default() },
            "apis" => Self { group: parts.next()?, version: parts.next()?, ..Self::default() },
            _ => return None,
        };
        place.plural = parts.next()?;
        place.name = parts.next();
        if let ("namespaces", Some(namespace), Some(plural)) = (place.plural, place.name, parts.next()) {
            place = Self { namespace: Some(namespace), plural, name: parts.next(), ..place };
        }
        Some(place)
    }

    fn has(&self, object: &Value) -> bool {
        let metadata = &object["metadata"];
        group(object) == self.group
            && plural(object) == self.plural
            && self.namespace.is_none_or(|namespace| metadata["namespace"] == namespace)
            && self.name.is_none_or(|name| metadata["name"] == name)
    }

    /// The object in the version that was asked for. Those of Istio's kinds differ in nothing else.
    fn versioned(&self, object: &Value) -> Value {
        let mut object = object.clone();
        let group = Some(self.group).filter(|group| !group.is_empty());
        object["apiVersion"] = json!(group.into_iter().chain([self.version]).collect::<Vec<_>>().join("/"));
        object
    }
}

fn group(object: &Value) -> &str {
    object["apiVersion"].as_str().and_then(|version| version.split_once('/')).map_or("", |(group, _)| group)
}

fn plural(object: &Value) -> String {
    let kind = object["kind"].as_str().unwrap_or_default().to_lowercase();
    match kind.strip_suffix('y') {
        Some(stem) if !stem.ends_with('a') => format!("{stem}ies"),
        _ => format!("{kind}s"),
    }
}

/// The name of the definition of an object's kind, if this is Istio's. More of it than the name is not asked for.
fn definition(object: &Value) -> Option<String> {
    let group = group(object);
    group.ends_with(".istio.io").then(|| format!("{}.{group}", plural(object)))
}

async fn answer(State(objects): State<Arc<Vec<Value>>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    if head.uri.path() == "/version" {
        return sent(StatusCode::OK, &json!({ "major": "1", "minor": "37", "gitVersion": "v1.37.0" }));
    }
    let Some(place) = Place::parse(head.uri.path()) else { return refused(StatusCode::NOT_FOUND, "NotFound") };
    if matches!(head.method, Method::POST | Method::PUT) {
        let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
        return stored(&place, &body);
    }
    if has_query(&head.uri, "watch") {
        // Clients who want a list and its changes in one then ask for them one after the other.
        return match has_query(&head.uri, "sendInitialEvents") {
            true => refused(StatusCode::UNPROCESSABLE_ENTITY, "Invalid"),
            false => Body::new(Silence).into_response(),
        };
    }
    let accepted = head.headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let metadata_alone = accepted.contains("as=PartialObjectMetadata");
    let found = objects.iter().filter(|object| place.has(object)).map(|object| place.versioned(object));
    let mut found = found.map(|object| if metadata_alone { without_spec(&object) } else { object });
    match place.name {
        Some(_) => match found.next() {
            Some(object) => sent(StatusCode::OK, &object),
            None => refused(StatusCode::NOT_FOUND, "NotFound"),
        },
        None => list(found.collect(), metadata_alone),
    }
}

fn list(items: Vec<Value>, metadata_alone: bool) -> Response {
    // Clients know what they have asked for, but for those of metadata, who want to be told.
    let mut list = json!({ "metadata": { "resourceVersion": "1" }, "items": items });
    if metadata_alone {
        list["apiVersion"] = json!("meta.k8s.io/v1");
        list["kind"] = json!("PartialObjectMetadataList");
    }
    sent(StatusCode::OK, &list)
}

fn without_spec(object: &Value) -> Value {
    json!({ "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": object["metadata"] })
}

/// The answer to what is to be stored, and to questions that are asked in this way.
fn stored(place: &Place<'_>, body: &[u8]) -> Response {
    let Ok(mut object) = serde_json::from_slice::<Value>(body) else {
        return refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType");
    };
    match place.plural {
        "tokenreviews" => object["status"] = believed(object["spec"]["token"].as_str().unwrap_or_default()),
        "subjectaccessreviews" | "selfsubjectaccessreviews" => object["status"] = json!({ "allowed": true }),
        _ => {}
    }
    sent(StatusCode::CREATED, &object)
}

/// Whose token this is.
fn believed(token: &str) -> Value {
    let claims = token.split('.').nth(1).and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
    let claims: Option<Value> = claims.and_then(|claims| serde_json::from_slice(&claims).ok());
    match claims {
        Some(claims) => json!({
            "authenticated": true,
            "user": { "username": claims["sub"], "groups": ["system:serviceaccounts"] },
            "audiences": claims["aud"],
        }),
        None => json!({ "authenticated": false }),
    }
}

fn refused(status: StatusCode, reason: &str) -> Response {
    let code = status.as_u16();
    let body = json!({
        "apiVersion": "v1", "kind": "Status", "status": "Failure", "reason": reason, "message": reason, "code": code,
    });
    sent(status, &body)
}

fn sent(status: StatusCode, body: &Value) -> Response {
    (status, [(CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

fn has_query(uri: &Uri, name: &str) -> bool {
    uri.query().is_some_and(|query| query.split('&').any(|pair| pair.strip_prefix(name) == Some("=true")))
}

/// A body that neither says anything nor ends: nothing ever changes.
struct Silence;

impl hyper::body::Body for Silence {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Pending
    }
}
