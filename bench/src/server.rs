//! Servers of the bench's own: started on a free port of this machine, without persistence, and gone when the bench is.
//!
//! *Every way out.* A destructor does not run when the bench is killed, so the server is the child of a shell whose
//! standard input is held by the bench. However the bench ends, that input ends, and the shell kills the server. Both
//! are in a process group of their own, so that Ctrl-C reaches the bench alone, and the shell lives to do it.

use std::fmt;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::measure::Stopwatch;

/// How long a server may take until it answers.
const BEGINS: Duration = Duration::from_secs(10);

/// Runs the server beside itself, and kills it when nobody holds the input any more.
#[cfg(unix)]
const WATCH: &str = r#""$@" > /dev/null & server=$!; echo $server; cat > /dev/null; kill -KILL $server; wait"#;

/// Which server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Program {
    /// `redis-server`.
    Redis,
    /// `memcached`.
    Memcached,
}

impl Program {
    fn name(self) -> &'static str {
        match self {
            Self::Redis => "redis-server",
            Self::Memcached => "memcached",
        }
    }

    fn package(self) -> &'static str {
        match self {
            Self::Redis => "redis-server (or valkey, with a link of that name)",
            Self::Memcached => "memcached",
        }
    }

    fn options(self, port: u16) -> Vec<String> {
        let options = match self {
            Self::Redis => format!("--port {port} --bind 127.0.0.1 --appendonly no --save"),
            // As root it asks whose rights it is to have.
            Self::Memcached => format!("-l 127.0.0.1 -p {port} -U 0 -u root"),
        };
        let last = (self == Self::Redis).then(String::new);
        options.split(' ').map(String::from).chain(last).collect()
    }

    /// What it answers when it is ready.
    fn greeting(self) -> (&'static [u8], &'static [u8]) {
        match self {
            Self::Redis => (b"PING\r\n", b"+PONG\r\n"),
            Self::Memcached => (b"mn\r\n", b"MN\r\n"),
        }
    }
}

/// Why there is no server.
#[derive(Debug)]
pub(crate) enum Missing {
    /// It could not be run.
    NotInstalled(Program, std::io::Error),
    /// It was run, and never answered.
    Silent(Program),
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotInstalled(program, error) => {
                let (name, package) = (program.name(), program.package());
                write!(f, "{name} cannot be run ({error}): install {package}, so that it is in the PATH")
            }
            Self::Silent(program) => write!(f, "{} was started and does not answer", program.name()),
        }
    }
}

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    watch: Child,
    program: Program,
    process: u32,
    port: u16,
    version: String,
}

/// What is done to a server that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Blow {
    /// It stands still, its connections open.
    Freeze,
    /// It is gone.
    Kill,
}

impl Server {
    /// Starts one, and waits until it answers.
    ///
    /// # Errors
    /// [`Missing`] says what to install.
    pub(crate) fn start(program: Program) -> Result<Self, Missing> {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
        let port = free.map_err(|error| Missing::NotInstalled(program, error))?.port();
        Self::start_on(program, port)
    }

    fn start_on(program: Program, port: u16) -> Result<Self, Missing> {
        let missing = |error| Missing::NotInstalled(program, error);
        let version = Command::new(program.name()).arg("--version").output().map_err(missing)?;
        let version = String::from_utf8_lossy(&version.stdout).trim().to_string();
        let mut watch = watched(program, port).map_err(missing)?;
        let process = number_of(&mut watch).map_err(missing)?;
        let server = Self { watch, program, process, port, version };
        let stopwatch = Stopwatch::start();
        while !server.answers() {
            if stopwatch.read().wall() > BEGINS {
                return Err(Missing::Silent(program));
            }
            std::thread::yield_now();
        }
        Ok(server)
    }

    /// Another one in the place of this, which is killed, with nothing of what it had.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub(crate) fn start_again(self) -> Result<Self, Missing> {
        let (program, port) = (self.program, self.port);
        drop(self);
        Self::start_on(program, port)
    }

    /// # Errors
    /// What the system says.
    #[cfg(unix)]
    pub(crate) fn suffer(&self, blow: Blow) -> std::io::Result<()> {
        strike(self.process, blow)
    }

    /// What a hub connects to.
    pub(crate) fn url(&self) -> String {
        let scheme = if self.program == Program::Redis { "redis" } else { "memcached" };
        format!("{scheme}://{}", self.place())
    }

    /// Its host and port.
    pub(crate) fn place(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// What it says of its version.
    pub(crate) fn version(&self) -> &str {
        &self.version
    }

    fn answers(&self) -> bool {
        let (question, expected) = self.program.greeting();
        let ask = || -> std::io::Result<bool> {
            let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
            stream.write_all(question)?;
            let mut answer = vec![0; expected.len()];
            stream.read_exact(&mut answer)?;
            Ok(answer == expected)
        };
        ask().unwrap_or(false)
    }
}

#[cfg(unix)]
fn watched(program: Program, port: u16) -> std::io::Result<Child> {
    use std::os::unix::process::CommandExt;

    let mut command = Command::new("sh");
    command.args(["-c", WATCH, "sh", program.name()]).args(program.options(port)).process_group(0);
    command.current_dir(std::env::temp_dir()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    command.spawn()
}

#[cfg(not(unix))]
fn watched(_: Program, _: u16) -> std::io::Result<Child> {
    Err(std::io::Error::from(std::io::ErrorKind::Unsupported))
}

/// The number of the server's process, which the watch says first.
fn number_of(watch: &mut Child) -> std::io::Result<u32> {
    let mut line = String::new();
    let said = watch.stdout.take().ok_or(std::io::ErrorKind::BrokenPipe)?;
    BufReader::new(said).read_line(&mut line)?;
    line.trim().parse().map_err(std::io::Error::other)
}

/// Does it to a process.
///
/// # Errors
/// What the system says.
#[cfg(unix)]
pub(crate) fn strike(process: u32, blow: Blow) -> std::io::Result<()> {
    use rustix::process::{Pid, Signal, kill_process};

    let process = i32::try_from(process).ok().and_then(Pid::from_raw).ok_or(std::io::ErrorKind::InvalidInput)?;
    let signal = match blow {
        Blow::Freeze => Signal::STOP,
        Blow::Kill => Signal::KILL,
    };
    Ok(kill_process(process, signal)?)
}

impl Drop for Server {
    fn drop(&mut self) {
        // The end of its input is what it waits for; nothing is left to be done where it has gone already.
        drop(self.watch.stdin.take());
        let _ = self.watch.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named_with_what_to_install() {
        let error = std::io::Error::from(std::io::ErrorKind::NotFound);
        let message = Missing::NotInstalled(Program::Memcached, error).to_string();
        assert!(message.contains("install memcached"), "{message}");
    }

    #[test]
    fn a_server_answers_until_it_is_dropped() {
        let server = Server::start(Program::Memcached).unwrap();
        let place = server.place();
        assert!(server.version().contains('1'));
        assert!(TcpStream::connect(&place).is_ok());
        drop(server);
        assert!(TcpStream::connect(&place).is_err());
    }
}
