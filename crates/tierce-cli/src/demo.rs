//! `tierce demo` from beginning to end.

use std::io::IsTerminal;
use std::net::Ipv4Addr;
use std::sync::Arc;

use tokio::net::TcpListener;

use crate::args::Demo;
use crate::clock;
use crate::crew::{Crew, Order};
use crate::database::Template;
use crate::dataset;
use crate::error::Error;
use crate::figures;
use crate::load::{Load, Origin};
use crate::output::print;
use crate::place::Place;
use crate::progress::Progress;
use crate::race::{Course, Race, Relay, Report, Seat, Shared, strike};
use crate::service::Setting;
use crate::signal::Signals;
use crate::table;
use crate::venue::Venue;

/// What all of it is about.
struct Stage {
    places: Vec<Place>,
    origin: Origin,
    load: Arc<Load>,
    template: Template,
}

/// The store that several processes share, and these.
struct Company {
    venue: Venue,
    crew: Crew,
}

/// Races, prints, and serves if there is somebody to serve.
pub(crate) async fn run(demo: Demo) -> Result<(), Error> {
    let mut signals = Signals::new()?;
    let mut progress = Progress::new();
    let serving = demo.serve || (std::io::stdout().is_terminal() && !demo.once);
    let listener = if serving { Some(listen(demo.port).await?) } else { None };
    let prepared = async {
        // What the user can put right is found out before the race, not after it.
        let venue = match &demo.store {
            Some(store) => Some(Venue::open(store).await?),
            None => None,
        };
        let stage = prepare(&demo, &mut progress)?;
        let mut company = match venue {
            Some(venue) => Some(gather(venue, demo.processes, &mut progress).await?),
            None => None,
        };
        let report = race(&demo, &stage, company.as_mut(), &mut progress).await?;
        Ok::<_, Error>((stage, company, report))
    };
    let (stage, company, report) = tokio::select! {
        prepared = prepared => prepared?,
        () = signals.next() => {
            progress.clear();
            return Err(Error::Interrupted);
        }
    };
    print(&shown(&report, demo.json))?;
    match listener {
        Some(listener) => {
            let company = company.map(|Company { venue, crew }| (venue, crew));
            let setting = Setting { template: &stage.template, load: stage.load, report: &report, company };
            crate::service::run(listener, setting, signals).await
        }
        None => Ok(()),
    }
}

/// Reads the load and fills the database.
fn prepare(demo: &Demo, progress: &mut Progress) -> Result<Stage, Error> {
    let began = clock::now();
    let places = dataset::places();
    let origin = Origin { seed: demo.seed, trace: demo.trace.clone() };
    let load = Arc::new(Load::new(&origin, &places)?);
    let template = Template::new(&places)?;
    let (rows, took) = (figures::count(places.len() as u64), figures::duration(clock::since(began)));
    progress.done(&format!("{rows} places of GeoNames loaded into embedded SQLite in {took}"));
    Ok(Stage { places, origin, load, template })
}

/// Starts the processes.
async fn gather(venue: Venue, processes: u32, progress: &mut Progress) -> Result<Company, Error> {
    let crew = Crew::start(processes).await?;
    progress.done(&format!("{} processes share {}", crew.len(), venue.title));
    Ok(Company { venue, crew })
}

async fn race(
    demo: &Demo,
    stage: &Stage,
    company: Option<&mut Company>,
    progress: &mut Progress,
) -> Result<Report, Error> {
    let (length, callers) = (demo.seconds(), demo.callers);
    let Stage { places, load, template, origin } = stage;
    let Some(Company { venue, crew }) = company else {
        let load = Arc::clone(load);
        return Race { load, places, template, length, callers }.run(progress).await;
    };
    let entrants = venue.entrants();
    let files = entrants.iter().map(|entrant| Ok((*entrant, template.copy_file(entrant.file())?)));
    let course = Course {
        entrants: files.collect::<Result<_, Error>>()?,
        store: venue.url.clone(),
        namespace: format!("{}-race", venue.namespace),
    };
    let seat = |process| Seat { process, processes: demo.processes };
    crew.each::<()>(|process| Order::Prepare(origin.clone(), seat(process))).await?;
    crew.all::<()>(&Order::Open(course)).await?;
    let shared = Shared { processes: demo.processes, store: venue.title.clone(), bound: venue.bound() };
    let (server, load) = (venue.server.as_ref(), load.title.clone());
    let mut report = Relay { crew, server, entrants, shared, load, length, callers }.run(progress).await?;
    if let Some(server) = &mut venue.server {
        progress.step("outage: the server is frozen, killed and started again");
        report.outage = Some(strike(crew, server).await?);
        progress.clear();
    }
    crew.all::<()>(&Order::Leave).await?;
    Ok(report)
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
