//! `--serve`: everything stays up until a signal ends it.

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use e2e::envoy::Keys;
use e2e::stack::Stack;
use tempfile::NamedTempFile;
use tokio::runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::interval;

/// Removes what an earlier run may have left, so that whoever waits for the file does not read that.
pub fn remove_stale(file: &Path) -> Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error).with_context(|| file.display().to_string()),
        _ => Ok(()),
    }
}

/// Says where everything is, and waits for SIGTERM or SIGINT. Fails if a part of the stack ends by itself.
pub fn serve(mut stack: Stack, env_file: Option<&Path>) -> Result<()> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let ended = runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        announce(&stack, env_file)?;
        let mut tick = interval(Duration::from_millis(500));
        loop {
            tokio::select! {
                _ = terminate.recv() => return Ok(()),
                _ = interrupt.recv() => return Ok(()),
                _ = tick.tick() => stack.ensure_running()?,
            }
        }
    });
    if let Some(file) = env_file {
        remove_stale(file)?;
    }
    ended
}

fn announce(stack: &Stack, env_file: Option<&Path>) -> Result<()> {
    let lines: String = variables(stack).iter().map(|(name, value)| format!("{name}={value}\n")).collect();
    match env_file {
        Some(file) => write_whole(file, &lines)?,
        None => print!("{lines}"),
    }
    eprintln!("Serving on {}. End it with Ctrl-C or SIGTERM.", stack.client.endpoint.url);
    Ok(())
}

fn variables(stack: &Stack) -> Vec<(&'static str, String)> {
    let (client, store) = (&stack.client.endpoint, &stack.direct.endpoint);
    let mut variables = vec![
        ("AWS_ENDPOINT_URL", client.url.clone()),
        ("AWS_ACCESS_KEY_ID", client.access_key.clone()),
        ("AWS_SECRET_ACCESS_KEY", client.secret_key.clone()),
        ("AWS_REGION", client.region.clone()),
        ("S3EP_BUCKET", stack.client.bucket.clone()),
        ("S3EP_STORE_URL", store.url.clone()),
        ("S3EP_STORE_ACCESS_KEY_ID", store.access_key.clone()),
        ("S3EP_STORE_SECRET_ACCESS_KEY", store.secret_key.clone()),
        ("S3EP_STORE_REGION", store.region.clone()),
        ("S3EP_ENVOY_ADMIN_URL", stack.envoy.admin_url.clone()),
    ];
    if let Some(shim) = &stack.shim {
        variables.push(("S3EP_KMS_SHIM_URL", format!("http://{}", shim.address)));
        variables.push(("S3EP_KMS_SHIM_TOKEN", shim.token.clone()));
        variables.push(("S3EP_KEYSET", shim.keyset.display().to_string()));
    }
    if let Keys::Direct { master_key } = &stack.keys {
        variables.push(("S3EP_MASTER_KEY", master_key.clone()));
    }
    variables
}

/// The file appears whole, and readable by this user only: it holds credentials.
fn write_whole(file: &Path, text: &str) -> Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mut temporary = NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))?;
    temporary.write_all(text.as_bytes())?;
    temporary.persist(file).with_context(|| file.display().to_string())?;
    Ok(())
}
