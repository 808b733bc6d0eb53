//! Which ttl? What each buys on the same traffic, under virtual time: 5 lookups a second of 1,000 rows, the more
//! popular the likelier (Zipf), for two hours after one to warm up. Rows change every hour on average, and nobody
//! invalidates: so "wrong" is what the ttl alone has to answer for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tierce::{Cache, Hub, ManualClock};

const ROWS: u64 = 1000;
const LOOKUPS_A_SECOND: u64 = 5;
const HOUR: u64 = 3600;

/// Numbers of which each looks drawn at random, the same in every run.
struct Random(u64);

impl Random {
    fn unit(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Zipf with exponent 1, by its continuous form.
    fn row(&mut self) -> u64 {
        (((ROWS + 1) as f64).powf(self.unit()) as u64).min(ROWS) - 1
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    println!("{:>8} {:>10} {:>12} {:>8}", "ttl", "hit rate", "queries/min", "wrong");
    for ttl_s in [1, 10, 60, 300, 900, HOUR] {
        let clock = ManualClock::new();
        let hub = Hub::builder().clock(clock.clock()).seed(7).build();
        let cache: Cache<u64, u64> =
            hub.local_cache("row").capacity(ROWS as usize).ttl(Duration::from_secs(ttl_s)).build();
        let rows: Arc<Vec<_>> = Arc::new((0..ROWS).map(|_| AtomicU64::new(0)).collect());
        let (mut random, mut wrong, mut before) = (Random(42), 0_u64, (0, 0));
        for tick in 0..3 * HOUR * LOOKUPS_A_SECOND {
            clock.advance(Duration::from_secs(1) / LOOKUPS_A_SECOND as u32);
            if tick == HOUR * LOOKUPS_A_SECOND {
                before = (cache.stats().hits, wrong);
            }
            // Every row changes once an hour, on average.
            if random.unit() < ROWS as f64 / (HOUR * LOOKUPS_A_SECOND) as f64 {
                rows[(random.unit() * ROWS as f64) as usize].store(tick, Relaxed);
            }
            let (row, table) = (random.row(), Arc::clone(&rows));
            let load = || async move { Ok::<_, std::io::Error>(table[row as usize].load(Relaxed)) };
            let found = cache.get_or_load(&row, load).await.expect("every row is there");
            wrong += u64::from(found != rows[row as usize].load(Relaxed));
        }
        let (lookups, hits) = ((2 * HOUR * LOOKUPS_A_SECOND) as f64, (cache.stats().hits - before.0) as f64);
        let wrong = (wrong - before.1) as f64 / lookups * 100.0;
        println!("{ttl_s:>6} s {:>8.1} % {:>12.0} {wrong:>6.1} %", hits / lookups * 100.0, (lookups - hits) / 120.0);
    }
}
