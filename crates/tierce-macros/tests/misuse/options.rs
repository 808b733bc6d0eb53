//! Words in the brackets.

#[tierce::memo(capcity = 256)]
fn mistyped(n: u64) -> u64 {
    n
}

#[tierce::memo(wibble = 256)]
fn unknown(n: u64) -> u64 {
    n
}

#[tierce::cached(size = 256)]
fn of_another_crate(n: u64) -> u64 {
    n
}

#[tierce::memo("10m")]
fn nameless(n: u64) -> u64 {
    n
}

#[tierce::memo(ttl = "1m", ttl = "2m")]
fn twice(n: u64) -> u64 {
    n
}

#[tierce::memo(ttl)]
fn without_value(n: u64) -> u64 {
    n
}

#[tierce::memo(capacity = "many")]
fn no_number(n: u64) -> u64 {
    n
}

#[tierce::memo(jitter = 2.0)]
fn no_share(n: u64) -> u64 {
    n
}

#[tierce::memo(policy = "arc")]
fn no_policy(n: u64) -> u64 {
    n
}

#[tierce::memo(refresh_early = "soon")]
fn no_moment(n: u64) -> u64 {
    n
}

#[tierce::cached(name = "a b")]
fn no_name(n: u64) -> u64 {
    n
}

#[tierce::memo(capacity = 1, unbounded)]
fn two_bounds(n: u64) -> u64 {
    n
}

#[tierce::memo(version = 2)]
fn version_of_a_memo(n: u64) -> u64 {
    n
}

#[tierce::cached(max_concurrent_loads = 0)]
fn no_loads(n: u64) -> tierce::Result<u64, ()> {
    Ok(n)
}

fn main() {}
