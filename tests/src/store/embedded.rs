//! The embedded store: s3s-fs over hyper, in this process.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::LazyLock;

use anyhow::{Result, anyhow};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s_fs::FileSystem;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// Serves the objects below `files` on a free port until this process ends.
pub fn serve(files: &Path, access_key: &str, secret_key: &str) -> Result<SocketAddr> {
    static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("the runtime starts"));
    fs::create_dir_all(files)?;
    let store = FileSystem::new(files).map_err(|error| anyhow!("{}: {error:?}", files.display()))?;
    let mut builder = S3ServiceBuilder::new(store);
    builder.set_auth(SimpleAuth::from_single(access_key, secret_key));
    let service = builder.build();
    let listener = RUNTIME.block_on(TcpListener::bind("127.0.0.1:0"))?;
    let address = listener.local_addr()?;
    RUNTIME.spawn(accept(listener, service));
    Ok(address)
}

async fn accept(listener: TcpListener, service: S3Service) {
    loop {
        match listener.accept().await {
            Ok((socket, _)) => {
                // Otherwise a body waits some 40 ms for the other side to acknowledge the head.
                drop(socket.set_nodelay(true));
                let connection = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .serve_connection(TokioIo::new(socket), service.clone());
                // A connection that breaks is the client's affair; tests break many on purpose.
                tokio::spawn(async move { drop(connection.await) });
            }
            Err(error) => eprintln!("embedded store: {error}"),
        }
    }
}
