//! The guide's `TTLCache`: bounded, thread-safe, with a clock that cannot jump, and without a runtime.

use std::time::Duration;

use tierce::{ManualClock, Memory};

fn main() {
    // A clock in the example's hand; leave it out for the system's monotonic one.
    let clock = ManualClock::new();
    let sessions: Memory<String, u64> =
        Memory::builder().capacity(10_000).ttl(Duration::from_secs(300)).clock(clock.clock()).build();

    sessions.insert("ada".to_string(), 7);
    assert_eq!(sessions.get("ada"), Some(7)); // by &str: no String is made

    clock.advance(Duration::from_secs(299));
    assert_eq!(sessions.get("ada"), Some(7));
    clock.advance(Duration::from_secs(2));
    assert_eq!(sessions.get("ada"), None);

    // Values that are "empty" are values: 0, "", false.
    sessions.insert("nobody".to_string(), 0);
    assert_eq!(sessions.get("nobody"), Some(0));

    sessions.remove("nobody");
    assert_eq!(sessions.get("nobody"), None);

    // What nobody asks for again does not pile up: the bound holds whatever comes.
    for visitor in 0..100_000 {
        sessions.insert(format!("visitor {visitor}"), visitor);
    }
    assert!(sessions.len() <= 10_000);
    println!("{:?}", sessions.stats());
}
