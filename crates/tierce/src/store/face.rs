//! What is asked of a store: the verbs that Redis and Memcached can both keep.
//!
//! A store knows bytes and times, and nothing of types, freshness or loads. What makes it more than a map in a server are
//! leases: of many processes that miss a key one may load it, and what he brings is stored only if nothing happened to the
//! key since. Whatever changes a key ends its lease in the same step.

use std::any::Any;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::fault::Fault;

/// An answer on its way.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, Fault>> + Send + 'a>>;

/// The name of an entry in a store: `{namespace:cache:version:key}`, printable ASCII without blanks, at most 240 bytes.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Key(Arc<str>);

/// The name of a tag in a store: `{namespace:tag}`, as a [`Key`]'s.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Tag(Arc<str>);

/// What a store holds of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stored {
    /// The envelope, as it was stored.
    pub bytes: Vec<u8>,
    /// Whether [`mark_stale`](Store::mark_stale) was asked for it since.
    pub marked: bool,
}

/// Leave to load a key, or why there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lease {
    /// The asker loads, and nobody else.
    Won(Token),
    /// Somebody else loads.
    Lost,
    /// A writer is about to change the key: what is loaded now may not be stored.
    Held,
    /// Another entry than the asker has seen is here by now.
    Found(Stored),
}

/// What a lease is told by, later on. Only the store that gave it knows what it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// What the server compares.
    pub number: u128,
    /// The connection that it is good for, where numbers repeat after a server's restart.
    pub connection: u64,
}

/// What a tag is at: chosen by chance at each of its invalidations, and never again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Version(pub u128);

/// Whether other processes are told of a change, where the store tells of changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tell {
    /// Nobody: what they have of the key is no older.
    Nobody,
    /// Everybody who listens.
    Everybody,
}

/// Who is told of changes, by a store that tells of them.
///
/// It is told on the store's own task, and answers at once.
pub trait Listener: Send + Sync + 'static {
    /// The entry of this name was changed, by any process, perhaps by this one.
    fn key_changed(&self, name: &str);

    /// The tag of this name was given another version.
    fn tag_changed(&self, name: &str);

    /// Anything may have been changed.
    fn all_changed(&self);
}

/// Bytes that processes share.
///
/// Every verb answers within the time it is given, whatever the server does, or says [`Fault::Timeout`]. A verb that fails
/// may have been done or not, unless its fault says that the server was not asked. Dropping an answer takes nothing back.
/// Entries go when their time is over, and at any moment before; so may leases and tags.
///
/// An entry is at least three bytes long, and the third is nothing: the store may keep its mark there. What
/// [`get`](Store::get) gives has nothing there again.
pub trait Store: Send + Sync + 'static {
    /// What is stored of a key.
    fn get<'a>(&'a self, key: &'a Key, within: Duration) -> Answer<'a, Option<Stored>>;

    /// What is stored of several keys, in their order.
    fn get_many<'a>(&'a self, keys: &'a [Key], within: Duration) -> Answer<'a, Vec<Option<Stored>>>;

    /// Leave to load a key that is not here, or whose entry, `seen`, is to be replaced; for `time`, unless it is
    /// extended.
    fn lease<'a>(
        &'a self,
        key: &'a Key,
        seen: Option<&'a Stored>,
        time: Duration,
        within: Duration,
    ) -> Answer<'a, Lease>;

    /// Lets a lease last for `time` from now; whether it stands.
    fn extend<'a>(&'a self, key: &'a Key, token: Token, time: Duration, within: Duration) -> Answer<'a, bool>;

    /// Stores what was loaded under a lease, or written under a hold, for `time`, if it stands, and ends it. Whether it
    /// stood.
    fn fill<'a>(
        &'a self,
        key: &'a Key,
        token: Token,
        bytes: &'a [u8],
        time: Duration,
        tell: Tell,
        within: Duration,
    ) -> Answer<'a, bool>;

    /// Ends a lease or a hold, if it stands, so that the next may load.
    fn give_back<'a>(&'a self, key: &'a Key, token: Token, within: Duration) -> Answer<'a, ()>;

    /// Ends every lease of a key and gives none for `time`, or until this is filled or given back, or the key changed.
    fn hold<'a>(&'a self, key: &'a Key, time: Duration, within: Duration) -> Answer<'a, Token>;

    /// Stores an entry, whoever loads, for `time`. Everybody is told.
    fn set<'a>(&'a self, key: &'a Key, bytes: &'a [u8], time: Duration, within: Duration) -> Answer<'a, ()>;

    /// Puts these bytes in the place of an entry's first ones and lets it last for `time` from now; whether there is one that
    /// is not marked, and not shorter than that. Marked ones stay as they are, or their mark would be lost.
    fn touch<'a>(&'a self, key: &'a Key, head: &'a [u8], time: Duration, within: Duration) -> Answer<'a, bool>;

    /// Ends entries and leases. Everybody is told.
    fn invalidate<'a>(&'a self, keys: &'a [Key], within: Duration) -> Answer<'a, ()>;

    /// Marks an entry, lets it last for at most `kept` from now and ends the key's lease. Everybody is told.
    fn mark_stale<'a>(&'a self, key: &'a Key, kept: Duration, within: Duration) -> Answer<'a, ()>;

    /// What tags are at, in their order. One that is not here gets a version that it never had.
    fn versions<'a>(&'a self, tags: &'a [Tag], within: Duration) -> Answer<'a, Vec<Version>>;

    /// Gives a tag a version that it never had. Everybody is told.
    fn renew<'a>(&'a self, tag: &'a Tag, within: Duration) -> Answer<'a, ()>;

    /// Ends the entries whose names begin so and then match this pattern (`*` any text, `?` one character, `\` before either
    /// of them itself), and their leases; how many there were. Everybody is told.
    fn invalidate_matching<'a>(&'a self, begin: &'a str, pattern: &'a str, within: Duration) -> Answer<'a, u64>;

    /// From now on this listener is told of the changes that "everybody is told" of, of names that begin with `{namespace:`,
    /// as far as [`beat`](Store::beat) says so. Whether this store can tell at all; one that cannot is asked anew for what
    /// has come of age ([`memory_age`](crate::HubBuilder::memory_age)).
    fn listen(&self, namespace: &str, listener: Arc<dyn Listener>) -> bool {
        let _ = (namespace, listener);
        false
    }

    /// Asks whether the listener is told. The answer is a number: while it stays the same, every change that was made before
    /// the question was asked has been told. With another number than before, some of the time between may be missing.
    fn beat(&self, within: Duration) -> Answer<'_, u64> {
        let _ = within;
        Box::pin(async { Err(Fault::Refused("this store tells nobody of changes".into())) })
    }

    /// Itself, for those who know its kind and ask for more than a store's verbs.
    fn as_any(&self) -> Option<&dyn Any> {
        None
    }

    /// What the servers say of themselves.
    fn servers(&self, within: Duration) -> Answer<'_, Vec<Server>>;
}

/// What a server says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Server {
    /// Where it is, without a password.
    pub address: String,
    /// Names and values, as it gives them (`INFO`, `stats`); they are of all who use it, since its start.
    pub facts: Vec<(String, String)>,
}

impl Key {
    /// A name, for a store's own tests; caches make theirs.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Key(name.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Tag {
    /// A name, for a store's own tests; caches make theirs.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Tag(name.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Stored {
    /// An entry as it is in the server.
    pub fn new(bytes: Vec<u8>, marked: bool) -> Self {
        Stored { bytes, marked }
    }
}

impl Server {
    /// What a server says.
    pub fn new(address: impl Into<String>, facts: Vec<(String, String)>) -> Self {
        Server { address: address.into(), facts }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
