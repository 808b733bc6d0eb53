//! The verbs of a store, on Memcached.
//!
//! Memcached has no scripts, but each change gives an item another number (`cas`), and a store may be bound to one. A
//! **fill** is bound to the number that its lease saw, so whatever happened to the item since refuses it.
//!
//! - The **lease of a key without an entry** is an empty item, which one asker makes and which goes by itself (`mg N`). An
//!   empty item is never an entry.
//! - The **lease of an entry that is to be replaced** is an item beside it, `l{…}`, which one asker adds and which goes by
//!   itself. A fill first deletes that item, by its number, and then stores by the entry's. Memcached's own way to give out such
//!   a lease (`mg R`, or `W` of a stale item) has no end: if its winner dies, nobody loads until the entry goes.
//! - A **hold** is an empty item of another kind in the entry's place: nothing is served of a key while it is held.
//!
//! Numbers begin again when a server does. So a token is good on the connection alone on which it was given, and what is
//! bound to it is never asked on the next.

use std::time::Duration;

use super::meta::{Flags, Frame, Request};
use super::rendezvous::Rendezvous;
use super::server::{Server, sound};
use crate::clock::to_ms;
use crate::error::{self, Error};
use crate::store::address::{Address, Kind};
use crate::store::connection::Deadline;
use crate::store::face::{self, Answer, Key, Lease, Store, Stored, Tag, Tell, Token, Version};
use crate::store::fault::Fault;
use crate::store::nonce::nonce;
use crate::store::together::together;

/// What is stored beside the empty item of a hold (`F`).
const HOLD: u32 = 2;
/// Longer times would be points in time by the server's calendar, and need clocks that agree: thirty days, in seconds.
const LONGEST_S: u64 = 30 * 24 * 3600;
/// A tag that nobody asks for is gone after this, in seconds: a week.
const TAG_S: u64 = 7 * 24 * 3600;
/// An item with its name and what the server keeps beside it must fit a mebibyte, unless it is run with `-I`.
const LARGEST_BYTES: usize = (1 << 20) - 512;
/// How often a change is tried again that another one has overtaken.
const ATTEMPTS: usize = 8;
/// Keys that one request asks for.
const KEYS_AT_ONCE: usize = 256;

/// A store on one or more Memcached servers, from 1.6 on.
///
/// A key's server is found by rendezvous hashing of its name. A server that does not answer is a miss of its keys, which no
/// other takes: it would give out what was invalidated meanwhile when it is back. A changed list of servers needs a new
/// namespace, for the same reason.
///
/// Memcached counts whole seconds, and no more than thirty days: times are rounded up, those of leases to one more, longer
/// ones are thirty days. While a key is held, nothing is served of it. Nobody is told of changes. Entries are below one
/// mebibyte. Between tierce and the servers there may be no proxy that moves a connection to another server.
pub struct Memcached {
    servers: Vec<Server>,
    rendezvous: Rendezvous,
}

/// What there is of a key.
enum Here {
    Nothing,
    /// An entry, and the number of its item.
    Entry(Stored, Flags),
    /// The empty item of a lease.
    Lease(Flags),
    Hold,
}

impl Memcached {
    /// The store at these addresses. Nothing is opened before the first question.
    ///
    /// # Errors
    /// [`Kind::Invalid`](crate::Kind::Invalid): the address is of no Memcached.
    ///
    /// ```
    /// use tierce::store::{Address, memcached::Memcached};
    ///
    /// # fn main() -> Result<(), tierce::Error> {
    /// let store = Memcached::open(&Address::parse("memcached://127.0.0.1,127.0.0.1:11212")?)?;
    /// # Ok(()) }
    /// ```
    pub fn open(address: &Address) -> Result<Self, Error> {
        if address.kind() != Kind::Memcached {
            let why = format!("{address} is no Memcached; a Memcached is written memcached://host:11211");
            return Err(Error::new(error::Kind::Invalid, "connect", why));
        }
        let servers: Vec<_> = address.endpoints().iter().map(Server::new).collect();
        let rendezvous = Rendezvous::new(servers.iter().map(|server| server.place.as_str()));
        Ok(Memcached { servers, rendezvous })
    }

    fn server(&self, name: &str) -> &Server {
        &self.servers[self.rendezvous.place(name)]
    }

    /// The places of names by their servers, no more than one request may have.
    fn groups<'a>(&self, names: impl Iterator<Item = &'a str>) -> Vec<(&Server, Vec<usize>)> {
        let mut groups = vec![Vec::new(); self.servers.len()];
        for (at, name) in names.enumerate() {
            groups[self.rendezvous.place(name)].push(at);
        }
        let groups = self.servers.iter().zip(&groups);
        groups.flat_map(|(server, group)| group.chunks(KEYS_AT_ONCE).map(move |part| (server, part.to_vec()))).collect()
    }

    async fn many(&self, keys: &[Key], deadline: Deadline) -> Result<Vec<Option<Stored>>, Fault> {
        let groups = self.groups(keys.iter().map(Key::as_str));
        let asked = together(groups.iter().map(|(server, group)| {
            let mg = |request: Request, at: &usize| request.line(&format!("mg {} v f", keys[*at].as_str()));
            server.ask(group.iter().fold(Request::default(), mg), None, deadline)
        }));
        let asked = asked.await;
        // One server that does not answer is a miss; when none does, it is said why.
        if asked.iter().all(Result::is_err)
            && let Some(Err(fault)) = asked.first()
        {
            return Err(fault.clone());
        }
        let mut all = vec![None; keys.len()];
        for ((_, group), frames) in groups.into_iter().zip(asked) {
            for (at, frame) in group.into_iter().zip(frames.unwrap_or_default()) {
                all[at] = here(frame)?.entry();
            }
        }
        Ok(all)
    }

    async fn lease_of_entry(&self, key: &str, seen: &Stored, time: Duration, to: To<'_>) -> Result<Lease, Fault> {
        let request = Request::default()
            .store(&format!("l{key}"), b"l", &format!("T{} ME c", lasting_s(time)))
            .line(&format!("mg {key} v c f N{}", lasting_s(time)));
        let [added, got] = to.server.ask_two(request, Some(to.number), to.deadline).await?;
        let added = match added {
            Frame::Done(flags) => Some(flags.cas),
            Frame::NotStored => None,
            _ => return Err(Fault::Garbled("neither stored nor not stored")),
        };
        let lease = match (here(got)?, added) {
            (Here::Entry(stored, flags), Some(cas)) if stored == *seen => {
                return Ok(Lease::Won(to.token(flags.cas, cas)));
            }
            (Here::Entry(stored, _), _) if stored == *seen => return Ok(Lease::Lost),
            (Here::Entry(stored, _), _) => Lease::Found(stored),
            (Here::Lease(flags), _) if flags.is_won => Lease::Won(to.token(flags.cas, 0)),
            (Here::Lease(_) | Here::Nothing, _) => Lease::Lost,
            (Here::Hold, _) => Lease::Held,
        };
        if let Some(cas) = added {
            to.bound(Request::default().line(&format!("md l{key} C{cas}"))).await?;
        }
        Ok(lease)
    }

    async fn lease_of_nothing(&self, key: &str, time: Duration, to: To<'_>) -> Result<Lease, Fault> {
        let request = Request::default().line(&format!("mg {key} v c f N{}", lasting_s(time)));
        Ok(match here(to.bound(request).await?)? {
            Here::Entry(stored, _) => Lease::Found(stored),
            Here::Lease(flags) if flags.is_won => Lease::Won(to.token(flags.cas, 0)),
            Here::Lease(_) | Here::Nothing => Lease::Lost,
            Here::Hold => Lease::Held,
        })
    }

    /// What a token is bound to; none where its connection is gone.
    fn bound(&self, key: &Key, token: Token, deadline: Deadline) -> Option<To<'_>> {
        let server = self.server(key.as_str());
        let to = To { server, number: token.connection, deadline };
        server.is_connected_by(token.connection).then_some(to)
    }

    async fn fill_bound(&self, key: &str, token: Token, bytes: &[u8], time: u64, to: To<'_>) -> Result<bool, Fault> {
        let (cas, beside) = parts(token);
        // Whoever deletes it is the one who may fill: a lease whose time is over has none, or another's.
        if beside != 0 && !to.is_done(Request::default().line(&format!("md l{key} C{beside}"))).await? {
            return Ok(false);
        }
        if time == 0 {
            return to.is_done(Request::default().line(&format!("md {key} C{cas}"))).await;
        }
        let store = Request::default().store(key, bytes, &format!("C{cas} T{time}"));
        to.is_done(store).await
    }

    async fn give_back_bound(&self, key: &str, token: Token, to: To<'_>) -> Result<(), Fault> {
        let request = match parts(token) {
            (cas, 0) => Request::default().line(&format!("md {key} C{cas}")),
            (_, beside) => Request::default().line(&format!("md l{key} C{beside}")),
        };
        to.bound(request).await.map(drop)
    }

    async fn extend_bound(&self, key: &str, token: Token, time: u64, to: To<'_>) -> Result<bool, Fault> {
        let (cas, beside) = parts(token);
        let number = async |line: String| match to.bound(Request::default().line(&line)).await? {
            Frame::Done(flags) => Ok(Some(flags.cas)),
            Frame::Missing => Ok(None),
            _ => Err(Fault::Garbled("neither there nor not there")),
        };
        if number(format!("mg {key} c")).await? != Some(cas) {
            return Ok(false);
        }
        if beside == 0 {
            // What comes between is an entry that goes sooner than it could.
            return Ok(number(format!("mg {key} c T{time}")).await? == Some(cas));
        }
        let stands = number(format!("mg l{key} c")).await? == Some(beside);
        Ok(stands && number(format!("mg l{key} c T{time}")).await? == Some(beside))
    }

    async fn touch_entry(&self, key: &str, head: &[u8], time: u64, deadline: Deadline) -> Result<bool, Fault> {
        let server = self.server(key);
        for _ in 0..ATTEMPTS {
            let number = server.connected(deadline).await?;
            let to = To { server, number, deadline };
            let got = to.bound(Request::default().line(&format!("mg {key} v c f"))).await?;
            let Here::Entry(mut stored, flags) = here(got)? else { return Ok(false) };
            let Some(place) = stored.bytes.get_mut(..head.len()).filter(|_| !stored.marked) else { return Ok(false) };
            place.copy_from_slice(head);
            let request = match time {
                0 => Request::default().line(&format!("md {key} C{}", flags.cas)),
                _ => Request::default().store(key, &stored.bytes, &format!("C{} T{time}", flags.cas)),
            };
            if to.is_done(request).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn mark(&self, key: &str, kept: u64, deadline: Deadline) -> Result<(), Fault> {
        let server = self.server(key);
        for _ in 0..if kept > 0 { ATTEMPTS } else { 0 } {
            let got = server.ask_one(Request::default().line(&format!("mg {key} c f s t")), None, deadline).await?;
            let Frame::Done(flags) = got else { break };
            // Leases and holds are empty, and are deleted.
            if flags.size == 0 {
                break;
            }
            let left = flags.left.unwrap_or(kept).min(kept);
            let mark = Request::default().line(&format!("md {key} C{} I T{left}", flags.cas));
            // Where another change was first, it is what there is now that is to be marked.
            if let [Frame::Done(_), _] = server.ask_two(mark.line(&format!("md l{key}")), None, deadline).await? {
                return Ok(());
            }
        }
        let end = Request::default().line(&format!("md {key}")).line(&format!("md l{key}"));
        server.ask_two(end, None, deadline).await.map(drop)
    }

    async fn end(&self, keys: &[Key], deadline: Deadline) -> Result<(), Fault> {
        let groups = self.groups(keys.iter().map(Key::as_str));
        let asked = together(groups.iter().map(|(server, group)| {
            let md = |request: Request, at: &usize| {
                let key = keys[*at].as_str();
                request.line(&format!("md {key}")).line(&format!("md l{key}"))
            };
            server.ask(group.iter().fold(Request::default(), md), None, deadline)
        }));
        for frames in asked.await {
            for frame in frames? {
                sound(frame)?;
            }
        }
        Ok(())
    }

    async fn version(&self, tag: &str, deadline: Deadline) -> Result<Version, Fault> {
        let server = self.server(tag);
        for _ in 0..ATTEMPTS {
            // Asking for it also lets it last.
            let got = server.ask_one(Request::default().line(&format!("mg t{tag} v T{TAG_S}")), None, deadline).await?;
            let (bytes, mode) = (nonce().to_be_bytes(), if got == Frame::Missing { "ME" } else { "MS" });
            if let Frame::Value(bytes, _) = got
                && let Ok(bytes) = bytes.try_into()
            {
                return Ok(Version(u128::from_be_bytes(bytes)));
            }
            let store = Request::default().store(&format!("t{tag}"), &bytes, &format!("T{TAG_S} {mode}"));
            if let Frame::Done(_) = server.ask_one(store, None, deadline).await? {
                return Ok(Version(u128::from_be_bytes(bytes)));
            }
        }
        Err(Fault::Garbled("a tag that is neither here nor not here"))
    }

    async fn facts(&self, deadline: Deadline) -> Result<Vec<face::Server>, Fault> {
        let stats = || Request::default().line("stats");
        let asked = together(self.servers.iter().map(|server| server.ask_one(stats(), None, deadline))).await;
        if let [Err(fault)] = asked.as_slice() {
            return Err(fault.clone());
        }
        let facts = |(server, asked): (&Server, _)| {
            let facts = match asked {
                Ok(Frame::Stats(facts)) => facts,
                Ok(_) => vec![("fault".to_string(), "it says nothing".to_string())],
                Err(fault) => vec![("fault".to_string(), Fault::to_string(&fault))],
            };
            face::Server::new(server.place.as_str(), facts)
        };
        Ok(self.servers.iter().zip(asked).map(facts).collect())
    }
}

/// A server's connection, and how long it is waited for.
#[derive(Clone, Copy)]
struct To<'a> {
    server: &'a Server,
    number: u64,
    deadline: Deadline,
}

impl To<'_> {
    /// Asks on this connection alone.
    async fn bound(&self, request: Request) -> Result<Frame, Fault> {
        self.server.ask_one(request, Some(self.number), self.deadline).await
    }

    /// Whether what was bound to a number was done.
    async fn is_done(&self, request: Request) -> Result<bool, Fault> {
        match self.bound(request).await? {
            Frame::Done(_) => Ok(true),
            Frame::Missing | Frame::Exists | Frame::NotStored => Ok(false),
            _ => Err(Fault::Garbled("neither done nor not done")),
        }
    }

    /// The number of the key's item, and of the item of its lease where there is an entry.
    fn token(&self, cas: u64, beside: u64) -> Token {
        Token { number: u128::from(beside) << 64 | u128::from(cas), connection: self.number }
    }
}

impl Here {
    fn entry(self) -> Option<Stored> {
        match self {
            Here::Entry(stored, _) => Some(stored),
            _ => None,
        }
    }
}

impl Store for Memcached {
    fn get<'a>(&'a self, key: &'a Key, within: Duration) -> Answer<'a, Option<Stored>> {
        Box::pin(async move {
            let request = Request::default().line(&format!("mg {} v f", key.as_str()));
            let frame = self.server(key.as_str()).ask_one(request, None, Deadline::after(within)).await?;
            Ok(here(frame)?.entry())
        })
    }

    fn get_many<'a>(&'a self, keys: &'a [Key], within: Duration) -> Answer<'a, Vec<Option<Stored>>> {
        Box::pin(async move { self.many(keys, Deadline::after(within)).await })
    }

    fn lease<'a>(
        &'a self,
        key: &'a Key,
        seen: Option<&'a Stored>,
        time: Duration,
        within: Duration,
    ) -> Answer<'a, Lease> {
        Box::pin(async move {
            let (server, deadline) = (self.server(key.as_str()), Deadline::after(within));
            let to = To { server, number: server.connected(deadline).await?, deadline };
            match seen {
                Some(seen) => self.lease_of_entry(key.as_str(), seen, time, to).await,
                None => self.lease_of_nothing(key.as_str(), time, to).await,
            }
        })
    }

    fn extend<'a>(&'a self, key: &'a Key, token: Token, time: Duration, within: Duration) -> Answer<'a, bool> {
        Box::pin(async move {
            let Some(to) = self.bound(key, token, Deadline::after(within)) else { return Ok(false) };
            stands(self.extend_bound(key.as_str(), token, lasting_s(time), to).await)
        })
    }

    fn fill<'a>(
        &'a self,
        key: &'a Key,
        token: Token,
        bytes: &'a [u8],
        time: Duration,
        _: Tell,
        within: Duration,
    ) -> Answer<'a, bool> {
        Box::pin(async move {
            fits(bytes)?;
            let Some(to) = self.bound(key, token, Deadline::after(within)) else { return Ok(false) };
            stands(self.fill_bound(key.as_str(), token, bytes, seconds(time), to).await)
        })
    }

    fn give_back<'a>(&'a self, key: &'a Key, token: Token, within: Duration) -> Answer<'a, ()> {
        Box::pin(async move {
            let Some(to) = self.bound(key, token, Deadline::after(within)) else { return Ok(()) };
            stands(self.give_back_bound(key.as_str(), token, to).await)
        })
    }

    fn hold<'a>(&'a self, key: &'a Key, time: Duration, within: Duration) -> Answer<'a, Token> {
        Box::pin(async move {
            let (server, deadline) = (self.server(key.as_str()), Deadline::after(within));
            let to = To { server, number: server.connected(deadline).await?, deadline };
            let (key, time) = (key.as_str(), lasting_s(time));
            let request = Request::default().store(key, b"", &format!("T{time} F{HOLD} c"));
            let request = request.line(&format!("md l{key}"));
            match server.ask_two(request, Some(to.number), deadline).await? {
                [Frame::Done(flags), _] => Ok(to.token(flags.cas, 0)),
                _ => Err(Fault::Garbled("what is stored unasked was not stored")),
            }
        })
    }

    fn set<'a>(&'a self, key: &'a Key, bytes: &'a [u8], time: Duration, within: Duration) -> Answer<'a, ()> {
        Box::pin(async move {
            fits(bytes)?;
            let (key, time, deadline) = (key.as_str(), seconds(time), Deadline::after(within));
            let request = match time {
                0 => Request::default().line(&format!("md {key}")),
                _ => Request::default().store(key, bytes, &format!("T{time}")),
            };
            let request = request.line(&format!("md l{key}"));
            let set = self.server(key).ask_two(request, None, deadline).await;
            if let Err(Fault::Refused(_)) = set {
                // What it was to replace must not be served.
                self.server(key).ask_one(Request::default().line(&format!("md {key}")), None, deadline).await?;
            }
            set.map(drop)
        })
    }

    fn touch<'a>(&'a self, key: &'a Key, head: &'a [u8], time: Duration, within: Duration) -> Answer<'a, bool> {
        Box::pin(
            async move { stands(self.touch_entry(key.as_str(), head, seconds(time), Deadline::after(within)).await) },
        )
    }

    fn invalidate<'a>(&'a self, keys: &'a [Key], within: Duration) -> Answer<'a, ()> {
        Box::pin(async move { self.end(keys, Deadline::after(within)).await })
    }

    fn mark_stale<'a>(&'a self, key: &'a Key, kept: Duration, within: Duration) -> Answer<'a, ()> {
        // Rounded down: it is to last for at most so long.
        let kept = kept.as_secs().min(LONGEST_S);
        Box::pin(async move { self.mark(key.as_str(), kept, Deadline::after(within)).await })
    }

    fn versions<'a>(&'a self, tags: &'a [Tag], within: Duration) -> Answer<'a, Vec<Version>> {
        Box::pin(async move {
            let deadline = Deadline::after(within);
            together(tags.iter().map(|tag| self.version(tag.as_str(), deadline))).await.into_iter().collect()
        })
    }

    fn renew<'a>(&'a self, tag: &'a Tag, within: Duration) -> Answer<'a, ()> {
        Box::pin(async move {
            let (tag, deadline) = (tag.as_str(), Deadline::after(within));
            let (server, bytes) = (self.server(tag), nonce().to_be_bytes());
            let store = Request::default().store(&format!("t{tag}"), &bytes, &format!("T{TAG_S}"));
            match server.ask_one(store, None, deadline).await {
                // Without room for another version it has none, and who asks next gives it one.
                Err(Fault::Refused(_)) => {
                    let delete = Request::default().line(&format!("md t{tag}"));
                    server.ask_one(delete, None, deadline).await.map(drop)
                }
                other => other.map(drop),
            }
        })
    }

    fn invalidate_matching<'a>(&'a self, _: &'a str, _: &'a str, _: Duration) -> Answer<'a, u64> {
        let why = "Memcached cannot look for names; give the entries a tag, and invalidate the tag";
        Box::pin(std::future::ready(Err(Fault::Refused(why.into()))))
    }

    fn servers(&self, within: Duration) -> Answer<'_, Vec<face::Server>> {
        Box::pin(async move { self.facts(Deadline::after(within)).await })
    }
}

/// What an answer says that there is of a key.
fn here(frame: Frame) -> Result<Here, Fault> {
    match sound(frame)? {
        Frame::Missing => Ok(Here::Nothing),
        Frame::Value(bytes, flags) if !bytes.is_empty() => Ok(Here::Entry(Stored::new(bytes, flags.is_stale), flags)),
        Frame::Value(_, flags) if flags.kind == HOLD => Ok(Here::Hold),
        Frame::Value(_, flags) => Ok(Here::Lease(flags)),
        _ => Err(Fault::Garbled("neither an item nor none")),
    }
}

/// What is said where a connection is gone: with it went the lease, and nobody was asked.
fn stands<T: Default>(asked: Result<T, Fault>) -> Result<T, Fault> {
    match asked {
        Err(Fault::Down(_)) => Ok(T::default()),
        other => other,
    }
}

fn fits(bytes: &[u8]) -> Result<(), Fault> {
    if bytes.len() > LARGEST_BYTES { Err(Fault::TooLarge) } else { Ok(()) }
}

/// The numbers of a token: of the key's item, and of the item of its lease where there is an entry.
#[allow(clippy::cast_possible_truncation, reason = "the halves are what is asked for")]
fn parts(token: Token) -> (u64, u64) {
    (token.number as u64, (token.number >> 64) as u64)
}

/// A time in whole seconds, as the server is told it; it ends within the last of them.
fn seconds(time: Duration) -> u64 {
    to_ms(time).div_ceil(1000).min(LONGEST_S)
}

/// The same of what must not end before its time.
fn lasting_s(time: Duration) -> u64 {
    (seconds(time) + 1).min(LONGEST_S)
}
