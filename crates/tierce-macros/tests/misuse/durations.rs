//! Times are said with their units.

#[tierce::memo(ttl = 60)]
fn number(n: u64) -> u64 {
    n
}

#[tierce::memo(ttl = "60")]
fn no_unit(n: u64) -> u64 {
    n
}

#[tierce::memo(ttl = "10 minutes")]
fn long_unit(n: u64) -> u64 {
    n
}

#[tierce::memo(ttl = "30m1h")]
fn backwards(n: u64) -> u64 {
    n
}

#[tierce::memo(idle = "0s")]
fn nothing(n: u64) -> u64 {
    n
}

fn main() {}
