//! Tokio's sockets.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::tls_stream;
use super::wire::{Dialing, Endpoint, Wire};

/// A socket of either kind.
struct Stream<S>(S);

pub(super) fn open(to: &Endpoint) -> Dialing {
    Box::pin(dial(to.clone()))
}

/// Whether such a place could be reached at all.
pub(super) fn check(to: &Endpoint) -> io::Result<()> {
    match to {
        Endpoint::Tls(host, _, tls) => tls_stream::check(host, tls),
        Endpoint::Tcp(..) | Endpoint::Unix(_) => Ok(()),
    }
}

async fn dial(to: Endpoint) -> io::Result<Box<dyn Wire>> {
    match to {
        Endpoint::Tcp(host, port) => Ok(Box::new(Stream(tcp(&host, port).await?))),
        Endpoint::Tls(host, port, tls) => {
            // A build without TLS says so before anything is opened.
            tls_stream::available()?;
            tls_stream::encrypt(tcp(&host, port).await?, host, tls).await
        }
        #[cfg(unix)]
        Endpoint::Unix(path) => Ok(Box::new(Stream(tokio::net::UnixStream::connect(path).await?))),
        #[cfg(not(unix))]
        Endpoint::Unix(_) => Err(io::Error::new(io::ErrorKind::Unsupported, "this system has no Unix sockets")),
    }
}

async fn tcp(host: &str, port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect((host, port)).await?;
    // Requests are gathered here; what is written is to go.
    stream.set_nodelay(true)?;
    Ok(stream)
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Wire for Stream<S> {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(buffer);
        match Pin::new(&mut self.0).poll_read(cx, &mut buffer) {
            Poll::Ready(Ok(())) => Poll::Ready(Ok(buffer.filled().len())),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => Poll::Pending,
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }
}
