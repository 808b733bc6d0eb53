//! The guide's `@cache`: a recursive function that remembers, and an attribute is all it takes.

/// The n-th number of Fibonacci.
#[tierce::memo(capacity = 256)]
fn fibonacci(n: u64) -> u64 {
    if n < 2 { n } else { fibonacci(n - 1) + fibonacci(n - 2) }
}

/// Borrowed arguments are hashed as they are; a `String` is made of one only when it is not known yet.
#[tierce::memo]
fn shout(word: &str, times: usize) -> String {
    format!("{}!", word.to_uppercase().repeat(times))
}

fn main() {
    assert_eq!(fibonacci(90), 2_880_067_194_370_816_120); // at once, where 2^90 calls would take for ever
    assert_eq!(fibonacci::stats().loads, 91);

    assert_eq!(shout("hey", 2), "HEYHEY!");
    assert_eq!(shout("hey", 2), "HEYHEY!");
    assert_eq!(shout::stats().loads, 1);

    // Threads that ask for the same at once compute it once.
    fibonacci::clear().expect("there is no store to fail");
    std::thread::scope(|threads| {
        for _ in 0..20 {
            threads.spawn(|| assert_eq!(fibonacci(90), 2_880_067_194_370_816_120));
        }
    });
    println!("{:?}", fibonacci::stats());
}
