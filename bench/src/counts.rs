//! What servers have been asked and have said, as they count it themselves.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::measure::Stopwatch;
use crate::server::Program;

/// Commands that belong to no lookup: greetings, beats, and these questions.
const APART: &[&str] = &["info", "ping", "hello", "client", "command", "auth", "select", "config", "monitor"];
/// How long an answer, or a push that is expected, may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long nothing must come until nothing more is expected.
const QUIET: Duration = Duration::from_millis(300);

/// Asks a server for its counts.
#[derive(Debug)]
pub(crate) struct Counts {
    program: Program,
    answers: BufReader<TcpStream>,
}

impl Counts {
    /// Connects.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn of(program: Program, place: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(place)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { program, answers: BufReader::new(stream) })
    }

    /// Commands that the server has worked, without those that belong to no lookup. Memcached counts keys, not commands.
    ///
    /// # Errors
    /// What the system says; also when the answer has no counts.
    pub(crate) fn commands(&mut self) -> io::Result<u64> {
        match self.program {
            Program::Redis => Ok(commands(&self.info("commandstats")?)),
            Program::Memcached => {
                let names = ["cmd_get", "cmd_set", "cmd_touch", "cmd_meta", "delete_hits", "delete_misses"];
                let stats = self.stats()?;
                Ok(names.iter().filter_map(|name| number::<u64>(&stats, &format!("STAT {name} "))).sum())
            }
        }
    }

    /// Processor time of the server.
    ///
    /// # Errors
    /// As [`commands`](Self::commands).
    pub(crate) fn server_cpu(&mut self) -> io::Result<Duration> {
        let (text, names) = match self.program {
            Program::Redis => (self.info("cpu")?, ["used_cpu_sys:", "used_cpu_user:"]),
            Program::Memcached => (self.stats()?, ["STAT rusage_system ", "STAT rusage_user "]),
        };
        let seconds: Vec<f64> = names.iter().filter_map(|name| number(&text, name)).collect();
        if seconds.len() < names.len() {
            return Err(io::Error::other("the server does not count its time"));
        }
        Ok(Duration::from_secs_f64(seconds.iter().sum()))
    }

    /// Empties the server.
    ///
    /// # Errors
    /// As [`commands`](Self::commands).
    pub(crate) fn forget_everything(&mut self) -> io::Result<()> {
        let command = if self.program == Program::Redis { "FLUSHALL\r\n" } else { "flush_all\r\n" };
        self.answers.get_mut().write_all(command.as_bytes())?;
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        if line.contains("OK") { Ok(()) } else { Err(io::Error::other(line)) }
    }

    fn info(&mut self, section: &str) -> io::Result<String> {
        write!(self.answers.get_mut(), "INFO {section}\r\n")?;
        let mut head = String::new();
        self.answers.read_line(&mut head)?;
        let length = head.trim_end().strip_prefix('$').and_then(|length| length.parse().ok());
        let mut text = vec![0; length.ok_or_else(|| io::Error::other("no answer to INFO"))?];
        self.answers.read_exact(&mut text)?;
        self.answers.read_exact(&mut [0; 2])?;
        String::from_utf8(text).map_err(io::Error::other)
    }

    fn stats(&mut self) -> io::Result<String> {
        self.answers.get_mut().write_all(b"stats\r\n")?;
        let mut text = String::new();
        while !text.ends_with("END\r\n") {
            if self.answers.read_line(&mut text)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(text)
    }
}

/// What clients ask of Redis, as `MONITOR` shows it: what a script asks for is not counted. It slows the server.
#[derive(Debug)]
pub(crate) struct Requests {
    stream: TcpStream,
}

impl Requests {
    /// Watches from now on.
    ///
    /// # Errors
    /// What the system or the server says.
    pub(crate) fn watch(place: &str) -> io::Result<Self> {
        let mut stream = TcpStream::connect(place)?;
        stream.set_read_timeout(Some(QUIET))?;
        stream.write_all(b"MONITOR\r\n")?;
        let greeting = until_quiet(&mut stream, is_request)?;
        if greeting.starts_with("+OK\r\n") { Ok(Self { stream }) } else { Err(io::Error::other(greeting)) }
    }

    /// Requests since the last call, once no more come, without those that belong to no lookup.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn count(&mut self) -> io::Result<u64> {
        Ok(until_quiet(&mut self.stream, is_request)?.lines().filter(|line| is_request(line)).count() as u64)
    }
}

/// Of `+1700000000.1 [0 127.0.0.1:5000] "GET" "key"`, where `lua` stands for the address in a script.
fn is_request(line: &str) -> bool {
    let Some((head, command)) = line.split_once("] \"") else { return false };
    let name = command.split('"').next().unwrap_or(command).to_ascii_lowercase();
    !head.ends_with("lua") && !APART.contains(&name.as_str())
}

/// What comes until nothing more does that is counted: beats never end.
fn until_quiet(stream: &mut TcpStream, counts: impl Fn(&str) -> bool) -> io::Result<String> {
    let (mut text, mut buffer) = (Vec::new(), vec![0; 64 << 10]);
    let mut quiet = Stopwatch::start();
    while quiet.read().wall() < QUIET {
        match stream.read(&mut buffer) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(length) => {
                let come = &buffer[..length];
                text.extend_from_slice(come);
                if String::from_utf8_lossy(come).lines().any(&counts) {
                    quiet = Stopwatch::start();
                }
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => break,
            Err(error) => return Err(error),
        }
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn number<N: std::str::FromStr>(text: &str, name: &str) -> Option<N> {
    text.lines().find_map(|line| line.strip_prefix(name))?.trim().parse().ok()
}

/// The sum over `cmdstat_get:calls=3,usec=…` of what is no command apart.
fn commands(info: &str) -> u64 {
    let calls = |line: &str| {
        let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
        let name = name.split('|').next().unwrap_or(name);
        if APART.contains(&name) { None } else { rest.split(',').next()?.parse::<u64>().ok() }
    };
    info.lines().filter_map(calls).sum()
}

/// Hears what Redis pushes of markers and tags, as every process of ours does.
#[derive(Debug)]
pub(crate) struct Pushes {
    stream: TcpStream,
}

impl Pushes {
    /// Listens from now on.
    ///
    /// # Errors
    /// What the system or the server says.
    pub(crate) fn hear(place: &str, namespace: &str) -> io::Result<Self> {
        let mut stream = TcpStream::connect(place)?;
        stream.set_read_timeout(Some(QUIET))?;
        let prefixes = format!("PREFIX m{{{namespace}: PREFIX t{{{namespace}:");
        write!(stream, "HELLO 3\r\nCLIENT TRACKING ON BCAST {prefixes}\r\n")?;
        let greeting = until_quiet(&mut stream, |_| true)?;
        if greeting.ends_with("+OK\r\n") { Ok(Self { stream }) } else { Err(io::Error::other(greeting)) }
    }

    /// Pushes that came since the last call, once no more come.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn count(&mut self) -> io::Result<u64> {
        Ok(until_quiet(&mut self.stream, |_| true)?.matches(">2\r\n$10\r\ninvalidate\r\n").count() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::Server;

    #[test]
    fn what_belongs_to_no_lookup_is_not_counted() {
        let info = "# Commandstats\r\ncmdstat_get:calls=3,usec=2\r\ncmdstat_ping:calls=9,usec=1\r\n\
                    cmdstat_client|tracking:calls=1,usec=1\r\ncmdstat_evalsha:calls=2,usec=7\r\n";
        assert_eq!(commands(info), 5);
    }

    #[test]
    fn what_a_script_asks_for_is_no_request() {
        assert!(is_request(r#"+1.5 [0 127.0.0.1:5000] "EVALSHA" "text" "1""#));
        assert!(!is_request(r#"+1.5 [0 lua] "UNLINK" "key""#));
        assert!(!is_request(r#"+1.5 [0 127.0.0.1:5000] "PING""#));
    }

    #[test]
    fn commands_and_pushes_of_a_server_are_counted() {
        let server = Server::start(Program::Redis).unwrap();
        let mut pushes = Pushes::hear(&server.place(), "bench").unwrap();
        let mut counts = Counts::of(Program::Redis, &server.place()).unwrap();
        let before = counts.commands().unwrap();
        let mut requests = Requests::watch(&server.place()).unwrap();
        let mut stream = TcpStream::connect(server.place()).unwrap();
        stream.write_all(b"SET m{bench:a} x\r\nGET m{bench:a}\r\nSET other x\r\n").unwrap();
        stream.read_exact(&mut [0; 17]).unwrap();
        assert_eq!(requests.count().unwrap(), 3);
        assert_eq!(counts.commands().unwrap() - before, 3);
        assert_eq!(pushes.count().unwrap(), 1);
        assert!(counts.server_cpu().unwrap() > Duration::ZERO);
    }

    #[test]
    fn what_memcached_was_asked_is_counted() {
        let server = Server::start(Program::Memcached).unwrap();
        let mut counts = Counts::of(Program::Memcached, &server.place()).unwrap();
        let before = counts.commands().unwrap();
        let mut stream = TcpStream::connect(server.place()).unwrap();
        stream.write_all(b"ms key 1\r\nv\r\nmg key v\r\n").unwrap();
        stream.read_exact(&mut [0; 13]).unwrap();
        assert!(counts.commands().unwrap() - before >= 2);
        assert!(counts.server_cpu().is_ok());
    }
}
