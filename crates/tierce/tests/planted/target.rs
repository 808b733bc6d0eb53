//! Building and running one target's tests in the copy, each within a time.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::copy::Copy;
use crate::list::Test;

/// The first build is of all dependencies, on two slow cores.
const BUILD_S: u64 = 1500;
/// The slowest of the tests takes a quarter of a minute.
const RUN_S: u64 = 90;
/// So many of them together take no longer than that; the control runs more.
const TOGETHER: u64 = 10;
/// By which coreutils' timeout says that it ended something.
const TIMED_OUT: i32 = 124;

pub(crate) enum Target {
    /// Of the crate `tierce`: `--lib`, or the name of one of its files of tests.
    Cargo(Vec<String>),
    Python,
}

/// How one test ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Passed,
    Failed,
    Hung,
    Crashed,
}

/// What a target's tests said.
pub(crate) struct Run {
    output: String,
    code: Option<i32>,
    pub(crate) log: PathBuf,
}

impl Target {
    pub(crate) fn of(name: &str) -> Self {
        match name {
            "python" => Target::Python,
            "lib" => Target::Cargo(vec!["--lib".to_owned()]),
            file => Target::Cargo(vec!["--test".to_owned(), file.to_owned()]),
        }
    }

    pub(crate) fn build(&self, copy: &Copy, name: &str) -> Result<(), String> {
        let run = match self {
            Target::Cargo(which) => {
                let cargo = ["cargo", "test", "-q", "-p", "tierce", "--no-run"].map(str::to_owned);
                bounded(copy, (BUILD_S, name, "build"), &[&cargo, &which[..]].concat())
            }
            Target::Python => bounded(copy, (BUILD_S, name, "build"), &bash(INSTALL, &[])),
        }?;
        if run.code == Some(0) { Ok(()) } else { Err(format!("does not build, see {}", run.log.display())) }
    }

    pub(crate) fn run(&self, copy: &Copy, name: &str, tests: &[&Test]) -> Result<Run, String> {
        let seconds = RUN_S * (1 + tests.len() as u64 / TOGETHER);
        match self {
            Target::Cargo(which) => {
                let tests: Vec<_> = tests.iter().map(|test| test.name.clone()).collect();
                let cargo = ["cargo", "test", "-q", "-p", "tierce"].map(str::to_owned);
                let rest = ["--", "--exact", "--format=pretty"].map(str::to_owned);
                bounded(copy, (seconds, name, "tests"), &[&cargo, &which[..], &rest, &tests].concat())
            }
            Target::Python => {
                let tests: Vec<_> = tests.iter().map(|test| format!("python/tests/{}", test.name)).collect();
                bounded(copy, (seconds, name, "tests"), &bash(TEST, &tests))
            }
        }
    }
}

impl Run {
    pub(crate) fn of(&self, test: &Test) -> Ended {
        match (self.says(&test.name, "ok", "PASSED"), self.says(&test.name, "FAILED", "FAILED")) {
            (_, true) => Ended::Failed,
            (true, _) => Ended::Passed,
            _ if self.code == Some(TIMED_OUT) => Ended::Hung,
            _ => Ended::Crashed,
        }
    }
}

impl Run {
    /// Whether a test ended so, in cargo's words; or one of its cases, in those of pytest.
    fn says(&self, test: &str, cargo: &str, pytest: &str) -> bool {
        let (one, case) = (format!("test {test} ... {cargo}"), format!("{pytest} python/tests/{test}"));
        let is_it = |line: &str| {
            let rest = line.strip_prefix(&case);
            line == one || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '[', ':']))
        };
        self.output.lines().any(is_it)
    }
}

/// A virtual environment of the first CPython that `check` would take, with the package as it is in the copy.
const INSTALL: &str = r#"
    home=$PWD/../python
    if ! [ -x "$home/bin/maturin" ]; then
        pythons=(${TIERCE_PYTHONS:-python3})
        "${pythons[0]}" -m venv --clear "$home"
        "$home/bin/pip" install -q --disable-pip-version-check -r python/tests/requirements.txt
    fi
    VIRTUAL_ENV=$home PATH=$home/bin:$PATH maturin develop -q --locked -m python/Cargo.toml
"#;

/// Nothing compiled is kept: a fault may be as long, and as old, as what it takes the place of.
const TEST: &str = r#"PYTHONDONTWRITEBYTECODE=1 ../python/bin/python -m pytest -q -rA -p no:cacheprovider "$@""#;

fn bash(script: &str, arguments: &[String]) -> Vec<String> {
    let bash = ["bash", "-euc", script, "bash"].map(str::to_owned);
    [&bash, arguments].concat()
}

/// Runs a command in the copy. It has its bound from outside, which holds though this process may be ended.
fn bounded(copy: &Copy, (seconds, name, what): (u64, &str, &str), command: &[String]) -> Result<Run, String> {
    let mut bounded = Command::new("timeout");
    bounded.args(["--kill-after=10", &seconds.to_string()]).args(command).current_dir(&copy.tree);
    // Files of cargo's that a next build uses: here each fault is one.
    bounded.env("CARGO_INCREMENTAL", "1").env("CARGO_TARGET_DIR", copy.place.join("build"));
    bounded.env_remove("RUSTFLAGS").env("CARGO_TERM_COLOR", "never");
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("CARGO_PKG_") || name == "CARGO_MANIFEST_DIR")
    {
        bounded.env_remove(name);
    }
    let output = bounded.output().map_err(|error| format!("coreutils' timeout: {error}"))?;
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let (log, output, code) = (copy.log(name, what), said.concat(), output.status.code());
    fs::write(&log, &output).map_err(|error| format!("{}: {error}", log.display()))?;
    Ok(Run { output, code, log })
}
