//! A source for tests: rows that change, loads that are counted, wait and fail when told.

use std::collections::HashMap;
use std::fmt;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use crate::key::{Key, Value};

/// Rows in a map that stand for a database: its loads are counted, and wait or fail when the test says so.
///
/// Cheap to clone, and all clones are one source. It needs no runtime and reads no clock. A load reads its row when it is
/// let through, at its end: what is written while it waits is seen.
///
/// ```
/// use tierce::Hub;
/// use tierce::testing::Source;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let users = Source::from([(7, "Ada")]);
/// let cache = Hub::embedded().local_cache::<u64, &str>("user").build();
///
/// assert_eq!(cache.get_or_load(&7, || users.load(&7)).await.unwrap(), "Ada");
/// assert_eq!(cache.get_or_load(&7, || users.load(&7)).await.unwrap(), "Ada");
/// assert_eq!(users.loads(), 1);
///
/// users.fail_next(1);
/// assert!(cache.get_or_load(&8, || users.load(&8)).await.is_err());
/// assert_eq!(cache.find_or_load(&8, || users.find(&8)).await.unwrap(), None);
/// assert_eq!(users.loads_of(&8), 2);
/// # }
/// ```
pub struct Source<K, V> {
    state: Arc<Mutex<State<K, V>>>,
}

struct State<K, V> {
    rows: HashMap<K, V>,
    loads: HashMap<K, u64>,
    calls: u64,
    failures: Failures,
    held: bool,
    /// How often loads were released: who waited before goes on, though others are held again.
    releases: u64,
    waiting: Vec<Waker>,
}

/// Which loads fail.
#[derive(Clone, Copy)]
enum Failures {
    Next(u64),
    All,
}

/// Why a [`Source`] gave nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Failure {
    /// The test said so.
    Down,
    /// [`load`](Source::load) was asked for a row that is not there.
    NoRow,
}

impl<K: Key, V: Value> Source<K, V> {
    /// A source without rows.
    pub fn new() -> Self {
        Self::of(HashMap::new())
    }

    fn of(rows: HashMap<K, V>) -> Self {
        let state = State {
            rows,
            loads: HashMap::new(),
            calls: 0,
            failures: Failures::Next(0),
            held: false,
            releases: 0,
            waiting: Vec::new(),
        };
        Source { state: Arc::new(Mutex::new(state)) }
    }

    /// Writes a row, as another part of the application would: no cache is told.
    pub fn set(&self, key: K, value: V) {
        let old = self.lock().rows.insert(key, value);
        drop(old);
    }

    /// Deletes a row; whether it was there.
    pub fn remove(&self, key: &K) -> bool {
        let old = self.lock().rows.remove(key);
        old.is_some()
    }

    /// Every load that ends from now on fails, until [`recover`](Source::recover).
    pub fn fail(&self) {
        self.lock().failures = Failures::All;
    }

    /// The next loads that end fail, this many.
    pub fn fail_next(&self, loads: u64) {
        self.lock().failures = Failures::Next(loads);
    }

    /// No load fails any more.
    pub fn recover(&self) {
        self.lock().failures = Failures::Next(0);
    }

    /// Loads wait from now on, as for a slow or frozen database, until [`release`](Source::release).
    pub fn freeze(&self) {
        self.lock().held = true;
    }

    /// Lets all loads through, those that wait and those that will come.
    pub fn release(&self) {
        let mut state = self.lock();
        state.held = false;
        state.releases += 1;
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        for waker in waiting {
            waker.wake();
        }
    }

    /// How many loads have begun; a batch is one.
    pub fn loads(&self) -> u64 {
        self.lock().calls
    }

    /// How many loads of this key have begun, batches with it among them.
    pub fn loads_of(&self, key: &K) -> u64 {
        self.lock().loads.get(key).copied().unwrap_or(0)
    }

    /// Loads a row that has to be there.
    ///
    /// # Errors
    /// [`Failure::NoRow`] where there is none, [`Failure::Down`] when the test said so.
    pub fn load(&self, key: &K) -> impl Future<Output = Result<V, Failure>> + Send + 'static + use<K, V> {
        let found = self.find(key);
        async move { found.await?.ok_or(Failure::NoRow) }
    }

    /// Loads a row, or finds that it is not there.
    ///
    /// # Errors
    /// [`Failure::Down`] when the test said so.
    pub fn find(&self, key: &K) -> impl Future<Output = Result<Option<V>, Failure>> + Send + 'static + use<K, V> {
        let (source, key) = (self.clone(), key.clone());
        async move { Ok(source.query(std::slice::from_ref(&key)).await?.remove(&key)) }
    }

    /// Loads several rows in one query; those that are not there are left out.
    ///
    /// # Errors
    /// [`Failure::Down`] when the test said so.
    pub fn load_many(
        &self,
        keys: Vec<K>,
    ) -> impl Future<Output = Result<HashMap<K, V>, Failure>> + Send + 'static + use<K, V> {
        let source = self.clone();
        async move { source.query(&keys).await }
    }

    /// [`find`](Source::find) for functions that are not async. It does not wait: a frozen source answers at once.
    ///
    /// # Errors
    /// [`Failure::Down`] when the test said so.
    pub fn find_now(&self, key: &K) -> Result<Option<V>, Failure> {
        self.begin(std::slice::from_ref(key));
        Ok(self.end(std::slice::from_ref(key))?.remove(key))
    }

    async fn query(&self, keys: &[K]) -> Result<HashMap<K, V>, Failure> {
        self.begin(keys);
        let mut came = None;
        poll_fn(|cx| {
            let waker = cx.waker().clone();
            let mut state = self.lock();
            let came = *came.get_or_insert(state.releases);
            if !state.held || state.releases > came {
                drop(state);
                return Poll::Ready(());
            }
            state.waiting.push(waker);
            Poll::Pending
        })
        .await;
        self.end(keys)
    }

    fn begin(&self, keys: &[K]) {
        let mut state = self.lock();
        state.calls += 1;
        for key in keys {
            *state.loads.entry(key.clone()).or_default() += 1;
        }
    }

    fn end(&self, keys: &[K]) -> Result<HashMap<K, V>, Failure> {
        let mut state = self.lock();
        match &mut state.failures {
            Failures::Next(0) => {}
            Failures::Next(left) => {
                *left -= 1;
                return Err(Failure::Down);
            }
            Failures::All => return Err(Failure::Down),
        }
        let row = |key: &K| Some((key.clone(), state.rows.get(key)?.clone()));
        Ok(keys.iter().filter_map(row).collect())
    }

    fn lock(&self) -> MutexGuard<'_, State<K, V>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Key, V: Value> Default for Source<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Key, V: Value, const N: usize> From<[(K, V); N]> for Source<K, V> {
    fn from(rows: [(K, V); N]) -> Self {
        Self::of(HashMap::from(rows))
    }
}

impl<K, V> Clone for Source<K, V> {
    fn clone(&self) -> Self {
        Source { state: Arc::clone(&self.state) }
    }
}

impl<K, V> fmt::Debug for Source<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        f.debug_struct("Source").field("rows", &state.rows.len()).field("loads", &state.calls).finish()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Failure::Down => "the source is down, as the test said",
            Failure::NoRow => "the source has no such row",
        })
    }
}

impl std::error::Error for Failure {}
