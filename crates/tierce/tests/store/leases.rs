//! What becomes of a lease that nobody waited for, on either server.

use std::time::Duration;

use tierce::Clock;
use tierce::store::{Fault, Key, Lease, Store};

use crate::server::Server;

const WITHIN: Duration = Duration::from_secs(10);
const LONG: Duration = Duration::from_secs(3600);
const ENTRY: &[u8] = b"\xC4\x01\x00entry";

/// Leases of a key without an entry, and of one with.
pub(crate) async fn is_given_back_when_it_comes_too_late(server: &Server, store: &dyn Store) {
    let (key, hasty) = (Key::new("{test:cache:1:late}"), Duration::from_millis(30));
    for has_entry in [false, true] {
        if has_entry {
            store.set(&key, ENTRY, LONG, WITHIN).await.unwrap();
        }
        let seen = store.get(&key, WITHIN).await.unwrap();
        assert_eq!(seen.is_some(), has_entry);
        server.signal("STOP");
        // A server's threads stop one by one.
        while store.get(&key, hasty).await != Err(Fault::Timeout) {}
        assert_eq!(store.lease(&key, seen.as_ref(), LONG, hasty).await, Err(Fault::Timeout));
        server.signal("CONT");
        let began = Clock::system().precise();
        let token = loop {
            if let Lease::Won(token) = store.lease(&key, seen.as_ref(), LONG, WITHIN).await.unwrap() {
                break token;
            }
            assert!(Clock::system().precise().saturating_sub(began) < WITHIN, "it is nobody's: {has_entry}");
        };
        assert_eq!(store.lease(&key, seen.as_ref(), LONG, WITHIN).await, Ok(Lease::Lost));
        store.give_back(&key, token, WITHIN).await.unwrap();
    }
}
