//! What functions return, and what of it is a value, an absence, an error.
//!
//! A macro sees how a return type is written: `Result<…>`, `Option<…>`, something else. It does not see what a name
//! stands for. How the errors of a `Result` get to all who wait for a load is therefore asked of the type, by the
//! methods of [`Probe`] (the compiler tries them in the order of their references); and [`NotAResult`] refuses a name
//! that hides a `Result`, whose errors would be kept as values.

use std::convert::Infallible;
use std::marker::PhantomData;

use crate::cache::Accepts;
use crate::error::LoadError;

/// What of a success is a value, and what an absence.
pub trait Content<C>: 'static {
    /// What is kept.
    type Value;
    #[doc(hidden)]
    const ABSENCE: bool;

    /// The value, if there is one.
    fn open(content: C) -> Option<Self::Value>;

    /// What the function returns for it.
    fn close(value: Option<Self::Value>) -> C;
}

/// Always a value.
pub struct Sure;

/// `None` is a known absence.
pub struct Maybe;

impl<T> Content<T> for Sure {
    type Value = T;
    const ABSENCE: bool = false;

    fn open(content: T) -> Option<T> {
        Some(content)
    }

    #[inline]
    fn close(value: Option<T>) -> T {
        value.expect("a lookup that accepts values only ends with one")
    }
}

impl<T> Content<Option<T>> for Maybe {
    type Value = T;
    const ABSENCE: bool = true;

    fn open(content: Option<T>) -> Option<T> {
        content
    }

    #[inline]
    fn close(value: Option<T>) -> Option<T> {
        value
    }
}

pub(super) fn accepts<X: Content<C>, C>() -> Accepts {
    if X::ABSENCE { Accepts::Absence } else { Accepts::ValueOnly }
}

/// How what a function returns says that there is nothing.
pub trait Failing<R>: 'static {
    /// What it returns of a success.
    type Content;
    /// The loader's error.
    type Error: Send + Sync + 'static;
    /// Whether it can tell of a load that is too slow.
    const TELLS: bool;

    /// What a call of the function itself brought.
    fn open(returned: R) -> Result<Self::Content, Self::Error>;

    /// What a lookup brought.
    fn close(ended: Result<Self::Content, LoadError<Self::Error>>) -> R;
}

/// It does not.
pub struct Never;

/// By the crate's own `Result`.
pub struct Shared;

/// By an error that knows how to be made of a load's.
pub struct Told;

/// By an error that can be cloned.
pub struct Cloned;

/// By an error that one caller alone could have.
pub struct Unshared;

impl<C> Failing<C> for Never {
    type Content = C;
    type Error = Infallible;
    const TELLS: bool = false;

    fn open(returned: C) -> Result<C, Infallible> {
        Ok(returned)
    }

    #[inline]
    fn close(ended: Result<C, LoadError<Infallible>>) -> C {
        ended.unwrap_or_else(|error| match error.apart() {
            Ok(own) => match *own {},
            Err(other) => fail(&other),
        })
    }
}

impl<C, E: Send + Sync + 'static> Failing<Result<C, LoadError<E>>> for Shared {
    type Content = C;
    type Error = LoadError<E>;
    const TELLS: bool = true;

    fn open(returned: Result<C, LoadError<E>>) -> Result<C, LoadError<E>> {
        returned
    }

    #[inline]
    fn close(ended: Result<C, LoadError<LoadError<E>>>) -> Result<C, LoadError<E>> {
        ended.map_err(|error| error.apart().map_or_else(|other| other, |own| LoadError::clone(&own)))
    }
}

impl<C, E: Clone + From<LoadError<E>> + Send + Sync + 'static> Failing<Result<C, E>> for Told {
    type Content = C;
    type Error = E;
    const TELLS: bool = true;

    fn open(returned: Result<C, E>) -> Result<C, E> {
        returned
    }

    #[inline]
    fn close(ended: Result<C, LoadError<E>>) -> Result<C, E> {
        ended.map_err(|error| error.apart::<E>().map_or_else(E::from, |own| E::clone(&own)))
    }
}

impl<C, E: Clone + Send + Sync + 'static> Failing<Result<C, E>> for Cloned {
    type Content = C;
    type Error = E;
    const TELLS: bool = false;

    fn open(returned: Result<C, E>) -> Result<C, E> {
        returned
    }

    #[inline]
    fn close(ended: Result<C, LoadError<E>>) -> Result<C, E> {
        ended.map_err(|error| error.apart().map_or_else(|other| fail(&other), |own| E::clone(&own)))
    }
}

/// The code of a function that [`Probe::SHARES`] has refused.
impl<C, E: Send + Sync + 'static> Failing<Result<C, E>> for Unshared {
    type Content = C;
    type Error = E;
    const TELLS: bool = false;

    fn open(returned: Result<C, E>) -> Result<C, E> {
        returned
    }

    fn close(_: Result<C, LoadError<E>>) -> Result<C, E> {
        unreachable!("it is refused when it is compiled")
    }
}

/// There is nothing to return.
#[cold]
fn fail(error: &LoadError<Infallible>) -> ! {
    match error {
        LoadError::Panicked(message) => panic!("{message}"),
        other => panic!("{other}; return `tierce::Result` from the cached function to be told so"),
    }
}

/// Asks a return type how it fails. See the head of this file.
pub struct Probe<R>(PhantomData<fn() -> R>);

impl<R> Probe<R> {
    /// To call the methods of.
    pub const NEW: Self = Probe(PhantomData);
}

impl<C, E> Probe<Result<C, E>> {
    /// Whether it is a `Result`.
    pub const IS_RESULT: bool = true;
}

impl<C, E: Clone> Probe<Result<C, E>> {
    /// Whether its error can be given to all who wait for one load.
    pub const SHARES: bool = true;
}

impl<T> Probe<Option<T>> {
    /// Whether it is an `Option`.
    pub const IS_OPTION: bool = true;
}

/// What [`Probe`] says of other types.
pub trait NotAResult {
    /// Whether it is a `Result`.
    const IS_RESULT: bool = false;
    /// Whether its error can be given to all who wait for one load.
    const SHARES: bool = false;
    /// Whether it is an `Option`.
    const IS_OPTION: bool = false;
}

impl<R> NotAResult for Probe<R> {}

/// Asked first.
pub trait ByLoadError {
    /// How it fails.
    fn failing(&self) -> Shared {
        Shared
    }
}

impl<C, E> ByLoadError for &&&Probe<Result<C, LoadError<E>>> {}

/// Asked second.
pub trait ByFrom {
    /// How it fails.
    fn failing(&self) -> Told {
        Told
    }
}

impl<C, E: Clone + From<LoadError<E>>> ByFrom for &&Probe<Result<C, E>> {}

/// Asked third.
pub trait ByClone {
    /// How it fails.
    fn failing(&self) -> Cloned {
        Cloned
    }
}

impl<C, E: Clone> ByClone for &Probe<Result<C, E>> {}

/// Asked last.
pub trait ByNobody {
    /// How it fails.
    fn failing(&self) -> Unshared {
        Unshared
    }
}

impl<C, E> ByNobody for Probe<Result<C, E>> {}
