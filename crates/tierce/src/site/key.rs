//! Arguments as a key: hashed and compared borrowed, made owned on a miss.

use std::borrow::Borrow;
use std::fmt::{self, Display, Write};
use std::hash::Hash;

use crate::key::{KeyRef, ToKey};

/// The borrowed arguments of a function, a tuple of references: the key is the tuple of their owned forms.
///
/// A tuple feeds a hasher its parts one after the other, a reference feeds it what it refers to, and a borrowed form
/// what its owned one does: so both hash alike.
#[derive(Hash)]
pub struct Args<T>(pub T);

macro_rules! keys {
    ($(($borrowed:ident $owned:ident $at:tt))+) => {
        impl<$($borrowed: Hash + Eq + ?Sized, $owned: Borrow<$borrowed>),+> KeyRef<($($owned,)+)>
            for Args<($(&$borrowed,)+)>
        {
            #[inline]
            fn is(&self, key: &($($owned,)+)) -> bool {
                $(*self.0.$at == *key.$at.borrow())&&+
            }
        }

        impl<$($borrowed: Hash + Eq + ToOwned<Owned = $owned> + ?Sized, $owned: Borrow<$borrowed>),+>
            ToKey<($($owned,)+)> for Args<($(&$borrowed,)+)>
        {
            fn to_key(&self) -> ($($owned,)+) {
                ($(self.0.$at.to_owned(),)+)
            }
        }
    };
}

keys!((A A1 0) (B B1 1));
keys!((A A1 0) (B B1 1) (C C1 2));
keys!((A A1 0) (B B1 1) (C C1 2) (D D1 3));
keys!((A A1 0) (B B1 1) (C C1 2) (D D1 3) (E E1 4));
keys!((A A1 0) (B B1 1) (C C1 2) (D D1 3) (E E1 4) (F F1 5));
keys!((A A1 0) (B B1 1) (C C1 2) (D D1 3) (E E1 4) (F F1 5) (G G1 6));
keys!((A A1 0) (B B1 1) (C C1 2) (D D1 3) (E E1 4) (F F1 5) (G G1 6) (H H1 7));

/// A value in a key of text: what keys are put together with (`:`, braces, the sign of this escape) is written `%3A`
/// and so on, so that two lists of arguments never make one key.
pub struct Escaped<T>(pub T);

impl<T: Display> Display for Escaped<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escaping(f), "{}", self.0)
    }
}

struct Escaping<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for part in text.split_inclusive([':', '{', '}', '%']) {
            let plain = part.trim_end_matches([':', '{', '}', '%']);
            self.0.write_str(plain)?;
            for special in part[plain.len()..].bytes() {
                write!(self.0, "%{special:02X}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Escaped;

    #[test]
    fn what_keys_are_made_with_is_escaped_in_arguments() {
        assert_eq!(Escaped("a:b{c}100%").to_string(), "a%3Ab%7Bc%7D100%25");
        assert_eq!(Escaped("::").to_string(), "%3A%3A");
        assert_eq!(Escaped(-7).to_string(), "-7");
        assert_eq!(Escaped("").to_string(), "");
    }
}
