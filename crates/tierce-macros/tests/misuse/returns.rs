//! What a cache can keep.

#[tierce::memo]
fn nothing(n: u64) {
    drop(n);
}

#[tierce::memo]
fn borrowed(name: &str) -> &str {
    name
}

#[tierce::memo]
fn unknown_type(n: u64) -> impl Iterator<Item = u64> {
    0..n
}

#[tierce::memo(hard_timeout = "1s")]
fn cannot_say_so(n: u64) -> u64 {
    n
}

#[tierce::memo(negative_ttl = "1s")]
fn never_absent(n: u64) -> u64 {
    n
}

fn main() {}
