//! `tierce demo` from beginning to end.

use std::io::IsTerminal;
use std::net::Ipv4Addr;
use std::sync::Arc;

use tokio::net::TcpListener;

use crate::args::Demo;
use crate::clock;
use crate::database::Template;
use crate::dataset;
use crate::error::Error;
use crate::figures;
use crate::load::{Load, Trace};
use crate::output::print;
use crate::progress::Progress;
use crate::race::{Race, Report};
use crate::service::Setting;
use crate::signal::Signals;
use crate::table;

/// Races, prints, and serves if there is somebody to serve.
pub(crate) async fn run(demo: Demo) -> Result<(), Error> {
    let mut signals = Signals::new()?;
    // What the user can put right is found out before the race, not after it.
    let trace = demo.trace.as_deref().map(|path| Trace::read(path).map(|trace| (trace, path))).transpose()?;
    let serving = demo.serve || (std::io::stdout().is_terminal() && !demo.once);
    let listener = if serving { Some(listen(demo.port).await?) } else { None };

    let mut progress = Progress::new();
    let began = clock::now();
    let places = dataset::places();
    let template = Template::new(&places)?;
    let load = Arc::new(match &trace {
        Some((trace, path)) => Load::trace(&places, trace, path, demo.seed),
        None => Load::zipf(&places, demo.seed),
    });
    let (rows, took) = (figures::count(places.len() as u64), figures::duration(clock::since(began)));
    progress.done(&format!("{rows} places of GeoNames loaded into embedded SQLite in {took}"));

    let (length, callers) = (demo.seconds, demo.callers);
    let race = Race { load: Arc::clone(&load), places: places.len(), template: &template, length, callers };
    let report = tokio::select! {
        report = race.run(&mut progress) => report?,
        () = signals.next() => {
            progress.clear();
            return Err(Error::Interrupted);
        }
    };
    print(&shown(&report, demo.json))?;
    match listener {
        Some(listener) => {
            let setting = Setting { template: &template, load, report: &report };
            crate::service::run(listener, setting, signals).await
        }
        None => Ok(()),
    }
}

async fn listen(port: u16) -> Result<TcpListener, Error> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(|source| Error::Port { port, source })
}

fn shown(report: &Report, json: bool) -> String {
    if json {
        serde_json::to_string(report).expect("a report has no keys that JSON lacks") + "\n"
    } else {
        table::render(report)
    }
}
