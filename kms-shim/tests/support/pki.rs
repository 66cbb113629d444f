//! Private CAs, made anew for each test; the end-to-end tests use this file too.

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

/// A CA with its key.
pub struct Ca(CertifiedIssuer<'static, KeyPair>);

impl Ca {
    /// A new one.
    pub fn generate() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.distinguished_name.push(DnType::CommonName, "CA of a test");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// Its certificate.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// Its private key.
    pub fn key_pem(&self) -> String {
        self.0.key().serialize_pem()
    }

    /// Writes its certificate to `who.pem`, and gives the path.
    pub fn write_as(&self, folder: &Path, who: &str) -> PathBuf {
        let file = folder.join(format!("{who}.pem"));
        std::fs::write(&file, self.pem()).unwrap();
        file
    }
}

/// A certificate and its key, in PEM.
pub struct Identity {
    /// The certificate.
    pub certificate: String,
    /// The private key.
    pub key: String,
}

impl Identity {
    /// A new one, which the CA gives to this host name or address.
    pub fn new(ca: &Ca, name: &str) -> Self {
        Self::for_names(ca, &[name])
    }

    /// A new one for several host names and addresses.
    pub fn for_names(ca: &Ca, names: &[&str]) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params =
            CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
        // Not the issuer's, or it would be taken for self-signed.
        params.distinguished_name.push(DnType::CommonName, names[0]);
        let certificate = params.signed_by(&key, &ca.0).unwrap();
        Self { certificate: certificate.pem(), key: key.serialize_pem() }
    }

    /// Writes `who.pem` and `who-key.pem`, and gives their paths.
    pub fn write_as(&self, folder: &Path, who: &str) -> [PathBuf; 2] {
        let files = [folder.join(format!("{who}.pem")), folder.join(format!("{who}-key.pem"))];
        std::fs::write(&files[0], &self.certificate).unwrap();
        std::fs::write(&files[1], &self.key).unwrap();
        files
    }

    /// Writes `cert.pem` and `key.pem`.
    pub fn write(&self, folder: &Path) {
        std::fs::write(folder.join("cert.pem"), &self.certificate).unwrap();
        std::fs::write(folder.join("key.pem"), &self.key).unwrap();
    }
}
