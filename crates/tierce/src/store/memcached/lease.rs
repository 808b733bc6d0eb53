//! Leases and holds, and whatever else is good on one connection alone.
//!
//! Memcached has no scripts, but each change gives an item another number (`cas`), and a store may be bound to one. A
//! **fill** is bound to the number that its lease saw, so whatever happened to the item since refuses it.
//!
//! - The **lease of a key without an entry** is an item of a kind of its own, which one asker adds and which goes by itself.
//! - The **lease of an entry that is to be replaced** is an item beside it, `l{…}`, which one asker adds and which goes by
//!   itself. A fill first deletes that item, by its number, and then stores by the entry's. Memcached's own way to give out such
//!   a lease (`mg R`, or `W` of a stale item) has no end: if its winner dies, nobody loads until the entry goes.
//! - A **hold** is an empty item of another kind in the entry's place: nothing is served of a key while it is held.
//!
//! The item of a lease holds its asker's nonce: whoever did not wait for the answer finds by it whether he was given one.
//!
//! Numbers begin again when a server does. So a token is good on the connection alone on which it was given, and what is
//! bound to it is never asked on the next.

use super::item::{Here, LEASE, here};
use super::meta::{Frame, Request};
use super::server::Server;
use crate::store::connection::Deadline;
use crate::store::face::{Lease, Stored, Token};
use crate::store::fault::Fault;

/// A server's connection, and how long it is waited for.
#[derive(Clone, Copy)]
pub(super) struct To<'a> {
    pub(super) server: &'a Server,
    pub(super) number: u64,
    pub(super) deadline: Deadline,
}

impl To<'_> {
    /// Asks on this connection alone.
    pub(super) async fn bound(self, request: Request) -> Result<Frame, Fault> {
        self.server.ask_one(request, Some(self.number), self.deadline).await
    }

    /// Whether what was bound to a number was done.
    pub(super) async fn is_done(self, request: Request) -> Result<bool, Fault> {
        match self.bound(request).await? {
            Frame::Done(_) => Ok(true),
            Frame::Missing | Frame::Exists | Frame::NotStored => Ok(false),
            _ => Err(Fault::Garbled("neither done nor not done")),
        }
    }

    /// The number of the key's item, and of the item of its lease where there is an entry.
    pub(super) fn token(self, cas: u64, beside: u64) -> Token {
        Token { number: u128::from(beside) << 64 | u128::from(cas), connection: self.number }
    }

    /// A lease of an entry that is to be replaced.
    pub(super) async fn lease_of_entry(
        self,
        key: &str,
        seen: &Stored,
        time_s: u64,
        nonce: &[u8],
    ) -> Result<Lease, Fault> {
        let request = Request::default()
            .store(&format!("l{key}"), nonce, &format!("T{time_s} F{LEASE} ME c"))
            .line(&format!("mg {key} v c f"));
        let [added, got] = self.server.ask_two(request, Some(self.number), self.deadline).await?;
        let added = match added {
            Frame::Done(flags) => Some(flags.cas),
            Frame::NotStored => None,
            _ => return Err(Fault::Garbled("neither stored nor not stored")),
        };
        let lease = match (here(got)?, added) {
            (Here::Entry(stored, flags), Some(cas)) if stored == *seen => {
                return Ok(Lease::Won(self.token(flags.cas, cas)));
            }
            (Here::Entry(stored, _), _) if stored == *seen => return Ok(Lease::Lost),
            (Here::Entry(stored, _), _) => Some(Lease::Found(stored)),
            (Here::Lease, _) => Some(Lease::Lost),
            (Here::Hold, _) => Some(Lease::Held),
            (Here::Nothing, _) => None,
        };
        if let Some(cas) = added {
            self.bound(Request::default().line(&format!("md l{key} C{cas}"))).await?;
        }
        match lease {
            Some(lease) => Ok(lease),
            None => self.lease_of_nothing(key, time_s, nonce).await,
        }
    }

    /// A lease of a key without an entry.
    pub(super) async fn lease_of_nothing(self, key: &str, time_s: u64, nonce: &[u8]) -> Result<Lease, Fault> {
        let request =
            Request::default().store(key, nonce, &format!("T{time_s} F{LEASE} ME c")).line(&format!("mg {key} v c f"));
        let [added, got] = self.server.ask_two(request, Some(self.number), self.deadline).await?;
        if let Frame::Done(flags) = added {
            return Ok(Lease::Won(self.token(flags.cas, 0)));
        }
        Ok(match here(got)? {
            Here::Entry(stored, _) => Lease::Found(stored),
            Here::Lease | Here::Nothing => Lease::Lost,
            Here::Hold => Lease::Held,
        })
    }

    /// Ends the lease with this nonce, if there is one.
    pub(super) async fn end_own(self, key: &str, nonce: &[u8]) -> Result<(), Fault> {
        for name in [key.to_string(), format!("l{key}")] {
            let got = self.bound(Request::default().line(&format!("mg {name} v c f"))).await?;
            if let Frame::Value(bytes, flags) = got
                && flags.kind == LEASE
                && bytes == nonce
            {
                self.bound(Request::default().line(&format!("md {name} C{}", flags.cas))).await?;
            }
        }
        Ok(())
    }

    /// Stores what was loaded under a lease, or written under a hold; at no time there is nothing then.
    pub(super) async fn fill(self, key: &str, token: Token, bytes: &[u8], time_s: u64) -> Result<bool, Fault> {
        let (cas, beside) = parts(token);
        // Whoever deletes it is the one who may fill: a lease whose time is over has none, or another's.
        if beside != 0 && !self.is_done(Request::default().line(&format!("md l{key} C{beside}"))).await? {
            return Ok(false);
        }
        if time_s == 0 {
            return self.is_done(Request::default().line(&format!("md {key} C{cas}"))).await;
        }
        let store = Request::default().store(key, bytes, &format!("C{cas} T{time_s}"));
        self.is_done(store).await
    }

    /// Ends a lease or a hold.
    pub(super) async fn give_back(self, key: &str, token: Token) -> Result<(), Fault> {
        let request = match parts(token) {
            (cas, 0) => Request::default().line(&format!("md {key} C{cas}")),
            (_, beside) => Request::default().line(&format!("md l{key} C{beside}")),
        };
        self.bound(request).await.map(drop)
    }

    /// Lets a lease or a hold last.
    pub(super) async fn extend(self, key: &str, token: Token, time_s: u64) -> Result<bool, Fault> {
        let (cas, beside) = parts(token);
        let number = async |line: String| match self.bound(Request::default().line(&line)).await? {
            Frame::Done(flags) => Ok(Some(flags.cas)),
            Frame::Missing => Ok(None),
            _ => Err(Fault::Garbled("neither there nor not there")),
        };
        if number(format!("mg {key} c")).await? != Some(cas) {
            return Ok(false);
        }
        if beside == 0 {
            // What comes between is an entry that goes sooner than it could.
            return Ok(number(format!("mg {key} c T{time_s}")).await? == Some(cas));
        }
        let stands = number(format!("mg l{key} c")).await? == Some(beside);
        Ok(stands && number(format!("mg l{key} c T{time_s}")).await? == Some(beside))
    }
}

/// The numbers of a token: of the key's item, and of the item of its lease where there is an entry.
#[allow(clippy::cast_possible_truncation, reason = "the halves are what is asked for")]
fn parts(token: Token) -> (u64, u64) {
    (token.number as u64, (token.number >> 64) as u64)
}
