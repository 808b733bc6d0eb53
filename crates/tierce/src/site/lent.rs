//! A load whose body borrows from its caller: it runs on the caller's stack, and only its result becomes the load's.
//!
//! **Problem.** A load outlives its first caller, so the engine asks for a future that owns what it needs. A method's body
//! borrows `self`.
//!
//! **Idea.** The engine gets a future that owns a place for the result. When that future is polled, it asks for the result;
//! the caller, who waits on this thread, sees that, runs the body on his own stack and puts the result into the place. So
//! permits, deadlines, panics and those who join are the engine's as always, and nothing borrowed leaves the call.
//!
//! **Limits.** Somebody has to be there to run the body: a load behind a caller, or one that goes on when he has left, cannot
//! be had so, and the macro refuses the options that ask for one. Should a caller leave all the same, his load ends as one
//! that panicked, rather than keep the key.
//!
//! Locks: a place's state alone; no wake, body, or drop of a result or waker happens under it.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Waker};

use super::call::{Miss, Tagger, loaded};
use super::named::Tags;
use super::shape::{Content, Failing, accepts};
use crate::cache::{Load, Loaded, Node, innermost};
use crate::key::{Key, ToKey, Value};
use crate::runtime::blocking::{aside, block_on};
use crate::sync::{Mutex, lock};

/// Runs a method, and names the tags of what it returned.
pub type Body<'a, R, V> = Box<dyn FnOnce() -> (R, Tagger<'a, V>) + 'a>;

/// The rest of a call of a plain method that borrows its instance.
pub fn past_lent<K, V, Q, R, C, S>(miss: Miss<K, V, R, C, S>, key: &Q, tags: Tags, body: Body<'_, R, V>) -> R
where
    K: Key,
    V: Value,
    Q: ToKey<K> + Sync + ?Sized,
    S: Failing<R>,
    C: Content<S::Content, Value = V>,
{
    let Miss { cache, sight, .. } = miss;
    let place = Arc::new(Place { state: Mutex::new(State::Free), caller: OnceLock::new() });
    let _left = Left(&place);
    let asks = Asks(Arc::clone(&place));
    let entry = cache.entry(key).accepts(accepts::<C, S::Content>()).tags(tags);
    let mut lookup = Box::pin(entry.load_past(sight, move |_: Load<V>| asks));
    let mut body = Some(body);
    let served = block_on(std::future::poll_fn(|cx| {
        place.caller.get_or_init(|| cx.waker().clone());
        if let Some((asker, node)) = place.asked()
            && let Some(body) = body.take()
        {
            let run = || {
                let (returned, tagger) = aside(body);
                loaded::<V, R, C, S>(returned, tagger)
            };
            let run = || catch_unwind(AssertUnwindSafe(run));
            // Lookups that it makes are this load's: so one that waits for itself is found.
            let ended = match node {
                Some(node) => node.polled(run),
                None => run(),
            };
            drop(place.put(State::Answered(ended)));
            asker.wake();
        }
        lookup.as_mut().poll(cx)
    }));
    S::close(served.map(|served| C::close(served.value)))
}

type Answer<V, E> = Result<Result<Loaded<V>, E>, Box<dyn Any + Send>>;

/// Where a load and the caller who runs it meet.
struct Place<V, E> {
    state: Mutex<State<V, E>>,
    caller: OnceLock<Waker>,
}

enum State<V, E> {
    Free,
    /// The load's turn has come.
    Asked(Waker, Option<Arc<Node>>),
    Runs,
    Answered(Answer<V, E>),
    /// Nobody is there to run the body.
    Left,
}

impl<V, E> Place<V, E> {
    /// Gives what was there, to be dropped without the lock.
    fn put(&self, state: State<V, E>) -> State<V, E> {
        std::mem::replace(&mut *lock(&self.state), state)
    }

    /// Who asks for the body to be run, once.
    fn asked(&self) -> Option<(Waker, Option<Arc<Node>>)> {
        let mut state = lock(&self.state);
        if !matches!(*state, State::Asked(..)) {
            return None;
        }
        match std::mem::replace(&mut *state, State::Runs) {
            State::Asked(asker, node) => Some((asker, node)),
            _ => None,
        }
    }
}

/// The load's own future.
struct Asks<V, E>(Arc<Place<V, E>>);

impl<V, E> Future for Asks<V, E> {
    type Output = Result<Loaded<V>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let (waker, node) = (cx.waker().clone(), innermost());
        let mut state = lock(&self.0.state);
        match &*state {
            State::Free | State::Asked(..) => {
                let old = std::mem::replace(&mut *state, State::Asked(waker, node));
                drop(state);
                drop(old);
                self.0.caller.get().inspect(|caller| caller.wake_by_ref());
                Poll::Pending
            }
            State::Runs => Poll::Pending,
            State::Answered(_) => {
                let answered = std::mem::replace(&mut *state, State::Left);
                drop(state);
                match answered {
                    State::Answered(Ok(result)) => Poll::Ready(result),
                    State::Answered(Err(panic)) => resume_unwind(panic),
                    _ => unreachable!("it was looked at under the lock"),
                }
            }
            State::Left => {
                drop(state);
                panic!("the caller whose instance the load borrows has left")
            }
        }
    }
}

/// Ends the wait of a load whose caller leaves.
struct Left<'a, V, E>(&'a Place<V, E>);

impl<V, E> Drop for Left<'_, V, E> {
    fn drop(&mut self) {
        let mut state = lock(&self.0.state);
        if matches!(*state, State::Answered(_)) {
            // The load takes it.
            return;
        }
        let old = std::mem::replace(&mut *state, State::Left);
        drop(state);
        if let State::Asked(asker, _) = old {
            asker.wake();
        }
    }
}
