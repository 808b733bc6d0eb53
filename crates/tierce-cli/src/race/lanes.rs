//! The lanes of one of several processes, which do as they are ordered.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use tierce::Hub;

use super::lane::{Lane, Pair, Seat, Updaters, upcoming};
use super::order::{Course, Entrant, Order};
use super::{outage, stampede};
use crate::clock;
use crate::contender::{Bare, Contender, Guide, Remote, Tierce};
use crate::database::Database;
use crate::error::Error;
use crate::load::Load;
use crate::place::Place;

/// Of a second each.
const TRIES: u32 = 10;

/// One process's lanes.
pub(crate) struct Lanes {
    bare: Option<Lane<Bare>>,
    guide: Option<Lane<Guide<Remote>>>,
    tierce: Option<Lane<Tierce>>,
    course: Updates,
}

/// Who updates what.
struct Updates {
    seat: Seat,
    /// The pairs of each process.
    pairs: Vec<Vec<Pair>>,
    /// The places that may be updated in the slice that runs.
    open: Vec<u32>,
}

impl Lanes {
    /// Opens the databases and connects to the store.
    pub(crate) async fn open(course: &Course, seat: Seat, load: &Arc<Load>, places: &[Place]) -> Result<Self, Error> {
        let seats = (0..seat.processes).map(|process| Seat { process, ..seat });
        let pairs = seats.map(|seat| seat.updates(load, places)).collect();
        let mut lanes =
            Self { bare: None, guide: None, tierce: None, course: Updates { seat, pairs, open: Vec::new() } };
        for (entrant, path) in &course.entrants {
            let database = Arc::new(Database::open(path, seat.processes)?);
            let (load, places, at) = (Arc::clone(load), places.len(), (seat, Updaters::Everywhere));
            match entrant {
                Entrant::Bare => {
                    lanes.bare = Some(Lane::new(Bare::new(Arc::clone(&database)), database, load, places, at));
                }
                Entrant::Guide => {
                    let redis = Remote::open(&course.store, format!("{}:guide", course.namespace)).await?;
                    let guide = Guide::new(Arc::clone(&database), redis);
                    lanes.guide = Some(Lane::new(guide, database, load, places, at));
                }
                Entrant::Tierce => {
                    let tierce = Tierce::racing(Arc::clone(&database), connected(course).await?);
                    lanes.tierce = Some(Lane::new(tierce, database, load, places, at));
                }
            }
        }
        Ok(lanes)
    }

    /// Does as is ordered; what came of it.
    pub(crate) async fn obey(&mut self, order: Order) -> Result<Value, Error> {
        match (&order, &self.tierce) {
            (Order::Toll { length_ns, from }, Some(lane)) => {
                let (length, process) = (Duration::from_nanos(*length_ns), self.course.seat.process);
                return value(&outage::toll(&lane.contender, length, process, *from).await);
            }
            (Order::Recover { within_ms }, Some(lane)) => {
                return Ok(lane.contender.recovers(Duration::from_millis(*within_ms)).await.into());
            }
            _ => {}
        }
        match order.entrant() {
            Entrant::Bare => self.course.run(self.bare.as_mut(), order).await,
            Entrant::Guide => self.course.run(self.guide.as_mut(), order).await,
            Entrant::Tierce => self.course.run(self.tierce.as_mut(), order).await,
        }
    }
}

impl Updates {
    async fn run<C: Contender>(&mut self, lane: Option<&mut Lane<C>>, order: Order) -> Result<Value, Error> {
        let Some(lane) = lane else { return Err(Error::Cache("nobody runs in this lane".to_owned())) };
        match order {
            Order::Slice { at_ns, slice_ns, cursors, .. } => {
                let slice = Duration::from_nanos(slice_ns);
                let most = self.seat.most_pairs(slice);
                let next = |(pairs, cursor): (&Vec<Pair>, &usize)| upcoming(pairs, *cursor, most);
                let upcoming: Vec<Vec<Pair>> = self.pairs.iter().zip(&cursors).map(next).collect();
                self.open = upcoming.iter().flatten().map(|pair| pair.rank).collect();
                lane.ledger.set_open(self.open.iter().copied(), true);
                let mine = upcoming.get(self.seat.process as usize).map_or(&[][..], Vec::as_slice);
                clock::until_common_ns(at_ns).await;
                value(&lane.run(slice, mine).await?)
            }
            Order::Settle { settled, .. } => {
                lane.settle(&settled, &self.open);
                Ok(Value::Null)
            }
            Order::Figures { .. } => value(&lane.part()),
            Order::Stampede { wanted, callers, at_ns, .. } => {
                value(&stampede::run(lane, wanted, callers, at_ns).await?)
            }
            // These are of tierce alone.
            Order::Toll { .. } | Order::Recover { .. } => Ok(Value::Null),
        }
    }
}

/// A hub over the store that the race was told of, which answered there: on a machine where all processes begin at once one
/// may have to ask again.
async fn connected(course: &Course) -> Result<Hub, Error> {
    let mut tries = 1;
    loop {
        match Hub::builder().namespace(&course.namespace).require_store().connect(&course.store).await {
            Err(error) if error.kind() == tierce::Kind::Store && tries < TRIES => tries += 1,
            connected => return Ok(connected?),
        }
    }
}

fn value(answer: &impl Serialize) -> Result<Value, Error> {
    Ok(serde_json::to_value(answer).expect("answers have no keys that JSON lacks"))
}
