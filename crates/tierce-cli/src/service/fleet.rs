//! All processes behind the page: this one, and those that it orders.

use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::account::Account;
use super::order::Order;
use crate::crew::{self, Crew};

/// How long another process may take to give its account: a page does not wait for one that stands still.
const ANSWERS: Duration = Duration::from_millis(1_000);

/// The processes.
pub(super) struct Fleet {
    crew: Option<Crew>,
    /// What is known of each, this one first.
    known: Mutex<Vec<Known>>,
}

/// What is known of a process.
#[derive(Clone, Default)]
struct Known {
    answers: bool,
    account: Account,
    /// In the last interval, a second: lookups, and of them those answered from memory, and from the store.
    lookups: f64,
    memory: f64,
    found: f64,
}

impl Fleet {
    pub(super) fn new(crew: Option<Crew>) -> Self {
        let processes = 1 + crew.as_ref().map_or(0, Crew::len);
        Self { crew, known: Mutex::new(vec![Known::default(); processes]) }
    }

    fn known(&self) -> MutexGuard<'_, Vec<Known>> {
        self.known.lock().expect("no holder of this lock can panic")
    }

    /// How many processes there are.
    pub(super) fn size(&self) -> usize {
        self.known().len()
    }

    /// The account of all, with this process's, over an interval of this length.
    pub(super) async fn account(&self, own: Account, length: Duration) -> Account {
        let others = self.ask::<Account>(&Order::Account, ANSWERS).await;
        let seconds = length.as_secs_f64().max(1e-3);
        let mut all = Account { store: own.store.clone(), ..Account::default() };
        for (known, account) in self.known().iter_mut().zip([Some(own)].into_iter().chain(others)) {
            known.answers = account.is_some();
            let found = |account: &Account| account.sum(|counts| counts.store_hits);
            let before = found(&known.account);
            match account {
                Some(account) => {
                    known.lookups = account.tally.lookups() as f64 / seconds;
                    known.memory = (account.tally.hits + account.tally.stale) as f64 / seconds;
                    known.found = found(&account).saturating_sub(before) as f64 / seconds;
                    known.account = account;
                }
                None => {
                    // What it has told stays told.
                    known.account.tally = Default::default();
                    (known.lookups, known.memory, known.found) = (0.0, 0.0, 0.0);
                }
            }
            all.add(&known.account);
        }
        all
    }

    /// All that is known, with what this process counts now.
    pub(super) fn so_far(&self, own: Account) -> Account {
        let mut all = own;
        for known in self.known().iter().skip(1) {
            all.add(&known.account);
        }
        all
    }

    /// A line of the page for each process.
    pub(super) fn rows(&self, own: &Account) -> Vec<Value> {
        let row = |(at, known): (usize, &Known)| {
            let store = if at == 0 { &own.store } else { &known.account.store };
            json!({
                "answers": known.answers,
                "lookups": known.lookups,
                "memory": known.memory,
                "found": known.found,
                "entries": known.account.sum(|counts| counts.entries),
                "store": store,
            })
        };
        self.known().iter().enumerate().map(row).collect()
    }

    /// Orders the other processes; the answers in their order, of those who gave one in time.
    pub(super) async fn ask<T: DeserializeOwned + Send + 'static>(
        &self,
        order: &Order,
        within: Duration,
    ) -> Vec<Option<T>> {
        self.each(|_| order.clone(), within).await
    }

    /// The same with an order for each, by its place among the others.
    pub(super) async fn each<T: DeserializeOwned + Send + 'static>(
        &self,
        order: impl Fn(u32) -> Order,
        within: Duration,
    ) -> Vec<Option<T>> {
        match &self.crew {
            Some(crew) => crew.each_within(|at| crew::Order::Page(order(at)), within).await,
            None => Vec::new(),
        }
    }

    /// Tells the other processes. One that does not listen is seen by its silence.
    pub(super) async fn tell(&self, order: &Order) {
        self.ask::<()>(order, ANSWERS).await;
    }
}
