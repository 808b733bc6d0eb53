//! Tag cells under several threads: after an invalidation has returned, no hit of what is older.

use std::convert::Infallible;
use std::sync::Arc;

use shuttle::rand::Rng;
use shuttle::thread;
use tierce::{Cache, Hub, Load, Loaded};

use crate::source::Source;
use crate::{linger, on_threads};

const TAG: &str = "tag";

#[derive(Clone)]
struct World {
    hub: Hub,
    cache: Cache<u8, u64>,
    source: Arc<Source>,
}

impl World {
    fn new() -> Self {
        let hub = Hub::builder().seed(1).build();
        let cache = hub.local_cache("check").capacity(8).build();
        World { hub, cache, source: Arc::default() }
    }

    /// Loads under the tag, known from the arguments or named by the result.
    fn read(&self) -> u64 {
        let source = Arc::clone(&self.source);
        if shuttle::rand::thread_rng().r#gen() {
            let load = || async move { source.load(u64::MAX).await };
            return on_threads(self.cache.entry(&1).tags([TAG]).get_or_load(load)).expect("the load does not fail");
        }
        let load = |_: Load<u64>| async move {
            let value = source.load(u64::MAX).await?;
            Ok::<_, Infallible>(Loaded::new(value).tag(TAG))
        };
        let found = on_threads(self.cache.entry(&1).load_with(load)).expect("the load does not fail");
        found.into_value().expect("the loader gives one")
    }

    /// A write, and the end of what was loaded before: by the tag, or of everything.
    fn change(&self) {
        linger();
        let value = self.source.write();
        let done = match shuttle::rand::thread_rng().gen_range(0..4) {
            0 => on_threads(self.hub.purge()),
            1 => on_threads(self.cache.purge()),
            _ => on_threads(self.hub.invalidate_tag(TAG)),
        };
        done.expect("there is no store to fail");
        self.source.announce(value);
    }

    fn checked(&self, look: impl FnOnce(&World) -> Option<u64>) {
        let floor = self.source.floor();
        let value = look(self);
        assert!(value.is_none_or(|value| value >= floor), "{value:?} was served after {floor} had been announced");
    }

    fn spawn(&self, run: impl FnOnce(&World) + Send + 'static) -> thread::JoinHandle<()> {
        let world = self.clone();
        thread::spawn(move || run(&world))
    }
}

fn get(world: &World) -> Option<u64> {
    on_threads(world.cache.get(&1))
}

/// Loads that begin before, during and after invalidations of their tag.
pub(crate) fn no_load_outlives_its_tag() {
    let world = World::new();
    let threads = [
        world.spawn(|world| (0..2).for_each(|_| world.checked(|world| Some(world.read())))),
        world.spawn(|world| (0..2).for_each(|_| world.checked(|world| Some(world.read())))),
    ];
    (0..2).for_each(|_| world.change());
    threads.into_iter().for_each(|thread| thread.join().expect("it does not panic"));
    world.checked(get);
}

/// An entry that is looked at, and thereby stamped anew, while its tag is invalidated.
pub(crate) fn no_hit_outlives_its_tag() {
    let world = World::new();
    world.read();
    // As many looks as fill the time before the change, so that most changes fall into one.
    let looks = world.spawn(|world| (0..8).for_each(|_| world.checked(get)));
    let another = on_threads(world.hub.invalidate_tag("another"));
    another.expect("there is no store to fail");
    world.change();
    world.checked(get);
    looks.join().expect("it does not panic");
    world.checked(get);
}

#[test]
fn no_load_outlives_the_invalidation_of_its_tag() {
    crate::check(no_load_outlives_its_tag);
}

#[test]
fn no_hit_outlives_the_invalidation_of_its_tag() {
    crate::check(no_hit_outlives_its_tag);
}
