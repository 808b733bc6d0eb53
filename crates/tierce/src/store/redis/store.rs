//! The verbs of a store, on Redis and Valkey.
//!
//! Of a key `{…}` the server has the entry under its name, its lease under `l{…}`, and for a moment a marker `m{…}`, by which
//! others hear of a change; tags are under `t{…}`. All of a key's share a slot of a cluster, by what is in the braces.

use std::any::Any;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use super::reply::Reply;
use super::resp::{self, Resp};
use super::scripts::{self, Script};
use super::tracking::Tracking;
use super::unfit::unfit;
use super::{dial, greeting, refusal, sound};
use crate::clock::{Clock, to_ms};
use crate::error::{self, Error};
use crate::runtime;
use crate::store::address::{Address, Kind};
use crate::store::connection::{Connection, Deadline, Limits, Link};
use crate::store::envelope::STATE_AT;
use crate::store::face::{Answer, Key, Lease, Listener, Server, Store, Stored, Tag, Tell, Token, Version};
use crate::store::fault::Fault;
use crate::store::nonce::{nonce, renewed};
use crate::store::pattern::Pattern;

/// So much of an entry is compared with what a lease's asker has seen; an envelope's times are in it.
const COMPARED_BYTES: usize = 64;
/// A tag that nobody asks for is gone after this, in milliseconds: a week.
const TAG_MS: u64 = 7 * 24 * 3600 * 1000;
/// Each so manieth question for versions also extends the tags' time: a tag that is asked for every hour is extended in
/// the second half of its time with a chance of more than 99 %, and most questions are a plain MGET.
const EXTENDS_EVERY: u32 = 16;
/// The longest time that the server is told, a hundred years, in milliseconds. Its own limit lies beyond.
const LONGEST_MS: u64 = 100 * 365 * 24 * 3600 * 1000;
/// Keys of one MGET, of one script: a script of so many stops the server for less than a millisecond.
const KEYS_AT_ONCE: usize = 256;
/// How many names the server looks at in one step of a search.
const SEARCHED_AT_ONCE: &[u8] = b"1000";

/// A store on one Redis or Valkey server, from 7.0 on.
///
/// Each runtime that asks has a connection of its own, which closes with it. Threads that block, and those without a runtime,
/// share one on a thread of the crate's.
/// Entries are at least three bytes long, and the third is nothing. Times beyond a hundred years are a hundred years.
pub struct Redis {
    link: Arc<Link<Resp>>,
    tracking: Arc<Tracking>,
    place: String,
    asked: AtomicU32,
}

impl Redis {
    /// The store at this address. Nothing is opened before the first question.
    ///
    /// # Errors
    /// [`Kind::Invalid`](crate::Kind::Invalid): the address is of no Redis.
    ///
    /// ```
    /// use tierce::store::{Address, redis::Redis};
    ///
    /// # fn main() -> Result<(), tierce::Error> {
    /// let store = Redis::open(&Address::parse("redis://127.0.0.1")?)?;
    /// # Ok(()) }
    /// ```
    pub fn open(address: &Address) -> Result<Self, Error> {
        let wrong = |what: &str| Error::new(error::Kind::Invalid, "connect", format!("{address} {what}"));
        if address.kind() != Kind::Redis {
            return Err(wrong("is no Redis; a Redis is written redis://host:6379"));
        }
        let place = address.to_string();
        let address = address.clone();
        let tracking = Arc::new(Tracking::new());
        let pushes = Arc::clone(&tracking);
        let link = Link::new(move |runtime| {
            let limits = Limits::default();
            let to = address.clone();
            let dial = Box::new(move |runtime: &_| dial(&to, runtime));
            let here = (runtime, Clock::system());
            Connection::open(Resp::new(limits.answer_bytes), greeting(&address, pushes.pushed()), dial, here, limits)
        });
        Ok(Redis { link: Arc::new(link), tracking, place, asked: AtomicU32::new(0) })
    }

    /// Any command, answered by whatever the server says.
    pub(crate) async fn any(&self, parts: &[&[u8]], within: Duration) -> Result<Reply, Fault> {
        self.link.ask_one(Deadline::after(within), |out| resp::command(out, parts)).await
    }

    /// Why a command is none for a connection that is shared; none where it is.
    pub(crate) fn unfit(parts: &[&[u8]]) -> Option<&'static str> {
        unfit(parts)
    }

    async fn command(&self, deadline: Deadline, parts: &[&[u8]]) -> Result<Reply, Fault> {
        sound(self.link.ask_one(deadline, |out| resp::command(out, parts)).await?)
    }

    async fn run(
        &self,
        script: &'static Script,
        deadline: Deadline,
        keys: &[&[u8]],
        args: &[&[u8]],
    ) -> Result<Reply, Fault> {
        run(&self.link, script, deadline, keys, args).await
    }

    /// Runs a script whose answer is a number.
    async fn count(
        &self,
        script: &'static Script,
        deadline: Deadline,
        keys: &[&[u8]],
        args: &[&[u8]],
    ) -> Result<u64, Fault> {
        counted(self.run(script, deadline, keys, args).await?)
    }

    async fn many(&self, keys: &[Key], deadline: Deadline) -> Result<Vec<Option<Stored>>, Fault> {
        let mut all = Vec::with_capacity(keys.len());
        if keys.is_empty() {
            return Ok(all);
        }
        let chunks = keys.chunks(KEYS_AT_ONCE);
        let encode = |out: &mut Vec<u8>| {
            for keys in chunks.clone() {
                resp::begin(out, keys.len() + 1);
                resp::part(out, b"MGET");
                keys.iter().for_each(|key| resp::part(out, key.as_str().as_bytes()));
            }
        };
        for (reply, keys) in self.link.ask_all(chunks.len(), deadline, encode).await?.into_iter().zip(chunks.clone()) {
            for reply in list(sound(reply)?, keys.len())? {
                all.push(stored(reply)?);
            }
        }
        Ok(all)
    }

    /// Ends keys; how many had entries.
    async fn end(&self, keys: impl IntoIterator<Item = &str>, deadline: Deadline) -> Result<u64, Fault> {
        let names: Vec<_> = keys.into_iter().map(Names::of).collect();
        let mut ended = 0;
        for names in names.chunks(KEYS_AT_ONCE) {
            let names: Vec<_> = names.iter().flat_map(Names::all).collect();
            ended += self.count(&scripts::INVALIDATE, deadline, &names, &[]).await?;
        }
        Ok(ended)
    }

    async fn end_matching(&self, begin: &str, pattern: &str, deadline: Deadline) -> Result<u64, Fault> {
        let parsed = Pattern::new(pattern);
        // A lease stands also where there is no entry: its name has a letter more.
        let glob = format!("*{}{}", Pattern::escaped(begin), parsed.glob());
        let mut ended = 0;
        let mut cursor = b"0".to_vec();
        loop {
            let scan = [b"SCAN".as_slice(), &cursor, b"MATCH", glob.as_bytes(), b"COUNT", SEARCHED_AT_ONCE];
            let [next, names] = <[Reply; 2]>::try_from(list(self.command(deadline, &scan).await?, 2)?)
                .map_err(|_| Fault::Garbled("a search of no two parts"))?;
            let (Reply::Bytes(next), Reply::List(names)) = (next, names) else {
                return Err(Fault::Garbled("a search that goes nowhere"));
            };
            let mut found = HashSet::new();
            for name in &names {
                let Reply::Bytes(name) = name else { return Err(Fault::Garbled("a name that is none")) };
                let Ok(name) = std::str::from_utf8(name) else { continue };
                let name = name.strip_prefix('l').filter(|name| name.starts_with('{')).unwrap_or(name);
                if name.strip_prefix(begin).is_some_and(|rest| parsed.matches(rest)) {
                    found.insert(name);
                }
            }
            ended += self.end(found, deadline).await?;
            if next == b"0" {
                return Ok(ended);
            }
            cursor = next;
        }
    }

    async fn tags(&self, tags: &[Tag], deadline: Deadline) -> Result<Vec<Version>, Fault> {
        if tags.is_empty() {
            return Ok(Vec::new());
        }
        let names: Vec<_> = tags.iter().map(|tag| format!("t{}", tag.as_str())).collect();
        let names: Vec<_> = names.iter().map(String::as_bytes).collect();
        if !self.asked.fetch_add(1, Relaxed).is_multiple_of(EXTENDS_EVERY) {
            let ask = |out: &mut Vec<u8>| {
                resp::begin(out, names.len() + 1);
                resp::part(out, b"MGET");
                names.iter().for_each(|name| resp::part(out, name));
            };
            let replies = list(sound(self.link.ask_one(deadline, ask).await?)?, tags.len())?;
            if let Some(versions) = replies.iter().map(version).collect() {
                return Ok(versions);
            }
        }
        let fresh: Vec<_> = tags.iter().map(|_| nonce().to_be_bytes()).collect();
        let time = TAG_MS.to_string();
        let args: Vec<_> = std::iter::once(time.as_bytes()).chain(fresh.iter().map(<[u8; 16]>::as_slice)).collect();
        let replies = list(self.run(&scripts::VERSIONS, deadline, &names, &args).await?, tags.len())?;
        replies.iter().map(version).collect::<Option<_>>().ok_or(Fault::Garbled("a version that is none"))
    }

    async fn facts(&self, deadline: Deadline) -> Result<Vec<Server>, Fault> {
        let text = match self.command(deadline, &[b"INFO"]).await? {
            Reply::Bytes(text) => text,
            Reply::Text(text) => text.into_bytes(),
            _ => return Err(Fault::Garbled("facts that are no text")),
        };
        let text = String::from_utf8_lossy(&text);
        let pairs = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once(':'));
        let facts = pairs.map(|(name, value)| (name.to_string(), value.to_string())).collect();
        Ok(vec![Server::new(self.place.as_str(), facts)])
    }
}

impl Store for Redis {
    fn get<'a>(&'a self, key: &'a Key, within: Duration) -> Answer<'a, Option<Stored>> {
        Box::pin(async move {
            let ask = |out: &mut Vec<u8>| resp::get(out, key.as_str().as_bytes());
            stored(sound(self.link.ask_one(Deadline::after(within), ask).await?)?)
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
            let (names, token) = (Names::of(key.as_str()), nonce());
            let (head, length) = seen.map_or((Vec::new(), 0), |seen| (head(seen), seen.bytes.len()));
            let (time_ms, length) = (lasting_ms(time), length.to_string());
            let args = [&token.to_be_bytes(), time_ms.as_bytes(), &head, length.as_bytes()];
            let leased = self.run(&scripts::LEASE, Deadline::after(within), &names.all()[..2], &args).await;
            if let Err(Fault::Timeout | Fault::Lost) = leased {
                give_back_what_came(&self.link, names, token, time);
            }
            match leased? {
                Reply::Int(1) => Ok(Lease::Won(Token { number: token, connection: 0 })),
                Reply::Int(0) => Ok(Lease::Lost),
                Reply::Int(2) => Ok(Lease::Held),
                found => stored(found)?.map(Lease::Found).ok_or(Fault::Garbled("no lease and no entry")),
            }
        })
    }

    fn extend<'a>(&'a self, key: &'a Key, token: Token, time: Duration, within: Duration) -> Answer<'a, bool> {
        Box::pin(async move {
            let (names, time) = (Names::of(key.as_str()), ms(time));
            let args = [&token.number.to_be_bytes(), time.as_bytes()];
            Ok(self.count(&scripts::EXTEND, Deadline::after(within), &names.all()[1..2], &args).await? == 1)
        })
    }

    fn fill<'a>(
        &'a self,
        key: &'a Key,
        token: Token,
        bytes: &'a [u8],
        time: Duration,
        tell: Tell,
        within: Duration,
    ) -> Answer<'a, bool> {
        Box::pin(async move {
            let (names, time) = (Names::of(key.as_str()), ms(time));
            let tell: &[u8] = if tell == Tell::Everybody { b"1" } else { b"0" };
            let args = [&token.number.to_be_bytes(), bytes, time.as_bytes(), tell];
            Ok(self.count(&scripts::FILL, Deadline::after(within), &names.all(), &args).await? == 1)
        })
    }

    fn give_back<'a>(&'a self, key: &'a Key, token: Token, within: Duration) -> Answer<'a, ()> {
        Box::pin(
            async move { give_back(&self.link, &Names::of(key.as_str()), token.number, Deadline::after(within)).await },
        )
    }

    fn hold<'a>(&'a self, key: &'a Key, time: Duration, within: Duration) -> Answer<'a, Token> {
        Box::pin(async move {
            let (names, number, time) = (Names::of(key.as_str()), nonce(), lasting_ms(time));
            let args = [&number.to_be_bytes(), time.as_bytes()];
            self.count(&scripts::HOLD, Deadline::after(within), &names.all()[1..2], &args).await?;
            Ok(Token { number, connection: 0 })
        })
    }

    fn set<'a>(&'a self, key: &'a Key, bytes: &'a [u8], time: Duration, within: Duration) -> Answer<'a, ()> {
        Box::pin(async move {
            let (names, time) = (Names::of(key.as_str()), ms(time));
            self.count(&scripts::SET, Deadline::after(within), &names.all(), &[bytes, time.as_bytes()]).await?;
            Ok(())
        })
    }

    fn touch<'a>(&'a self, key: &'a Key, head: &'a [u8], time: Duration, within: Duration) -> Answer<'a, bool> {
        Box::pin(async move {
            let (names, time) = (Names::of(key.as_str()), ms(time));
            let args = [head, time.as_bytes()];
            Ok(self.count(&scripts::TOUCH, Deadline::after(within), &names.all()[..1], &args).await? == 1)
        })
    }

    fn invalidate<'a>(&'a self, keys: &'a [Key], within: Duration) -> Answer<'a, ()> {
        Box::pin(async move { self.end(keys.iter().map(Key::as_str), Deadline::after(within)).await.map(drop) })
    }

    fn mark_stale<'a>(&'a self, key: &'a Key, kept: Duration, within: Duration) -> Answer<'a, ()> {
        Box::pin(async move {
            let (names, kept) = (Names::of(key.as_str()), ms(kept));
            self.count(&scripts::MARK_STALE, Deadline::after(within), &names.all(), &[kept.as_bytes()]).await?;
            Ok(())
        })
    }

    fn versions<'a>(&'a self, tags: &'a [Tag], within: Duration) -> Answer<'a, Vec<Version>> {
        Box::pin(async move { self.tags(tags, Deadline::after(within)).await })
    }

    fn renew<'a>(&'a self, tag: &'a Tag, within: Duration) -> Answer<'a, ()> {
        Box::pin(async move {
            let (name, time) = (format!("t{}", tag.as_str()), TAG_MS.to_string());
            let version = renewed().to_be_bytes();
            let args = [version.as_slice(), time.as_bytes()];
            self.count(&scripts::RENEW, Deadline::after(within), &[name.as_bytes()], &args).await?;
            Ok(())
        })
    }

    fn invalidate_matching<'a>(&'a self, begin: &'a str, pattern: &'a str, within: Duration) -> Answer<'a, u64> {
        Box::pin(async move { self.end_matching(begin, pattern, Deadline::after(within)).await })
    }

    fn listen(&self, namespace: &str, listener: Arc<dyn Listener>) -> bool {
        self.tracking.listen(namespace, listener)
    }

    fn beat(&self, within: Duration) -> Answer<'_, u64> {
        Box::pin(self.tracking.beat(&self.link, within))
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }

    fn servers(&self, within: Duration) -> Answer<'_, Vec<Server>> {
        Box::pin(async move { self.facts(Deadline::after(within)).await })
    }
}

/// What the server knows of a key: the entry's name, the lease's, the marker's.
struct Names([String; 3]);

impl Names {
    fn of(key: &str) -> Self {
        Names([key.to_string(), format!("l{key}"), format!("m{key}")])
    }

    fn all(&self) -> [&[u8]; 3] {
        self.0.each_ref().map(String::as_bytes)
    }
}

fn list(reply: Reply, length: usize) -> Result<Vec<Reply>, Fault> {
    match reply {
        Reply::List(list) if list.len() == length => Ok(list),
        Reply::List(_) => Err(Fault::Garbled("as many answers as questions were expected")),
        other => Err(refusal(&other)),
    }
}

/// Runs a script by its name, or by its text where the server does not know it.
async fn run(
    link: &Link<Resp>,
    script: &'static Script,
    deadline: Deadline,
    keys: &[&[u8]],
    args: &[&[u8]],
) -> Result<Reply, Fault> {
    let ask = |word: &'static [u8], script: &'static [u8]| {
        move |out: &mut Vec<u8>| {
            resp::begin(out, 3 + keys.len() + args.len());
            resp::part(out, word);
            resp::part(out, script);
            resp::part(out, keys.len().to_string().as_bytes());
            keys.iter().chain(args).for_each(|part| resp::part(out, part));
        }
    };
    let named = link.ask_one(deadline, ask(b"EVALSHA", &script.name)).await?;
    match named {
        Reply::Error(text) if text.starts_with("NOSCRIPT") => {
            sound(link.ask_one(deadline, ask(b"EVAL", script.text.as_bytes())).await?)
        }
        other => sound(other),
    }
}

fn counted(reply: Reply) -> Result<u64, Fault> {
    match reply {
        Reply::Int(number) => u64::try_from(number).map_err(|_| Fault::Garbled("a count below nothing")),
        _ => Err(Fault::Garbled("no number")),
    }
}

async fn give_back(link: &Link<Resp>, names: &Names, token: u128, deadline: Deadline) -> Result<(), Fault> {
    run(link, &scripts::GIVE_BACK, deadline, &names.all()[1..2], &[&token.to_be_bytes()]).await.map(drop)
}

/// A lease whose answer nobody waited for may have been given, and would be nobody's until its time is over. It is ended
/// behind the request for it.
fn give_back_what_came(link: &Arc<Link<Resp>>, names: Names, token: u128, time: Duration) {
    let Some(runtime) = runtime::lasting() else { return };
    let link = Arc::clone(link);
    runtime.spawn(Box::pin(async move {
        // If this fails its time ends it.
        let _ = give_back(&link, &names, token, Deadline::after(time)).await;
    }));
}

/// An entry as it was stored, and its mark.
fn stored(reply: Reply) -> Result<Option<Stored>, Fault> {
    match reply {
        Reply::Nil => Ok(None),
        Reply::Bytes(mut bytes) => {
            let mark = bytes.get_mut(STATE_AT).map(std::mem::take);
            Ok(Some(Stored::new(bytes, mark.is_some_and(|mark| mark != 0))))
        }
        other => Err(refusal(&other)),
    }
}

/// How an entry begins in the server.
fn head(seen: &Stored) -> Vec<u8> {
    let mut head = seen.bytes[..seen.bytes.len().min(COMPARED_BYTES)].to_vec();
    if let Some(mark) = head.get_mut(STATE_AT) {
        *mark = u8::from(seen.marked);
    }
    head
}

fn version(reply: &Reply) -> Option<Version> {
    match reply {
        Reply::Bytes(bytes) => Some(Version(u128::from_be_bytes(bytes.as_slice().try_into().ok()?))),
        _ => None,
    }
}

/// A time as the server is told it.
fn ms(time: Duration) -> String {
    to_ms(time).min(LONGEST_MS).to_string()
}

/// The same of what the server cannot keep for no time at all.
fn lasting_ms(time: Duration) -> String {
    to_ms(time).clamp(1, LONGEST_MS).to_string()
}
