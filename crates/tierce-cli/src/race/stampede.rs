//! Many callers at once on one key that is not in the cache.

use std::sync::Arc;
use std::time::Duration;

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

/// All callers want the answer to one search.
pub(super) async fn on_a_search<C: Contender>(lane: &Lane<C>, callers: u32) -> Result<Stampede, Error> {
    crowd(lane, callers as usize, |contender| async move { contender.search(TEXT).await.map(|_| ()) }).await
}

/// All callers want one place, which does not exist.
pub(super) async fn on_an_absent_place<C: Contender>(lane: &Lane<C>, callers: u32) -> Result<Stampede, Error> {
    crowd(lane, callers as usize, |contender| async move { contender.place(NOWHERE).await.map(|_| ()) }).await
}

async fn crowd<C, Asking>(lane: &Lane<C>, size: usize, ask: impl Fn(Arc<C>) -> Asking) -> Result<Stampede, Error>
where
    C: Contender,
    Asking: Future<Output = Result<(), Error>> + Send + 'static,
{
    let before = lane.database.queries();
    let start = Arc::new(Barrier::new(size));
    let mut callers = JoinSet::new();
    for _ in 0..size {
        let (start, asking) = (Arc::clone(&start), ask(Arc::clone(&lane.contender)));
        callers.spawn(async move {
            start.wait().await;
            let began = clock::now();
            asking.await?;
            Ok::<_, Error>((began, clock::now()))
        });
    }
    let (mut began, mut ended) = (Vec::with_capacity(size), Vec::with_capacity(size));
    while let Some(caller) = callers.join_next().await {
        let (first, last) = caller.expect("callers are neither aborted nor panic")?;
        began.push(first);
        ended.push(last);
    }
    let took = match (began.iter().min(), ended.iter().max()) {
        (Some(first), Some(last)) => last.saturating_duration_since(*first),
        _ => Duration::ZERO,
    };
    Ok(Stampede { took, loads: (lane.database.queries() - before).reads() })
}
