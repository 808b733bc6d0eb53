//! `tierce-bench`: tierce side by side with its peers. `--help` says how to call it.

mod alloc;
mod args;
mod asking;
mod client;
mod contender;
mod cores;
mod counts;
mod crowd;
mod exact;
mod layered;
mod loading;
mod measure;
mod ours;
mod report;
mod rounds;
mod server;
mod slices;
mod subject;
mod tagsets;
mod trace;
mod zipf;

use std::process::ExitCode;

use args::{Args, HELP};
use report::Report;
use subject::Subject;

#[global_allocator]
static ALLOCATOR: alloc::CountingAllocator = alloc::CountingAllocator;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.first().is_some_and(|word| word == crowd::WORD) {
        return crowd::be(&words[1..]);
    }
    let args = match Args::parse(&words) {
        Ok(Some(args)) => args,
        Ok(None) => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(usage) => {
            eprintln!("{usage}");
            return ExitCode::from(2);
        }
    };
    let mut report = Report::new(&args);
    let ran = match args.subject {
        Subject::Memory => subject::memory::run(&args, &mut report).map_err(|error| error.to_string()),
        Subject::Engine => {
            subject::engine::run(&args, &mut report);
            Ok(())
        }
        Subject::Batch => {
            subject::batch::run(&args, &mut report);
            Ok(())
        }
        Subject::Macros => {
            subject::macros::run(&args, &mut report);
            Ok(())
        }
        Subject::Compile => subject::compile::run(&args, &mut report),
        Subject::Stampede => {
            subject::stampede::run(&args, &mut report);
            subject::processes::run(&args, &mut report)
        }
        Subject::Stores => subject::stores::run(&args, &mut report),
        Subject::Lookup => subject::lookup::run(&args, &mut report),
        Subject::Tags => subject::tags::run(&args, &mut report),
        Subject::Outage => subject::outage::run(&args, &mut report),
    };
    if let Err(error) = ran {
        eprintln!("{error}");
        return ExitCode::FAILURE;
    }
    if let Some(case) = args.unmatched(report.cases()) {
        eprintln!("no case '{case}' among the traces given");
        return ExitCode::from(2);
    }
    ExitCode::SUCCESS
}
