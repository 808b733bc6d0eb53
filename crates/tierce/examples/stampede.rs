//! The guide's `get_with_lock`: a thousand callers of one cold key, one load; nothing to clean up, nobody hangs.

use std::time::Duration;

use tierce::Hub;
use tierce::testing::{Source, Watch};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let pages = Source::from([(1, "the front page")]);
    let cache = Hub::embedded()
        .local_cache::<u64, &str>("page")
        .stale_while_revalidate(Duration::from_secs(30)) // who comes after the ttl waits for nobody
        .stale_if_error(Duration::from_secs(600)) // nor does anybody get an error that an old page can cover
        .build();
    let watch = Watch::new(&cache);

    pages.freeze(); // a slow database
    let callers: Vec<_> = (0..1000)
        .map(|_| {
            let (cache, pages) = (cache.clone(), pages.clone());
            tokio::spawn(async move { cache.get_or_load(&1, || pages.load(&1)).await })
        })
        .collect();
    callers[0].abort(); // the caller whose load runs may leave: it is not his alone
    while cache.stats().misses < 999 {
        tokio::task::yield_now().await;
    }
    pages.release();
    let mut answers = 0;
    for caller in callers {
        answers += usize::from(caller.await.is_ok_and(|page| page.is_ok_and(|page| page == "the front page")));
    }
    assert!(answers >= 999);
    watch.loads(1);
    println!("{answers} callers, {} load", pages.loads());

    // A row that does not exist is one load too.
    for _ in 0..1000 {
        assert_eq!(cache.find_or_load(&2, || pages.find(&2)).await?, None);
    }
    watch.loads(2);
    Ok(())
}
