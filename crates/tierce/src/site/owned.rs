//! Arguments that a load owns, since it outlives the call that began it.

/// The owned form of a borrowed argument.
pub fn own<T: ToOwned + ?Sized>(argument: &T) -> T::Owned {
    argument.to_owned()
}

/// A clone of a borrowed argument that is no part of the key.
pub fn keep<T: Clone + Send + Sync + 'static>(argument: &T) -> T {
    argument.clone()
}
