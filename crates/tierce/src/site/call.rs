//! A call of a function that has a cache.

use std::pin::Pin;

use super::shape::{Content, Failing, accepts};
use super::{Site, Tags};
use crate::cache::{Accepts, Load, Loaded, Sight};
use crate::current;
use crate::error::LoadError;
use crate::key::{Key, ToKey, Value};
use crate::runtime;

/// What a call asks for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// The value, loaded if it is not here.
    Lookup,
    /// A value loaded now.
    Refresh,
}

/// Calls an async function through its cache.
///
/// `load` makes the arguments owned and gives the function's own future, and what names the tags of its value. Nothing
/// of that, and no tag, is made for a hit.
#[inline]
pub async fn ask<K, V, Q, R, C, S, G, L, F, T>(
    site: &'static Site<K, V>,
    (key, what): (&Q, Ask),
    _shape: (C, S),
    tags: G,
    load: L,
) -> R
where
    K: Key,
    V: Value,
    Q: ToKey<K> + Sync + ?Sized,
    S: Failing<R>,
    C: Content<S::Content, Value = V>,
    G: FnOnce() -> Tags,
    L: FnOnce() -> (F, T) + Send,
    F: Future<Output = R> + Send + 'static,
    T: FnOnce(&V) -> Tags + Send + 'static,
{
    let sight = match here(site, (key, what), accepts::<C, S::Content>()) {
        Ok(value) => return S::close(Ok(C::close(value))),
        Err(sight) => sight,
    };
    let load = loader::<V, R, C, S, L, F, T>(load);
    S::close(past(site, (key, what), (sight, accepts::<C, S::Content>()), tags(), load).await.map(C::close))
}

/// Calls a plain function through its cache; its load's future is one that runs the function when it is polled.
#[inline]
pub fn ask_blocking<K, V, Q, R, C, S, G, L, F, T>(
    site: &'static Site<K, V>,
    (key, what): (&Q, Ask),
    _shape: (C, S),
    tags: G,
    load: L,
) -> R
where
    K: Key,
    V: Value,
    Q: ToKey<K> + Sync + ?Sized,
    S: Failing<R>,
    C: Content<S::Content, Value = V>,
    G: FnOnce() -> Tags,
    L: FnOnce() -> (F, T) + Send,
    F: Future<Output = R> + Send + 'static,
    T: FnOnce(&V) -> Tags + Send + 'static,
{
    let sight = match here(site, (key, what), accepts::<C, S::Content>()) {
        Ok(value) => return S::close(Ok(C::close(value))),
        Err(sight) => sight,
    };
    // Boxed, all of it: a function that calls itself has one of these on its stack for each call.
    let past = boxed::<K, V, Q, R, C, S, G, L, F, T>(site, (key, what), sight, tags, load);
    S::close(runtime::blocking::block_on(past).map(C::close))
}

type Past<'a, V, E> = Pin<Box<dyn Future<Output = Result<Option<V>, LoadError<E>>> + 'a>>;

#[inline(never)]
fn boxed<'a, K, V, Q, R, C, S, G, L, F, T>(
    site: &'static Site<K, V>,
    asked: (&'a Q, Ask),
    sight: Option<Sight<V>>,
    tags: G,
    load: L,
) -> Past<'a, V, S::Error>
where
    K: Key,
    V: Value,
    Q: ToKey<K> + Sync + ?Sized,
    S: Failing<R>,
    C: Content<S::Content, Value = V>,
    G: FnOnce() -> Tags,
    L: FnOnce() -> (F, T) + Send + 'a,
    F: Future<Output = R> + Send + 'static,
    T: FnOnce(&V) -> Tags + Send + 'static,
{
    let load = loader::<V, R, C, S, L, F, T>(load);
    Box::pin(past(site, asked, (sight, accepts::<C, S::Content>()), tags(), load))
}

/// Runs a plain function inside its load.
pub fn aside<R>(function: impl FnOnce() -> R) -> R {
    runtime::blocking::aside(function)
}

/// What names no tags of a value.
pub fn untagged<V>(_: &V) -> Tags {
    Tags::new()
}

/// What memory answers at once: the value, or `None` for a known absence where that is an answer.
#[inline(always)]
fn here<K, V, Q>(
    site: &'static Site<K, V>,
    (key, what): (&Q, Ask),
    accepts: Accepts,
) -> Result<Option<V>, Option<Sight<V>>>
where
    K: Key,
    V: Value,
    Q: ToKey<K> + ?Sized,
{
    if what == Ask::Refresh {
        return Err(None);
    }
    if let Some(cache) = site.settled()
        && let Some(value) = cache.hit(key)
    {
        return Ok(Some(value));
    }
    look(site, key, accepts)
}

#[inline(never)]
fn look<K, V, Q>(site: &'static Site<K, V>, key: &Q, accepts: Accepts) -> Result<Option<V>, Option<Sight<V>>>
where
    K: Key,
    V: Value,
    Q: ToKey<K> + ?Sized,
{
    let cache = site.cache();
    let served = cache.entry(key).accepts(accepts).look()?;
    Ok(served.value)
}

type Loading<V, E> = Pin<Box<dyn Future<Output = Result<Loaded<V>, E>> + Send>>;

/// A loader whose own types are forgotten, so that the path of a load is compiled once for each cache.
type Loader<'a, V, E> = Box<dyn FnOnce(Load<V>) -> Loading<V, E> + Send + 'a>;

/// The function as a loader that answers with its tags, inside the scope of the call.
fn loader<'a, V, R, C, S, L, F, T>(load: L) -> Loader<'a, V, S::Error>
where
    V: Value,
    S: Failing<R>,
    C: Content<S::Content, Value = V>,
    L: FnOnce() -> (F, T) + Send + 'a,
    F: Future<Output = R> + Send + 'static,
    T: FnOnce(&V) -> Tags + Send + 'static,
{
    Box::new(move |_| {
        let (function, tagger) = load();
        let loading = async move {
            let value = C::open(S::open(function.await)?);
            let tags = value.as_ref().map(tagger).unwrap_or_default();
            Ok(tags.into_iter().fold(Loaded::from(value), Loaded::tag))
        };
        match current::scoped() {
            Some(hub) => Box::pin(async move { hub.scope(loading).await }),
            None => Box::pin(loading),
        }
    })
}

async fn past<K, V, Q, E>(
    site: &'static Site<K, V>,
    (key, what): (&Q, Ask),
    (sight, accepts): (Option<Sight<V>>, Accepts),
    tags: Tags,
    load: Loader<'_, V, E>,
) -> Result<Option<V>, LoadError<E>>
where
    K: Key,
    V: Value,
    Q: ToKey<K> + Sync + ?Sized,
    E: Send + Sync + 'static,
{
    let cache = site.cache();
    let entry = cache.entry(key).accepts(accepts).tags(tags);
    let served = match what {
        Ask::Lookup => entry.load_past(sight, load).await?,
        Ask::Refresh => entry.reload(load).await?,
    };
    Ok(served.value)
}
