//! Keys, looked up borrowed and made owned only on a miss.

use std::borrow::Borrow;
use std::hash::Hash;

/// A borrowed form of a key: hashes as the key does, and knows its equal.
///
/// Every `Q` with `K: Borrow<Q>` is one, so that a `Memory<String, V>` is asked with `&str`. Implement it for a type of
/// your own to look up a compound key, say `(String, u64)`, without building one: its `Hash` must feed the hasher
/// exactly what the key's does.
pub trait KeyRef<K: ?Sized>: Hash {
    /// Whether this is that key.
    fn is(&self, key: &K) -> bool;
}

/// A borrowed key that can become an owned one, which happens only on a miss.
pub trait ToKey<K>: KeyRef<K> {
    /// The owned key.
    fn to_key(&self) -> K;
}

impl<K: ?Sized, Q> KeyRef<K> for Q
where
    K: Borrow<Q>,
    Q: Hash + Eq + ?Sized,
{
    #[inline]
    fn is(&self, key: &K) -> bool {
        self == key.borrow()
    }
}

impl<K, Q> ToKey<K> for Q
where
    K: Borrow<Q>,
    Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
{
    #[inline]
    fn to_key(&self) -> K {
        self.to_owned()
    }
}

/// What a [`Cache`](crate::Cache) asks of its keys; every type that can be one is one.
pub trait Key: Hash + Eq + Clone + Send + Sync + 'static {}

impl<K: Hash + Eq + Clone + Send + Sync + 'static> Key for K {}

/// What a [`Cache`](crate::Cache) asks of its values; every type that can be one is one.
pub trait Value: Clone + Send + Sync + 'static {}

impl<V: Clone + Send + Sync + 'static> Value for V {}
