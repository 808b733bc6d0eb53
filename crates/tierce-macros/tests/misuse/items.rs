//! What is no function for a cache.

#[tierce::memo]
struct Shop;

#[tierce::memo]
const fn constant(n: u64) -> u64 {
    n
}

#[tierce::memo]
unsafe fn dangerous(n: u64) -> u64 {
    n
}

#[tierce::memo]
extern "C" fn foreign(n: u64) -> u64 {
    n
}

trait Trait {
    #[tierce::memo]
    fn without_body(n: u64) -> u64;
}

fn main() {}
