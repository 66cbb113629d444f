//! `kms-shim serve`: the service from its configuration to its end.

use std::future::Future;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use crate::admission::Limits;
use crate::config::{Config, ConfigError};
use crate::connections::Connections;
use crate::http::{self, Service};
use crate::keks::{self, KeksError};
use crate::listen::{Bound, Listen};
use crate::metrics::Metrics;
use crate::tls::{Tls, TlsError};

/// Why the service did not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A file could not be read.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A KEK cannot be used.
    #[error(transparent)]
    Keks(#[from] KeksError),
    /// The certificates cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {error}")]
    Listen {
        /// The address.
        address: Listen,
        /// What failed.
        error: io::Error,
    },
    /// The address file cannot be written.
    #[error("{}: {error}", path.display())]
    AddressFile {
        /// The file.
        path: PathBuf,
        /// What failed.
        error: io::Error,
    },
    /// The operating system failed the server.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Serves until SIGTERM or SIGINT.
pub async fn serve(config: Config) -> Result<(), ServeError> {
    for name in &config.former_names {
        tracing::warn!("the configuration file is s3-encryption-proxy's: {name}");
    }
    let metrics = Metrics::new();
    let keks = keks::open(&config.keks, &config.kms, &metrics).await?;
    let ids = keks.ids().collect::<Vec<_>>().join(" ");
    let tls = config.tls.map(Tls::start).transpose()?;
    // Before anybody can know the address: a signal from then on ends the service cleanly.
    let stop = stop_signal()?;
    let bound = bind(&config.listen).await?;
    let address = bound.address()?;
    let operations = match &config.operations_listen {
        Some(listen) => Some(bind(listen).await?),
        None => None,
    };
    let _address_file = config.address_file.map(|path| AddressFile::write(path, &address)).transpose()?;
    tracing::info!(%address, keks = ids, tls = tls.is_some(), "listening");
    if address.is_remote() && tls.is_none() {
        tracing::warn!(%address, "other machines can reach this address, and DEKs cross it in clear");
    }
    let service = Service::new(keks, config.token, config.limits, metrics.clone());
    let connections = |router, tls, max| Connections { router, tls, max, metrics: metrics.clone() };
    let (stopping, stopped) = oneshot::channel::<()>();
    let operations = operations.map(|bound| {
        let router = http::operations_router(service.clone());
        tokio::spawn(serve_operations(connections(router, None, Limits::default().connections), bound, stopped))
    });
    connections(http::router(service), tls, config.limits.connections).serve(bound, stop).await;
    drop(stopping);
    if let Some(operations) = operations {
        let _ = operations.await;
    }
    tracing::info!("stopped");
    Ok(())
}

async fn bind(listen: &Listen) -> Result<Bound, ServeError> {
    listen.bind().await.map_err(|error| ServeError::Listen { address: listen.clone(), error })
}

/// For as long as the other end of `stopped` is there: whoever operates the service can watch it stop.
async fn serve_operations(connections: Connections, bound: Bound, stopped: oneshot::Receiver<()>) {
    match bound.address() {
        Ok(address) => tracing::info!(%address, "listening for those who operate this"),
        Err(error) => tracing::warn!(%error, "listening for those who operate this"),
    }
    connections.serve(bound, async { drop(stopped.await) }).await;
}

fn stop_signal() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    // Whoever has files to read again listens to SIGHUP too. It must not end a service that has none.
    drop(signal(SignalKind::hangup())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping");
    })
}

/// The file with the actual address, for those who started the service; removed when dropped.
struct AddressFile(PathBuf);

impl AddressFile {
    /// Writes the address and a newline in one step: whoever sees the file sees all of it.
    fn write(path: PathBuf, address: &Listen) -> Result<Self, ServeError> {
        let written = write_whole(&path, &format!("{address}\n"));
        written.map(|()| Self(path.clone())).map_err(|error| ServeError::AddressFile { path, error })
    }
}

impl Drop for AddressFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn write_whole(path: &Path, text: &str) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(parent)?;
    file.write_all(text.as_bytes())?;
    file.persist(path)?;
    Ok(())
}
