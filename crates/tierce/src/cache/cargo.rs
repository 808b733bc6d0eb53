//! What a flight carries: its key, and the value that its load brings. It is all of a flight that knows a cache's types.
//!
//! Flights, loads and waits are compiled once for all caches: compiled for each pair of a key's and a value's type they took
//! a second of every program's build for each pair (`bench compile`). So the engine moves flights and looks into none;
//! memory, the store's codec and a lookup's own end put values in and take them out.

use std::any::Any;
use std::marker::PhantomData;
use std::sync::OnceLock;

use crate::key::{Key, KeyRef, Value};

/// A value whose type only a cache knows.
pub(crate) type AnyValue = Box<dyn Any + Send + Sync>;

/// The key and the value of a flight, whatever their types. Looked for, it is its key.
pub(crate) trait Cargo: Any + Sought + Send + Sync {
    fn key(&self) -> &dyn Any;

    /// What was put in.
    fn value(&self) -> Option<&dyn Any>;

    /// Puts in what the load brought, which it does once.
    fn put(&self, value: AnyValue);
}

pub(crate) struct Carried<K, V> {
    pub(crate) key: K,
    /// In the flight itself: who waits has that anyway, and a load of many ids allocates nothing for each.
    value: OnceLock<V>,
}

impl<K, V> Carried<K, V> {
    pub(crate) fn new(key: K) -> Self {
        Carried { key, value: OnceLock::new() }
    }

    pub(crate) fn value(&self) -> Option<&V> {
        self.value.get()
    }

    pub(crate) fn put(&self, value: V) {
        // A load brings what it brings once.
        drop(self.value.set(value));
    }
}

impl<K: Key, V: Value> Sought for Carried<K, V> {
    fn is(&self, key: &dyn Any) -> bool {
        Seek::<K, K>::new(&self.key).is(key)
    }
}

impl<K: Key, V: Value> Cargo for Carried<K, V> {
    fn key(&self) -> &dyn Any {
        &self.key
    }

    fn value(&self) -> Option<&dyn Any> {
        self.value.get().map(|value| value as &dyn Any)
    }

    fn put(&self, value: AnyValue) {
        let value: Box<V> = value.downcast().unwrap_or_else(|_| unreachable!("it is of the cache's own type"));
        Carried::put(self, *value);
    }
}

/// A key that is looked for, whatever its type.
pub(crate) trait Sought {
    /// Whether it is this one, which a flight or a writer has.
    fn is(&self, key: &dyn Any) -> bool;
}

/// A key in a form that it can be borrowed in.
pub(crate) struct Seek<'a, K, Q: ?Sized>(&'a Q, PhantomData<fn() -> K>);

impl<'a, K, Q: ?Sized> Seek<'a, K, Q> {
    pub(crate) fn new(key: &'a Q) -> Self {
        Seek(key, PhantomData)
    }

    pub(crate) fn key(&self) -> &'a Q {
        self.0
    }
}

impl<K: Key, Q: KeyRef<K> + ?Sized> Sought for Seek<'_, K, Q> {
    fn is(&self, key: &dyn Any) -> bool {
        key.downcast_ref().is_some_and(|key| self.0.is(key))
    }
}
