//! What a lookup answers.

use super::gone::Reason;

/// What a lookup says: the value, its known absence, or why there is neither.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Lookup<V> {
    /// The value, and how fresh it is.
    Hit(V, Freshness),
    /// Known to have no value, and how fresh that knowledge is.
    Negative(Freshness),
    /// Not here, and why.
    Miss(Reason),
}

impl<V> Lookup<V> {
    /// The value, if there is one.
    pub fn value(&self) -> Option<&V> {
        match self {
            Lookup::Hit(value, _) => Some(value),
            _ => None,
        }
    }

    /// The value itself, if there is one.
    pub fn into_value(self) -> Option<V> {
        match self {
            Lookup::Hit(value, _) => Some(value),
            _ => None,
        }
    }

    /// How fresh the answer is; `None` for a miss.
    pub fn freshness(&self) -> Option<Freshness> {
        match self {
            Lookup::Hit(_, freshness) | Lookup::Negative(freshness) => Some(*freshness),
            Lookup::Miss(_) => None,
        }
    }
}

/// How old the value is that a lookup gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Freshness {
    /// From memory, within its time.
    Fresh,
    /// From the source, just now.
    Loaded,
    /// Past its time: a load runs behind, or has failed, or is slow.
    Stale,
}
