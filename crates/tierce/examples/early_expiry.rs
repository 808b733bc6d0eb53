//! Early refresh: one caller reloads shortly before the ttl ends, behind the callers, and nobody ever waits.

use std::time::Duration;

use tierce::testing::{ManualClock, Source, Watch};
use tierce::{Early, Hub};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let clock = ManualClock::new();
    let hub = Hub::builder().clock(clock.clock()).build();
    let cache = hub
        .local_cache::<u64, &str>("page")
        .ttl(Duration::from_secs(100))
        .jitter(0.0)
        // From four fifths of the ttl on. `Early::XFetch { beta: 1.0 }` is the other way: by chance, the more likely the
        // longer a load takes and the nearer the end is.
        .refresh_early(Early::Fraction(0.8))
        .build();
    let pages = Source::from([(1, "first edition")]);
    let watch = Watch::new(&cache);

    assert_eq!(cache.get_or_load(&1, || pages.load(&1)).await?, "first edition");
    pages.set(1, "second edition");

    clock.advance(Duration::from_secs(79));
    assert_eq!(cache.get_or_load(&1, || pages.load(&1)).await?, "first edition");
    watch.loads(1);

    clock.advance(Duration::from_secs(2));
    // Served at once; the load runs behind this caller.
    assert_eq!(cache.get_or_load(&1, || pages.load(&1)).await?, "first edition");
    while cache.get(&1).await != Some("second edition") {
        tokio::task::yield_now().await;
    }
    watch.loads(2);

    // The new value has a whole ttl before it.
    clock.advance(Duration::from_secs(79));
    assert_eq!(cache.get_or_load(&1, || pages.load(&1)).await?, "second edition");
    watch.loads(2).misses(1);
    println!("{:?}", cache.stats());
    Ok(())
}
