//! A registry of OCI images within this process, with one image: a .wasm as filter/Dockerfile packs it.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use anyhow::Result;
use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::process::run;
use crate::server::Server;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// The image's repository and tag.
const REPOSITORY: &str = "s3ep/filter";
const TAG: &str = "0.1.0";

/// The registry. Dropping it ends it.
#[derive(Debug)]
pub struct Registry(Server);

/// By path: the media type, and the bytes.
type Files = HashMap<String, (&'static str, Vec<u8>)>;

impl Registry {
    /// Serves this .wasm on a free port. Files that are needed on the way go into the folder.
    pub fn start(wasm: &Path, folder: &Path) -> Result<Self> {
        fs::copy(wasm, folder.join("plugin.wasm"))?;
        let tar = run(Command::new("tar").args(["-czf", "-", "plugin.wasm"]).current_dir(folder))?;
        let config = json!({ "architecture": "amd64", "os": "linux", "rootfs": { "type": "layers", "diff_ids": [] } });
        let mut files = Files::new();
        let config = add(&mut files, CONFIG, config.to_string().into_bytes());
        let layer = add(&mut files, LAYER, tar.stdout);
        let manifest = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer] });
        files.insert(format!("/v2/{REPOSITORY}/manifests/{TAG}"), (MANIFEST, manifest.to_string().into_bytes()));
        files.insert("/v2/".to_owned(), ("application/json", b"{}".to_vec()));
        Ok(Self(Server::start(Router::new().fallback(answer).with_state(Arc::new(files)))?))
    }

    /// The image's name.
    pub fn image(&self) -> String {
        format!("{}/{REPOSITORY}:{TAG}", self.0.address())
    }
}

/// Adds a blob, and gives its descriptor.
fn add(files: &mut Files, media_type: &'static str, bytes: Vec<u8>) -> Value {
    let digest: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    let digest = format!("sha256:{digest}");
    let descriptor = json!({ "mediaType": media_type, "digest": digest, "size": bytes.len() });
    files.insert(format!("/v2/{REPOSITORY}/blobs/{digest}"), (media_type, bytes));
    descriptor
}

async fn answer(State(files): State<Arc<Files>>, uri: Uri) -> Response {
    match files.get(uri.path()) {
        Some((media_type, bytes)) => ([(CONTENT_TYPE, *media_type)], bytes.clone()).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
