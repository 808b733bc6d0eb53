//! The names of entries and tags in a store.
//!
//! What a cluster hashes stands in the braces that a name begins and ends with: the whole of it. Nothing inside can hold
//! a brace, so no key or tag can move itself to another server, and what a store puts before the name stays with it.

use std::fmt::Write;
use std::sync::Arc;

use twox_hash::XxHash3_128;

use crate::error::{Error, Kind};
use crate::store::face::{Key, Tag};

use super::escape;

/// The longest name, in bytes: a key of Memcached's has 250, and ten are left to what a store puts before it.
const LONGEST_NAME: usize = 240;

/// The longest namespace, in bytes.
const LONGEST_NAMESPACE: usize = 40;

/// The longest name of a cache, escaped, in bytes. With the longest namespace, the largest version (10 digits), three
/// colons and two braces it leaves 85 bytes, where a hashed key takes 33.
const LONGEST_CACHE: usize = 100;

/// Most keys' texts have fewer bytes; the others' names are moved while they are written.
const MOST_KEYS: usize = 40;

/// Checks that a namespace has letters, digits and `_ . -` alone, and 1 to 40 of them.
///
/// # Errors
///
/// [`Kind::Invalid`].
pub(crate) fn check_namespace(namespace: &str) -> Result<(), Error> {
    let wrong = |detail: String| Err(Error::new(Kind::Invalid, "namespace", detail));
    if namespace.is_empty() {
        return wrong("a namespace must not be empty".to_string());
    }
    if namespace.len() > LONGEST_NAMESPACE {
        let length = namespace.len();
        return wrong(format!("a namespace must not be longer than {LONGEST_NAMESPACE} bytes; this one has {length}"));
    }
    if let Some(other) = namespace.chars().find(|c| !c.is_ascii() || !escape::is_plain(*c as u8)) {
        return wrong(format!("a namespace has letters, digits, `_`, `.` and `-` alone, and no {other:?}"));
    }
    Ok(())
}

/// An entry's name.
#[derive(Clone)]
pub(crate) struct Name {
    pub(crate) key: Key,
    /// The name with the whole text of its key, where that is too long.
    whole: Option<Arc<str>>,
}

impl Name {
    /// The name with the whole text of its key, however long: what an envelope is bound to.
    ///
    /// Texts whose hashes are equal can be made up by whoever chooses keys; their whole names still differ.
    pub(crate) fn whole(&self) -> &str {
        self.whole.as_deref().unwrap_or(self.key.as_str())
    }
}

/// The names of one cache's entries: `{namespace:cache:version:key}`.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    begin: Box<str>,
}

impl Names {
    /// The names of a cache, whatever it is called; the namespace is one that [`check_namespace`] has passed.
    pub(crate) fn new(namespace: &str, cache: &str, version: u32) -> Self {
        let mut begin = format!("{{{namespace}:");
        let mut escaped = String::new();
        escape::write(cache, &mut escaped);
        push_short(&escaped, LONGEST_CACHE, &mut begin);
        write!(begin, ":{version}:").expect("a string takes what is written");
        Names { begin: begin.into() }
    }

    /// The name of an entry, by what writes its key's canonical text. Where it would be too long, `#` and the hash stand for
    /// the text.
    ///
    /// # Errors
    /// What `write` says.
    pub(crate) fn of<E>(&self, write: impl FnOnce(&mut String) -> Result<(), E>) -> Result<Name, E> {
        let mut whole = String::with_capacity(self.begin.len() + MOST_KEYS);
        whole.push_str(&self.begin);
        write(&mut whole)?;
        whole.push('}');
        if whole.len() <= LONGEST_NAME {
            return Ok(Name { key: Key::new(whole), whole: None });
        }
        let text = &whole[self.begin.len()..whole.len() - 1];
        let mut name = String::with_capacity(LONGEST_NAME);
        name.push_str(&self.begin);
        push_short(text, LONGEST_NAME - self.begin.len() - 1, &mut name);
        name.push('}');
        Ok(Name { key: Key::new(name), whole: Some(whole.into()) })
    }

    /// The name that no entry has, and that says in a marker that some of them were ended.
    pub(crate) fn all(&self) -> Key {
        Key::new(format!("{}*}}", self.begin))
    }

    /// What the names of all entries begin with: `{namespace:cache:version:`.
    pub(crate) fn begin(&self) -> &str {
        &self.begin
    }
}

/// The name of a tag: `{namespace:tag}`, the tag escaped, and hashed as keys are where it would be too long.
pub(crate) fn tag(namespace: &str, tag: &str) -> Tag {
    let mut name = format!("{{{namespace}:");
    let mut escaped = String::new();
    escape::write(tag, &mut escaped);
    let most = LONGEST_NAME - name.len() - 1;
    push_short(&escaped, most, &mut name);
    name.push('}');
    Tag::new(name)
}

/// The tag that every entry of a namespace has, so that all are ended by one write. No user's tag is escaped to this.
pub(crate) fn purge_tag(namespace: &str) -> Tag {
    Tag::new(format!("{{{namespace}:*}}"))
}

/// The tag that every entry of one cache has.
pub(crate) fn purge_tag_of(namespace: &str, cache: &str, version: u32) -> Tag {
    let mut name = format!("{{{namespace}:*");
    let mut escaped = String::new();
    escape::write(cache, &mut escaped);
    push_short(&escaped, LONGEST_CACHE, &mut name);
    Tag::new(format!("{name}:{version}}}"))
}

/// What a tag's name in the store stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TagName {
    /// Every entry of the namespace.
    All,
    /// Every entry of one cache.
    AllOfOne,
    /// The user's tag.
    Tag(String),
    /// A tag of which the name says no more than its hash.
    Hashed,
}

impl TagName {
    /// What the name of a tag of this namespace stands for; none where it is no such name.
    pub(crate) fn read(namespace: &str, name: &str) -> Option<Self> {
        let inner = name.strip_prefix('{')?.strip_prefix(namespace)?.strip_prefix(':')?.strip_suffix('}')?;
        match inner.as_bytes() {
            [b'*'] => Some(TagName::All),
            [b'*', ..] => Some(TagName::AllOfOne),
            [b'#', ..] => Some(TagName::Hashed),
            _ => escape::read(inner).map(TagName::Tag),
        }
    }
}

/// Appends a text, or `#` and the 32 hex digits of its hash where it has more than `most` bytes. No text begins with `#`.
fn push_short(text: &str, most: usize, out: &mut String) {
    if text.len() <= most {
        out.push_str(text);
    } else {
        write!(out, "#{:032x}", XxHash3_128::oneshot(text.as_bytes())).expect("a string takes what is written");
    }
}
