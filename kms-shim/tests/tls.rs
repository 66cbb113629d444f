//! TLS: who gets in, what a client that stalls cannot do, and certificates that change under way.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use kms_shim::listen::Listen;
use kms_shim::tls::{Tls, TlsFiles};
use support::pki::{Ca, Identity};
use support::{NO_LIMITS, Running, Shim, TOKEN, connect, folder, keyset, request, send_over, start_with, wrap_request};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// How long a test waits for what is to happen soon.
const PATIENCE: Duration = Duration::from_secs(20);

async fn serve(folder: &Path, client_ca: Option<&Ca>) -> Running {
    if let Some(ca) = client_ca {
        std::fs::write(folder.join("client-ca.pem"), ca.pem()).unwrap();
    }
    let files = TlsFiles {
        certificates: folder.join("cert.pem"),
        key: folder.join("key.pem"),
        client_ca: client_ca.map(|_| folder.join("client-ca.pem")),
    };
    start_with("127.0.0.1:0", keyset(), NO_LIMITS, Some(Tls::start(files).unwrap())).await
}

/// A client that trusts this CA, and shows who it is if it has an identity.
fn connector(ca: &Ca, identity: Option<&Identity>) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca.pem().as_bytes()).unwrap()).unwrap();
    let builder = ClientConfig::builder().with_root_certificates(roots);
    let config = match identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let certificate = CertificateDer::from_pem_slice(identity.certificate.as_bytes()).unwrap();
            let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
            builder.with_client_auth_cert(vec![certificate], key).unwrap()
        }
    };
    TlsConnector::from(Arc::new(config))
}

async fn secure(address: &Listen, connector: &TlsConnector) -> io::Result<TlsStream<Box<dyn support::Stream>>> {
    connector.connect(ServerName::try_from("127.0.0.1").unwrap(), connect(address).await).await
}

/// The status of a wrap call. In TLS 1.3 a client learns that it was refused when it reads.
async fn wrap(address: &Listen, connector: &TlsConnector) -> io::Result<u16> {
    let mut stream = secure(address, connector).await?;
    let body = wrap_request(&[7; 32]).to_string();
    let length = body.len();
    let head = format!("POST /v1/wrap HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {TOKEN}\r\n");
    stream.write_all(format!("{head}content-length: {length}\r\n\r\n{body}").as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer[9..12].parse().unwrap())
}

#[tokio::test]
async fn a_client_gets_in_with_the_certificates_that_were_asked_for_alone() {
    let (server_ca, client_ca, other_ca) = (Ca::generate(), Ca::generate(), Ca::generate());
    let folder = tempfile::tempdir().unwrap();
    Identity::new(&server_ca, "127.0.0.1").write(folder.path());
    let tls = serve(folder.path(), None).await;
    let mutual = serve(folder.path(), Some(&client_ca)).await;
    let known = Identity::new(&client_ca, "envoy");
    let unknown = Identity::new(&other_ca, "envoy");

    for (trusted, identity, by_tls, by_mutual) in [
        (&server_ca, None, true, false),
        (&server_ca, Some(&known), true, true),
        (&server_ca, Some(&unknown), true, false),
        (&other_ca, None, false, false),
        (&other_ca, Some(&known), false, false),
    ] {
        let connector = connector(trusted, identity);
        for (service, gets_in) in [(&tls, by_tls), (&mutual, by_mutual)] {
            let status = wrap(&service.address, &connector).await;
            assert_eq!(matches!(status, Ok(200)), gets_in, "{status:?}");
            assert_eq!(status.is_err(), !gets_in, "{status:?}");
        }
    }
    let secure = async || secure(&mutual.address, &connector(&server_ca, Some(&known))).await.unwrap();
    let metrics = send_over(secure().await, request("GET", "/metrics", None, "")).await.text;
    assert!(metrics.contains("\nkms_shim_failed_handshakes_total 4\n"), "{metrics}");
    // The token is asked for as well.
    let stream = secure().await;
    let answer = send_over(stream, request("POST", "/v1/wrap", None, wrap_request(&[7; 32]).to_string())).await;
    assert_eq!(answer.failure(), (401, "denied"));
}

#[tokio::test]
async fn plain_http_is_not_answered() {
    let folder = tempfile::tempdir().unwrap();
    Identity::new(&Ca::generate(), "127.0.0.1").write(folder.path());
    let service = serve(folder.path(), None).await;
    let mut stream = connect(&service.address).await;
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_stalls_holds_up_nobody_and_is_cut() {
    let ca = Ca::generate();
    let folder = tempfile::tempdir().unwrap();
    Identity::new(&ca, "127.0.0.1").write(folder.path());
    let service = serve(folder.path(), None).await;
    let mut silent = Vec::new();
    for begin in [b"".as_slice(), b"\x16\x03\x01\x02\x00", b""] {
        let mut stream = connect(&service.address).await;
        stream.write_all(begin).await.unwrap();
        silent.push(stream);
    }
    assert_eq!(wrap(&service.address, &connector(&ca, None)).await.unwrap(), 200);
    for mut stream in silent {
        let read = tokio::time::timeout(Duration::from_secs(60), stream.read_to_end(&mut Vec::new())).await;
        read.expect("still open after a minute").unwrap();
    }
}

#[tokio::test]
async fn new_certificates_are_taken_at_a_hangup() {
    let (first, second) = (Ca::generate(), Ca::generate());
    let folder = folder();
    Identity::new(&first, "127.0.0.1").write(folder.path());
    // Not a loopback address: TLS makes it one that the service takes.
    let flags = ["--listen", "0.0.0.0:0", "--tls-cert", "cert.pem", "--tls-key", "key.pem"];
    let shim = Shim::start(folder.path(), &flags);
    let Listen::Tcp(address) = &shim.address else { panic!("{:?}", shim.address) };
    let address = Listen::Tcp(([127, 0, 0, 1], address.port()).into());
    let (trusts_first, trusts_second) = (connector(&first, None), connector(&second, None));
    assert_eq!(wrap(&address, &trusts_first).await.unwrap(), 200);

    Identity::new(&second, "127.0.0.1").write(folder.path());
    shim.signal("-HUP");
    let renewed = async {
        while wrap(&address, &trusts_second).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, renewed).await.expect("the new certificate");

    let (status, log) = shim.stop();
    assert!(status.success(), "{log}");
    assert!(log.contains("with new certificates") && !log.contains("DEKs cross"), "{log}");
}

#[tokio::test(start_paused = true)]
async fn new_certificates_are_taken_within_a_minute_and_bad_ones_are_not() {
    let (first, second) = (Ca::generate(), Ca::generate());
    let folder = tempfile::tempdir().unwrap();
    Identity::new(&first, "127.0.0.1").write(folder.path());
    let service = serve(folder.path(), None).await;
    let new = Identity::new(&second, "127.0.0.1");
    // The new certificate with the old key, which is what a reader sees in the middle of a renewal.
    for certificate in ["no certificate", &new.certificate] {
        std::fs::write(folder.path().join("cert.pem"), certificate).unwrap();
        tokio::time::sleep(Duration::from_secs(61)).await;
        assert_eq!(wrap(&service.address, &connector(&first, None)).await.unwrap(), 200);
    }
    new.write(folder.path());
    tokio::time::sleep(Duration::from_secs(61)).await;
    assert_eq!(wrap(&service.address, &connector(&second, None)).await.unwrap(), 200);
}
