//! S3-FIFO with a test of reuse time.
//!
//! **Problem.** S3-FIFO (Yang, Zhang, Qiu, Yue, Vigfusson; SOSP 2023) keeps newcomers in a small queue until they are
//! hit again, and the rest in a main queue with second chances. On web traces nothing that costs as little on a hit
//! does better. On loops longer than the cache it hits nothing: what comes back replaces what would have come back a
//! moment later.
//!
//! **Idea.** A key that returns shows how long it was away. It may replace the front of main only if that one has been
//! idle for longer still, by a quarter and a tenth of the capacity; otherwise the incumbent is the better bet and the
//! newcomer takes its turn in small. A loop then keeps a fixed share of itself.
//!
//! **On a miss**, with time counted in misses of this shard:
//! 1. *Return.* A key that left small within the last two capacities may challenge up to 16 fronts of main: one that
//!    was hit loses a count and goes to the back, one that was not is evicted, one too young ends it.
//! 2. *Fill.* While main has room, every third cold entry that leaves small moves there: a cold start of a loop must
//!    leave something to stand.
//! 3. *Luck.* With main full, every 64th cold entry may challenge one front that is older than two capacities: phases
//!    change.
//! 4. *Border.* A key back within a tenth of the capacity after leaving small grows small by one if it won its
//!    challenge and shrinks it if it lost; one back within half of the capacity after leaving main shrinks small.
//!    Small stays between 1/32 and 3/10.
//! 5. *Bounds.* Making room looks at 16 entries of main at most, so that no insertion walks the queue (but when a ring or
//!    the table has to grow, which is rare).
//!
//! **Cost.** A hit: two bits in the entry. A miss: two cache lines of the ghost, up to 48 looks at fronts (measured
//! 0.01–0.83 on the traces). Memory: 8 bytes an entry for the ghost, once the shard is full.
//!
//! **Limits.** Recency-heavy streams stay behind LRU by some points, flat zipf at small capacities behind S3-FIFO by
//! up to two (`bench memory --only hit_ratio`). The constants were fitted on six traces and checked on 15 others;
//! the figures beside them are of that search, and the bench measures the whole.

use super::arrival::{Arrival, Lives, Recalled};
use super::ghost::{Ghost, Trace};
use super::lap::Lap;
use crate::memory::ring::{Item, Ring};
use crate::memory::slot::{Life, Queue};

/// Two bits, as S3-FIFO. One bit costs 0.2 points of the mean hit ratio, three bits 0.05 and scans.
const MOST_HITS: u8 = 3;
/// Small starts at a tenth, as S3-FIFO.
const SMALL_START: u32 = 10;
/// Small is never below 1/32 of the capacity …
const SMALL_LEAST: u32 = 32;
/// … nor above 3/10.
const SMALL_MOST_TENTHS: u64 = 3;
/// The ghost remembers two capacities of misses; with one, loops of one and a half are lost (9 points on `multi1`).
const GHOST_WINDOW: u32 = 2;
/// "Small was a little too short": back within a tenth of the capacity.
const NEAR_SMALL: u32 = 10;
/// "Main was a little too short": back within half of the capacity.
const NEAR_MAIN: u32 = 2;
/// Fronts of main that a returning key may look at. Without a bound the mean is 0.1 lower.
const TRIES_RETURN: u32 = 16;
/// Fronts of main that an entry hit in small may look at.
const TRIES_SMALL: u32 = 4;
/// Fronts of main that one insertion looks at while it makes room.
const BUDGET: u32 = 16;
/// Every 64th cold entry may try for main; every 16th loses short loops altogether.
const LUCKY: u32 = 64;
/// Every third cold entry enters while main has room; without this `multi1` loses 6 points.
const FILL: u32 = 3;

pub(in crate::memory) struct S3Fifo {
    small: Ring,
    main: Ring,
    /// Where each slot stands in its ring.
    places: Vec<u32>,
    /// Entries the shard holds when full; 0 until it was full for the first time.
    room: u32,
    /// The wanted length of small.
    border: u32,
    now: u32,
    /// Cold entries to come until one may try for main.
    unlucky: u32,
    lap: Box<Lap>,
    ghost: Ghost,
}

impl S3Fifo {
    pub(super) fn new() -> Self {
        S3Fifo {
            small: Ring::new(),
            main: Ring::new(),
            places: Vec::new(),
            room: 0,
            border: 1,
            now: 0,
            unlucky: 0,
            lap: Box::new(Lap::new(0)),
            ghost: Ghost::empty(),
        }
    }

    #[inline]
    pub(super) fn hit(life: &Life) {
        life.hit(MOST_HITS);
    }

    /// What the ghost may know of a key.
    #[inline]
    pub(super) fn recall(&self, hash: u32) -> u128 {
        self.ghost.matching(hash)
    }

    /// A key that is not here comes in; the shard may be full.
    #[inline]
    pub(super) fn arrive(&mut self, key: Recalled, full: bool, lives: &mut impl Lives) -> Arrival {
        self.now = self.now.wrapping_add(1);
        let trace = self.ghost.take(key.hash, key.matching, self.now);
        if full {
            self.measure();
        }
        let returns = trace.filter(|trace| !trace.from_main);
        if !full {
            return Arrival { favoured: returns.is_some() && self.main_has_room(), evicted: None };
        }
        let mut arrival = Arrival { favoured: false, evicted: None };
        if let Some(Trace { age, .. }) = returns {
            let idle = age.saturating_add(age / 4).saturating_add(self.room / 10);
            arrival.favoured = self.challenge(TRIES_RETURN, idle, lives, &mut arrival.evicted);
        }
        if let Some(trace) = trace {
            self.move_border(trace, arrival.favoured);
        }
        arrival
    }

    /// The new entry takes its place.
    #[inline]
    pub(super) fn place(&mut self, item: Item, life: &mut Life, favoured: bool) {
        if favoured {
            life.queue = Queue::Main;
            self.main.push(item, &mut self.places);
            self.lap.pushed(self.now);
        } else {
            life.queue = Queue::Small;
            self.small.push(item, &mut self.places);
        }
    }

    /// Takes one entry out of its queue to be evicted.
    #[inline]
    pub(super) fn victim(&mut self, lives: &mut impl Lives) -> Option<Item> {
        let mut budget = BUDGET;
        while let Some(front) = self.small.front()
            && (self.small.len() >= self.border || self.main.len() == 0)
        {
            let mut evicted = None;
            let enters = if lives.life(front.slot).hits() > 0 {
                if budget == 0 {
                    return self.leave(Queue::Small);
                }
                let tries = if self.main_has_room() { 1 } else { TRIES_SMALL.min(budget) };
                budget -= tries;
                self.challenge(tries, 0, lives, &mut evicted)
            } else {
                if !self.is_lucky() || !self.challenge(1, self.ghost.window(), lives, &mut evicted) {
                    return self.leave(Queue::Small);
                }
                true
            };
            if let Some(front) = self.small.pop() {
                let life = lives.life(front.slot);
                life.set_hits(0);
                self.place(front, life, enters);
            }
            if evicted.is_some() {
                return evicted;
            }
        }
        self.main_pays(lives)
    }

    /// Whether it is this cold entry's turn to try for main.
    #[inline]
    fn is_lucky(&mut self) -> bool {
        if self.unlucky > 0 {
            self.unlucky -= 1;
            return false;
        }
        self.unlucky = if self.main_has_room() { FILL } else { LUCKY } - 1;
        true
    }

    /// Small is below its border: main gives up its first entry without a hit.
    fn main_pays(&mut self, lives: &mut impl Lives) -> Option<Item> {
        for _ in 0..BUDGET {
            if lives.life(self.main.front()?.slot).hits() == 0 {
                break;
            }
            self.second_chance(lives);
        }
        self.leave(Queue::Main)
    }

    /// The entry that small or main will probably give up next, with the ghost's line for it on its way.
    #[inline]
    pub(super) fn next_victim(&self) -> Option<Item> {
        let from = if self.small.len() >= self.border { &self.small } else { &self.main };
        let item = from.front()?;
        self.ghost.prefetch(item.hash);
        Some(item)
    }

    /// Takes out an entry that goes for another reason; gives its hash.
    pub(super) fn forget(&mut self, slot: u32, life: &Life) -> u32 {
        match life.queue {
            Queue::Small => self.small.remove(slot, &self.places),
            Queue::Main => self.main.remove(slot, &self.places),
        }
    }

    /// Makes room for so many more slots.
    pub(super) fn widen(&mut self, more: usize) {
        self.places.reserve_exact(more);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Item> + '_ {
        self.small.iter().chain(self.main.iter())
    }

    /// The limit changed: what a full shard holds is measured anew.
    pub(super) fn resize(&mut self) {
        self.room = 0;
    }

    /// Takes the shard's present length for its room, when it is full for the first time or weights have changed what
    /// fits by more than an eighth. The ghost and the border start anew then.
    #[inline]
    fn measure(&mut self) {
        let len = self.small.len() + self.main.len();
        if len.abs_diff(self.room) > self.room / 8 {
            self.start_anew(len);
        }
    }

    #[cold]
    #[inline(never)]
    fn start_anew(&mut self, len: u32) {
        self.room = len;
        self.border = (len / SMALL_START).max(1);
        *self.lap = Lap::new(len);
        self.ghost = Ghost::new(len.saturating_mul(GHOST_WINDOW));
    }

    #[inline]
    fn main_has_room(&self) -> bool {
        self.main.len() < self.room.saturating_sub(self.border)
    }

    /// Whether a candidate may enter main: there is room, or one of the first fronts was not hit and has been there for
    /// `idle` misses; that one is evicted.
    fn challenge(&mut self, tries: u32, idle: u32, lives: &mut impl Lives, evicted: &mut Option<Item>) -> bool {
        if self.main_has_room() {
            return true;
        }
        for _ in 0..tries {
            let Some(front) = self.main.front() else { return true };
            if idle > 0 && self.lap.front_age(self.main.len(), self.now) < idle {
                return false;
            }
            if lives.life(front.slot).hits() == 0 {
                *evicted = self.leave(Queue::Main);
                return true;
            }
            self.second_chance(lives);
        }
        false
    }

    /// The front of main goes to its back, with one hit less.
    #[inline]
    fn second_chance(&mut self, lives: &mut impl Lives) {
        let Some(front) = self.main.pop() else { return };
        let life = lives.life(front.slot);
        life.set_hits(life.hits() - 1);
        self.main.push(front, &mut self.places);
        self.lap.pushed(self.now);
    }

    /// The front of a queue leaves, and is remembered.
    #[inline]
    fn leave(&mut self, queue: Queue) -> Option<Item> {
        let from = if queue == Queue::Main { &mut self.main } else { &mut self.small };
        let item = from.pop()?;
        self.ghost.note(item.hash, self.now, queue == Queue::Main);
        Some(item)
    }

    fn move_border(&mut self, trace: Trace, favoured: bool) {
        let near = |part: u32| trace.age < (self.room / part).max(1);
        let wanted = if trace.from_main {
            if near(NEAR_MAIN) { self.border.saturating_sub(1) } else { self.border }
        } else if !near(NEAR_SMALL) {
            self.border
        } else if favoured {
            self.border + 1
        } else {
            self.border.saturating_sub(1)
        };
        let least = (self.room / SMALL_LEAST).max(1);
        let most = u32::try_from(u64::from(self.room) * SMALL_MOST_TENTHS / 10).unwrap_or(u32::MAX).max(1);
        self.border = wanted.clamp(least, most.max(least));
    }
}
