//! What goes to stdout and stderr.

use std::io::Write;

use crate::error::Error;

/// Writes to stdout. Whoever closed it has read enough, which is no failure.
pub(crate) fn print(text: &str) -> Result<(), Error> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(source) if source.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::System { doing: "write to stdout", source })
        }
        _ => Ok(()),
    }
}

/// Writes to stderr, for whoever still reads it.
pub(crate) fn tell(text: &str) {
    let mut stderr = std::io::stderr().lock();
    // That nobody can read it is no reason to stop, and there is nobody to tell.
    let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
}
