//! Connections: accepted up to a bound, secured, served, and ended.
//!
//! Nothing that a client leaves undone holds others up: handshakes and request heads have a time limit, as bodies have in
//! [`crate::http`], and each connection is a task of its own.

use std::fmt::Debug;
use std::future::Future;
use std::io;
use std::num::NonZeroU32;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use axum::serve::{Listener, ListenerExt as _};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::listen::Bound;
use crate::metrics::Metrics;
use crate::tls::Tls;

/// How long a TLS handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the head of a request may take. Also the longest that a connection may be idle between two requests.
pub const HEADER_TIMEOUT: Duration = Duration::from_secs(30);

/// Longest request head, in bytes.
const MAX_HEAD_LEN: usize = 32 * 1024;

/// How long requests under way may take to finish after the signal to stop.
const DRAIN: Duration = Duration::from_secs(10);

/// What connections are to.
#[derive(Clone)]
pub struct Connections {
    /// What answers requests.
    pub router: Router,
    /// TLS. None: plain HTTP.
    pub tls: Option<Tls>,
    /// How many are served at a time; more wait in the operating system's queue.
    pub max: NonZeroU32,
    /// Where failed handshakes are counted.
    pub metrics: Metrics,
}

impl Connections {
    /// Serves connections of this listener until `stop` is ready; then takes no more, and gives requests under way 10
    /// seconds to finish.
    pub async fn serve(self, bound: Bound, stop: impl Future<Output = ()>) {
        match bound {
            Bound::Tcp(listener) => {
                let no_delay = |stream: &mut tokio::net::TcpStream| drop(stream.set_nodelay(true));
                self.serve_on(listener.tap_io(no_delay), stop).await;
            }
            Bound::Unix(listener, _file) => self.serve_on(listener, stop).await,
        }
    }

    async fn serve_on<L>(self, mut listener: L, stop: impl Future<Output = ()>)
    where
        L: Listener,
        L::Addr: Debug,
    {
        let max = usize::try_from(self.max.get()).unwrap_or(usize::MAX);
        let (stopping, stopped) = watch::channel(false);
        let mut connections = JoinSet::new();
        let mut stop = pin!(stop);
        loop {
            tokio::select! {
                (stream, peer) = listener.accept(), if connections.len() < max => {
                    connections.spawn(self.clone().connection(stream, peer, stopped.clone()));
                }
                Some(_) = connections.join_next() => {}
                () = &mut stop => break,
            }
        }
        drop(listener);
        stopping.send_replace(true);
        let drained = async { while connections.join_next().await.is_some() {} };
        if timeout(DRAIN, drained).await.is_err() {
            tracing::warn!("connections were cut: they were still busy {} seconds after the signal", DRAIN.as_secs());
        }
    }

    async fn connection(
        self,
        stream: impl AsyncRead + AsyncWrite + Unpin,
        peer: impl Debug,
        stopped: watch::Receiver<bool>,
    ) {
        let Some(tls) = self.tls else {
            return serve_http(self.router, stream, stopped).await;
        };
        let failure = match timeout(HANDSHAKE_TIMEOUT, tls.acceptor().accept(stream)).await {
            Ok(Ok(stream)) => return serve_http(self.router, stream, stopped).await,
            Ok(Err(error)) => error,
            Err(_) => io::ErrorKind::TimedOut.into(),
        };
        self.metrics.failed_handshake();
        // Probes that only look whether the port is open hang up at once, every few seconds.
        if failure.kind() == io::ErrorKind::UnexpectedEof {
            tracing::debug!(?peer, error = %failure, "TLS handshake failed");
        } else {
            tracing::warn!(?peer, error = %failure, "TLS handshake failed");
        }
    }
}

async fn serve_http(router: Router, stream: impl AsyncRead + AsyncWrite + Unpin, mut stopped: watch::Receiver<bool>) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(MAX_HEAD_LEN)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = pin!(connection);
    let stop = async { drop(stopped.wait_for(|stopped| *stopped).await) };
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ended early");
    }
}
