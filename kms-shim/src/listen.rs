//! Where the service listens: a TCP address or a Unix socket.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize, Serializer};
use tokio::net::{TcpListener, TcpSocket, UnixListener, UnixSocket, UnixStream};

/// How many connections wait to be taken, for when this process gets no processor and a crowd comes. Those beyond would time
/// out. The kernel has a limit of its own, `net.core.somaxconn`; tokio's is 128.
const BACKLOG: u32 = 4096;

/// An address to listen on: `IP:port` (port 0 takes a free one), or `unix:` and a path.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Listen {
    /// An IP address and port.
    Tcp(SocketAddr),
    /// The path of a socket that only this user can connect to (mode 0600).
    Unix(PathBuf),
}

/// An address that is neither `IP:port` nor `unix:/path`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an address to listen on is IP:port or unix:/path")]
pub struct InvalidListen;

impl Listen {
    /// Whether other machines can connect. The service speaks plaintext HTTP, so they should not.
    pub fn is_remote(&self) -> bool {
        match self {
            Self::Tcp(address) => !address.ip().to_canonical().is_loopback(),
            Self::Unix(_) => false,
        }
    }

    /// Starts to listen. A socket that nobody listens on any more is replaced.
    pub async fn bind(&self) -> io::Result<Bound> {
        match self {
            Self::Tcp(address) => bind_tcp(*address).map(Bound::Tcp),
            Self::Unix(path) => bind_unix(path).await,
        }
    }
}

impl FromStr for Listen {
    type Err = InvalidListen;

    fn from_str(text: &str) -> Result<Self, InvalidListen> {
        match text.strip_prefix("unix:") {
            Some("") => Err(InvalidListen),
            Some(path) => Ok(Self::Unix(PathBuf::from(path))),
            None => text.parse().map(Self::Tcp).map_err(|_| InvalidListen),
        }
    }
}

impl TryFrom<String> for Listen {
    type Error = InvalidListen;

    fn try_from(text: String) -> Result<Self, InvalidListen> {
        text.parse()
    }
}

impl Default for Listen {
    fn default() -> Self {
        Self::Tcp(SocketAddr::from(([127, 0, 0, 1], 8181)))
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl Serialize for Listen {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A listener that is open.
#[derive(Debug)]
pub enum Bound {
    /// On a TCP port.
    Tcp(TcpListener),
    /// On a Unix socket, which goes when the second field is dropped.
    Unix(UnixListener, SocketFile),
}

impl Bound {
    /// The actual address: a port instead of port 0.
    pub fn address(&self) -> io::Result<Listen> {
        match self {
            Self::Tcp(listener) => listener.local_addr().map(Listen::Tcp),
            Self::Unix(_, file) => Ok(Listen::Unix(file.0.clone())),
        }
    }
}

/// Removes the socket when dropped.
#[derive(Debug)]
pub struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn bind_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // As `TcpListener::bind` does: connections of the process before this one may not have gone yet.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// The socket is made in a private folder, so that nobody can connect before its mode is set, and then moved to its
/// place, which replaces a stale one in one step.
async fn bind_unix(path: &Path) -> io::Result<Bound> {
    refuse_to_replace_what_is_in_use(path).await?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let private =
        tempfile::Builder::new().prefix(".").permissions(std::fs::Permissions::from_mode(0o700)).tempdir_in(parent)?;
    let socket = private.path().join("s");
    let listening = UnixSocket::new_stream()?;
    listening.bind(&socket)?;
    let listener = listening.listen(BACKLOG)?;
    std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o600))?;
    std::fs::rename(&socket, path)?;
    Ok(Bound::Unix(listener, SocketFile(path.to_owned())))
}

async fn refuse_to_replace_what_is_in_use(path: &Path) -> io::Result<()> {
    let problem = match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
        Ok(metadata) if !metadata.file_type().is_socket() => "is there already and is no socket",
        Ok(_) => match UnixStream::connect(path).await {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => return Ok(()),
            Err(error) => return Err(error),
            Ok(_) => "has a process listening on it",
        },
    };
    Err(io::Error::new(io::ErrorKind::AddrInUse, format!("{} {problem}", path.display())))
}

#[cfg(test)]
mod tests {
    use std::any::Any;
    use std::time::Duration;

    use tokio::net::TcpStream;
    use tokio::time::timeout;

    use super::*;

    #[test]
    fn an_address_is_an_ip_and_port_or_a_socket() {
        for (text, remote) in [
            ("127.0.0.1:8181", false),
            ("127.9.9.9:0", false),
            ("[::1]:8181", false),
            ("[::ffff:127.0.0.1]:8181", false),
            ("unix:/run/kms-shim.sock", false),
            ("0.0.0.0:8181", true),
            ("[::]:8181", true),
            ("192.0.2.1:8181", true),
        ] {
            let listen: Listen = text.parse().unwrap();
            assert_eq!(listen.is_remote(), remote, "{text}");
            assert_eq!(listen.to_string(), text);
        }
        for text in
            ["", "8181", ":8181", "127.0.0.1", "localhost:8181", "unix:", "http://127.0.0.1:8181", "127.0.0.1:99999"]
        {
            assert_eq!(text.parse::<Listen>(), Err(InvalidListen), "{text}");
        }
    }

    #[tokio::test]
    async fn a_crowd_may_wait_to_be_taken() {
        let folder = tempfile::tempdir().unwrap();
        for listen in ["127.0.0.1:0".to_owned(), format!("unix:{}", folder.path().join("s").display())] {
            let bound = listen.parse::<Listen>().unwrap().bind().await.unwrap();
            let address = bound.address().unwrap();
            let mut crowd = Vec::new();
            for _ in 0..400 {
                crowd.push(timeout(Duration::from_secs(1), connect(&address)).await.expect(&listen).unwrap());
            }
        }
    }

    async fn connect(address: &Listen) -> io::Result<Box<dyn Any>> {
        Ok(match address {
            Listen::Tcp(address) => Box::new(TcpStream::connect(address).await?),
            Listen::Unix(path) => Box::new(UnixStream::connect(path).await?),
        })
    }
}
