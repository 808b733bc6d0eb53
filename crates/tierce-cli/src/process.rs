//! A child that does not outlive this process, however that ends, and can be stopped and killed.
//!
//! A shell between the two reads what signals to send from a pipe. When the pipe ends, as it does with this process, the
//! shell kills the child. So nothing is left, not even where this process was killed, and no identifier of a process is
//! used that could be another's by now: the shell has not waited for its child yet.

use std::io::Write;
use std::process::{Child, Command, Stdio};

use crate::error::Error;

const KEEPER: &str = "trap '' INT TERM; \"$@\" </dev/null >/dev/null & \
    while read -r signal; do kill -s \"$signal\" $! 2>/dev/null; done; kill -s KILL $! 2>/dev/null";

/// A child.
pub(crate) struct Process(Child);

impl Process {
    /// Starts a program. Its complaints are this process's, or nobody's.
    pub(crate) fn start(program: &Command, is_quiet: bool) -> Result<Self, Error> {
        let mut command = Command::new("sh");
        command.args(["-c", KEEPER, "sh"]).arg(program.get_program()).args(program.get_args());
        for (name, value) in program.get_envs() {
            command.env(name, value.unwrap_or_default());
        }
        // What a terminal sends to all in the foreground, as Ctrl-C, is for this process alone.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        if is_quiet {
            command.stderr(Stdio::null());
        }
        let child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn();
        Ok(Process(child.map_err(|source| Error::System { doing: "start another process", source })?))
    }

    /// Sends `STOP`, `CONT` or `KILL`.
    pub(crate) fn signal(&mut self, name: &str) {
        // Without a shell there is no child any more.
        let _ = self.0.stdin.as_mut().map(|stdin| writeln!(stdin, "{name}").and_then(|()| stdin.flush()));
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}
