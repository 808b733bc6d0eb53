//! A call of a function that has a cache.

use std::marker::PhantomData;
use std::pin::Pin;

use super::Site;
use super::memo::{Memo, Method};
use super::named::Tags;
use super::shape::{Content, Failing, accepts};
use crate::cache::{Accepts, Bare, Builder, Cache, Call, Load, LoadFuture, Loaded, Manner, OnFailure, Sight};
use crate::current;
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

/// A lookup that found nothing to return at once.
pub struct Miss<K: Key, V: Value, R, C, S> {
    pub(super) cache: Cache<K, V>,
    what: Ask,
    pub(super) sight: Option<Sight<V>>,
    returns: PhantomData<fn() -> R>,
    shape: PhantomData<(C, S)>,
}

/// What memory answers at once, as the function returns it: a hit is no more than this.
///
/// # Errors
/// What [`past`] or [`past_blocking`] goes on with.
// Always where it is to be fast: a call is a third of a hit (`bench macros`). Elsewhere it would be compiled anew into each
// function.
#[cfg_attr(not(debug_assertions), inline(always))]
#[cfg_attr(debug_assertions, inline)]
pub fn here<K, V, Q, R, C, S>(
    site: &'static Site<K, V>,
    key: &Q,
    what: Ask,
    _shape: (C, S),
) -> Result<R, Miss<K, V, R, C, S>>
where
    K: Key,
    V: Value,
    Q: ToKey<K> + ?Sized,
    S: Failing<R>,
    C: Content<S::Content, Value = V>,
{
    if what == Ask::Lookup
        && let Some(cache) = site.settled()
        && let Some(value) = cache.hit(key)
    {
        return Ok(S::close(Ok(C::close(Some(value)))));
    }
    look::<K, V, Q, R, C, S>(site.cache(), key, what)
}

/// As [`here`], for a method whose values are in a field of its instance.
#[cfg_attr(not(debug_assertions), inline(always))]
#[cfg_attr(debug_assertions, inline)]
pub fn here_in<K, V, Q, R, C, S>(
    memo: &Memo<K, V>,
    method: &'static Method,
    settings: fn(Builder<K, V>) -> Builder<K, V>,
    key: &Q,
    _shape: (C, S),
) -> Result<R, Miss<K, V, R, C, S>>
where
    K: Key,
    V: Value,
    Q: ToKey<K> + ?Sized,
    S: Failing<R>,
    C: Content<S::Content, Value = V>,
{
    if let Some(cache) = memo.of(method)
        && let Some(value) = cache.hit(key)
    {
        return Ok(S::close(Ok(C::close(Some(value)))));
    }
    look::<K, V, Q, R, C, S>(memo.made_by(method, settings).clone(), key, Ask::Lookup)
}

/// A function's own future.
pub type Calling<R> = Pin<Box<dyn Future<Output = R> + Send>>;

/// What names the tags of a value.
pub type Tagger<'a, V> = Option<Box<dyn FnOnce(&V) -> Tags + Send + 'a>>;

/// A call of the function itself, and what names the tags of what it returns.
pub type Begun<R, V> = (Calling<R>, Tagger<'static, V>);

/// Makes the arguments a load's own, and gives its future. Boxed, so that the path of a load is compiled once for each
/// cache and return type, and not for each function.
pub type Loader<'a, R, V> = Box<dyn FnOnce() -> Begun<R, V> + Send + 'a>;

/// The rest of a call of an async function.
pub async fn past<K, V, Q, R, C, S>(miss: Miss<K, V, R, C, S>, key: &Q, tags: Tags, load: Loader<'_, R, V>) -> R
where
    K: Key,
    V: Value,
    Q: ToKey<K> + Sync + ?Sized,
    R: 'static,
    S: Failing<R>,
    C: Content<S::Content, Value = V>,
{
    let Miss { cache, what, sight, .. } = miss;
    let (call, manner) = call(what, accepts::<C, S::Content>(), tags);
    let load = move |_: Load<V>| loading::<V, R, C, S>(load());
    let found = cache.asking(key, load).travel_sent(&call, manner, sight).await;
    S::close(found.map(C::close))
}

/// What a function's call says of its lookup.
fn call(what: Ask, accepts: Accepts, tags: Tags) -> (Call, Manner) {
    let (manner, on_failure) = match what {
        Ask::Lookup => (Manner::Lookup, OnFailure::Stale),
        Ask::Refresh => (Manner::Refresh, OnFailure::Error),
    };
    let mut call = Call { accepts, on_failure, around: Some(inside_scope), ..Call::default() };
    call.tag(tags);
    (call, manner)
}

/// A load runs inside the scope of the call.
fn inside_scope(load: LoadFuture<Bare>) -> LoadFuture<Bare> {
    Box::pin(current::carry(load))
}

/// The rest of a call of a plain function; its load's future is one that runs the function when it is polled.
pub fn past_blocking<K, V, Q, R, C, S>(miss: Miss<K, V, R, C, S>, key: &Q, tags: Tags, load: Loader<'_, R, V>) -> R
where
    K: Key,
    V: Value,
    Q: ToKey<K> + Sync + ?Sized,
    R: 'static,
    S: Failing<R>,
    C: Content<S::Content, Value = V>,
{
    // Boxed: a function that calls itself has one of these on its stack for each call.
    runtime::blocking::block_on(Box::pin(past(miss, key, tags, load)))
}

/// Runs a plain function inside its load.
pub fn aside<R>(function: impl FnOnce() -> R) -> R {
    runtime::blocking::aside(function)
}

#[inline(never)]
fn look<K, V, Q, R, C, S>(cache: Cache<K, V>, key: &Q, what: Ask) -> Result<R, Miss<K, V, R, C, S>>
where
    K: Key,
    V: Value,
    Q: ToKey<K> + ?Sized,
    S: Failing<R>,
    C: Content<S::Content, Value = V>,
{
    let looked = match what {
        Ask::Lookup => cache.entry(key).accepts(accepts::<C, S::Content>()).look(),
        Ask::Refresh => Err(None),
    };
    match looked {
        Ok(served) => Ok(S::close(Ok(C::close(served.value)))),
        Err(sight) => Err(Miss { cache, what, sight, returns: PhantomData, shape: PhantomData }),
    }
}

/// The function's future as a loader's, which answers with its tags.
async fn loading<V, R, C, S>((calling, tagger): Begun<R, V>) -> Result<Loaded<V>, S::Error>
where
    V: Value,
    S: Failing<R>,
    C: Content<S::Content, Value = V>,
{
    loaded::<V, R, C, S>(calling.await, tagger)
}

/// What a function returned, as a loader's answer.
pub(super) fn loaded<V, R, C, S>(returned: R, tagger: Tagger<'_, V>) -> Result<Loaded<V>, S::Error>
where
    S: Failing<R>,
    C: Content<S::Content, Value = V>,
{
    let value = C::open(S::open(returned)?);
    let tags = match (tagger, &value) {
        (Some(tagger), Some(value)) => tagger(value),
        _ => Tags::new(),
    };
    Ok(Loaded::from(value).tags(tags))
}
