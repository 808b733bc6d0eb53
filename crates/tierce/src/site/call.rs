//! A call of a function that has a cache.

use std::marker::PhantomData;
use std::pin::Pin;

use super::shape::{Content, Failing, accepts};
use super::{Site, Tags};
use crate::cache::{Accepts, Load, Loaded, Sight};
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
    site: &'static Site<K, V>,
    what: Ask,
    sight: Option<Sight<V>>,
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
    look(site, key, what, accepts::<C, S::Content>()).map(|value| S::close(Ok(C::close(value)))).map_err(|sight| Miss {
        site,
        what,
        sight,
        returns: PhantomData,
        shape: PhantomData,
    })
}

/// A function's own future.
pub type Calling<R> = Pin<Box<dyn Future<Output = R> + Send>>;

/// What names the tags of a value.
pub type Tagger<V> = Option<Box<dyn FnOnce(&V) -> Tags + Send>>;

/// Makes the arguments a load's own, and gives its future. Boxed, so that the path of a load is compiled once for each
/// cache and return type, and not for each function.
pub type Loader<'a, R, V> = Box<dyn FnOnce() -> (Calling<R>, Tagger<V>) + Send + 'a>;

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
    let Miss { site, what, sight, .. } = miss;
    let cache = site.cache();
    let entry = cache.entry(key).accepts(accepts::<C, S::Content>()).tags(tags);
    let load = move |_: Load<V>| loading::<V, R, C, S>(load());
    let served = match what {
        Ask::Lookup => entry.load_past(sight, load).await,
        Ask::Refresh => entry.reload(load).await,
    };
    S::close(served.map(|served| C::close(served.value)))
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
fn look<K, V, Q>(site: &'static Site<K, V>, key: &Q, what: Ask, accepts: Accepts) -> Result<Option<V>, Option<Sight<V>>>
where
    K: Key,
    V: Value,
    Q: ToKey<K> + ?Sized,
{
    if what == Ask::Refresh {
        return Err(None);
    }
    let cache = site.cache();
    let served = cache.entry(key).accepts(accepts).look()?;
    Ok(served.value)
}

type Loading<V, E> = Pin<Box<dyn Future<Output = Result<Loaded<V>, E>> + Send>>;

/// The function's future as a loader's, which answers with its tags, inside the scope of the call.
fn loading<V, R, C, S>((calling, tagger): (Calling<R>, Tagger<V>)) -> Loading<V, S::Error>
where
    V: Value,
    R: 'static,
    S: Failing<R>,
    C: Content<S::Content, Value = V>,
{
    let loading = async move {
        let value = C::open(S::open(calling.await)?);
        let tags = tagger.zip(value.as_ref()).map(|(tagger, value)| tagger(value));
        Ok(tags.into_iter().flatten().fold(Loaded::from(value), Loaded::tag))
    };
    match current::scoped() {
        Some(hub) => Box::pin(async move { hub.scope(loading).await }),
        None => Box::pin(loading),
    }
}
