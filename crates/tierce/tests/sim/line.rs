//! A connection to a store that is somewhere else: everything takes time, may be cut, and waits while the server is frozen.
//!
//! What the server says on one connection, answers and what it tells unasked, comes in the order in which it was said. A
//! request whose connection was cut may have been done or not.
//!
//! A schedule that is written by hand says of single messages how long they are under way, and whether others overtake them: as
//! with a store that has several connections.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use tierce::store::{Answer, Fault, Key, Lease, Listener, Server, Store, Stored, Tag, Tell, Token, Version};
use tierce::testing::{Shelf, Sim, SimRuntime};

type Doing<T> = Pin<Box<dyn Future<Output = Result<T, Fault>> + Send>>;

/// The server and the wire between it and everybody.
#[derive(Clone)]
pub(crate) struct Place {
    sim: Sim,
    runtime: Arc<SimRuntime>,
    frozen_until: Arc<Mutex<Duration>>,
    /// Every message takes this time, where it is said.
    transit: Option<Duration>,
}

/// How long a message is under way to the server, and its answer back.
#[derive(Clone, Copy)]
pub(crate) struct Steered {
    pub(crate) up: Duration,
    pub(crate) back: Duration,
    /// Whether others overtake both, and are overtaken.
    pub(crate) beside: bool,
}

/// One process's connection.
#[derive(Clone)]
pub(crate) struct Line {
    place: Place,
    shelf: Shelf,
    ends: Arc<Mutex<Ends>>,
    /// By the name of the verb, or `push`: the next ones.
    steered: Arc<Mutex<Vec<(&'static str, Steered)>>>,
}

/// When the last of each direction arrives, and which connection it is.
#[derive(Default)]
struct Ends {
    number: u64,
    last_request: Duration,
    last_answer: Duration,
}

/// Where an answer is put, and who waits for it.
struct Slot<T> {
    answer: Option<Result<T, Fault>>,
    waker: Option<Waker>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Place {
    pub(crate) fn new(sim: &Sim) -> Self {
        Place { sim: sim.clone(), runtime: sim.runtime(), frozen_until: Arc::default(), transit: None }
    }

    /// Every message takes a millisecond unless it is steered.
    pub(crate) fn steady(sim: &Sim) -> Self {
        Place { transit: Some(Duration::from_millis(1)), ..Place::new(sim) }
    }

    /// Nothing is done for so long.
    pub(crate) fn freeze(&self, time: Duration) {
        let mut until = lock(&self.frozen_until);
        *until = (*until).max(self.sim.now() + time);
    }

    /// How long a message is under way: mostly milliseconds.
    fn transit(&self) -> Duration {
        if let Some(transit) = self.transit {
            return transit;
        }
        let most_us = if self.sim.below(50) == 0 { 120_000 } else { 4_000 };
        Duration::from_micros(1 + self.sim.below(most_us))
    }

    async fn until(&self, time: Duration) {
        let now = self.sim.now();
        if time > now {
            self.sim.sleep(time - now).await;
        }
    }

    async fn thawed(&self) {
        loop {
            let until = *lock(&self.frozen_until);
            if until <= self.sim.now() {
                return;
            }
            self.until(until).await;
        }
    }
}

impl Line {
    pub(crate) fn new(place: &Place, shelf: &Shelf) -> Self {
        Line { place: place.clone(), shelf: shelf.another(), ends: Arc::default(), steered: Arc::default() }
    }

    /// Says how the next message of this verb goes, or the next `push`.
    pub(crate) fn steer(&self, verb: &'static str, steered: Steered) {
        lock(&self.steered).push((verb, steered));
    }

    fn steered(&self, verb: &'static str) -> Steered {
        let mut all = lock(&self.steered);
        let place = all.iter().position(|(what, _)| *what == verb);
        let usual = || Steered { up: self.place.transit(), back: self.place.transit(), beside: false };
        place.map_or_else(usual, |place| all.remove(place).1)
    }

    /// Nothing comes or goes, and what is under way is lost.
    pub(crate) fn cut(&self) {
        lock(&self.ends).number += 1;
        self.shelf.cut();
    }

    pub(crate) fn reconnect(&self) {
        self.shelf.reconnect();
    }

    fn number(&self) -> u64 {
        lock(&self.ends).number
    }

    /// When what is said now will have been heard.
    fn heard_at(&self, steered: Steered) -> Duration {
        let at = self.place.sim.now() + steered.back;
        if steered.beside {
            return at;
        }
        let mut ends = lock(&self.ends);
        ends.last_answer = at.max(ends.last_answer + Duration::from_micros(1));
        ends.last_answer
    }

    /// When what is asked now reaches the server.
    fn arrives(&self, steered: Steered) -> Duration {
        let at = self.place.sim.now() + steered.up;
        if steered.beside {
            return at;
        }
        let mut ends = lock(&self.ends);
        ends.last_request = at.max(ends.last_request + Duration::from_micros(1));
        ends.last_request
    }

    /// Says something to this process, if its connection is still the same when it arrives.
    fn say(&self, number: u64, said: impl FnOnce() + Send + 'static) {
        let (line, at) = (self.clone(), self.heard_at(self.steered("push")));
        self.place.sim.spawn(&self.place.runtime, async move {
            line.place.until(at).await;
            if line.number() == number {
                said();
            }
        });
    }

    /// Has something done by the server, and waits for its answer.
    fn call<'a, T: Send + 'static>(
        &'a self,
        (verb, within): (&'static str, Duration),
        act: impl FnOnce(Shelf) -> Doing<T> + Send + 'static,
    ) -> Answer<'a, T> {
        let (line, place) = (self.clone(), self.place.clone());
        Box::pin(async move {
            let slot = Arc::new(Mutex::new(Slot { answer: None, waker: None }));
            let number = line.number();
            let steered = line.steered(verb);
            let arrives = line.arrives(steered);
            let answered = Arc::clone(&slot);
            let server = line.clone();
            place.sim.spawn(&place.runtime, async move {
                server.place.until(arrives).await;
                server.place.thawed().await;
                if server.number() != number {
                    return put(&answered, Err(Fault::Lost));
                }
                let answer = act(server.shelf.clone()).await;
                let line = server.clone();
                let at = line.heard_at(steered);
                line.place.until(at).await;
                put(&answered, if line.number() == number { answer } else { Err(Fault::Lost) });
            });
            let mut late = Box::pin(place.sim.sleep(within));
            std::future::poll_fn(move |cx| {
                let mut slot = lock(&slot);
                if let Some(answer) = slot.answer.take() {
                    return Poll::Ready(answer);
                }
                slot.waker = Some(cx.waker().clone());
                drop(slot);
                late.as_mut().poll(cx).map(|()| Err(Fault::Timeout))
            })
            .await
        })
    }
}

fn put<T>(slot: &Mutex<Slot<T>>, answer: Result<T, Fault>) {
    let mut slot = lock(slot);
    slot.answer = Some(answer);
    let waker = slot.waker.take();
    drop(slot);
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// Long enough that the store itself has no say in it.
const EVER: Duration = Duration::from_secs(1_000_000);

impl Store for Line {
    fn get<'a>(&'a self, key: &'a Key, within: Duration) -> Answer<'a, Option<Stored>> {
        let key = key.clone();
        self.call(("get", within), move |shelf| Box::pin(async move { shelf.get(&key, EVER).await }))
    }

    fn get_many<'a>(&'a self, keys: &'a [Key], within: Duration) -> Answer<'a, Vec<Option<Stored>>> {
        let keys = keys.to_vec();
        self.call(("get_many", within), move |shelf| Box::pin(async move { shelf.get_many(&keys, EVER).await }))
    }

    fn lease<'a>(
        &'a self,
        key: &'a Key,
        seen: Option<&'a Stored>,
        time: Duration,
        within: Duration,
    ) -> Answer<'a, Lease> {
        let (key, seen) = (key.clone(), seen.cloned());
        self.call(("lease", within), move |shelf| {
            Box::pin(async move { shelf.lease(&key, seen.as_ref(), time, EVER).await })
        })
    }

    fn extend<'a>(&'a self, key: &'a Key, token: Token, time: Duration, within: Duration) -> Answer<'a, bool> {
        let key = key.clone();
        self.call(("extend", within), move |shelf| Box::pin(async move { shelf.extend(&key, token, time, EVER).await }))
    }

    fn fill<'a>(
        &'a self,
        key: &'a Key,
        token: Token,
        bytes: &'a [u8],
        time: Duration,
        tell: Tell,
        within: Duration,
    ) -> Answer<'a, bool> {
        let (key, bytes) = (key.clone(), bytes.to_vec());
        self.call(("fill", within), move |shelf| {
            Box::pin(async move { shelf.fill(&key, token, &bytes, time, tell, EVER).await })
        })
    }

    fn give_back<'a>(&'a self, key: &'a Key, token: Token, within: Duration) -> Answer<'a, ()> {
        let key = key.clone();
        self.call(("give_back", within), move |shelf| Box::pin(async move { shelf.give_back(&key, token, EVER).await }))
    }

    fn hold<'a>(&'a self, key: &'a Key, time: Duration, within: Duration) -> Answer<'a, Token> {
        let key = key.clone();
        self.call(("hold", within), move |shelf| Box::pin(async move { shelf.hold(&key, time, EVER).await }))
    }

    fn set<'a>(&'a self, key: &'a Key, bytes: &'a [u8], time: Duration, within: Duration) -> Answer<'a, ()> {
        let (key, bytes) = (key.clone(), bytes.to_vec());
        self.call(("set", within), move |shelf| Box::pin(async move { shelf.set(&key, &bytes, time, EVER).await }))
    }

    fn touch<'a>(&'a self, key: &'a Key, head: &'a [u8], time: Duration, within: Duration) -> Answer<'a, bool> {
        let (key, head) = (key.clone(), head.to_vec());
        self.call(("touch", within), move |shelf| Box::pin(async move { shelf.touch(&key, &head, time, EVER).await }))
    }

    fn invalidate<'a>(&'a self, keys: &'a [Key], within: Duration) -> Answer<'a, ()> {
        let keys = keys.to_vec();
        self.call(("invalidate", within), move |shelf| Box::pin(async move { shelf.invalidate(&keys, EVER).await }))
    }

    fn mark_stale<'a>(&'a self, key: &'a Key, kept: Duration, within: Duration) -> Answer<'a, ()> {
        let key = key.clone();
        self.call(("mark_stale", within), move |shelf| {
            Box::pin(async move { shelf.mark_stale(&key, kept, EVER).await })
        })
    }

    fn versions<'a>(&'a self, tags: &'a [Tag], within: Duration) -> Answer<'a, Vec<Version>> {
        let tags = tags.to_vec();
        self.call(("versions", within), move |shelf| Box::pin(async move { shelf.versions(&tags, EVER).await }))
    }

    fn renew<'a>(&'a self, tag: &'a Tag, within: Duration) -> Answer<'a, ()> {
        let tag = tag.clone();
        self.call(("renew", within), move |shelf| Box::pin(async move { shelf.renew(&tag, EVER).await }))
    }

    fn invalidate_matching<'a>(&'a self, begin: &'a str, pattern: &'a str, within: Duration) -> Answer<'a, u64> {
        let (begin, pattern) = (begin.to_string(), pattern.to_string());
        self.call(("invalidate_matching", within), move |shelf| {
            Box::pin(async move { shelf.invalidate_matching(&begin, &pattern, EVER).await })
        })
    }

    fn listen(&self, namespace: &str, listener: Arc<dyn Listener>) -> bool {
        self.shelf.listen(namespace, Arc::new(Late { line: self.clone(), listener }))
    }

    fn beat(&self, within: Duration) -> Answer<'_, u64> {
        self.call(("beat", within), move |shelf| Box::pin(async move { shelf.beat(EVER).await }))
    }

    fn servers(&self, within: Duration) -> Answer<'_, Vec<Server>> {
        self.call(("servers", within), move |shelf| Box::pin(async move { shelf.servers(EVER).await }))
    }
}

/// Is told when what was told has come.
struct Late {
    line: Line,
    listener: Arc<dyn Listener>,
}

impl Listener for Late {
    fn key_changed(&self, name: &str) {
        let (listener, name) = (Arc::clone(&self.listener), name.to_string());
        self.line.say(self.line.number(), move || listener.key_changed(&name));
    }

    fn tag_changed(&self, name: &str) {
        let (listener, name) = (Arc::clone(&self.listener), name.to_string());
        self.line.say(self.line.number(), move || listener.tag_changed(&name));
    }

    fn all_changed(&self) {
        let listener = Arc::clone(&self.listener);
        self.line.say(self.line.number(), move || listener.all_changed());
    }
}
