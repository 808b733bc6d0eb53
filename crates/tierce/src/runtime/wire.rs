//! A stream of bytes to a server, as a runtime opens it.

use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::tls::Tls;

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Endpoint {
    /// A host, by name or number, and a port.
    Tcp(String, u16),
    /// The same, encrypted.
    Tls(String, u16, Tls),
    /// A socket in the file system.
    Unix(PathBuf),
}

impl Endpoint {
    /// How it is written: `host:port`, or the path of the socket.
    pub(crate) fn place(&self) -> String {
        match self {
            Endpoint::Tcp(host, port) | Endpoint::Tls(host, port, _) if host.contains(':') => {
                format!("[{host}]:{port}")
            }
            Endpoint::Tcp(host, port) | Endpoint::Tls(host, port, _) => format!("{host}:{port}"),
            Endpoint::Unix(path) => path.display().to_string(),
        }
    }
}

/// An open stream: bytes out, bytes in. Dropping it closes it.
pub trait Wire: Send {
    /// Reads into the buffer; 0 is the end of the stream.
    ///
    /// # Errors
    /// What the system says.
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>>;

    /// Writes some of the bytes.
    ///
    /// # Errors
    /// What the system says.
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>>;
}

/// A stream that is being opened.
pub type Dialing = Pin<Box<dyn Future<Output = io::Result<Box<dyn Wire>>> + Send>>;
