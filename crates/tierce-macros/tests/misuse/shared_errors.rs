//! An error that cannot be cloned cannot be every caller's.

#[tierce::memo]
fn read(path: &str) -> Result<String, std::io::Error> {
    std::fs::read_to_string(path)
}

fn main() {}
