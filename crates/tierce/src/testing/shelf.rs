//! A store in the process.

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::task::{Poll, Waker};
use std::time::Duration;

use crate::clock::{Clock, to_ms};
use crate::store::{Answer, Fault, Key, Lease, Listener, Pattern, Server, Store, Stored, Tag, Tell, Token, Version};
use crate::sync::{Mutex, MutexGuard, lock};

/// A store in the process, for tests: it keeps what a store must keep, and fails when told.
///
/// Its clones are the same store, so that two hubs of a test share it as two processes share a server. It answers at once,
/// whatever time it is given. Tokens and versions are counted, not chosen by chance: the same calls give the same ones.
///
/// ```
/// use std::time::Duration;
/// use tierce::store::{Fault, Key, Store};
/// use tierce::testing::{ManualClock, Shelf};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Fault> {
/// let clock = ManualClock::new();
/// let shelf = Shelf::new(clock.clock());
/// let (key, second) = (Key::new("{shop:product:1:7}"), Duration::from_secs(1));
/// shelf.set(&key, b"a lamp", second, second).await?;
/// assert_eq!(shelf.get(&key, second).await?.unwrap().bytes, b"a lamp");
/// clock.advance(second);
/// assert_eq!(shelf.get(&key, second).await?, None);
///
/// shelf.fail(Fault::Timeout);
/// assert_eq!(shelf.get(&key, second).await, Err(Fault::Timeout));
/// shelf.mend();
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Shelf {
    state: Arc<Mutex<State>>,
    clock: Clock,
    line: Arc<Line>,
}

/// One process's connection.
#[derive(Default)]
struct Line {
    is_cut: AtomicBool,
    /// Counts how often it was cut.
    number: AtomicU64,
}

#[derive(Default)]
struct State {
    entries: HashMap<Key, Kept>,
    leases: HashMap<Key, Given>,
    tags: HashMap<Tag, Version>,
    /// The last token or version that was given: each is given once.
    last: u128,
    /// What all that is asked is answered with.
    fault: Option<Fault>,
    /// Whether it does nothing for now.
    is_frozen: bool,
    /// Who asked meanwhile.
    waiting: HashMap<u64, Waker>,
    /// Tells those apart.
    asked: u64,
    /// Whether it tells of changes.
    tells: bool,
    ears: Vec<Ear>,
}

/// Who is told of what, by which connection.
#[derive(Clone)]
struct Ear {
    begin: String,
    listener: Arc<dyn Listener>,
    line: Arc<Line>,
}

/// What everybody is told of.
enum Change {
    Key(Key),
    Tag(Tag),
}

struct Kept {
    stored: Stored,
    until_ms: u64,
}

struct Given {
    number: u128,
    is_hold: bool,
    until_ms: u64,
}

impl Shelf {
    /// An empty one, whose entries and leases end by this clock.
    pub fn new(clock: Clock) -> Self {
        Shelf { state: Arc::default(), clock, line: Arc::default() }
    }

    /// The same store, and from now on it tells of changes, as Redis does. Unless this is said it does not, as Memcached.
    pub fn telling(self) -> Self {
        lock(&self.state).tells = true;
        self
    }

    /// The same store by a connection of its own, as another process has one. Clones share theirs.
    pub fn another(&self) -> Self {
        Shelf { line: Arc::default(), ..self.clone() }
    }

    /// Cuts this connection: nothing is done or told by it.
    pub fn cut(&self) {
        self.line.is_cut.store(true, Relaxed);
        self.line.number.fetch_add(1, Relaxed);
    }

    /// Mends this connection, as a new one: what was not told stays untold.
    pub fn reconnect(&self) {
        self.line.is_cut.store(false, Relaxed);
    }

    /// From now on nothing is done, and whatever is asked is answered with this.
    pub fn fail(&self, fault: Fault) {
        lock(&self.state).fault = Some(fault);
    }

    /// From now on all is done again.
    pub fn mend(&self) {
        lock(&self.state).fault = None;
    }

    /// Answers nothing from now on, whatever time it is given, until [`release`](Self::release).
    pub fn freeze(&self) {
        lock(&self.state).is_frozen = true;
    }

    /// How many questions wait, of a store that is frozen.
    pub fn waiting(&self) -> usize {
        lock(&self.state).waiting.len()
    }

    /// Answers those that wait and those that will ask.
    pub fn release(&self) {
        let mut state = lock(&self.state);
        state.is_frozen = false;
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        waiting.into_values().for_each(Waker::wake);
    }

    /// Loses everything, as a server that starts again.
    pub fn clear(&self) {
        let mut state = lock(&self.state);
        state.entries.clear();
        state.leases.clear();
        state.tags.clear();
    }

    /// Loses a tag, as a server that has no room for it.
    pub fn evict_tag(&self, tag: &Tag) {
        lock(&self.state).tags.remove(tag);
    }

    /// How many entries it has, those included whose time is over and which nobody asked for since.
    pub fn len(&self) -> usize {
        lock(&self.state).entries.len()
    }

    /// Whether it has no entries.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    async fn thawed(&self) {
        let number = {
            let mut state = lock(&self.state);
            state.asked += 1;
            state.asked
        };
        let _leaves = Waits { shelf: self, number };
        poll_fn(|cx| {
            let waker = cx.waker().clone();
            let mut state = lock(&self.state);
            if !state.is_frozen {
                return Poll::Ready(());
            }
            let old = state.waiting.insert(number, waker);
            drop(state);
            drop(old);
            Poll::Pending
        })
        .await;
    }

    /// Does a thing when the answer is first polled, as one step.
    fn step<'a, T: Send + 'a>(&'a self, act: impl FnOnce(&mut Now<'_>) -> T + Send + 'a) -> Answer<'a, T> {
        Box::pin(async move {
            self.thawed().await;
            if self.line.is_cut.load(Relaxed) {
                return Err(Fault::Down("the connection was cut".into()));
            }
            let state = lock(&self.state);
            if let Some(fault) = &state.fault {
                return Err(fault.clone());
            }
            let mut now = Now { state, now_ms: self.clock.now_ms(), changes: Vec::new() };
            let answer = act(&mut now);
            let Now { state, changes, .. } = now;
            let ears = if state.tells { state.ears.clone() } else { Vec::new() };
            drop(state);
            ears.iter().for_each(|ear| changes.iter().for_each(|change| ear.hear(change)));
            Ok(answer)
        })
    }
}

/// A question that waits, until it is answered or left.
struct Waits<'a> {
    shelf: &'a Shelf,
    number: u64,
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        let old = lock(&self.shelf.state).waiting.remove(&self.number);
        drop(old);
    }
}

impl Ear {
    fn hear(&self, change: &Change) {
        if self.line.is_cut.load(Relaxed) {
            return;
        }
        match change {
            Change::Key(key) if key.as_str().starts_with(&self.begin) => self.listener.key_changed(key.as_str()),
            Change::Tag(tag) if tag.as_str().starts_with(&self.begin) => self.listener.tag_changed(tag.as_str()),
            Change::Key(_) | Change::Tag(_) => {}
        }
    }
}

impl Default for Shelf {
    /// One of the system's time.
    fn default() -> Self {
        Shelf::new(Clock::system())
    }
}

/// The state at one moment.
struct Now<'a> {
    state: MutexGuard<'a, State>,
    now_ms: u64,
    changes: Vec<Change>,
}

impl Now<'_> {
    fn after(&self, time: Duration) -> u64 {
        self.now_ms.saturating_add(to_ms(time))
    }

    fn entry(&mut self, key: &Key) -> Option<&mut Kept> {
        if self.state.entries.get(key).is_some_and(|kept| kept.until_ms <= self.now_ms) {
            self.state.entries.remove(key);
        }
        self.state.entries.get_mut(key)
    }

    fn stored(&mut self, key: &Key) -> Option<Stored> {
        self.entry(key).map(|kept| kept.stored.clone())
    }

    fn lease(&mut self, key: &Key) -> Option<&mut Given> {
        if self.state.leases.get(key).is_some_and(|given| given.until_ms <= self.now_ms) {
            self.state.leases.remove(key);
        }
        self.state.leases.get_mut(key)
    }

    fn stands(&mut self, key: &Key, token: Token) -> bool {
        self.lease(key).is_some_and(|given| given.number == token.number)
    }

    fn next(&mut self) -> u128 {
        self.state.last += 1;
        self.state.last
    }

    fn give(&mut self, key: &Key, time: Duration, is_hold: bool) -> Token {
        let (number, until_ms) = (self.next(), self.after(time));
        self.state.leases.insert(key.clone(), Given { number, is_hold, until_ms });
        Token { number, connection: 0 }
    }

    /// Puts an entry here; the key's lease is over.
    fn put(&mut self, key: &Key, bytes: &[u8], time: Duration) {
        let kept = Kept { stored: Stored::new(bytes.to_vec(), false), until_ms: self.after(time) };
        self.state.entries.insert(key.clone(), kept);
        self.state.leases.remove(key);
    }

    /// Everybody is told of a key.
    fn tell(&mut self, key: &Key) {
        self.changes.push(Change::Key(key.clone()));
    }

    /// Whether there was an entry.
    fn end(&mut self, key: &Key) -> bool {
        self.tell(key);
        let was_here = self.entry(key).is_some();
        self.state.entries.remove(key);
        self.state.leases.remove(key);
        was_here
    }

    fn version(&mut self, tag: &Tag) -> Version {
        if let Some(version) = self.state.tags.get(tag) {
            return *version;
        }
        self.renew(tag)
    }

    fn renew(&mut self, tag: &Tag) -> Version {
        let version = Version(self.next());
        self.state.tags.insert(tag.clone(), version);
        self.changes.push(Change::Tag(tag.clone()));
        version
    }
}

impl Store for Shelf {
    fn get<'a>(&'a self, key: &'a Key, _: Duration) -> Answer<'a, Option<Stored>> {
        self.step(|now| now.stored(key))
    }

    fn get_many<'a>(&'a self, keys: &'a [Key], _: Duration) -> Answer<'a, Vec<Option<Stored>>> {
        self.step(|now| keys.iter().map(|key| now.stored(key)).collect())
    }

    fn lease<'a>(&'a self, key: &'a Key, seen: Option<&'a Stored>, time: Duration, _: Duration) -> Answer<'a, Lease> {
        self.step(move |now| match (now.stored(key), now.lease(key)) {
            (Some(here), _) if Some(&here) != seen => Lease::Found(here),
            (_, Some(given)) if given.is_hold => Lease::Held,
            (_, Some(_)) => Lease::Lost,
            (_, None) => Lease::Won(now.give(key, time, false)),
        })
    }

    fn extend<'a>(&'a self, key: &'a Key, token: Token, time: Duration, _: Duration) -> Answer<'a, bool> {
        self.step(move |now| {
            let (until_ms, stands) = (now.after(time), now.stands(key, token));
            if let Some(given) = now.lease(key).filter(|_| stands) {
                given.until_ms = until_ms;
            }
            stands
        })
    }

    fn fill<'a>(
        &'a self,
        key: &'a Key,
        token: Token,
        bytes: &'a [u8],
        time: Duration,
        tell: Tell,
        _: Duration,
    ) -> Answer<'a, bool> {
        self.step(move |now| {
            let stands = now.stands(key, token);
            if stands {
                now.put(key, bytes, time);
                if tell == Tell::Everybody {
                    now.tell(key);
                }
            }
            stands
        })
    }

    fn give_back<'a>(&'a self, key: &'a Key, token: Token, _: Duration) -> Answer<'a, ()> {
        self.step(move |now| {
            if now.stands(key, token) {
                now.state.leases.remove(key);
            }
        })
    }

    fn hold<'a>(&'a self, key: &'a Key, time: Duration, _: Duration) -> Answer<'a, Token> {
        self.step(move |now| now.give(key, time, true))
    }

    fn set<'a>(&'a self, key: &'a Key, bytes: &'a [u8], time: Duration, _: Duration) -> Answer<'a, ()> {
        self.step(move |now| {
            now.put(key, bytes, time);
            now.tell(key);
        })
    }

    fn touch<'a>(&'a self, key: &'a Key, head: &'a [u8], time: Duration, _: Duration) -> Answer<'a, bool> {
        self.step(move |now| {
            let until_ms = now.after(time);
            let Some(kept) = now.entry(key).filter(|kept| !kept.stored.marked) else { return false };
            let Some(place) = kept.stored.bytes.get_mut(..head.len()) else { return false };
            place.copy_from_slice(head);
            kept.until_ms = until_ms;
            true
        })
    }

    fn invalidate<'a>(&'a self, keys: &'a [Key], _: Duration) -> Answer<'a, ()> {
        self.step(move |now| {
            for key in keys {
                now.end(key);
            }
        })
    }

    fn mark_stale<'a>(&'a self, key: &'a Key, kept: Duration, _: Duration) -> Answer<'a, ()> {
        self.step(move |now| {
            let until_ms = now.after(kept);
            if let Some(entry) = now.entry(key) {
                entry.stored.marked = true;
                entry.until_ms = entry.until_ms.min(until_ms);
            }
            now.state.leases.remove(key);
            now.tell(key);
        })
    }

    fn versions<'a>(&'a self, tags: &'a [Tag], _: Duration) -> Answer<'a, Vec<Version>> {
        self.step(|now| tags.iter().map(|tag| now.version(tag)).collect())
    }

    fn renew<'a>(&'a self, tag: &'a Tag, _: Duration) -> Answer<'a, ()> {
        self.step(|now| {
            now.renew(tag);
        })
    }

    fn invalidate_matching<'a>(&'a self, begin: &'a str, pattern: &'a str, _: Duration) -> Answer<'a, u64> {
        self.step(move |now| {
            let pattern = Pattern::new(pattern);
            let is_meant = |key: &&Key| key.as_str().strip_prefix(begin).is_some_and(|rest| pattern.matches(rest));
            let entries: Vec<Key> = now.state.entries.keys().filter(is_meant).cloned().collect();
            now.state.leases.retain(|key, _| !is_meant(&key));
            entries.iter().map(|key| u64::from(now.end(key))).sum()
        })
    }

    fn listen(&self, namespace: &str, listener: Arc<dyn Listener>) -> bool {
        let mut state = lock(&self.state);
        let ear = Ear { begin: format!("{{{namespace}:"), listener, line: Arc::clone(&self.line) };
        state.ears.push(ear);
        state.tells
    }

    fn beat(&self, _: Duration) -> Answer<'_, u64> {
        self.step(|_| self.line.number.load(Relaxed))
    }

    fn servers(&self, _: Duration) -> Answer<'_, Vec<Server>> {
        self.step(|now| {
            let facts = vec![("entries".to_string(), now.state.entries.len().to_string())];
            vec![Server::new("in this process", facts)]
        })
    }
}
