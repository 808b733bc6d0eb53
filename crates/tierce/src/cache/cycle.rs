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

use super::permits::Place;
use crate::sync::{Mutex, lock, thread_local};

/// One load, whatever its cache's types.
pub(crate) struct Node {
    edges: Mutex<Edges>,
    /// Which cache's load it is: the address of its flight table.
    cache: usize,
    /// Its permit, or the way to it, where loads are limited and this one is counted.
    place: OnceLock<Arc<Place>>,
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
    pub(crate) fn new(cache: usize) -> Arc<Node> {
        Arc::new(Node { edges: Mutex::default(), cache, place: OnceLock::new() })
    }

    /// The load is counted, and stands here.
    ///
    /// Who came to wait for it before found no place to exempt: a batch's flights stand in the table before their load
    /// begins.
    pub(crate) fn stand(self: &Arc<Node>, place: Arc<Place>) {
        // Each load begins once.
        let place = self.place.get_or_init(|| place);
        if !place.waits() {
            return;
        }
        let waiting;
        {
            let _one_at_a_time = lock(&GRAPH);
            waiting = all_from(std::slice::from_ref(self), |edges| &edges.waited_for_by);
        }
        if waiting.iter().any(|node| node.cache == self.cache && !Arc::ptr_eq(node, self)) {
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

    /// Whether who takes off here does so for a load of the same cache: the one being polled on this thread, or one
    /// that waits for it.
    pub(crate) fn is_inside_its_cache(&self) -> bool {
        let stack = polled();
        if stack.is_empty() {
            return false;
        }
        let waiting;
        let _one_at_a_time = lock(&GRAPH);
        waiting = all_from(&stack, |edges| &edges.waited_for_by);
        waiting.iter().any(|node| node.cache == self.cache)
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
