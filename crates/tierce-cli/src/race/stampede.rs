//! Many callers at once on one key that is not in the cache.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use super::lane::Lane;
use super::report::Stampede;
use crate::clock;
use crate::contender::Contender;
use crate::error::Error;
use crate::load::ABSENT;

/// A misspelt name that the load does not search for.
const TEXT: &str = "sankt petersbrug";
/// An id that no place has and the load does not ask for.
const NOWHERE: u32 = ABSENT + 99_999_999;

/// What all callers want.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) enum Wanted {
    /// The answer to one search.
    Search,
    /// One place, which does not exist.
    AbsentPlace,
}

/// What the callers of one process saw; times are of the clock that all processes share.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Crowd {
    pub(crate) first_ns: u64,
    pub(crate) last_ns: u64,
    pub(crate) loads: u64,
}

impl Crowd {
    /// The crowds of all processes together.
    pub(crate) fn stampede(crowds: &[Self]) -> Stampede {
        let first_ns = crowds.iter().map(|crowd| crowd.first_ns).min().unwrap_or(0);
        let last_ns = crowds.iter().map(|crowd| crowd.last_ns).max().unwrap_or(0);
        let took = std::time::Duration::from_nanos(last_ns.saturating_sub(first_ns));
        Stampede { took, loads: crowds.iter().map(|crowd| crowd.loads).sum() }
    }
}

/// Lets so many callers ask, all at that time.
pub(crate) async fn run<C: Contender>(lane: &Lane<C>, wanted: Wanted, size: u32, at_ns: u64) -> Result<Crowd, Error> {
    let before = lane.database.queries();
    let start = Arc::new(Barrier::new(size as usize));
    let mut callers = JoinSet::new();
    for _ in 0..size {
        let (start, contender) = (Arc::clone(&start), Arc::clone(&lane.contender));
        callers.spawn(async move {
            start.wait().await;
            clock::until_common_ns(at_ns).await;
            let began = clock::now();
            match wanted {
                Wanted::Search => drop(contender.search(TEXT).await?),
                Wanted::AbsentPlace => drop(contender.place(NOWHERE).await?),
            }
            Ok::<_, Error>((began, clock::now()))
        });
    }
    let (mut began, mut ended) = (Vec::with_capacity(size as usize), Vec::with_capacity(size as usize));
    while let Some(caller) = callers.join_next().await {
        let (first, last) = caller.expect("callers are neither aborted nor panic")?;
        began.push(clock::as_common_ns(first));
        ended.push(clock::as_common_ns(last));
    }
    let first_ns = began.into_iter().min().unwrap_or(at_ns);
    let last_ns = ended.into_iter().max().unwrap_or(at_ns);
    Ok(Crowd { first_ns, last_ns, loads: (lane.database.queries() - before).reads() })
}
