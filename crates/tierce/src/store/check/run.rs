//! What the checks have in common: names, bytes, time, and the list of what was broken.

use std::error::Error;
use std::pin::Pin;
use std::time::Duration;

use crate::clock::Clock;
use crate::runtime;
use crate::store::face::{Key, Lease, Store, Stored, Tag, Token};
use crate::store::nonce::nonce;

/// What became of a check.
pub(super) type Checked<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

/// A promise, and its check.
pub(super) type Check<'a> = (String, Pin<Box<dyn Future<Output = Checked> + Send + 'a>>);

/// A check of a promise.
pub(super) fn check<'a>(promise: impl Into<String>, check: impl Future<Output = Checked> + Send + 'a) -> Check<'a> {
    (promise.into(), Box::pin(check))
}

/// How long a store may take for one answer, and how long it is waited until something is as it must be.
pub(super) const WITHIN: Duration = Duration::from_secs(10);
/// What is not to end during the run.
pub(super) const LONG: Duration = Duration::from_secs(3600);
/// What is to end during the run, as soon as a store can do.
pub(super) const SHORT: Duration = Duration::from_millis(100);
/// What is to end during the run, and not before it can be extended.
pub(super) const SOME: Duration = Duration::from_secs(2);

/// One run of the suite.
pub(super) struct Run<'a> {
    pub(super) store: &'a dyn Store,
    name: String,
}

impl<'a> Run<'a> {
    pub(super) fn new(store: &'a dyn Store) -> Self {
        Run { store, name: format!("{:032x}", nonce()) }
    }

    pub(super) fn key(&self, name: &str) -> Key {
        Key::new(format!("{{check:{}:1:{name}}}", self.name))
    }

    pub(super) fn tag(&self, name: &str) -> Tag {
        Tag::new(format!("{{check:{}:{name}}}", self.name))
    }

    /// How the names of all keys of the run begin.
    pub(super) fn begin(&self) -> String {
        format!("{{check:{}:1:", self.name)
    }

    pub(super) async fn get(&self, key: &Key) -> Checked<Option<Stored>> {
        Ok(self.store.get(key, WITHIN).await?)
    }

    pub(super) async fn set(&self, key: &Key, bytes: &[u8]) -> Checked {
        Ok(self.store.set(key, bytes, LONG, WITHIN).await?)
    }

    pub(super) async fn lease(&self, key: &Key, seen: Option<&Stored>) -> Checked<Lease> {
        Ok(self.store.lease(key, seen, LONG, WITHIN).await?)
    }

    /// A lease that must be won.
    pub(super) async fn win(&self, key: &Key, seen: Option<&Stored>) -> Checked<Token> {
        self.win_for(key, seen, LONG).await
    }

    pub(super) async fn win_for(&self, key: &Key, seen: Option<&Stored>, time: Duration) -> Checked<Token> {
        match self.store.lease(key, seen, time, WITHIN).await? {
            Lease::Won(token) => Ok(token),
            other => Err(format!("a lease that nobody else has is {other:?}, not won").into()),
        }
    }

    /// Puts an entry here, and gives it as it is then seen.
    pub(super) async fn put(&self, key: &Key, number: u8) -> Checked<Stored> {
        self.set(key, &entry(number)).await?;
        self.get(key).await?.ok_or_else(|| "what was set is not here".into())
    }

    /// The entry must be this one, not marked.
    pub(super) async fn holds(&self, key: &Key, number: u8) -> Checked {
        same("the entry", &self.get(key).await?, &Some(Stored::new(entry(number), false)))
    }

    /// There must be no entry.
    pub(super) async fn empty(&self, key: &Key) -> Checked {
        same("the entry", &self.get(key).await?, &None)
    }

    /// Waits until the key has no entry.
    pub(super) async fn gone(&self, key: &Key) -> Checked {
        let end = Clock::system().precise() + WITHIN;
        while self.get(key).await?.is_some() {
            pause(end, "an entry whose time is over does not go").await?;
        }
        Ok(())
    }
}

/// An entry as the store may be given it: its third byte is nothing, since that is the store's.
pub(super) fn entry(number: u8) -> Vec<u8> {
    let mut bytes = vec![0xC4, 1, 0, number];
    bytes.extend((0..100).map(|at: u8| at ^ number));
    bytes
}

/// What is must be what is expected.
pub(super) fn same<T: PartialEq + std::fmt::Debug>(what: &str, is: &T, expected: &T) -> Checked {
    holds(is == expected, || format!("{what} is {is:?}, and should be {expected:?}"))
}

/// What must hold, or what is said where it does not.
pub(super) fn holds(holds: bool, otherwise: impl FnOnce() -> String) -> Checked {
    if holds { Ok(()) } else { Err(otherwise().into()) }
}

/// Lets a little time pass, until the end.
pub(super) async fn pause(end: Duration, what: &str) -> Checked {
    holds(Clock::system().precise() < end, || what.to_string())?;
    let sleep = runtime::sleep(&*runtime::current(), Duration::from_millis(5)).map_err(|why| why.to_string())?;
    sleep.await;
    Ok(())
}
