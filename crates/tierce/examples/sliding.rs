//! Sliding expiry: a session that is used stays, one that is not goes; either ends after eight hours.

use std::time::Duration;

use tierce::Hub;
use tierce::testing::ManualClock;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    const MINUTE: Duration = Duration::from_secs(60);
    let clock = ManualClock::new();
    let hub = Hub::builder().clock(clock.clock()).build();
    let sessions = hub.local_cache::<String, u64>("session").ttl(480 * MINUTE).jitter(0.0).idle(30 * MINUTE).build();

    sessions.set("busy".to_string(), 1).await?;
    sessions.set("idle".to_string(), 2).await?;

    for _ in 0..4 {
        clock.advance(20 * MINUTE);
        assert_eq!(sessions.get("busy").await, Some(1));
    }
    assert_eq!(sessions.get("idle").await, None);

    // Reads put off the end by idleness, never the end by the ttl.
    for _ in 0..20 {
        clock.advance(20 * MINUTE);
        sessions.get("busy").await;
    }
    assert_eq!(sessions.get("busy").await, None);
    println!("{:?}", sessions.stats().removals);
    Ok(())
}
