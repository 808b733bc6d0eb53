//! Runs each decoder over damaged seeds and prints how often: `decoders SECONDS [SEED]`, or `decoders --runs N [SEED]`.
#![allow(clippy::disallowed_methods, reason = "how long is what is asked for; no cache's age")]

use std::process::ExitCode;
use std::time::{Duration, Instant};

use tierce_fuzz::corpus::{DECODERS, Decoder, run_for};

/// Asked for by number of runs, a decoder runs in steps of so long.
const STEP: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let numbers: Vec<u64> = arguments.iter().filter_map(|argument| argument.parse().ok()).collect();
    let by_runs = arguments.first().is_some_and(|first| first == "--runs");
    let (Some(most), seed) = (numbers.first().copied(), numbers.get(1).copied().unwrap_or_else(now)) else {
        eprintln!("usage: decoders SECONDS [SEED]\n       decoders --runs N [SEED]");
        return ExitCode::FAILURE;
    };
    println!("seed {seed}");
    // Beside each other: a machine has at least as many processors as a check needs patience.
    std::thread::scope(|scope| {
        for (name, decoder) in DECODERS {
            scope.spawn(move || {
                let began = Instant::now();
                let runs = if by_runs {
                    at_least(decoder, most, seed)
                } else {
                    run_for(decoder, Duration::from_secs(most), seed)
                };
                println!("{name}: {runs} executions in {} s", began.elapsed().as_secs());
            });
        }
    });
    ExitCode::SUCCESS
}

fn at_least(decoder: Decoder, most: u64, seed: u64) -> u64 {
    let (mut runs, mut step) = (0, 0);
    while runs < most {
        runs += run_for(decoder, STEP, seed.wrapping_add(step << 32));
        step += 1;
    }
    runs
}

/// Each check tries others; the seed is printed.
fn now() -> u64 {
    let since = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    since.as_secs()
}
