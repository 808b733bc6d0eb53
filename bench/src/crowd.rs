//! A process of callers: this program, run again by itself with [`WORD`], as one of several that share a store.
//!
//! It connects, lets all its callers come to one key's door, says `ready`, and opens the door when it is told to. It says
//! `load` when its loader begins, and at the end how many callers were answered. Its input ending is its end, so that no
//! process outlives the bench.

use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::client::Broken;
use crate::layered::load;
use crate::ours::Shop;
use crate::server::{Blow, strike};

/// What this program is called with to be such a process.
pub(crate) const WORD: &str = "crowd";

/// What a process says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Said {
    /// All callers stand at the door.
    Ready,
    /// The loader has begun.
    Load,
    /// So many callers have their answer, so many an error.
    Answers { ok: usize, err: usize },
    /// Nothing more comes.
    Gone,
}

/// The process as the bench sees it. It is killed when this is dropped.
pub(crate) struct Crowd {
    child: Child,
    input: Option<ChildStdin>,
}

impl Crowd {
    /// Starts one; what it says is sent with this number.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn start(
        (url, key): (&str, u64),
        (callers, takes): (usize, Duration),
        number: usize,
        said: Sender<(usize, Said)>,
    ) -> io::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args([WORD, url, &key.to_string(), &callers.to_string(), &takes.as_millis().to_string()]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let output = output.ok_or(io::ErrorKind::BrokenPipe)?;
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if let Some(what) = understood(&line)
                    && said.send((number, what)).is_err()
                {
                    return;
                }
            }
            // Nobody may be listening any more.
            let _ = said.send((number, Said::Gone));
        });
        Ok(Self { child, input })
    }

    /// Opens the door.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn open(&mut self) -> io::Result<()> {
        let input = self.input.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        input.write_all(b"go\n")?;
        input.flush()
    }

    /// Kills it, as it stands.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn kill(&self) -> io::Result<()> {
        strike(self.child.id(), Blow::Kill)
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        drop(self.input.take());
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn understood(line: &str) -> Option<Said> {
    let mut words = line.split(' ');
    match (words.next()?, words.next(), words.next()) {
        ("ready", None, None) => Some(Said::Ready),
        ("load", None, None) => Some(Said::Load),
        ("answers", Some(ok), Some(err)) => Some(Said::Answers { ok: ok.parse().ok()?, err: err.parse().ok()? }),
        _ => None,
    }
}

/// What the process does that was called with these words behind [`WORD`].
pub(crate) fn be(words: &[String]) -> ExitCode {
    let [url, key, callers, takes_ms] = words else { return ExitCode::from(2) };
    let numbers = [key, callers, takes_ms].map(|number| number.parse::<u64>());
    let [Ok(key), Ok(callers), Ok(takes_ms)] = numbers else { return ExitCode::from(2) };
    match call(url, key, callers as usize, Duration::from_millis(takes_ms)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Broken(why)) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn call(url: &str, key: u64, callers: usize, takes: Duration) -> Result<(), Broken> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let shop = Arc::new(Shop::connect(url).await?);
        let (door, closed) = watch::channel(false);
        let mut tasks = JoinSet::new();
        for _ in 0..callers {
            tasks.spawn(caller(Arc::clone(&shop), closed.clone(), key, takes));
        }
        println!("ready");
        let told = tokio::task::spawn_blocking(|| io::stdin().read_line(&mut String::new())).await??;
        if told == 0 {
            return Ok(());
        }
        door.send_replace(true);
        let (mut ok, mut err) = (0, 0);
        while let Some(answer) = tasks.join_next().await {
            match answer {
                Ok(Ok(id)) if id == key => ok += 1,
                _ => err += 1,
            }
        }
        println!("answers {ok} {err}");
        Ok(())
    })
}

async fn caller(shop: Arc<Shop>, mut closed: watch::Receiver<bool>, key: u64, takes: Duration) -> Result<u64, Broken> {
    closed.wait_for(|is_open| *is_open).await?;
    let loading = move || async move {
        println!("load");
        tokio::time::sleep(takes).await;
        load(key)
    };
    Ok(shop.get(key, loading).await?.id)
}
