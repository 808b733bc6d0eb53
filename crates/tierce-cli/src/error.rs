//! What can end the command early, each said in one line.

use std::fmt;
use std::path::PathBuf;
use std::process::ExitCode;

/// Why the command stopped. `Display` is the one line that the user reads.
#[derive(Debug)]
pub(crate) enum Error {
    /// The arguments were wrong; the line comes from the parser.
    Usage(String),
    /// The port could not be had.
    Port { port: u16, source: std::io::Error },
    /// The trace could not be used.
    Trace { path: PathBuf, problem: String },
    /// The embedded database failed.
    Database(crate::database::Error),
    /// The cache refused a lookup or an invalidation.
    Cache(String),
    /// Another process of this demo failed, or has ended.
    Process(String),
    /// The machine refused something: a temporary folder, a runtime, a signal handler.
    System { doing: &'static str, source: std::io::Error },
    /// So often a promise of the caches was broken; what and where is printed.
    Inconsistent(u64),
    /// The user asked to stop before the race was over.
    Interrupted,
}

impl Error {
    /// 2 for what the user can put right in the command line, 130 for Ctrl-C as shells have it, 1 otherwise.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Usage(_) | Self::Port { .. } | Self::Trace { .. } => ExitCode::from(2),
            Self::Interrupted => ExitCode::from(130),
            Self::Database(_) | Self::Cache(_) | Self::Process(_) | Self::System { .. } | Self::Inconsistent(_) => {
                ExitCode::from(1)
            }
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(line) => write!(f, "{line} (tierce --help lists the arguments)"),
            Self::Port { port, source } if source.kind() == std::io::ErrorKind::AddrInUse => write!(
                f,
                "port {port} is taken by another program: choose another with --port, or --port 0 for any free one"
            ),
            Self::Port { port, source } => {
                write!(f, "cannot listen on 127.0.0.1:{port}: {source}; choose another port with --port")
            }
            Self::Trace { path, problem } => write!(f, "cannot use the trace {}: {problem}", path.display()),
            Self::Database(source) => write!(f, "the embedded database failed: {source}"),
            Self::Cache(problem) => write!(f, "the cache failed: {problem}"),
            Self::Process(problem) => write!(f, "{problem}"),
            Self::System { doing, source } => write!(f, "cannot {doing}: {source}"),
            Self::Inconsistent(times) => write!(f, "a promise was broken {times} times"),
            Self::Interrupted => write!(f, "stopped before the race was over"),
        }
    }
}

impl std::error::Error for Error {}

impl From<crate::database::Error> for Error {
    fn from(source: crate::database::Error) -> Self {
        Self::Database(source)
    }
}
