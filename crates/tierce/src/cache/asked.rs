//! A lookup's own end, as the rest of a lookup sees it: how it is asked, what it found, its loader.

use std::any::Any;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use super::cargo::Sought;
use super::core::{Accepts, Because, Sight};
use super::flight::{AnyError, Boarding, Flight};
use super::load::Bare;
use super::run::LoadFuture;
use super::vault::Spill;
use crate::error::LoadError;

/// What the loader of a lookup has begun, or how its call panicked; and the tags of the value that it is to replace.
pub(super) type Begun = (Result<LoadFuture<Bare>, Box<dyn Any + Send>>, Vec<Arc<str>>);

/// One key that is looked up. What it finds it keeps.
pub(super) trait Asked {
    fn hash(&self) -> u64;

    fn key(&self) -> &dyn Sought;

    /// A flight for the key.
    fn flight(&self, boarding: Boarding<'_>) -> Arc<Flight>;

    /// Whether memory has something to serve without question. Clones nothing: it is asked under a lock.
    fn has_fresh(&self, accepts: Accepts) -> bool;

    /// Takes the entry out of memory.
    fn take(&self, out: &mut Spill);

    /// What memory has, uncounted.
    fn glance(&mut self) -> Option<Sight<()>>;

    /// What may stand in for a load that is slow or failed.
    fn stale(&mut self, because: Because) -> Option<Sight<()>>;

    /// What a flight brought.
    fn collect(&mut self, flight: &Flight);

    /// Whether a load's error is of the type that the caller knows.
    fn knows(&self, error: &AnyError) -> bool;

    /// Whether the loader was not called yet.
    fn can_load(&self) -> bool;

    /// Calls the loader. What it brings goes into the flight.
    fn begin(&mut self, flight: &Arc<Flight>, ttl: Option<Duration>) -> Begun;
}

/// Why there is no value, before it is known of what type the loader's error is.
#[derive(Clone)]
pub(super) enum Failure {
    Load(AnyError),
    Other(LoadError<Infallible>),
}

impl From<LoadError<Infallible>> for Failure {
    fn from(error: LoadError<Infallible>) -> Self {
        Failure::Other(error)
    }
}

impl Failure {
    pub(super) fn known<E: Send + Sync + 'static>(self) -> LoadError<E> {
        match self {
            Failure::Load(error) => error.downcast().map_or(LoadError::Abandoned, LoadError::Load),
            Failure::Other(error) => match error.apart() {
                Ok(never) => match *never {},
                Err(error) => error,
            },
        }
    }
}
