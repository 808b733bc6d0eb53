//! Schedules written by hand, for races of a few messages that chance hardly finds: which message is how long under way is said,
//! and each is right by a hair. `mutants.rs` shows that each is wrong where the engine is.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tierce::store::OnDisconnect;
use tierce::testing::{Shelf, Sim, SimRuntime};
use tierce::{Cache, Hub, Loaded, Lookup};

use super::ledger::{Bounds, Entry, Ledger, Named};
use super::line::{Line, Place, Steered};

const KEY: u32 = 7;
const TAG: &str = "own";
/// When a schedule begins.
const START: Duration = Duration::from_secs(1);

/// What happens.
#[derive(Clone, Copy)]
enum Act {
    /// A plain lookup, whose load takes so many milliseconds after it has read the database.
    Read(u64),
    /// A refresh, likewise.
    Refresh(u64),
    /// A refresh whose load fails after so long.
    FailingRefresh(u64),
    Invalidate,
    InvalidateTag,
    /// The connection is cut, and stays so.
    Cut,
    /// The next message of this name takes so many milliseconds to the server, and its answer back.
    Next(&'static str, u64, u64),
    /// … and is on another connection than all others.
    NextBeside(&'static str, u64, u64),
}

use Act::{Cut, FailingRefresh, Invalidate, InvalidateTag, Next, NextBeside, Read, Refresh};

/// How long what others changed is served.
#[derive(Clone, Copy)]
enum Bound {
    /// The store tells, and who is cut off serves nothing.
    Coherence,
    /// The store does not tell.
    Age,
    /// The same, and though it is believed so long nothing of it is served that is known to be overtaken.
    KnownAtOnce,
}

/// A millisecond from its beginning, one of two processes, and what it does.
type Step = (u64, usize, Act);

struct Schedule {
    name: &'static str,
    bound: Bound,
    steps: &'static [Step],
}

const SCHEDULES: &[Schedule] = &[
    Schedule {
        name: "the store is asked for a key by another connection, while its invalidation is on its way",
        bound: Bound::Age,
        steps: &[
            (0, 0, Read(1)),
            (100, 0, NextBeside("invalidate", 10, 1)),
            (100, 0, NextBeside("get", 1, 20)),
            (101, 0, Invalidate),
            (102, 0, Read(1)),
            (140, 0, Read(1)),
        ],
    },
    Schedule {
        name: "the store is asked for a tag by another connection, while its invalidation is on its way",
        bound: Bound::Age,
        steps: &[
            (0, 0, Read(1)),
            (100, 0, NextBeside("renew", 10, 1)),
            (100, 0, NextBeside("versions", 1, 20)),
            (101, 0, InvalidateTag),
            (102, 0, Read(1)),
            (140, 0, Read(1)),
        ],
    },
    Schedule {
        name: "a fill is refused, since another process has invalidated its key",
        bound: Bound::KnownAtOnce,
        steps: &[(0, 0, Read(30)), (10, 1, Invalidate), (60, 0, Read(1))],
    },
    Schedule {
        name: "an answer to a beat is late, and what was told after it is later",
        bound: Bound::Coherence,
        steps: &[
            (0, 0, Read(1)),
            (0, 1, Read(1)),
            (100, 0, Read(1)),
            (200, 0, Next("beat", 1, 129)),
            (200, 0, Next("push", 1, 400)),
            (260, 1, Invalidate),
            (415, 0, Read(1)),
            (430, 0, Read(1)),
            (445, 0, Read(1)),
            (460, 0, Read(1)),
        ],
    },
    Schedule {
        name: "no beat is answered for longer than the bound, and what is told comes as late",
        bound: Bound::Coherence,
        steps: &[
            (0, 0, Read(1)),
            (0, 1, Read(1)),
            (100, 0, Read(1)),
            (110, 0, Next("beat", 1, 500)),
            (110, 0, Next("push", 1, 500)),
            (112, 1, Invalidate),
            (268, 0, Read(1)),
            (280, 0, Read(1)),
        ],
    },
    Schedule {
        name: "a key is changed elsewhere while the store, which has answered for it, is asked what its tag is at",
        bound: Bound::Coherence,
        steps: &[
            (0, 0, Read(1)),
            (0, 1, Read(1)),
            (100, 1, InvalidateTag),
            (110, 1, Read(1)),
            (130, 0, Next("versions", 10, 1)),
            (130, 0, Read(1)),
            (134, 1, Invalidate),
            (300, 0, Read(1)),
        ],
    },
    Schedule {
        name: "a caller comes to a load that others' change has overtaken longer ago than the bound",
        bound: Bound::Coherence,
        steps: &[
            (0, 0, Read(1)),
            (0, 1, Read(1)),
            (100, 1, Invalidate),
            (150, 0, Read(250)),
            (160, 1, Invalidate),
            (320, 0, Read(1)),
        ],
    },
    Schedule {
        name: "a caller comes to a load that is older than memory is believed, and nobody tells what others have changed",
        bound: Bound::Age,
        steps: &[(0, 0, Read(400)), (10, 1, Invalidate), (230, 0, Read(1))],
    },
    Schedule {
        name: "a caller comes to a load that is older than the bound, in a process that is cut off",
        bound: Bound::Coherence,
        steps: &[
            (0, 0, Read(1)),
            (0, 1, Read(1)),
            (100, 0, Cut),
            (400, 0, Read(400)),
            (405, 1, Invalidate),
            (570, 0, Read(1)),
        ],
    },
    Schedule {
        name: "a refresh waits for a load from before its call, and then comes to a lookup that finds an older value in the store",
        bound: Bound::Age,
        steps: &[(0, 1, Read(1)), (10, 0, FailingRefresh(30)), (20, 0, Read(1)), (21, 0, Refresh(1))],
    },
];

/// In so many orders of what happens at the same time each schedule is run.
const ORDERS: u64 = 16;

#[derive(Clone)]
struct Stage {
    sim: Sim,
    ledger: Arc<Mutex<Ledger>>,
}

struct Process {
    number: usize,
    runtime: Arc<SimRuntime>,
    hub: Hub,
    rows: Cache<u32, Entry>,
    line: Line,
}

impl Stage {
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.sim.now().as_millis()).expect("short")
    }

    async fn read(&self, process: &Process, load_ms: u64) {
        let reading = self.ledger().reading(process.number, self.now_ms(), false);
        let load = |_| {
            let stage = self.clone();
            async move {
                let read_at = stage.ledger().next();
                stage.sim.sleep(Duration::from_millis(load_ms)).await;
                Ok::<_, ()>(Loaded::new(Entry { key: KEY, tags: vec![TAG.to_string()], read_at, set_by: None }))
            }
        };
        let found = process.rows.entry(&KEY).tags([TAG]).load_with(load).await;
        if let Ok(Lookup::Hit(row, _)) = found {
            self.ledger().read(reading, &row);
        }
    }

    async fn refresh(&self, process: &Process, load_ms: u64) {
        let called = self.ledger().next();
        let (stage, entry) = (self.clone(), process.rows.entry(&KEY).tags([TAG]));
        let load = |_| async move {
            let read_at = stage.ledger().next();
            stage.sim.sleep(Duration::from_millis(load_ms)).await;
            Ok::<_, ()>(Loaded::new(Entry { key: KEY, tags: vec![TAG.to_string()], read_at, set_by: None }))
        };
        if let Ok(Lookup::Hit(row, _)) = entry.refresh_with(load).await
            && row.read_at < called
        {
            self.ledger().violations.push(format!("{row:?} by a refresh that was called at {called}"));
        }
    }

    async fn fail_to_refresh(&self, process: &Process, load_ms: u64) {
        let sim = self.sim.clone();
        let load = |_| async move {
            sim.sleep(Duration::from_millis(load_ms)).await;
            Err::<Loaded<Entry>, _>("the database is away")
        };
        let failed = process.rows.entry(&KEY).tags([TAG]).refresh_with(load).await;
        assert!(failed.is_err(), "{failed:?}");
    }

    async fn end(&self, process: &Process, named: Named) {
        let number = self.ledger().invalidating(process.number, named.clone());
        let told = match named {
            Named::Key(key) => process.rows.invalidate(&key).await,
            _ => process.hub.invalidate_tag(TAG).await,
        };
        self.ledger().invalidated(number, self.now_ms(), told.is_ok());
    }

    async fn act(&self, process: &Process, act: Act) {
        let steered = |up, back, beside| {
            let [up, back] = [up, back].map(Duration::from_millis);
            Steered { up, back, beside }
        };
        match act {
            Read(load_ms) => self.read(process, load_ms).await,
            Refresh(load_ms) => self.refresh(process, load_ms).await,
            FailingRefresh(load_ms) => self.fail_to_refresh(process, load_ms).await,
            Invalidate => self.end(process, Named::Key(KEY)).await,
            InvalidateTag => self.end(process, Named::Tag(TAG.to_string())).await,
            Cut => process.line.cut(),
            Next(verb, up, back) => process.line.steer(verb, steered(up, back, false)),
            NextBeside(verb, up, back) => process.line.steer(verb, steered(up, back, true)),
        }
    }
}

fn process(sim: &Sim, number: usize, bound: Bound, (place, shelf): (&Place, &Shelf)) -> Process {
    let line = Line::new(place, shelf);
    let hub = Hub::builder().clock(sim.clock()).seed(number as u64).store(line.clone());
    let hub = match bound {
        Bound::Coherence => hub.on_disconnect(OnDisconnect::Bypass),
        Bound::Age | Bound::KnownAtOnce => hub.memory_age(Duration::from_millis(200)),
    };
    let hub = hub.build();
    let rows = hub.cache("row").ttl(Duration::from_secs(60)).build();
    Process { number, runtime: sim.runtime(), hub, rows, line }
}

/// What a schedule violates, and how much it reads.
fn run(schedule: &Schedule, seed: u64) -> (Vec<String>, u64) {
    let sim = Sim::new(seed);
    let (place, shelf) = (Place::steady(&sim), Shelf::new(sim.clock()));
    let shelf = if matches!(schedule.bound, Bound::Coherence) { shelf.telling() } else { shelf };
    let ms = match schedule.bound {
        Bound::Coherence => 150,
        Bound::Age => 200,
        Bound::KnownAtOnce => 0,
    };
    let ledger = Arc::new(Mutex::new(Ledger::new(Bounds { key_ms: ms, tag_ms: ms })));
    let stage = Stage { sim: sim.clone(), ledger };
    let processes: Arc<[Process]> =
        (0..2).map(|number| process(&sim, number, schedule.bound, (&place, &shelf))).collect();
    for (at_ms, number, act) in schedule.steps.iter().copied() {
        let (stage, processes) = (stage.clone(), Arc::clone(&processes));
        let runtime = Arc::clone(&processes[number].runtime);
        sim.spawn(&runtime, async move {
            stage.sim.sleep(START + Duration::from_millis(at_ms)).await;
            stage.act(&processes[number], act).await;
        });
    }
    // With their last step the processes end, and their beats.
    drop(processes);
    sim.run();
    let mut ledger = stage.ledger();
    let found = (std::mem::take(&mut ledger.violations), ledger.reads);
    drop(ledger);
    sim.bury();
    found
}

/// What all schedules violate.
#[cfg(tierce_mutants)]
pub(crate) fn violations() -> Vec<String> {
    SCHEDULES.iter().flat_map(|schedule| run(schedule, 1).0).collect()
}

#[test]
fn no_schedule_shows_what_has_ended() {
    for schedule in SCHEDULES {
        for seed in 0..ORDERS {
            let (violations, reads) = run(schedule, seed);
            assert!(violations.is_empty(), "{}, seed {seed}: {violations:#?}", schedule.name);
            let asked = schedule.steps.iter().filter(|(_, _, act)| matches!(act, Read(_))).count();
            assert_eq!(reads, asked as u64, "{}, seed {seed}: not every read was answered", schedule.name);
        }
    }
}
