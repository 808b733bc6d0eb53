//! The glue between tierce and CPython: what has to be C to be fast. The face is in Python, in `tierce/`.
//!
//! **Safety.** Every function that CPython calls, and every `unsafe fn` they call, has one contract: the interpreter's lock (GIL) is
//! held, pointers to objects are alive for the call, and nothing of an object's fields is borrowed while Python code may
//! run: not across a call, a comparison that is not plain, an allocation that CPython may collect in, or the drop of an `Owned`.
//! So a field is read through a raw pointer each time, and what leaves a table is dropped last. An interpreter without
//! that lock turns it on when it imports this module, since the module does not say that it needs none.
#![allow(clippy::missing_safety_doc, reason = "one contract for all, above")]

// References, and the types that CPython makes of our slots.
mod awaitable;
mod chain;
mod interned;
mod own;
mod owned;
mod raised;
mod seed;
mod types;
// What a key is, where entries are, how one is found.
mod clock;
mod key;
mod parts;
mod probe;
mod signature;
mod table;
// What Python sees.
mod function;
mod instance;
mod instances;
mod load;
mod lru;
mod memo;
mod module;
mod ready;
mod shared;
mod stop;
mod token;
mod values;
mod verbs;
mod wrapper;

pub use module::PyInit__tierce;
