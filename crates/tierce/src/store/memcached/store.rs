//! The verbs of a store, on Memcached.
//!
//! Those of leases are in `lease.rs`, what there is of a key in `item.rs`.

use std::sync::Arc;
use std::time::Duration;

use super::item::{HOLD, Here, LEASE, here};
use super::lease::To;
use super::meta::{self, Frame, Request};
use super::rendezvous::Rendezvous;
use super::server::{Server, servers, sound};
use crate::clock::to_ms;
use crate::error::{self, Error};
use crate::runtime;
use crate::store::address::{Address, Kind};
use crate::store::connection::Deadline;
use crate::store::face::{self, Answer, Key, Lease, Store, Stored, Tag, Tell, Token, Version};
use crate::store::fault::Fault;
use crate::store::nonce::{nonce, renewed};
use crate::store::together::together;

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
    servers: Vec<Arc<Server>>,
    rendezvous: Rendezvous,
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
        let servers = servers(address.endpoints());
        let rendezvous = Rendezvous::new(servers.iter().map(|server| server.place()));
        Ok(Memcached { servers, rendezvous })
    }

    /// An answer on its way; of one server that is away it is said that it is one of several.
    fn answer<'a, T: 'a>(&'a self, asked: impl Future<Output = Result<T, Fault>> + Send + 'a) -> Answer<'a, T> {
        Box::pin(async move { asked.await.map_err(|fault| self.servers[0].of_one(fault)) })
    }

    fn server(&self, name: &str) -> &Arc<Server> {
        &self.servers[self.rendezvous.place(name)]
    }

    /// The places of names by their servers, no more than one request may have.
    fn groups<'a>(&self, names: impl Iterator<Item = &'a str>) -> Vec<(&Server, Vec<usize>)> {
        let mut groups = vec![Vec::new(); self.servers.len()];
        for (at, name) in names.enumerate() {
            groups[self.rendezvous.place(name)].push(at);
        }
        let groups = self.servers.iter().zip(&groups);
        groups
            .flat_map(|(server, group)| group.chunks(KEYS_AT_ONCE).map(move |part| (&**server, part.to_vec())))
            .collect()
    }

    async fn many(&self, keys: &[Key], deadline: Deadline) -> Result<Vec<Option<Stored>>, Fault> {
        let groups = self.groups(keys.iter().map(Key::as_str));
        let asked = together(groups.iter().map(|(server, group)| {
            let mg = |mut request: Request, at: &usize| {
                meta::get(&mut request.bytes, keys[*at].as_str());
                request.answers += 1;
                request
            };
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

    /// What a token is bound to; none where its connection is gone.
    fn bound(&self, key: &Key, token: Token, deadline: Deadline) -> Option<To<'_>> {
        let server = self.server(key.as_str());
        let to = To { server, number: token.connection, deadline };
        server.is_connected_by(token.connection).then_some(to)
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
            let got = server.ask_one(Request::default().line(&format!("mg {key} c f t")), None, deadline).await?;
            let Frame::Done(flags) = got else { break };
            // Leases and holds are deleted.
            if matches!(flags.kind, LEASE | HOLD) {
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
        let facts = |(server, asked): (&Arc<Server>, _)| {
            let facts = match asked {
                Ok(Frame::Stats(facts)) => facts,
                Ok(_) => vec![("fault".to_string(), "it says nothing".to_string())],
                Err(fault) => vec![("fault".to_string(), Fault::to_string(&fault))],
            };
            face::Server::new(server.place(), facts)
        };
        Ok(self.servers.iter().zip(asked).map(facts).collect())
    }
}

impl Store for Memcached {
    fn get<'a>(&'a self, key: &'a Key, within: Duration) -> Answer<'a, Option<Stored>> {
        self.answer(async move {
            let frame = self.server(key.as_str()).get(key.as_str(), Deadline::after(within)).await?;
            Ok(here(frame)?.entry())
        })
    }

    fn get_many<'a>(&'a self, keys: &'a [Key], within: Duration) -> Answer<'a, Vec<Option<Stored>>> {
        self.answer(async move { self.many(keys, Deadline::after(within)).await })
    }

    fn lease<'a>(
        &'a self,
        key: &'a Key,
        seen: Option<&'a Stored>,
        time: Duration,
        within: Duration,
    ) -> Answer<'a, Lease> {
        self.answer(async move {
            let (server, deadline) = (self.server(key.as_str()), Deadline::after(within));
            let to = To { server, number: server.connected(deadline).await?, deadline };
            let (time_s, nonce) = (lasting_s(time), nonce().to_be_bytes());
            let leased = match seen {
                Some(seen) => to.lease_of_entry(key.as_str(), seen, time_s, &nonce).await,
                None => to.lease_of_nothing(key.as_str(), time_s, &nonce).await,
            };
            if let Err(Fault::Timeout | Fault::Lost) = leased {
                give_back_what_came(server, key, nonce, time);
            }
            leased
        })
    }

    fn extend<'a>(&'a self, key: &'a Key, token: Token, time: Duration, within: Duration) -> Answer<'a, bool> {
        self.answer(async move {
            let Some(to) = self.bound(key, token, Deadline::after(within)) else { return Ok(false) };
            stands(to.extend(key.as_str(), token, lasting_s(time)).await)
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
        self.answer(async move {
            fits(bytes)?;
            let Some(to) = self.bound(key, token, Deadline::after(within)) else { return Ok(false) };
            stands(to.fill(key.as_str(), token, bytes, seconds(time)).await)
        })
    }

    fn give_back<'a>(&'a self, key: &'a Key, token: Token, within: Duration) -> Answer<'a, ()> {
        self.answer(async move {
            let Some(to) = self.bound(key, token, Deadline::after(within)) else { return Ok(()) };
            stands(to.give_back(key.as_str(), token).await)
        })
    }

    fn hold<'a>(&'a self, key: &'a Key, time: Duration, within: Duration) -> Answer<'a, Token> {
        self.answer(async move {
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
        self.answer(async move {
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
        self.answer(async move { self.touch_entry(key.as_str(), head, seconds(time), Deadline::after(within)).await })
    }

    fn invalidate<'a>(&'a self, keys: &'a [Key], within: Duration) -> Answer<'a, ()> {
        self.answer(async move { self.end(keys, Deadline::after(within)).await })
    }

    fn mark_stale<'a>(&'a self, key: &'a Key, kept: Duration, within: Duration) -> Answer<'a, ()> {
        // Rounded down: it is to last for at most so long.
        let kept = kept.as_secs().min(LONGEST_S);
        self.answer(async move { self.mark(key.as_str(), kept, Deadline::after(within)).await })
    }

    fn versions<'a>(&'a self, tags: &'a [Tag], within: Duration) -> Answer<'a, Vec<Version>> {
        self.answer(async move {
            let deadline = Deadline::after(within);
            together(tags.iter().map(|tag| self.version(tag.as_str(), deadline))).await.into_iter().collect()
        })
    }

    fn renew<'a>(&'a self, tag: &'a Tag, within: Duration) -> Answer<'a, ()> {
        self.answer(async move {
            let (tag, deadline) = (tag.as_str(), Deadline::after(within));
            let (server, bytes) = (self.server(tag), renewed().to_be_bytes());
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
        self.answer(async move { self.facts(Deadline::after(within)).await })
    }
}

/// A lease whose answer nobody waited for may have been given, and would be nobody's until its time is over. It is looked for
/// behind the request for it, and ended.
fn give_back_what_came(server: &Arc<Server>, key: &Key, nonce: [u8; 16], time: Duration) {
    let Some(runtime) = runtime::lasting() else { return };
    let (server, key) = (Arc::clone(server), key.clone());
    runtime.spawn(Box::pin(async move {
        let deadline = Deadline::after(time);
        let Ok(number) = server.connected(deadline).await else { return };
        // If this fails its time ends it.
        let _ = To { server: &server, number, deadline }.end_own(key.as_str(), &nonce).await;
    }));
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

/// A time in whole seconds, as the server is told it; it ends within the last of them.
fn seconds(time: Duration) -> u64 {
    to_ms(time).div_ceil(1000).min(LONGEST_S)
}

/// The same of what must not end before its time.
fn lasting_s(time: Duration) -> u64 {
    (seconds(time) + 1).min(LONGEST_S)
}
