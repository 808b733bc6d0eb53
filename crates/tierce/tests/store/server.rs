//! A server of a test's own.

use std::hash::{BuildHasher, RandomState};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use tierce::Clock;

/// How long a server may take to begin.
const BEGINS: Duration = Duration::from_secs(20);

/// A server that ends with the test.
pub(crate) struct Server {
    program: String,
    child: Option<Child>,
    pub(crate) port: u16,
    folder: PathBuf,
    more: Vec<String>,
}

impl Server {
    /// A Redis, or the server named by `TIERCE_REDIS_SERVER`, with these options beside its own.
    pub(crate) fn begin(more: &[&str]) -> Server {
        let named = std::env::var("TIERCE_REDIS_SERVER").unwrap_or_default();
        Self::of(if named.is_empty() { "redis-server" } else { &named }, more)
    }

    /// A Redis itself, which is built with TLS.
    pub(crate) fn redis(more: &[&str]) -> Server {
        Self::of("redis-server", more)
    }

    /// A Memcached with these options beside its own.
    pub(crate) fn memcached(more: &[&str]) -> Server {
        Self::of("memcached", more)
    }

    fn of(program: &str, more: &[&str]) -> Server {
        static FOLDERS: AtomicU32 = AtomicU32::new(0);
        let name = format!("tierce-store-{}-{}", std::process::id(), FOLDERS.fetch_add(1, Relaxed));
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let more = more.iter().map(ToString::to_string).collect();
        let mut server = Server { program: program.to_string(), child: None, port: 0, folder, more };
        server.port = free_port();
        server.start();
        server
    }

    pub(crate) fn url(&self) -> String {
        let scheme = if self.program == "memcached" { "memcached" } else { "redis" };
        format!("{scheme}://{}", self.place())
    }

    /// Its host and port.
    pub(crate) fn place(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The path of its Unix socket.
    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.join("socket")
    }

    /// Starts it (again), and waits until it answers.
    pub(crate) fn start(&mut self) {
        let mut command = Command::new(&self.program);
        let port = self.port.to_string();
        if self.program == "memcached" {
            // It asks root to say whose rights it is to have.
            command.args(["-l", "127.0.0.1", "-p", &port, "-U", "0", "-u", "root"]);
        } else {
            command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--port", &port]);
            command.arg("--dir").arg(&self.folder).arg("--unixsocket").arg(self.socket());
        }
        command.args(&self.more).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn();
        self.child = Some(child.unwrap_or_else(|error| panic!("{}: {error}; ./check installs it", self.program)));
        let began = Clock::system().precise();
        while !self.answers() {
            let waited = Clock::system().precise().saturating_sub(began);
            assert!(waited < BEGINS, "{} on port {} does not answer", self.program, self.port);
            std::thread::yield_now();
        }
    }

    fn answers(&self) -> bool {
        let ask = || -> std::io::Result<u8> {
            let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
            if self.more.iter().any(|option| option == "-Z") {
                // It answers to TLS alone.
                return Ok(b'+');
            }
            stream.write_all(b"PING\r\n")?;
            let mut first = [0];
            stream.read_exact(&mut first)?;
            Ok(first[0])
        };
        // With a password it refuses, and a Memcached knows no such command, which are answers.
        ask().is_ok_and(|first| matches!(first, b'+' | b'-' | b'E'))
    }

    /// Its answer to these bytes, as far as it comes in one piece.
    pub(crate) fn told(&self, bytes: &str) -> String {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).unwrap();
        stream.write_all(bytes.as_bytes()).unwrap();
        let mut answer = [0; 4096];
        let length = stream.read(&mut answer).unwrap();
        String::from_utf8_lossy(&answer[..length]).into_owned()
    }

    /// Sends it a signal: `STOP`, `CONT`, `KILL`.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.as_ref().expect("it was started").id().to_string();
        let sent = Command::new("kill").args(["-s", name, &id]).status().unwrap();
        assert!(sent.success());
    }

    /// Ends it as a crash would.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Also one that is stopped.
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        std::fs::remove_dir_all(&self.folder).unwrap();
    }
}

/// A port on which nothing listens.
pub(crate) fn free_port() -> u16 {
    // Below those that systems lend to clients: one of those may be lent to somebody before the server has it.
    let mut chosen = (0..100_u64).map(|attempt| 10_000 + (RandomState::new().hash_one(attempt) % 20_000) as u16);
    let is_free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    chosen.find(is_free).expect("one of a hundred is free")
}
