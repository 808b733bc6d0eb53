//! A cache's place in the hub's store: the names of its entries, its values as bytes.

use std::any::Any;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::cargo::AnyValue;
use super::flight::Flight;
use super::load::{Aged, Bare};
use super::marks::Marks;
use crate::clock::{Clock, NEVER, to_ms};
use crate::expiry::Times;
use crate::key::{self, Value};
use crate::store::{self, Budget, Codec, Compression, Head, Link, Name, Names, NotAKey, Stored, Tag, Unfit, Version};

/// Appends the text of a key of this cache's type.
pub(crate) type WriteKey = fn(&dyn Any, &mut String) -> Result<(), NotAKey>;

/// Appends a value, or says why it cannot be written.
pub(crate) type Pack<V> = Box<dyn Fn(&V, &mut Vec<u8>) -> Result<(), String> + Send + Sync>;
/// The value that all of these bytes are, or why they are none.
pub(crate) type Unpack<V> = Box<dyn Fn(&[u8]) -> Result<V, String> + Send + Sync>;

type Encode = Box<dyn Fn(Codec, &dyn Any, &mut Vec<u8>) -> Result<(), Unfit> + Send + Sync>;
type Decode = Box<dyn Fn(Codec, &[u8]) -> Result<AnyValue, Unfit> + Send + Sync>;

/// How keys and values of a cache become bytes.
pub(crate) struct Shape {
    key: WriteKey,
    encode: Encode,
    decode: Decode,
    pub(crate) codec: Codec,
    pub(crate) compression: Compression,
}

impl Shape {
    /// Of keys and values of these types.
    pub(crate) fn of_types<K: key::Key + Serialize, V: Value + Serialize + DeserializeOwned>() -> Self {
        Shape {
            key: write_key::<K>,
            encode: Box::new(|codec, value, bytes| store::encode(codec, its::<V>(value), bytes)),
            decode: Box::new(|codec, bytes| Ok(Box::new(store::decode::<V>(codec, bytes)?))),
            codec: Codec::default(),
            compression: Compression::default(),
        }
    }

    /// Of values that another language packs, in the form that the codec stands for.
    pub(crate) fn packed<K: key::Key + Serialize, V: Value>(codec: Codec, pack: Pack<V>, unpack: Unpack<V>) -> Self {
        Shape {
            key: write_key::<K>,
            encode: Box::new(move |codec, value, bytes| {
                pack(its::<V>(value), bytes).map_err(|why| Unfit::new(codec, why))
            }),
            decode: Box::new(move |found, bytes| {
                if found != codec {
                    return Err(Unfit::new(found, format!("it is read as {codec}")));
                }
                Ok(Box::new(unpack(bytes).map_err(|why| Unfit::new(codec, why))?))
            }),
            codec,
            compression: Compression::default(),
        }
    }

    pub(crate) fn write_key(&self) -> WriteKey {
        self.key
    }

    /// The feature that this program was built without and would need for what was said.
    pub(crate) fn missing_feature(&self) -> Option<&'static str> {
        self.codec.missing_feature().or(self.compression.missing_feature())
    }
}

/// The entries of one cache in the hub's store.
pub(crate) struct Shelf {
    pub(crate) link: Arc<Link>,
    shape: Shape,
    names: Names,
    /// What a purge of the namespace, and of this cache, gives new versions: every entry has both.
    pub(crate) purges: [Tag; 2],
    /// What others changed.
    pub(super) marks: Marks,
    clock: Clock,
}

/// An entry of the store, opened.
pub(crate) struct Opened {
    pub(crate) value: Option<AnyValue>,
    pub(crate) aged: Aged,
    pub(crate) tags: Vec<Arc<str>>,
    /// What its tags were at before its load: of the two purges first, then of its own tags.
    pub(crate) versions: Vec<Version>,
    /// For how long after it was made it may be served at all, in milliseconds.
    pub(crate) kept_ms: u64,
}

impl Opened {
    /// It was found to stand by versions that were read so long ago.
    pub(crate) fn as_old_as(&mut self, age: Duration, now_ms: u64) {
        self.aged.asked_ms = self.aged.asked_ms.min(now_ms.saturating_sub(to_ms(age)));
    }

    /// As a load brings it, beside its value.
    pub(crate) fn apart(self) -> (Option<AnyValue>, Bare) {
        let bare = Bare { tags: self.tags, aged: Some(self.aged), ..Bare::new(self.value.is_none()) };
        (self.value, bare)
    }

    /// As a load brings it: its value into the flight.
    pub(crate) fn into_flight(self, flight: &Flight) -> Bare {
        let (value, loaded) = self.apart();
        if let Some(value) = value {
            flight.cargo().put(value);
        }
        loaded
    }
}

/// The largest entry that is read, in bytes.
const MOST_BYTES: usize = 1 << 20;
/// The largest that is stored: Memcached's limit for an item with its name, below which Redis is quick as well.
const MOST_STORED_BYTES: usize = MOST_BYTES - 512;

impl Shelf {
    /// With room for so many entries in memory.
    pub(crate) fn new(
        link: &Arc<Link>,
        shape: Shape,
        (cache, version): (&str, u32),
        clock: Clock,
        entries: usize,
    ) -> Self {
        let namespace = link.namespace();
        Shelf {
            link: Arc::clone(link),
            shape,
            names: Names::new(namespace, cache, version),
            purges: [store::purge_tag(namespace), store::purge_tag_of(namespace, cache, version)],
            marks: Marks::new(entries),
            clock,
        }
    }

    /// The time by the clock of ages.
    pub(crate) fn asked_ms(&self) -> u64 {
        self.clock.now_ms()
    }

    /// The name of an entry.
    pub(crate) fn name(&self, key: &dyn Any) -> Result<Name, NotAKey> {
        self.names.of(|out| (self.shape.key)(key, out))
    }

    /// How its entries are called.
    pub(crate) fn names(&self) -> &Names {
        &self.names
    }

    /// Whether this is the name of an entry of this cache.
    pub(crate) fn has(&self, name: &str) -> bool {
        name.starts_with(self.names.begin())
    }

    /// The place of a name among the marks.
    pub(crate) fn place(&self, name: &Name) -> u32 {
        self.marks.place(name.key.as_str())
    }

    /// A tag's name in the store.
    pub(crate) fn tag(&self, tag: &str) -> Tag {
        store::tag(self.link.namespace(), tag)
    }

    /// The names of the purges and of these tags.
    pub(crate) fn tags<'a>(&self, tags: impl IntoIterator<Item = &'a str>) -> Vec<Tag> {
        let tags = tags.into_iter().map(|tag| self.tag(tag));
        self.purges.iter().cloned().chain(tags).collect()
    }

    /// What these tags are at now, each asked for once.
    pub(crate) async fn versions_of(&self, tags: Vec<Tag>, budget: &mut Budget) -> Option<HashMap<Tag, Version>> {
        let tags = each_once(tags);
        let versions = self.link.versions(&tags, budget).await?;
        Some(tags.into_iter().zip(versions).collect())
    }

    /// What these tags are at, as far as this process knows or has to ask, and how long ago that was read.
    pub(crate) async fn known_versions_of(
        &self,
        tags: Vec<Tag>,
        budget: &mut Budget,
    ) -> Option<(HashMap<Tag, Version>, Duration)> {
        let tags = each_once(tags);
        let (versions, age) = self.link.known_versions(&tags, budget).await?;
        Some((tags.into_iter().zip(versions).collect(), age))
    }

    /// The bytes of an entry, and how long the store is to keep them; `None` if it cannot be written, or is too large.
    /// `versions` are of the purges and the tags.
    pub(crate) fn seal(
        &self,
        name: &Name,
        value: Option<&dyn Any>,
        aged: &Aged,
        tags: &[Arc<str>],
        versions: &[Version],
    ) -> Option<(Vec<u8>, Duration)> {
        let mut payload = Vec::new();
        if let Some(value) = value {
            (self.shape.encode)(self.shape.codec, value, &mut payload).ok()?;
        }
        let Times { fresh_until_ms, expiry_ms, .. } = aged.times;
        let now_ms = self.clock.now_ms();
        let lasting = |until_ms: u64| if until_ms >= NEVER - 1 { u64::MAX } else { until_ms.saturating_sub(now_ms) };
        let head = Head {
            created_ms: self.clock.unix_ms(),
            fresh_ms: lasting(fresh_until_ms),
            kept_ms: lasting(expiry_ms),
            cost_us: aged.cost_us,
            schema: 0,
            codec: self.shape.codec,
            is_negative: value.is_none(),
        };
        let names = ["", ""].into_iter().chain(tags.iter().map(|tag| &**tag));
        let tags: Vec<_> = names.zip(versions.iter().copied()).collect();
        let bytes = store::seal(&head, name.whole(), &tags, &payload, self.shape.compression).ok()?;
        (bytes.len() <= MOST_STORED_BYTES).then_some((bytes, Duration::from_millis(head.kept_ms)))
    }

    /// How an entry begins that is made now, and how long the store is to keep it.
    pub(crate) fn anew(&self, kept_ms: u64) -> (Vec<u8>, Duration) {
        (store::head_bytes(self.clock.unix_ms()).to_vec(), Duration::from_millis(kept_ms))
    }

    /// What the bytes of an entry say; `None`, and counted, if they are none that this cache can read. `asked_ms` is
    /// when they were asked for, by the clock of ages.
    pub(crate) fn open(&self, name: &Name, stored: &Stored, asked_ms: u64) -> Option<Opened> {
        let opened = self.read(name, stored, asked_ms);
        if opened.is_none() {
            self.link.note_damage();
        }
        opened
    }

    /// The same, not counted.
    pub(super) fn read(&self, name: &Name, stored: &Stored, asked_ms: u64) -> Option<Opened> {
        let opened = store::open(&stored.bytes, name.whole(), MOST_BYTES).ok()?;
        let head = opened.head;
        let value = if head.is_negative { None } else { Some((self.shape.decode)(head.codec, &opened.payload).ok()?) };
        let (purges, own) = opened.tags.split_at_checked(self.purges.len())?;
        // A clock that is behind the writer's has not seen the entry made yet: its age is nothing.
        let age_ms = self.clock.unix_ms().saturating_sub(head.created_ms);
        let now_ms = self.clock.now_ms();
        let until = |time_ms: u64| match time_ms {
            u64::MAX => NEVER,
            time_ms => now_ms.saturating_add(time_ms).saturating_sub(age_ms).min(NEVER - 1),
        };
        let (mut fresh_until_ms, mut expiry_ms) = (until(head.fresh_ms), until(head.kept_ms));
        if stored.marked {
            fresh_until_ms = fresh_until_ms.min(now_ms);
            expiry_ms = expiry_ms.min(NEVER - 1);
        }
        let times =
            Times { fresh_until_ms, expiry_ms, ttl_ms: head.fresh_ms, ended_ms: fresh_until_ms, overdue: false };
        Some(Opened {
            value,
            aged: Aged { times, cost_us: head.cost_us, asked_ms },
            tags: own.iter().map(|(tag, _)| Arc::from(*tag)).collect(),
            versions: purges.iter().chain(own).map(|(_, version)| *version).collect(),
            kept_ms: head.kept_ms,
        })
    }
}

fn write_key<K: key::Key + Serialize>(key: &dyn Any, text: &mut String) -> Result<(), NotAKey> {
    store::write_key(its::<K>(key), text)
}

/// A key or a value of a cache, as what it is.
fn its<T: 'static>(it: &dyn Any) -> &T {
    it.downcast_ref().expect("a cache has keys and values of one type each")
}

fn each_once(mut tags: Vec<Tag>) -> Vec<Tag> {
    tags.sort_by(|a, b| a.as_str().cmp(b.as_str()));
    tags.dedup();
    tags
}
