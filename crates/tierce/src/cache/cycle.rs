//! Loads that wait for themselves.
//!
//! A load that looks up its own key, or the key of a load that waits for it, would wait until its deadline. Two things
//! are known at the moment such a wait begins: which loads are being polled on this thread (a stack), and which loads
//! already wait for which (edges). If the flight to wait for reaches a load on the stack, the wait is refused.
//!
//! The same knowledge tells which loads must not wait for a permit of `max_concurrent_loads`: those for which a load of
//! the same cache waits, at once or through others. It holds its permit until they have ended.
//!
//! What cannot be seen: a loader that spawns a task and waits for *it*, since the task's lookups stand on no stack.
//! The deadline ends that.
//!
//! Cost: nothing for lookups outside loads; a lookup inside one that has to wait takes one global lock twice, and a
//! third time where loads are limited.

use std::cell::RefCell;
use std::collections::HashSet;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use super::permits::Place;
use crate::runtime::Runtime;
use crate::sync::atomic::{AtomicBool, Ordering::Relaxed};
use crate::sync::{Mutex, lock, thread_local};

/// What a leader asks the store before his load begins.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asks {
    Nothing,
    /// For what it has, as far as this process knows that it stands.
    Store,
    /// And whether that stands now, whatever this process knows.
    Anew,
    /// Nothing, and its load takes nothing that the store has: it was called after this one began.
    Never,
}

/// One load, whatever its cache's types.
pub(crate) struct Node {
    /// The cache's count of loads when this one began: what came before is below it.
    pub(crate) ticket: u64,
    /// The hub's clock when this one began, or will.
    pub(crate) took_off: Duration,
    pub(crate) runtime: Arc<dyn Runtime>,
    /// What its flight's leader asks the store before it begins.
    pub(crate) asks: Asks,
    edges: Mutex<Edges>,
    /// Which cache's load it is: the address of its flight table.
    cache: usize,
    /// Its permit, or the way to it, where loads are limited and this one is counted.
    place: OnceLock<Arc<Place>>,
    /// Whether a load of the same cache has boarded it and will wait for it.
    inside: AtomicBool,
    /// Whether some of its flights ended before it began.
    thinned: AtomicBool,
}

#[derive(Default)]
struct Edges {
    waits_for: Vec<Weak<Node>>,
    waited_for_by: Vec<Weak<Node>>,
}

/// Edges are added and searched by one thread at a time: of two waits that close a circle, the second sees it.
static GRAPH: Mutex<()> = Mutex::new(());

thread_local! {
    static POLLED: RefCell<Vec<Arc<Node>>> = const { RefCell::new(Vec::new()) };
}

/// Says that a load waits for another, until dropped.
pub(crate) struct Edge {
    from: Arc<Node>,
    to: Weak<Node>,
}

impl Node {
    pub(crate) fn new(
        cache: usize,
        ticket: u64,
        took_off: Duration,
        runtime: Arc<dyn Runtime>,
        asks: Asks,
    ) -> Arc<Node> {
        Arc::new(Node {
            ticket,
            took_off,
            runtime,
            asks,
            edges: Mutex::default(),
            cache,
            place: OnceLock::new(),
            inside: AtomicBool::new(false),
            thinned: AtomicBool::new(false),
        })
    }

    /// Some of its flights end before it begins, and those who wait for another of them have to look.
    pub(crate) fn thin(&self) {
        self.thinned.store(true, Relaxed);
    }

    pub(crate) fn is_thinned(&self) -> bool {
        self.thinned.load(Relaxed)
    }

    /// The load is counted, and stands here. Each begins once.
    pub(crate) fn stand(&self, place: Arc<Place>) {
        self.place.get_or_init(|| place);
    }

    /// Lets the load leave its line where a load of the same cache waits for it.
    ///
    /// Who came to wait for it before it stood found no place to exempt: a batch's flights stand in the table before
    /// their load begins.
    pub(crate) fn exempt_if_needed(self: &Arc<Node>) {
        let waits = self.place().filter(|place| place.waits());
        if let Some(place) = waits
            && self.is_needed_by(vec![Arc::clone(self)])
        {
            place.exempt();
        }
    }

    pub(crate) fn place(&self) -> Option<&Arc<Place>> {
        self.place.get()
    }

    /// Runs a poll of this load.
    pub(crate) fn polled<R>(self: &Arc<Node>, poll: impl FnOnce() -> R) -> R {
        struct Pop;
        impl Drop for Pop {
            fn drop(&mut self) {
                let popped = POLLED.with(|stack| stack.borrow_mut().pop());
                drop(popped);
            }
        }
        POLLED.with(|stack| stack.borrow_mut().push(Arc::clone(self)));
        let _pop = Pop;
        poll()
    }

    /// Notes whether who boards here does so for a load of the same cache, which will wait for this one.
    pub(crate) fn note_if_inside(self: &Arc<Node>) {
        if self.is_inside_its_cache() {
            self.inside.store(true, Relaxed);
        }
    }

    /// Whether this load is for another of the same cache: the one being polled on this thread, one that waits for that,
    /// or one that has boarded this one or waits for it already.
    pub(crate) fn is_inside_its_cache(self: &Arc<Node>) -> bool {
        let mut first = polled();
        // Loads of one key begin before anybody can wait for them: mostly there is nothing to look through.
        if !lock(&self.edges).waited_for_by.is_empty() {
            first.push(Arc::clone(self));
        }
        self.inside.load(Relaxed) || !first.is_empty() && self.is_needed_by(first)
    }

    /// Whether a load of the same cache is among these, or waits for one of them.
    fn is_needed_by(&self, first: Vec<Arc<Node>>) -> bool {
        let waiting;
        let _one_at_a_time = lock(&GRAPH);
        waiting = all_from(&first, |edges| &edges.waited_for_by);
        waiting.iter().any(|node| node.cache == self.cache && !std::ptr::eq(&raw const **node, self))
    }

    /// Whether this load is one of those being polled on this thread.
    pub(crate) fn is_polled_here(self: &Arc<Node>) -> bool {
        POLLED.with(|stack| stack.borrow().iter().any(|node| Arc::ptr_eq(node, self)))
    }

    /// Notes that the load being polled here, if any, waits for this one. `Err` if that would close a circle.
    pub(crate) fn wait_for(self: &Arc<Node>) -> Result<Option<Edge>, Circle> {
        let stack = polled();
        let Some(from) = stack.last() else { return Ok(None) };
        // Dropped after the lock is free, and woken then.
        let needed;
        let mut in_line = Vec::new();
        let one_at_a_time = lock(&GRAPH);
        needed = all_from(std::slice::from_ref(self), |edges| &edges.waits_for);
        if needed.iter().any(|node| stack.iter().any(|target| Arc::ptr_eq(target, node))) {
            return Err(Circle);
        }
        lock(&from.edges).waits_for.push(Arc::downgrade(self));
        lock(&self.edges).waited_for_by.push(Arc::downgrade(from));
        in_line.extend(needed.iter().filter(|node| node.place().is_some_and(|place| place.waits())));
        let waiting = if in_line.is_empty() { Vec::new() } else { all_from(&stack, |edges| &edges.waited_for_by) };
        drop(one_at_a_time);
        for node in in_line {
            if let Some(place) = node.place()
                && waiting.iter().any(|holder| holder.cache == node.cache)
            {
                place.exempt();
            }
        }
        Ok(Some(Edge { from: Arc::clone(from), to: Arc::downgrade(self) }))
    }
}

/// The load that is being polled on this thread, the innermost if there are several.
pub(crate) fn innermost() -> Option<Arc<Node>> {
    POLLED.with(|stack| stack.borrow().last().cloned())
}

/// The loads that are being polled on this thread, outermost first.
fn polled() -> Vec<Arc<Node>> {
    POLLED.with(|stack| stack.borrow().clone())
}

/// These loads and all that edges lead to from them. The graph must be locked, and what this gives be dropped after.
fn all_from(first: &[Arc<Node>], next: impl Fn(&Edges) -> &Vec<Weak<Node>>) -> Vec<Arc<Node>> {
    let mut known: HashSet<*const Node> = first.iter().map(Arc::as_ptr).collect();
    let mut all = first.to_vec();
    let mut at = 0;
    while let Some(node) = all.get(at).cloned() {
        let further: Vec<_> = next(&lock(&node.edges)).iter().filter_map(Weak::upgrade).collect();
        all.extend(further.into_iter().filter(|node| known.insert(Arc::as_ptr(node))));
        at += 1;
    }
    all
}

/// The wait would never end.
pub(crate) struct Circle;

impl Drop for Edge {
    fn drop(&mut self) {
        let to = self.to.upgrade();
        let _one_at_a_time = lock(&GRAPH);
        remove(&mut lock(&self.from.edges).waits_for, &self.to);
        if let Some(to) = &to {
            remove(&mut lock(&to.edges).waited_for_by, &Arc::downgrade(&self.from));
        }
    }
}

fn remove(edges: &mut Vec<Weak<Node>>, edge: &Weak<Node>) {
    if let Some(at) = edges.iter().position(|other| other.ptr_eq(edge)) {
        edges.swap_remove(at);
    }
}
