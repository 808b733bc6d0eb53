//! How keys and tags are called in a store: the same in every process and every language. `docs/wire.md` is the
//! specification.

mod escape;
mod names;
mod text;
mod wild;

pub(crate) use names::{Name, Names, TagName, check_namespace, purge_tag, purge_tag_of, tag};
pub(crate) use text::{NotAKey, write};
pub use wild::{Any, Like};

#[cfg(test)]
mod tests;
