//! What a hub's store tells of changes, carried to the caches.

use std::sync::{Arc, Weak};

use crate::shared::{Family, Shared};
use crate::store::{Listener, TagName};

/// Hears for a hub, as long as there is one.
pub(crate) struct Heard {
    hub: Weak<Shared>,
    namespace: Box<str>,
}

impl Heard {
    pub(crate) fn new(hub: &Arc<Shared>, namespace: &str) -> Self {
        Heard { hub: Arc::downgrade(hub), namespace: namespace.into() }
    }

    fn each(hub: &Shared, act: impl Fn(&dyn Family)) {
        hub.caches().iter().for_each(|(_, cache)| act(&**cache));
    }
}

impl Listener for Heard {
    fn key_changed(&self, name: &str) {
        let Some(hub) = self.hub.upgrade() else { return };
        let own = name.strip_prefix('{').and_then(|name| name.strip_prefix(&*self.namespace)?.strip_prefix(':'));
        let cache = own.and_then(|name| hub.cache(name.split_once(':')?.0));
        if let Some(cache) = cache {
            match name.ends_with(":*}") {
                // No text of a key is this: some that match were ended, whichever.
                true => cache.all_changed(),
                false => cache.key_changed(name),
            }
        }
    }

    fn tag_changed(&self, name: &str) {
        let Some(hub) = self.hub.upgrade() else { return };
        match TagName::read(&self.namespace, name) {
            Some(TagName::Tag(tag)) => hub.tags.invalidate(&tag),
            Some(TagName::AllOfOne) => Self::each(&hub, |cache| cache.cache_changed(name)),
            // Which of the long ones it is cannot be told: their entries are found in the store again.
            Some(TagName::All | TagName::Hashed) => Self::each(&hub, Family::all_changed),
            None => {}
        }
    }

    fn all_changed(&self) {
        if let Some(hub) = self.hub.upgrade() {
            Self::each(&hub, Family::all_changed);
        }
    }
}
