//! Tokio's sockets, encrypted by rustls with ring.
//!
//! The files are read anew at each connection, so that a certificate that was renewed is used by the next one; what the system
//! believes is read once, since that takes longer than the handshake. Nothing here skips a verification.

use std::error::Error;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{CertificateError, ClientConfig, Error as TlsError, RootCertStore};
use tokio_rustls::{TlsConnector, rustls};

use super::tls::Tls;
use super::wire::Wire;

/// A server without TLS reads the first of it as part of a command, and waits for the rest: it is told apart by its silence.
/// Less than a connection's whole time for opening (`connection/limits.rs`), so that this is what is said.
const HANDSHAKE: Duration = Duration::from_millis(800);

/// Whether the files are there and are what they should be.
pub(super) fn check(host: &str, tls: &Tls) -> io::Result<()> {
    name(host, tls)?;
    config(tls).map(drop)
}

/// It is here.
#[allow(clippy::unnecessary_wraps, reason = "where the feature is off this is an error")]
pub(super) fn available() -> io::Result<()> {
    Ok(())
}

/// Makes an open socket an encrypted one.
pub(super) async fn encrypt(stream: TcpStream, host: String, tls: Tls) -> io::Result<Box<dyn Wire>> {
    let name = name(&host, &tls)?;
    // It reads files.
    let config = tokio::task::spawn_blocking(move || config(&tls)).await.map_err(io::Error::other)??;
    let shown = name.to_str().into_owned();
    let handshake = TlsConnector::from(Arc::new(config)).connect(name, stream);
    match tokio::time::timeout(HANDSHAKE, handshake).await {
        Ok(Ok(stream)) => Ok(Box::new(Encrypted { stream, name: shown, unflushed: false })),
        Ok(Err(error)) => Err(plainly(error, &shown)),
        Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, format!("it did not answer to TLS; {PLAIN}"))),
    }
}

/// What is said where the other end seems to have none.
const PLAIN: &str = "a server without TLS is written redis:// or memcached://";

struct Encrypted {
    stream: TlsStream<TcpStream>,
    name: String,
    /// Whether what was encrypted may not have been written.
    unflushed: bool,
}

impl Encrypted {
    fn flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.unflushed {
            ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }
}

impl Wire for Encrypted {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        // What is asked for may be what was not written yet.
        if let Poll::Ready(Err(error)) = self.flush(cx) {
            return Poll::Ready(Err(plainly(error, &self.name)));
        }
        let mut buffer = ReadBuf::new(buffer);
        match ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer)) {
            Ok(()) => Poll::Ready(Ok(buffer.filled().len())),
            Err(error) => Poll::Ready(Err(plainly(error, &self.name))),
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.flush(cx))?;
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes))?;
        self.unflushed = true;
        if let Poll::Ready(Err(error)) = self.flush(cx) {
            return Poll::Ready(Err(error));
        }
        Poll::Ready(Ok(written))
    }
}

fn name(host: &str, tls: &Tls) -> io::Result<ServerName<'static>> {
    let name = tls.server_name.as_deref().unwrap_or(host).to_string();
    let wrong = format!("{name:?} is no name that a certificate can have");
    ServerName::try_from(name).map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, wrong))
}

fn config(tls: &Tls) -> io::Result<ClientConfig> {
    let roots = match &tls.ca_file {
        Some(file) => Arc::new(believed(file)?),
        None => system()?,
    };
    let versions = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let versions = versions.with_safe_default_protocol_versions().map_err(io::Error::other)?;
    let client = versions.with_root_certificates(roots);
    let Some((certificates, key)) = &tls.identity_files else { return Ok(client.with_no_client_auth()) };
    let chain = all_of(certificates)?;
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| unread(key, &error))?;
    client.with_client_auth_cert(chain, secret).map_err(|error| {
        let (certificates, key) = (certificates.display(), key.display());
        invalid(format!("the certificate {certificates} and the key {key} do not make an identity: {error}"))
    })
}

fn believed(file: &Path) -> io::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in all_of(file)? {
        roots.add(certificate).map_err(|error| invalid(format!("{}: {error}", file.display())))?;
    }
    Ok(roots)
}

/// What the system believes, read once: a hundred files or more.
fn system() -> io::Result<Arc<RootCertStore>> {
    static SYSTEM: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    let roots = SYSTEM.get_or_init(|| {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        Arc::new(roots)
    });
    if roots.is_empty() {
        return Err(invalid(format!("this system believes no authority; {CA}")));
    }
    Ok(Arc::clone(roots))
}

/// What is said where nobody who is believed has signed.
const CA: &str = "name the file of the server's own: ca=/path/to/ca.pem in the URL, or HubBuilder::tls";

fn all_of(file: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let all = CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
    let all: Vec<_> = all.map_err(|error| unread(file, &error))?;
    if all.is_empty() {
        return Err(invalid(format!("there is no certificate in {}", file.display())));
    }
    Ok(all)
}

fn unread(file: &Path, error: &pem::Error) -> io::Error {
    match error {
        pem::Error::Io(error) => io::Error::new(error.kind(), format!("{}: {error}", file.display())),
        other => invalid(format!("{} is not what it should be: {other}", file.display())),
    }
}

fn invalid(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, text)
}

/// What is wrong in words of those who run the server.
fn plainly(error: io::Error, name: &str) -> io::Error {
    let Some(tls) = error.get_ref().and_then(<dyn Error + Send + Sync>::downcast_ref::<TlsError>) else { return error };
    let text = match tls {
        TlsError::InvalidCertificate(wrong) => refused(wrong, name),
        TlsError::InvalidMessage(_) => format!("what it answers is no TLS; {PLAIN}"),
        TlsError::AlertReceived(alert) => {
            format!(
                "it refuses this program ({alert:?}); who has to show a certificate names it: cert=…&key=… in the URL"
            )
        }
        other => other.to_string(),
    };
    io::Error::new(error.kind(), text)
}

fn refused(wrong: &CertificateError, name: &str) -> String {
    match wrong {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "its certificate has expired".into(),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!(
                "its certificate is not for {name:?}; where it is right for another name, write server_name=… in the URL"
            )
        }
        CertificateError::UnknownIssuer => format!("its certificate is signed by nobody who is believed here; {CA}"),
        other => format!("its certificate is refused: {}", rustls::Error::from(other.clone())),
    }
}
