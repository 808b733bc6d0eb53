//! A name that hides a `Result` would have its errors kept as values.

type Answer = Result<u64, String>;

#[tierce::memo]
fn hidden_result(n: u64) -> Answer {
    Ok(n)
}

fn main() {}
