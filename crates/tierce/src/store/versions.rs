//! What tags are at in the store, as this process has last read it.
//!
//! An entry in the store carries the versions that its tags had before its load, and is good while they are still those. To
//! ask for them at each lookup would be a second round trip, so they are held here for a time, which is a part of the bound
//! on what other processes' invalidations may be missed.
//!
//! What this process itself invalidates is forgotten at once, and an answer that was on its way meanwhile is not held: it may be
//! from before.

use std::collections::HashMap;
use std::time::Duration;

use super::face::{Tag, Version};
use crate::mutant::{self, Mutant};
use crate::sync::{Mutex, lock};

/// As many are held; beyond that all are forgotten, which costs a question each.
const MOST: usize = 100_000;

/// The versions held.
#[derive(Default)]
pub(crate) struct Versions(Mutex<Held>);

#[derive(Default)]
struct Held {
    of: HashMap<Tag, At>,
    /// Counts what was forgotten.
    forgotten: u64,
}

/// A version and when it was read.
#[derive(Clone, Copy)]
struct At {
    version: Version,
    /// When it was asked for: it was so at that time or later.
    asked: Duration,
    /// When the answer came: it was so at that time or earlier.
    came: Duration,
    /// When it was last needed.
    needed: Duration,
}

/// A question for versions that is about to be asked.
pub(crate) struct Asking {
    asked: Duration,
    forgotten: u64,
}

impl Versions {
    /// The versions of these tags as they were asked for since then, and when the first of them was; `None` where one is
    /// not held.
    pub(crate) fn since(&self, tags: &[Tag], since: Duration, now: Duration) -> Option<(Vec<Version>, Duration)> {
        let mut held = lock(&self.0);
        let mut first = Duration::MAX;
        let version = |tag| {
            let at: &mut At = held.of.get_mut(tag)?;
            at.needed = now;
            first = first.min(at.asked);
            (at.asked >= since || mutant::on(Mutant::VersionsBelievedForEver)).then_some(at.version)
        };
        let versions = tags.iter().map(version).collect::<Option<_>>()?;
        Some((versions, first))
    }

    /// The tags that were needed since then. The others are forgotten.
    pub(crate) fn live(&self, since: Duration) -> Vec<Tag> {
        let mut held = lock(&self.0);
        let dead: Vec<_> = held.of.extract_if(|_, at| at.needed < since).collect();
        let live = held.of.keys().cloned().collect();
        drop(held);
        drop(dead);
        live
    }

    /// The version of a tag that had come before that time, however long before.
    pub(crate) fn before(&self, tag: &Tag, time: Duration) -> Option<Version> {
        lock(&self.0).of.get(tag).filter(|at| at.came <= time).map(|at| at.version)
    }

    pub(crate) fn asking(&self, now: Duration) -> Asking {
        Asking { asked: now, forgotten: lock(&self.0).forgotten }
    }

    /// Holds an answer, unless something was forgotten while it was on its way.
    pub(crate) fn hold(&self, asking: &Asking, tags: &[Tag], versions: &[Version], now: Duration) {
        let mut held = lock(&self.0);
        if held.forgotten != asking.forgotten && !mutant::on(Mutant::VersionHeldWhileForgotten) {
            return;
        }
        let full = held.of.len() >= MOST;
        let old = if full { std::mem::take(&mut held.of) } else { HashMap::new() };
        for (tag, version) in tags.iter().zip(versions) {
            let needed = held.of.get(tag).map_or(asking.asked, |known| known.needed);
            held.of.insert(tag.clone(), At { version: *version, asked: asking.asked, came: now, needed });
        }
        drop(held);
        drop(old);
    }

    /// This tag is at another version by now.
    pub(crate) fn forget(&self, tag: &Tag) {
        let mut held = lock(&self.0);
        held.forgotten += 1;
        held.of.remove(tag);
    }

    /// Any tag may be at another version by now.
    pub(crate) fn forget_all(&self) {
        let mut held = lock(&self.0);
        held.forgotten += 1;
        let old = std::mem::take(&mut held.of);
        drop(held);
        drop(old);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Version = Version(1);

    fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_version_is_as_old_as_its_question_and_as_young_as_its_answer() {
        let (versions, tag) = (Versions::default(), [Tag::new("{t}")]);
        versions.hold(&versions.asking(at(10)), &tag, &[ONE], at(15));
        assert_eq!(versions.since(&tag, at(10), at(20)), Some((vec![ONE], at(10))));
        assert_eq!(versions.since(&tag, at(11), at(20)), None);
        assert_eq!(versions.before(&tag[0], at(15)), Some(ONE));
        assert_eq!(versions.before(&tag[0], at(14)), None);
    }

    #[test]
    fn what_nobody_needs_is_forgotten() {
        let (versions, tags) = (Versions::default(), [Tag::new("{a}"), Tag::new("{b}")]);
        versions.hold(&versions.asking(at(10)), &tags, &[ONE, ONE], at(15));
        versions.since(&tags[..1], at(0), at(30));
        // To be asked for again is not to be needed.
        versions.hold(&versions.asking(at(40)), &tags, &[ONE, ONE], at(45));
        assert_eq!(versions.live(at(20)), tags[..1]);
        assert_eq!(versions.since(&tags[1..], at(0), at(50)), None);
    }

    #[test]
    fn an_answer_that_was_on_its_way_during_an_invalidation_is_not_held() {
        let (versions, tag) = (Versions::default(), [Tag::new("{t}")]);
        let asking = versions.asking(at(10));
        versions.forget(&tag[0]);
        versions.hold(&asking, &tag, &[ONE], at(15));
        assert_eq!(versions.since(&tag, at(0), at(20)), None);
    }
}
