//! A server that processes share: one of our own, which may be broken, or the one that somebody named.

use std::hash::{BuildHasher, RandomState};
use std::net::Ipv4Addr;
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::clock;
use crate::error::Error;
use crate::process::Process;

/// How long a server may take to begin, or to answer: much, for a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(20);
/// Where Valkey's server is, if it is not on the path of programs.
const VALKEY: &str = "TIERCE_VALKEY";

/// What it speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speaks {
    Redis,
    Memcached,
}

/// A server.
pub(crate) struct Server {
    pub(crate) speaks: Speaks,
    pub(crate) host: String,
    pub(crate) port: u16,
    own: Option<Own>,
    /// What stands before host and port, and after.
    url: (String, String),
}

struct Own {
    program: String,
    process: Option<Process>,
    folder: TempDir,
    /// Of a Memcached; a Redis takes what it needs.
    room_mb: u32,
}

fn usage(line: String) -> Error {
    Error::Usage(line)
}

impl Server {
    /// Starts one, for `redis`, `valkey` or `memcached`, which has so many MiB; or takes the one at a URL.
    pub(crate) async fn of(store: &str, room_mb: u32) -> Result<Self, Error> {
        let valkey = std::env::var(VALKEY).ok().filter(|path| !path.is_empty());
        let valkey = valkey.unwrap_or_else(|| "valkey-server".to_owned());
        let (program, speaks, scheme) = match store {
            "redis" => ("redis-server", Speaks::Redis, "redis://"),
            "valkey" => (&*valkey, Speaks::Redis, "valkey://"),
            "memcached" => ("memcached", Speaks::Memcached, "memcached://"),
            url => return Self::named(url),
        };
        if Command::new(program).arg("--version").stdin(Stdio::null()).output().is_err() {
            return Err(usage(format!(
                "--store {store} starts {program}, which is not installed; a URL names a server"
            )));
        }
        let system = |doing| move |source| Error::System { doing, source };
        let folder = tempfile::tempdir().map_err(system("make a temporary folder"))?;
        let port = free_port().map_err(system("find a free port"))?;
        let own = Own { program: program.to_owned(), process: None, folder, room_mb };
        let url = (scheme.to_owned(), String::new());
        let mut server = Server { speaks, host: "127.0.0.1".to_owned(), port, own: Some(own), url };
        server.start().await?;
        Ok(server)
    }

    fn named(url: &str) -> Result<Self, Error> {
        use tierce::store::{Address, Kind};
        let address = Address::parse(url).map_err(|error| usage(error.to_string()))?;
        let wrong = || usage(format!("--store {address}: one server by TCP is needed, as redis://127.0.0.1:6379"));
        let [tierce::runtime::Endpoint::Tcp(host, port)] = address.endpoints() else { return Err(wrong()) };
        let (scheme, rest) = url.trim().split_once("://").ok_or_else(wrong)?;
        let (secret, place) = rest.split_at(rest.rfind('@').map_or(0, |at| at + 1));
        let after = place.find(['/', '?']).map_or("", |at| &place[at..]);
        let speaks = if address.kind() == Kind::Memcached { Speaks::Memcached } else { Speaks::Redis };
        let url = (format!("{scheme}://{secret}"), after.to_owned());
        Ok(Server { speaks, host: host.clone(), port: *port, own: None, url })
    }

    /// Whether it is ours to break.
    pub(crate) fn is_own(&self) -> bool {
        self.own.is_some()
    }

    /// Its URL, as if it were on this port of this machine.
    pub(crate) fn url_by(&self, port: u16) -> String {
        format!("{}127.0.0.1:{port}{}", self.url.0, self.url.1)
    }

    /// Starts it (again), and waits until it answers.
    pub(crate) async fn start(&mut self) -> Result<(), Error> {
        let Some(own) = &mut self.own else { return Ok(()) };
        let mut command = Command::new(&own.program);
        let (port, room_mb) = (self.port.to_string(), own.room_mb.to_string());
        match self.speaks {
            // It asks root to say whose rights it is to have.
            Speaks::Memcached => {
                command.args(["-l", "127.0.0.1", "-p", &port, "-U", "0", "-u", "root", "-m", &room_mb])
            }
            Speaks::Redis => command
                .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--port", &port, "--dir"])
                .arg(own.folder.path()),
        };
        own.process = Some(Process::start(&command, true)?);
        let began = clock::now();
        while self.ask(b"PING\r\n").await.is_none() {
            if clock::since(began) > PATIENCE {
                let program = self.own.as_ref().map_or("", |own| &own.program);
                return Err(usage(format!("{program} was started on port {} and does not answer", self.port)));
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }

    pub(crate) fn signal(&mut self, name: &str) {
        if let Some(process) = self.own.as_mut().and_then(|own| own.process.as_mut()) {
            process.signal(name);
        }
    }

    /// Ends it as a crash would, and waits until its port is free.
    pub(crate) async fn kill(&mut self) {
        if let Some(own) = &mut self.own {
            own.process = None;
        }
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// The beginning of its answer; `None` where it has none soon.
    pub(crate) async fn ask(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let asking = async {
            let mut stream = TcpStream::connect((self.host.as_str(), self.port)).await.ok()?;
            stream.write_all(bytes).await.ok()?;
            let mut answer = vec![0; 1 << 16];
            let mut length = stream.read(&mut answer).await.ok().filter(|length| *length > 0)?;
            // What is longer than one piece comes soon.
            while let Ok(Ok(more)) =
                tokio::time::timeout(Duration::from_millis(5), stream.read(&mut answer[length..])).await
                && more > 0
            {
                length += more;
            }
            answer.truncate(length);
            Some(answer)
        };
        tokio::time::timeout(Duration::from_secs(1), asking).await.ok().flatten()
    }

    /// The same of a Redis, for a command's parts.
    pub(crate) async fn command(&self, parts: &[&[u8]]) -> Option<Vec<u8>> {
        let mut bytes = format!("*{}\r\n", parts.len()).into_bytes();
        for part in parts {
            bytes.extend(format!("${}\r\n", part.len()).bytes());
            bytes.extend_from_slice(part);
            bytes.extend(b"\r\n");
        }
        self.ask(&bytes).await
    }
}

/// A port on which nothing listens; if it can be, below those that systems lend to clients: one of those may be lent to
/// somebody before the server has it.
fn free_port() -> std::io::Result<u16> {
    let free = |port| Ok(std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port))?.local_addr()?.port());
    let mut chosen = (0..100_u64).map(|attempt| 10_000 + (RandomState::new().hash_one(attempt) % 20_000) as u16);
    chosen.find_map(|port| free(port).ok()).map_or_else(|| free(0), Ok)
}
