//! No encryption: the feature is off.

use std::io;

use tokio::net::TcpStream;

use super::tls::Tls;
use super::wire::Wire;

/// Refuses.
pub(super) fn check(_: &str, _: &Tls) -> io::Result<()> {
    available()
}

/// Says how there would be.
pub(super) fn available() -> io::Result<()> {
    let why = "a server with TLS needs the feature `tls`: tierce = { features = [\"tls\", …] } in Cargo.toml";
    Err(io::Error::new(io::ErrorKind::Unsupported, why))
}

/// Refuses.
#[allow(clippy::unused_async, reason = "as the other does, which waits")]
pub(super) async fn encrypt(_: TcpStream, _: String, _: Tls) -> io::Result<Box<dyn Wire>> {
    Err(io::ErrorKind::Unsupported.into())
}
