//! How the two ends of an encrypted stream know each other.

use std::path::PathBuf;

/// By what a server's certificate is verified, and what this program shows of itself.
///
/// The certificate is always verified, its names and its time as well: nothing turns that off.
///
/// ```
/// use tierce::runtime::Tls;
///
/// let tls = Tls::default().ca("/etc/cache/ca.pem").identity("/etc/cache/app.pem", "/etc/cache/app.key");
/// assert_eq!(tls.ca_file.unwrap().to_str(), Some("/etc/cache/ca.pem"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Tls {
    /// The certificates of the authorities that are believed (PEM), and no others; those of the system unless said.
    pub ca_file: Option<PathBuf>,
    /// This program's certificate with those behind it, and its private key (PEM), for servers that ask.
    pub identity_files: Option<(PathBuf, PathBuf)>,
    /// The name that the server's certificate must have; the host's unless said.
    pub server_name: Option<String>,
}

impl Tls {
    /// Believes the authorities whose certificates are in this file (PEM), and no others.
    pub fn ca(mut self, file: impl Into<PathBuf>) -> Self {
        self.ca_file = Some(file.into());
        self
    }

    /// Shows this certificate, those behind it in the same file, and proves it by this key (both PEM).
    pub fn identity(mut self, certificates: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.identity_files = Some((certificates.into(), key.into()));
        self
    }

    /// Expects this name in the server's certificate, for a host that is reached by another, as through a tunnel.
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into());
        self
    }
}
