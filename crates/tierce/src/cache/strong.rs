//! Lookups past memory: what the store has at the time of the call, or a load.
//!
//! Memory is coherent up to a bound; a strong read has none. It joins no flight that began before it, nor one that took this
//! process's word for what tags are at.

use std::sync::Arc;

use super::cycle::Asks;
use super::flight::Ground;
use super::inner::Limits;
use super::load::{Load, Loaded};
use super::lookup::{Before, Boarded, Next, Path, Role, Served};
use super::seen::Wants;
use super::wait::Patience;
use crate::error::LoadError;
use crate::key::{Key, ToKey, Value};
use crate::mutant::{self, Mutant};
use crate::runtime;

impl<K: Key, V: Value, Q: ToKey<K> + ?Sized> Path<'_, K, V, Q> {
    /// The value as the store has it now, or else as a load brings it that began after the call.
    pub(super) async fn strong<L, F, E>(self, load: L) -> Result<Served<V>, LoadError<E>>
    where
        L: FnOnce(Load<V>) -> F,
        F: Future<Output = Result<Loaded<V>, E>> + Send + 'static,
        E: Send + Sync + 'static,
    {
        let runtime = runtime::current();
        let limits = Limits { soft: None, ..self.limits() };
        let mut patience = Patience::new(&*runtime, limits).map_err(LoadError::Panicked)?;
        let cells = self.cache.hub.tags.cells(&self.call.tags);
        let called = self.cache.flights.ticket();
        let mut load = Some(load);
        loop {
            let arrived = self.cache.hub.tags.epoch();
            let departure = self.departure(&runtime, Asks::Anew);
            let boarded = self.board(&departure, &cells, Before::Nothing, Ground::Fore);
            let Boarded::Flight(flight, role) = boarded else { continue };
            let begins_now = flight.node.asks == Asks::Anew && flight.node.ticket > called;
            let ours = begins_now || mutant::on(Mutant::StrongJoinsAny);
            if role == Role::Leads
                && let Some(answer) = self.lead((&flight, &cells), Wants::Strong, &mut patience, &mut load).await
            {
                return answer;
            }
            let mut waiter = self.sit(Arc::clone(&flight), role, &runtime)?;
            match self.wait(&mut waiter, &mut patience, arrived).await {
                Next::Return(result) if ours => return result,
                Next::Return(Err(LoadError::Timeout)) if patience.is_over() => return Err(LoadError::Timeout),
                Next::Return(_) | Next::LookAgain if load.is_none() => return Err(LoadError::Abandoned),
                // Another's, which may be from before the call; or overtaken, and so is this one.
                Next::Return(_) | Next::LookAgain => {}
            }
        }
    }
}
