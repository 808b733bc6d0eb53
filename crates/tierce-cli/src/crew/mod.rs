//! The other processes of a demo: started, ordered, heard; they end with this one.
//!
//! An order is a line of JSON on a connection of loopback, and so is its answer. Orders that are under way together are told
//! apart by number.

mod hand;
mod line;
mod order;

use std::net::Ipv4Addr;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

pub(crate) use hand::run as work;
pub(crate) use order::Order;

use crate::error::Error;
use crate::process::Process;
use line::Line;

/// How long a process may take to begin: much, for a machine that does much else.
const BEGINS: Duration = Duration::from_secs(60);

/// The processes.
pub(crate) struct Crew {
    members: Vec<Member>,
}

/// One of them.
struct Member {
    line: Arc<Line>,
    _process: Process,
}

/// What a process says first.
#[derive(Deserialize)]
struct Hello {
    number: usize,
    word: u64,
}

impl Crew {
    /// Starts so many.
    pub(crate) async fn start(size: u32) -> Result<Self, Error> {
        let system = |doing| move |source| Error::System { doing, source };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(system("listen on 127.0.0.1"))?;
        let port = listener.local_addr().map_err(system("find out the port"))?.port();
        // Who else connects does not know it.
        let word = fastrand::u64(..);
        let program = std::env::current_exe().map_err(system("find this program"))?;
        let mut processes = Vec::new();
        for number in 0..size {
            let mut command = Command::new(&program);
            command.arg("demo-process").args(["--parent", &port.to_string(), "--number", &number.to_string()]);
            command.env(line::WORD, word.to_string());
            processes.push(Process::start(&command, false)?);
        }
        let mut lines: Vec<Option<Arc<Line>>> = vec![None; size as usize];
        let come = async {
            while lines.iter().any(Option::is_none) {
                let (stream, _) = listener.accept().await.map_err(system("hear another process"))?;
                let Some((line, hello)) = Line::answered::<Hello>(stream).await else { continue };
                if hello.word == word
                    && let Some(place) = lines.get_mut(hello.number)
                {
                    *place = Some(line);
                }
            }
            Ok::<_, Error>(())
        };
        match tokio::time::timeout(BEGINS, come).await {
            Ok(come) => come?,
            Err(_) => return Err(Error::Process("another process of this demo did not begin".to_owned())),
        }
        let member = |(line, process)| Member { line, _process: process };
        let members = lines.into_iter().flatten().zip(processes).map(member).collect();
        Ok(Self { members })
    }

    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    /// Ends the first of them: this process takes its place.
    pub(crate) fn relieve_first(&mut self) {
        drop(self.members.drain(..self.members.len().min(1)));
    }

    /// Orders all, and waits for all; the answers in their order.
    pub(crate) async fn all<T: DeserializeOwned>(&self, order: &Order) -> Result<Vec<T>, Error> {
        self.each(|_| order.clone()).await
    }

    /// Orders each, by its place from 0 on, and waits for all; the answers in their order.
    pub(crate) async fn each<T: DeserializeOwned>(&self, order: impl Fn(u32) -> Order) -> Result<Vec<T>, Error> {
        let mut asked = JoinSet::new();
        for (at, member) in (0..).zip(&self.members) {
            let (line, order) = (Arc::clone(&member.line), order(at));
            asked.spawn(async move { (at, line.ask(&order).await) });
        }
        let mut answers: Vec<_> = asked.join_all().await;
        answers.sort_by_key(|(at, _)| *at);
        let read = |(at, answer): (u32, Result<serde_json::Value, String>)| {
            let wrong = |problem| Error::Process(format!("process {}: {problem}", at + 1));
            answer.and_then(|value| serde_json::from_value(value).map_err(|error| error.to_string())).map_err(wrong)
        };
        answers.into_iter().map(read).collect()
    }

    /// Orders each, and waits no longer than so; the answers in their order, of those who gave one.
    pub(crate) async fn each_within<T: DeserializeOwned + Send + 'static>(
        &self,
        order: impl Fn(u32) -> Order,
        within: Duration,
    ) -> Vec<Option<T>> {
        let mut asked = JoinSet::new();
        for (at, member) in (0..).zip(&self.members) {
            let (line, order) = (Arc::clone(&member.line), order(at));
            asked.spawn(async move {
                let answer = tokio::time::timeout(within, line.ask(&order)).await.ok().and_then(Result::ok);
                (at, answer.and_then(|value| serde_json::from_value(value).ok()))
            });
        }
        let mut answers = asked.join_all().await;
        answers.sort_by_key(|(at, _)| *at);
        answers.into_iter().map(|(_, answer)| answer).collect()
    }
}
