//! Loads that wait for themselves.
//!
//! A load that looks up its own key, or the key of a load that waits for it, would wait until its deadline. Two things
//! are known at the moment such a wait begins: which loads are being polled on this thread (a stack), and which loads
//! already wait for which (edges). If the flight to wait for reaches a load on the stack, the wait is refused.
//!
//! What cannot be seen: a loader that spawns a task and waits for *it*, since the task's lookups stand on no stack.
//! The deadline ends that.
//!
//! Cost: nothing for lookups outside loads; a lookup inside one that has to wait takes one global lock twice.

use std::cell::RefCell;
use std::sync::{Arc, Weak};

use crate::sync::{Mutex, lock, thread_local};

/// One load, whatever its cache's types.
pub(crate) struct Node {
    waits_for: Mutex<Vec<Weak<Node>>>,
    /// Which cache's load it is: the address of its flight table.
    cache: usize,
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
        Arc::new(Node { waits_for: Mutex::new(Vec::new()), cache })
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

    /// Whether a load of the same cache is being polled on this thread, beside this one.
    pub(crate) fn is_inside_its_cache(&self) -> bool {
        POLLED.with(|stack| stack.borrow().iter().any(|polled| polled.cache == self.cache))
    }

    /// Notes that the load being polled here, if any, waits for this one. `Err` if that would close a circle.
    pub(crate) fn wait_for(self: &Arc<Node>) -> Result<Option<Edge>, Circle> {
        let stack = POLLED.with(|stack| stack.borrow().clone());
        let Some(from) = stack.last() else { return Ok(None) };
        let _one_at_a_time = lock(&GRAPH);
        if self.reaches(&stack) {
            return Err(Circle);
        }
        lock(&from.waits_for).push(Arc::downgrade(self));
        Ok(Some(Edge { from: Arc::clone(from), to: Arc::downgrade(self) }))
    }

    fn reaches(self: &Arc<Node>, targets: &[Arc<Node>]) -> bool {
        let mut seen: Vec<Arc<Node>> = vec![Arc::clone(self)];
        let mut next = 0;
        while let Some(node) = seen.get(next).cloned() {
            if targets.iter().any(|target| Arc::ptr_eq(target, &node)) {
                return true;
            }
            let further: Vec<_> = lock(&node.waits_for).iter().filter_map(Weak::upgrade).collect();
            for node in further {
                if !seen.iter().any(|known| Arc::ptr_eq(known, &node)) {
                    seen.push(node);
                }
            }
            next += 1;
        }
        false
    }
}

/// The wait would never end.
pub(crate) struct Circle;

impl Drop for Edge {
    fn drop(&mut self) {
        let _one_at_a_time = lock(&GRAPH);
        let mut waits = lock(&self.from.waits_for);
        if let Some(edge) = waits.iter().position(|to| to.ptr_eq(&self.to)) {
            waits.swap_remove(edge);
        }
    }
}
