//! Values as bytes: Python objects to MessagePack and back, as a function's return annotation says. Knows nothing of the engine.
//!
//! **Problem.** What a store has was put there by another process, perhaps of another language, and its bytes may be
//! anybody's. Who is given a value from it must not be able to tell: the same types come back, or nothing does. To walk a
//! class by Python's means takes some ten microseconds.
//!
//! **Idea.** The face (`tierce/values.py`) reads the annotation once, and makes a *plan* of it: nested tuples. Here the plan
//! is read into *forms* (`form.rs`), one for each place of the annotation, and each knows how it is packed (`pack.rs`) and
//! unpacked (`unpack.rs`). They name each other by index, so that a class may contain itself. Where the annotation says
//! nothing a value has the *bare* form (`bare.rs`): what JSON has as plain MessagePack, the rest as extensions
//! (`docs/wire.md`).
//!
//! **Never silent.** A value is packed only if its type is exactly what the annotation says, so that a hit has the type of
//! the miss. Bytes that do not fit are one exception, `UnpackError`, which to a cache is a miss.
//!
//! **Limits.** Values nest at most [`MOST_NESTED`] deep. What bytes claim is bounded by their number (`wire.rs`).

// Bytes without objects, and what may be wrong.
mod trouble;
mod wire;
// What the annotation says.
mod classes;
mod form;
mod record;
mod told;
// Both ways.
mod bare;
mod keys;
mod pack;
mod record_pack;
mod record_unpack;
mod unpack;
// What Python sees.
mod codec;

pub(crate) use codec::{Codec, make_type, of_functions, of_plan};

/// How deep values nest: `serde_json` reads 128 levels, and `rmp-serde` 1024. A chain of linked nodes nests by its length.
pub(crate) const MOST_NESTED: u32 = 256;
