//! Runs the command.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;

/// Longer than any step takes on a busy machine; a step that hangs fails its test instead of the whole run.
const DEADLINE: Duration = Duration::from_secs(60);

/// What a short race needs, whatever the profile: SQLite without optimisation takes many milliseconds for a search.
pub(crate) const SHORT: [&str; 4] = ["--seconds", "0.3", "--callers", "40"];

/// Whether a server can be started here; says so where it cannot.
pub(crate) fn has(server: &str) -> bool {
    let found = Command::new(server).arg("--version").stdin(Stdio::null()).output().is_ok();
    if !found {
        println!("skipped: {server} is not installed (./check installs it where it may)");
    }
    found
}

/// Runs the command to its end.
pub(crate) fn tierce(arguments: &[&str]) -> Output {
    command(arguments).output().expect("the command runs")
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tierce"));
    command.args(arguments).stdin(Stdio::null());
    command
}

/// A running command, ended when dropped.
pub(crate) struct Running {
    child: Child,
    stdout: Receiver<String>,
    stderr: Receiver<String>,
}

impl Running {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let mut child = command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdout = lines(child.stdout.take().unwrap());
        let stderr = lines(child.stderr.take().unwrap());
        Self { child, stdout, stderr }
    }

    /// Starts the service behind a short race and waits until it serves; returns its address too.
    pub(crate) fn serve() -> (Self, String) {
        Self::serve_with(&[])
    }

    /// The same with more arguments.
    pub(crate) fn serve_with(more: &[&str]) -> (Self, String) {
        let running = Self::start(&[&["--serve", "--port", "0"], SHORT.as_slice(), more].concat());
        let line = line_or(&running.stdout, "http://")
            .unwrap_or_else(|why| panic!("{why}; it complained:\n{}", rest(&running.stderr)));
        let address = line.split("http://").nth(1).and_then(|rest| rest.split('/').next()).unwrap().to_owned();
        (running, address)
    }

    /// Reads stderr up to a line with `text`, which it gives.
    #[cfg(unix)]
    pub(crate) fn wait_for_stderr(&self, text: &str) -> String {
        line_with(&self.stderr, text)
    }

    #[cfg(unix)]
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    #[cfg(unix)]
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Asks it to end where it can be asked, so that it takes its temporary folder along.
    pub(crate) fn stop(self) {
        #[cfg(unix)]
        {
            self.signal("TERM");
            assert_eq!(self.end().0, Some(0));
        }
    }

    /// Waits for the end; returns the exit code and what was still to read of stdout and stderr.
    #[cfg(unix)]
    pub(crate) fn end(mut self) -> (Option<i32>, String, String) {
        let (stdout, stderr) = (rest(&self.stdout), rest(&self.stderr));
        (self.child.wait().unwrap().code(), stdout, stderr)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It still runs only where a test has failed, or could not ask it to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The lines of a pipe, so that waiting for one can have a deadline.
fn lines(pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            // Nobody may be reading any more; the pipe is emptied all the same.
            let _ = sender.send(line);
        }
    });
    lines
}

#[cfg(unix)]
fn line_with(lines: &Receiver<String>, text: &str) -> String {
    line_or(lines, text).unwrap_or_else(|why| panic!("{why}"))
}

fn line_or(lines: &Receiver<String>, text: &str) -> Result<String, String> {
    let mut read = Vec::new();
    loop {
        match lines.recv_timeout(DEADLINE) {
            Ok(line) if line.contains(text) => return Ok(line),
            Ok(line) => read.push(line),
            Err(error) => return Err(format!("{error} without {text:?} after {read:#?}")),
        }
    }
}

fn rest(lines: &Receiver<String>) -> String {
    let mut read = String::new();
    loop {
        match lines.recv_timeout(DEADLINE) {
            Ok(line) => read += &(line + "\n"),
            Err(RecvTimeoutError::Disconnected) => return read,
            Err(RecvTimeoutError::Timeout) => panic!("does not end; so far:\n{read}"),
        }
    }
}

/// An answer of the service: its status and body.
pub(crate) fn get(address: &str, path: &str) -> (u16, String) {
    ask(address, &format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"))
}

pub(crate) fn post(address: &str, path: &str, kind: &str, body: &str) -> (u16, String) {
    let length = body.len();
    ask(
        address,
        &format!(
            "POST {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Type: {kind}\r\nContent-Length: \
             {length}\r\n\r\n{body}"
        ),
    )
}

fn ask(address: &str, request: &str) -> (u16, String) {
    let (head, body) = exchange(address, request);
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body)
}

/// Sends a request as it is; returns the answer's head and body.
pub(crate) fn exchange(address: &str, request: &str) -> (String, String) {
    let mut connection = TcpStream::connect(address).unwrap();
    connection.set_read_timeout(Some(DEADLINE)).unwrap();
    connection.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").expect("an HTTP answer");
    (head.to_owned(), body.to_owned())
}
