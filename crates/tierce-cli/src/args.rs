//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand};

use crate::consistency::{Belief, Bounds, Fault};
use crate::error::Error;

const AFTER_HELP: &str = "\
The race asks for places, lists of countries and misspelt names in embedded SQLite,
drawn by Zipf's law; or from a trace, whose keys (any text, lines ending in LF or
CRLF) are spread over the same things by hash.

On a terminal, or with --serve, it then serves the same data on 127.0.0.1 until
Ctrl-C. The page at / shows what the caches do, in plots that move while it is
looked at, and has buttons to try: search, update a row, invalidate a tag, send
1,000 callers for one key, freeze the database, make it fail.

  tierce                              race, print the table, serve the live page
  tierce --once --trace keys.txt      race on your own trace, then exit
  tierce demo --store redis           three processes that share a Redis, which the
                                      page can freeze, kill and start again
  tierce --json --seconds 20 > r.json";

const AFTER_CHECK: &str = "\
Each process has caches that share values through the store. They read, load,
invalidate by key and tag, write through, and leave in the middle of all that;
the versions of the rows they read only grow. A read must not bring what had been
invalidated before it began: at once in the process that asked, and if it is
strong; otherwise after the bound of its class. The table has the worst that was
seen beside each bound, and the invariant that it would have broken.

With a store that tells of changes one process in three goes by --coherence and
serves no memory when it is cut off, one goes on for --serve-for then, and one
believes each entry for --memory-age. With Memcached all do as the last.
With --python half of the processes, or as many as are said, are Python's: half
of them have a cached function, and half a cache by keys.

  tierce check-consistency --store redis                  every fault, a minute
  tierce check-consistency --store memcached --fault kill-server --fault cut-frame
  tierce check-consistency --store redis://127.0.0.1:6379 --fault stop-process
  tierce check-consistency --store redis --seconds 600 --tasks 32 --reads 5000
  tierce check-consistency --store redis --processes 6 --python .venv/bin/python

The exit code is 1 where a promise was broken. The server at a URL is written to
under a namespace of this run's, and is neither stopped nor emptied.";

/// A race on real data between no cache, a well-known guide's pattern, and tierce.
#[derive(Debug, Parser)]
#[command(name = "tierce", version, after_help = AFTER_HELP)]
#[command(args_conflicts_with_subcommands = true, disable_help_subcommand = true)]
struct CommandLine {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    demo: Demo,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Race, print the table, then serve a live page and the data over HTTP; `tierce` alone does the same.
    #[command(after_help = AFTER_HELP)]
    Demo(Demo),
    /// Read and write from several processes through one store while faults strike, and judge all they did.
    #[command(after_help = AFTER_CHECK)]
    CheckConsistency(Check),
    /// A process under check.
    #[command(hide = true)]
    ConsistencyWorker(Worker),
    /// A process of a demo.
    #[command(hide = true)]
    DemoProcess(Hand),
    /// A process that Python's tests share a cache with.
    #[command(hide = true)]
    BesidePython(Beside),
}

/// The arguments of `tierce demo`.
#[derive(Clone, Debug, Args)]
pub(crate) struct Demo {
    /// Exit after the table, as is done where stdout is no terminal.
    #[arg(long, conflicts_with = "serve")]
    pub(crate) once: bool,
    /// Serve the live page after the table even where stdout is no terminal.
    #[arg(long)]
    pub(crate) serve: bool,
    /// Port on 127.0.0.1 to serve on; 0 takes any free one.
    #[arg(long, value_name = "PORT", default_value_t = 7878)]
    pub(crate) port: u16,
    /// Length of the race; 7 unless said, and 20 with a store, whose caches take longer to fill.
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    seconds: Option<Duration>,
    /// Callers of the stampede on one cold key, in each process.
    #[arg(long, value_name = "NUMBER", default_value_t = 1_000)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) callers: u32,
    /// Seed of the load: the same number makes the same requests.
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub(crate) seed: u64,
    /// Take the requests from a text file, one key a line.
    #[arg(long, value_name = "FILE")]
    pub(crate) trace: Option<PathBuf>,
    /// Print the result of the race as JSON instead of the table.
    #[arg(long)]
    pub(crate) json: bool,
    /// Race and serve in several processes that share a store: a `redis`, a `valkey` or a `memcached` that is started for
    /// this run, or the one at a URL, under a namespace of this run's.
    #[arg(long, value_name = "STORE")]
    pub(crate) store: Option<String>,
    /// Processes that share the store.
    #[arg(long, value_name = "NUMBER", default_value_t = 3, requires = "store")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=16))]
    pub(crate) processes: u32,
}

impl Demo {
    /// Length of the race.
    pub(crate) fn seconds(&self) -> Duration {
        self.seconds.unwrap_or(Duration::from_secs(if self.store.is_some() { 20 } else { 7 }))
    }
}

/// The arguments of a process of a demo.
#[derive(Clone, Debug, Args)]
pub(crate) struct Hand {
    /// The port of the process that orders this one.
    #[arg(long)]
    pub(crate) parent: u16,
    #[arg(long)]
    pub(crate) number: u32,
}

/// The arguments of `tierce check-consistency`.
#[derive(Clone, Debug, Args)]
pub(crate) struct Check {
    /// Start a `redis`, a `valkey` or a `memcached` for this run, or use the one at a URL.
    #[arg(long, value_name = "STORE", default_value = "redis")]
    pub(crate) store: String,
    /// Processes that share the store.
    #[arg(long, value_name = "NUMBER", default_value_t = 3)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(crate) processes: u32,
    /// Let some of them be Python's, run by this interpreter, which has the package tierce.
    #[arg(long, value_name = "INTERPRETER", conflicts_with = "mutants")]
    pub(crate) python: Option<String>,
    /// How many are; half of them unless said.
    #[arg(long, value_name = "NUMBER", requires = "python")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(crate) python_processes: Option<u32>,
    /// How long they run.
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    pub(crate) seconds: Duration,
    /// What strikes; may be given more than once. All that the server can have unless said.
    #[arg(long = "fault", value_name = "NAME", value_enum, default_value = "all", hide_default_value = true)]
    pub(crate) faults: Vec<Fault>,
    /// The longest pause between two faults.
    #[arg(long, value_name = "SECONDS", default_value = "0.7", value_parser = seconds)]
    pub(crate) pause: Duration,
    /// Tasks of each process that do something at once.
    #[arg(long, value_name = "NUMBER", default_value_t = 8)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) tasks: u32,
    /// Reads for each change, about: with more of them fewer wait for loads, and more are checked.
    #[arg(long, value_name = "NUMBER", default_value_t = 200)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub(crate) reads: u64,
    /// Seed of what is done and of what strikes when; clocks and schedulers add theirs.
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub(crate) seed: u64,
    #[command(flatten)]
    pub(crate) bounds: Bounds,
    /// Print the result as JSON instead of the table.
    #[arg(long)]
    pub(crate) json: bool,
    /// Plant faults in the caches themselves, one after the other: each must be caught. For builds that have them.
    #[arg(long)]
    pub(crate) mutants: bool,
    /// Of these, plant this one alone.
    #[arg(long, value_name = "NAME", requires = "mutants")]
    pub(crate) mutant: Option<String>,
}

/// The arguments of a process under check.
#[derive(Clone, Debug, Args)]
pub(crate) struct Worker {
    #[arg(long)]
    pub(crate) store: String,
    #[arg(long)]
    pub(crate) namespace: String,
    /// The port of the process that checks this one.
    #[arg(long)]
    pub(crate) parent: u16,
    #[arg(long)]
    pub(crate) number: u32,
    #[arg(long)]
    pub(crate) seed: u64,
    #[arg(long)]
    pub(crate) tasks: u32,
    #[arg(long)]
    pub(crate) reads: u64,
    #[arg(long, value_enum)]
    pub(crate) belief: Belief,
    #[command(flatten)]
    pub(crate) bounds: Bounds,
}

/// The arguments of a process beside Python's.
#[derive(Clone, Debug, Args)]
pub(crate) struct Beside {
    #[arg(long)]
    pub(crate) store: String,
    #[arg(long)]
    pub(crate) namespace: String,
}

/// What the command line asks for.
pub(crate) enum Wish {
    Demo(Demo),
    Check(Check),
    Worker(Worker),
    Hand(Hand),
    Beside(Beside),
    /// Help or version: text for stdout.
    Text(String),
}

/// Reads the command line of this process.
pub(crate) fn parse() -> Result<Wish, Error> {
    match CommandLine::try_parse() {
        Ok(CommandLine { command: Some(Command::Demo(demo)), .. } | CommandLine { command: None, demo }) => {
            Ok(Wish::Demo(demo))
        }
        Ok(CommandLine { command: Some(Command::CheckConsistency(check)), .. }) => Ok(Wish::Check(check)),
        Ok(CommandLine { command: Some(Command::ConsistencyWorker(worker)), .. }) => Ok(Wish::Worker(worker)),
        Ok(CommandLine { command: Some(Command::DemoProcess(hand)), .. }) => Ok(Wish::Hand(hand)),
        Ok(CommandLine { command: Some(Command::BesidePython(process)), .. }) => Ok(Wish::Beside(process)),
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            Ok(Wish::Text(error.to_string()))
        }
        Err(error) => Err(Error::Usage(first_line(&error.to_string()))),
    }
}

/// clap explains itself in several lines; the first one says what is wrong, with the next where it ends in a colon.
fn first_line(message: &str) -> String {
    let mut lines = message.lines().map(str::trim);
    let line = lines.next().unwrap_or_default();
    let line = line.strip_prefix("error: ").unwrap_or(line);
    match line.ends_with(':').then(|| lines.next()).flatten() {
        Some(next) => format!("{line} {next}"),
        None => line.to_owned(),
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    // A day is longer than anybody waits for a race, and short of what a deadline can hold.
    match text.parse::<f64>() {
        Ok(seconds) if (0.1..=86_400.0).contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
        _ => Err("a number from 0.1 to 86400 is needed".to_owned()),
    }
}
