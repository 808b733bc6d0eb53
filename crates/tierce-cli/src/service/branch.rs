//! A process behind the page that is not the one which serves it.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};
use tierce::Hub;
use tokio::task::JoinHandle;

use super::account::Account;
use super::feed::Feed;
use super::front::Front;
use super::meter::micros;
use super::order::{Order, Post};
use super::stampede;
use super::traffic::Traffic;
use crate::contender::Tierce;
use crate::database::Database;
use crate::error::Error;
use crate::load::Load;
use crate::race::Seat;

/// Its caches, their database, and the lookups that it sends.
pub(crate) struct Branch {
    front: Arc<Front>,
    database: Arc<Database>,
    /// Whether somebody looks.
    feed: Arc<Feed>,
    traffic: Arc<Traffic>,
    driven: JoinHandle<()>,
}

impl Branch {
    /// Opens the database, connects to the store, and begins.
    pub(crate) async fn open(post: &Post, seat: Seat, load: Arc<Load>) -> Result<Self, Error> {
        let database = Arc::new(Database::open(&post.database, seat.processes)?);
        let hub = Hub::builder().namespace(&post.namespace).connect(&post.store).await?;
        let front = Arc::new(Front::new(Tierce::serving(Arc::clone(&database), hub)));
        let (feed, traffic) = (Arc::new(Feed::new()), Arc::new(Traffic::new(seat)));
        let driven = {
            let (feed, traffic, front) = (Arc::clone(&feed), Arc::clone(&traffic), Arc::clone(&front));
            tokio::spawn(async move { traffic.run(&feed, front, load).await })
        };
        Ok(Self { front, database, feed, traffic, driven })
    }

    /// Does as is ordered; what came of it.
    pub(crate) async fn obey(&self, order: Order) -> Result<Value, Error> {
        match order {
            Order::Account => {
                self.feed.look();
                value(&Account::of(&self.front, &self.database, self.traffic.turned_away()))
            }
            Order::Traffic { per_second } => {
                self.traffic.set_per_second(per_second);
                Ok(Value::Null)
            }
            Order::Database { health, length_ms } => {
                self.database.set_health(health, Duration::from_millis(length_ms));
                Ok(Value::Null)
            }
            Order::Crowd { callers, at_ns } => value(&stampede::crowd(&self.front, callers, at_ns).await),
            Order::Place { id } => {
                let read = self.front.place(id).await?;
                Ok(json!({ "outcome": read.outcome, "took_us": micros(read.took), "place": read.value }))
            }
            Order::Recover { within_ms } => {
                Ok(self.front.tierce.recovers(Duration::from_millis(within_ms)).await.into())
            }
        }
    }
}

impl Drop for Branch {
    fn drop(&mut self) {
        self.driven.abort();
    }
}

fn value(answer: &impl Serialize) -> Result<Value, Error> {
    Ok(serde_json::to_value(answer).expect("answers have no keys that JSON lacks"))
}
