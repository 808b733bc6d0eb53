//! Every misuse is refused at the token that is wrong, with what to write instead.
//!
//! The texts are the macros' own `compile_error`s alone, so they depend on no compiler's words. After a change of one,
//! `TRYBUILD=overwrite cargo test -p tierce-macros --test misuse` writes them anew: read the difference.

#[test]
fn misuse_is_refused_where_it_is_written() {
    trybuild::TestCases::new().compile_fail("tests/misuse/*.rs");
}
