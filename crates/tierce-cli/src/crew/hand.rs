//! A process that does as its parent orders, and ends with it.

use std::net::Ipv4Addr;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::{Mutex, mpsc};

use super::line::{Answered, Ordered, Outcome, WORD, halves, sender, text};
use super::order::Order;
use crate::args::Hand as Wish;
use crate::dataset;
use crate::error::Error;
use crate::load::Load;
use crate::place::Place;
use crate::race::{Lanes, Seat};
use crate::service::Branch;

/// What it has been ordered to have.
#[derive(Default)]
struct Hand {
    seat: Option<Seat>,
    stock: Option<(Arc<[Place]>, Arc<Load>)>,
    lanes: Option<Lanes>,
    branch: Option<Arc<Branch>>,
}

/// Runs until the parent is gone.
pub(crate) async fn run(wish: Wish) -> Result<(), Error> {
    let system = |source| Error::System { doing: "reach the process that started this one", source };
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, wish.parent)).await.map_err(system)?;
    let word: Option<u64> = std::env::var(WORD).ok().and_then(|word| word.parse().ok());
    let Some((mut orders, write)) = halves(stream) else { return Ok(()) };
    let out = sender(write);
    // Where the parent is gone there is nobody to answer.
    let _ = out.send(text(&json!({ "number": wish.number, "word": word })));
    let hand = Arc::new(Mutex::new(Hand::default()));
    while let Ok(Some(line)) = orders.next_line().await {
        let Ok(Ordered { id, order }) = serde_json::from_str(&line) else { break };
        tokio::spawn(answer(Arc::clone(&hand), id, order, out.clone()));
    }
    // What runs is not waited for: nobody wants it.
    std::process::exit(0);
}

async fn answer(hand: Arc<Mutex<Hand>>, id: u64, order: Order, out: mpsc::UnboundedSender<String>) {
    // Orders of the page are under way together: one that waits for something keeps no other from being obeyed.
    let branch = hand.lock().await.branch.clone();
    let obeyed = match (order, branch) {
        (Order::Page(order), Some(branch)) => branch.obey(order).await,
        (order, _) => hand.lock().await.obey(order).await,
    };
    let outcome = match obeyed {
        Ok(value) => Outcome::Done(value),
        Err(error) => Outcome::Failed(error.to_string()),
    };
    let _ = out.send(text(&Answered { id, outcome }));
}

impl Hand {
    async fn obey(&mut self, order: Order) -> Result<Value, Error> {
        let unprepared = || Error::Process("it has not been prepared".to_owned());
        match order {
            Order::Prepare(origin, seat) => {
                let places = dataset::places();
                let load = Load::new(&origin, &places)?;
                self.stock = Some((places.into(), Arc::new(load)));
                self.seat = Some(seat);
            }
            Order::Open(course) => {
                let (places, load) = self.stock.as_ref().ok_or_else(unprepared)?;
                let seat = self.seat.ok_or_else(unprepared)?;
                self.lanes = Some(Lanes::open(&course, seat, load, places).await?);
            }
            Order::Race(order) => return self.lanes.as_mut().ok_or_else(unprepared)?.obey(order).await,
            Order::Leave => self.lanes = None,
            Order::Serve(post) => {
                let (_, load) = self.stock.as_ref().ok_or_else(unprepared)?;
                let seat = self.seat.ok_or_else(unprepared)?;
                self.branch = Some(Arc::new(Branch::open(&post, seat, Arc::clone(load)).await?));
            }
            Order::Page(_) => return Err(unprepared()),
        }
        Ok(Value::Null)
    }
}
