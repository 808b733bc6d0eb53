//! What a task of a process under check does: reads mostly, changes now and then, and leaves in the middle of either.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::watch;

use super::record::{Kind, Record};
use super::rows::KEYS;
use super::world::World;

/// One task's doings.
pub(super) struct Operations {
    pub(super) world: Arc<World>,
    pub(super) chance: fastrand::Rng,
    doing: Arc<Mutex<Record>>,
    /// Of so many steps one changes something: so that a key lives long enough to be read from memory, store and database.
    reads: u64,
}

impl Default for Record {
    fn default() -> Self {
        Record::of(Kind::Read)
    }
}

impl Operations {
    pub(super) fn new(world: Arc<World>, seed: u64, reads: u64) -> Self {
        Operations { world, chance: fastrand::Rng::with_seed(seed), doing: Arc::default(), reads }
    }

    /// What it is doing.
    pub(super) fn doing(&self) -> Arc<Mutex<Record>> {
        Arc::clone(&self.doing)
    }

    pub(super) fn note(&self, record: Record) {
        if let Ok(mut doing) = self.doing.lock() {
            *doing = record;
        }
    }

    pub(super) async fn run(&mut self, stopped: watch::Receiver<bool>) {
        while !*stopped.borrow() {
            self.world.link.has_room().await;
            let key = self.key();
            match self.chance.u64(0..self.reads) {
                // One in three of a key that may take long to load.
                0 => {
                    let is_long = self.chance.u8(0..3) == 0;
                    self.change(if is_long { KEYS - 1 - key % 4 } else { key }).await;
                }
                _ => self.read(key).await,
            }
            match self.chance.u8(0..8) {
                0 => tokio::time::sleep(Duration::from_millis(self.chance.u64(1..4))).await,
                // Others, and what has been told meanwhile, may come next: or not, as in an application that is busy.
                1..4 => tokio::task::yield_now().await,
                _ => {}
            }
        }
    }

    /// A few keys are hot.
    fn key(&mut self) -> u32 {
        if self.chance.bool() { self.chance.u32(0..4) } else { self.chance.u32(0..KEYS) }
    }
}
