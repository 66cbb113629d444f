//! A registry with one image: the filter's, as filter/Dockerfile makes it (OCI Distribution Specification, "Pull").

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;

use anyhow::Result;
use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use e2e::process::run;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIGURATION: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// Serves the image `s3ep/filter:0.1.0` on a free port until this process ends.
pub fn serve(wasm: &Path, folder: &Path) -> Result<SocketAddr> {
    static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("the runtime starts"));
    let layer = layer(wasm, folder)?;
    let configuration = b"{}".to_vec();
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": descriptor(CONFIGURATION, &configuration),
        "layers": [descriptor(LAYER, &layer)],
    });
    let manifest = manifest.to_string();
    let mut router = Router::new()
        .route("/v2/", get("{}"))
        .route("/v2/s3ep/filter/manifests/0.1.0", get(([(CONTENT_TYPE, MANIFEST)], manifest)));
    for blob in [configuration, layer] {
        let path = format!("/v2/s3ep/filter/blobs/{}", digest(&blob));
        router = router.route(&path, get(axum::body::Bytes::from(blob)));
    }
    let listener = RUNTIME.block_on(TcpListener::bind("127.0.0.1:0"))?;
    let address = listener.local_addr()?;
    RUNTIME.spawn(async { axum::serve(listener, router).await });
    Ok(address)
}

/// The only layer: `plugin.wasm` alone.
fn layer(wasm: &Path, folder: &Path) -> Result<Vec<u8>> {
    fs::copy(wasm, folder.join("plugin.wasm"))?;
    Ok(run(Command::new("tar").current_dir(folder).args(["--create", "--gzip", "plugin.wasm"]))?.stdout)
}

fn descriptor(media_type: &str, blob: &[u8]) -> Value {
    json!({ "mediaType": media_type, "size": blob.len(), "digest": digest(blob) })
}

fn digest(blob: &[u8]) -> String {
    let hex: String = Sha256::digest(blob).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}
