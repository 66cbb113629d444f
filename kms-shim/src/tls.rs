//! TLS for TCP addresses, and certificates that are read again when they change.
//!
//! rustls with aws-lc-rs, TLS 1.2 and 1.3. With a client CA, a client without a certificate of it is refused in the
//! handshake, before it can say anything.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::{CryptoProvider, aws_lc_rs};
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::server::danger::ClientCertVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

/// How often the files are looked at, besides at every SIGHUP. What renews certificates in Kubernetes sends no signal.
const RELOAD_INTERVAL: Duration = Duration::from_secs(60);

/// Where the certificates lie, in PEM.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// The service's certificate, and those that lead to its root.
    pub certificates: PathBuf,
    /// The private key of the first certificate.
    pub key: PathBuf,
    /// The CAs of which every client must have a certificate. None: clients need no certificate.
    pub client_ca: Option<PathBuf>,
}

/// Certificates that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}", path.display())]
pub struct TlsError {
    path: PathBuf,
    problem: String,
}

/// TLS with the certificates as they are now.
#[derive(Clone)]
pub struct Tls(watch::Receiver<Arc<ServerConfig>>);

impl Tls {
    /// Loads the files, and loads them again at SIGHUP and within a minute of a change, for as long as this or a clone of
    /// it lives. Files that cannot be used then leave the certificates as they were.
    pub fn start(files: TlsFiles) -> Result<Self, TlsError> {
        let loaded = files.load()?;
        let (sender, receiver) = watch::channel(loaded.config.clone());
        let hangup = signal(SignalKind::hangup()).map_err(|error| TlsError::new(&files.certificates, error))?;
        tokio::spawn(keep_fresh(files, loaded, sender, hangup));
        Ok(Self(receiver))
    }

    /// Takes the next handshake with these certificates.
    pub fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.0.borrow().clone())
    }
}

async fn keep_fresh(files: TlsFiles, mut loaded: Loaded, sender: watch::Sender<Arc<ServerConfig>>, mut hangup: Signal) {
    loop {
        tokio::select! {
            () = sender.closed() => return,
            _ = hangup.recv() => {}
            () = tokio::time::sleep(RELOAD_INTERVAL) => {}
        }
        match files.load() {
            Ok(new) if new.has_the_certificates_of(&loaded) => {}
            Ok(new) => {
                tracing::info!(certificates = %files.certificates.display(), "TLS goes on with new certificates");
                sender.send_replace(new.config.clone());
                loaded = new;
            }
            Err(error) => tracing::warn!(%error, "TLS goes on with the old certificates"),
        }
    }
}

/// What was made of the files.
struct Loaded {
    certificates: Vec<CertificateDer<'static>>,
    client_cas: Vec<CertificateDer<'static>>,
    config: Arc<ServerConfig>,
}

impl Loaded {
    /// A new key has a new certificate.
    fn has_the_certificates_of(&self, other: &Self) -> bool {
        self.certificates == other.certificates && self.client_cas == other.client_cas
    }
}

impl TlsFiles {
    fn load(&self) -> Result<Loaded, TlsError> {
        let certificates = read_certificates(&self.certificates)?;
        let client_cas = self.client_ca.as_deref().map(read_certificates).transpose()?.unwrap_or_default();
        let key = PrivateKeyDer::from_pem_file(&self.key)
            .map_err(|error| TlsError::new(&self.key, pem_problem(error, "private key")))?;

        // Named here, and not the process's default, which the KMS clients' libraries may set.
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError::new(&self.certificates, error))?;
        let builder = match &self.client_ca {
            None => builder.with_no_client_auth(),
            Some(path) => builder.with_client_cert_verifier(verifier(path, &client_cas, provider)?),
        };
        let config = builder.with_single_cert(certificates.clone(), key);
        let mut config = config.map_err(|error| TlsError::new(&self.certificates, error))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Loaded { certificates, client_cas, config: Arc::new(config) })
    }
}

fn verifier(
    path: &Path,
    cas: &[CertificateDer<'static>],
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let mut roots = RootCertStore::empty();
    for ca in cas {
        roots.add(ca.clone()).map_err(|error| TlsError::new(path, error))?;
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
    verifier.map_err(|error| TlsError::new(path, error))
}

/// All certificates of a file: at least one.
fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let problem = |error| TlsError::new(path, pem_problem(error, "certificate"));
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).map_err(problem)?.collect();
    let certificates = certificates.map_err(problem)?;
    if certificates.is_empty() {
        return Err(problem(pem::Error::NoItemsFound));
    }
    Ok(certificates)
}

/// The library's own messages quote the file.
fn pem_problem(error: pem::Error, wanted: &str) -> String {
    match error {
        pem::Error::Io(error) => error.to_string(),
        pem::Error::NoItemsFound => format!("no {wanted} in PEM in it"),
        _ => "malformed PEM".to_owned(),
    }
}

impl TlsError {
    fn new(path: &Path, problem: impl fmt::Display) -> Self {
        Self { path: path.to_owned(), problem: problem.to_string() }
    }
}
