//! What both meshes' manifests want to be there.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use e2e::client::{Endpoint, S3Client};
use e2e::pki::{Ca, Identity};
use e2e::shim::{Shim, ShimOptions, write_secret};
use e2e::stack::BUCKET;
use e2e::store::Store;
use serde_json::{Value, json};

use crate::stacks::setup;

/// The store, as the manifests know it.
pub const STORE: &str = "s3.eu-central-1.amazonaws.com";
/// kms-shim, as they know it.
pub const KMS_SHIM: &str = "kms-shim.s3ep.svc.cluster.local";

/// Starts the store with a certificate for its name, and makes the bucket. Gives what goes straight to it, too.
pub fn start_store(program: &Path, ca: &Ca, ca_file: PathBuf, folder: &Path) -> Result<(Store, S3Client)> {
    let identity = Identity::for_names(ca, &[STORE, "127.0.0.1"]);
    let store = Store::full_with_tls(program, folder, &identity, ca_file)?;
    let direct = S3Client::new(store.endpoint.clone(), BUCKET);
    direct.bucket("PUT", "").send(&[])?.expect(200)?;
    Ok((store, direct))
}

/// Starts kms-shim with a certificate for its name.
pub fn start_shim(ca: &Ca, folder: &Path) -> Result<Shim> {
    let [certificate, private_key] = Identity::new(ca, KMS_SHIM).write_as(folder, "kms-shim");
    let arguments = ["--tls-cert".into(), certificate.into(), "--tls-key".into(), private_key.into()];
    Shim::start(&setup().shim, folder, &ShimOptions { arguments: arguments.into(), ..ShimOptions::default() })
}

/// Writes the store's credentials, as the AWS CLI has them, into a folder of their own.
pub fn write_credentials(store: &Endpoint, folder: &Path) -> Result<PathBuf> {
    let folder = folder.join("credentials");
    fs::create_dir(&folder)?;
    let Endpoint { access_key, secret_key, .. } = store;
    let text = format!("[default]\naws_access_key_id = {access_key}\naws_secret_access_key = {secret_key}\n");
    write_secret(&folder.join("credentials"), &text)?;
    Ok(folder)
}

/// A Secret with a certificate and its private key, in PEM.
pub fn tls_secret(namespace: &str, name: &str, certificate: &str, private_key: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": { "namespace": namespace, "name": name },
        "type": "kubernetes.io/tls",
        "data": { "tls.crt": STANDARD.encode(certificate), "tls.key": STANDARD.encode(private_key) },
    })
}
