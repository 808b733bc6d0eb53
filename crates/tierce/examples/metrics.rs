//! The guide's `CacheMetrics`: every cache counts by itself, and `Hub::stats` gives all of them.

use std::time::Duration;

use tierce::Hub;

async fn report(day: u32) -> Result<String, std::io::Error> {
    tokio::time::sleep(Duration::from_millis(5)).await; // a query that takes its time
    Ok(format!("report of day {day}"))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let hub = Hub::embedded();
    let reports = hub.local_cache::<u32, String>("report").capacity(100).build();
    assert_eq!(reports.stats().hit_rate(), None); // of nothing: neither 0 nor a division by it

    for lookup in 0..1000 {
        let day = lookup % 10;
        reports.get_or_load(&day, || report(day)).await?;
    }

    let stats = reports.stats();
    assert_eq!((stats.hits, stats.misses, stats.loads), (990, 10, 10));
    assert!(stats.time_saved > Duration::from_secs(4));
    for (name, stats) in hub.stats() {
        let (mean, most) = (stats.load_time.mean(), stats.load_time.quantile(0.99));
        println!("cache {name}");
        println!("  hit rate      {:.1} %", stats.hit_rate().unwrap_or_default() * 100.0);
        println!("  loads         {}, errors {}", stats.loads, stats.load_errors);
        println!("  load time     mean {:?}, 99 % below {:?}", mean.unwrap_or_default(), most.unwrap_or_default());
        println!("  time saved    {:?}", stats.time_saved);
        println!("  entries       {} of {}", stats.len, stats.capacity.unwrap_or(u64::MAX));
    }
    // With the feature `metrics`, `Hub::publish_metrics` hands the same to Prometheus and others.
    Ok(())
}
