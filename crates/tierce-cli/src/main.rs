//! The `tierce` command: a race on real data between no cache, the guide's pattern and tierce, and then a service to
//! look at; and a check of what caches promise that share a store. `tierce --help` lists the arguments.

mod args;
mod beside;
mod clock;
mod consistency;
mod contender;
mod crew;
mod database;
mod dataset;
mod demo;
mod error;
mod figures;
mod histogram;
mod ledger;
mod load;
mod output;
mod place;
mod process;
mod progress;
mod race;
mod remarks;
mod server;
mod service;
mod signal;
mod similarity;
mod table;
mod venue;

use std::process::ExitCode;

use args::Wish;
use error::Error;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::tell(&format!("tierce: {error}\n"));
            error.exit_code()
        }
    }
}

fn run() -> Result<(), Error> {
    let wish = match args::parse()? {
        Wish::Text(text) => return output::print(&text),
        wish => wish,
    };
    let runtime =
        tokio::runtime::Runtime::new().map_err(|source| Error::System { doing: "start the runtime", source })?;
    runtime.block_on(async {
        match wish {
            Wish::Demo(demo) => demo::run(demo).await,
            Wish::Check(check) => consistency::run(check).await,
            Wish::Worker(worker) => consistency::work(worker).await,
            Wish::Hand(hand) => crew::work(hand).await,
            Wish::Beside(process) => beside::run(process).await,
            Wish::Text(_) => Ok(()),
        }
    })
}
