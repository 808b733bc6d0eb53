//! Two loads that look up each other's key: at most one of them is refused, and nobody waits for good.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use shuttle::thread;
use tierce::{Cache, Hub, LoadError};

use crate::on_threads;

/// Refusals over all schedules.
static REFUSED: AtomicU64 = AtomicU64::new(0);

/// Loads a key from the other one's value, or, where that one waits for this, by itself.
async fn load(cache: Cache<u8, u64>, key: u8, refused: Arc<AtomicU64>) -> Result<u64, String> {
    match cache.get_or_load(&(1 - key), || async { Ok::<_, String>(0) }).await {
        Err(LoadError::Cycle) => {
            refused.fetch_add(1, Relaxed);
            Ok(1)
        }
        other => other.map_err(|error| error.to_string()),
    }
}

#[test]
fn of_two_loads_that_need_each_other_one_is_refused() {
    crate::check(|| {
        let hub = Hub::builder().seed(1).build();
        let cache = hub.local_cache::<u8, u64>("check").capacity(8).build();
        let refused = Arc::new(AtomicU64::new(0));
        let caller = |key: u8| {
            let (cache, refused) = (cache.clone(), Arc::clone(&refused));
            thread::spawn(move || {
                let inner = cache.clone();
                on_threads(cache.get_or_load(&key, || load(inner, key, refused)))
            })
        };
        let callers: Vec<_> = (0..2).map(caller).collect();
        for caller in callers {
            caller.join().expect("it does not panic").expect("one refusal is enough, and is answered");
        }
        assert!(refused.load(Relaxed) <= 1);
        REFUSED.fetch_add(refused.load(Relaxed), Relaxed);
        assert_eq!(on_threads(hub.drain(Duration::MAX)), 0);
        assert!((0..2).all(|key| !on_threads(cache.explain(&key)).loading), "a flight stands at rest");
    });
    assert!(REFUSED.load(Relaxed) > 0, "no schedule met the circle");
}
