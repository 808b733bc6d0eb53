//! What cannot be a key, or a load's own.

#[tierce::memo]
fn changed(list: &mut Vec<u64>) -> usize {
    list.len()
}

#[tierce::memo]
fn unknown_type(n: impl Into<u64>) -> u64 {
    n.into()
}

#[tierce::memo]
fn of_any_type<T: Clone>(n: T) -> u64 {
    drop(n);
    1
}

#[tierce::memo]
fn of_any_length<const N: usize>(n: [u8; N]) -> usize {
    n.len()
}

#[tierce::memo]
fn pattern((a, b): (u64, u64)) -> u64 {
    a + b
}

#[tierce::memo]
fn nameless(_: u64) -> u64 {
    1
}

#[tierce::memo]
fn borrowed_inside(name: Option<&str>) -> usize {
    name.map_or(0, str::len)
}

#[tierce::memo]
fn lifetime_inside(name: std::borrow::Cow<'_, str>) -> usize {
    name.len()
}

#[tierce::memo]
fn object(#[skip] shop: &dyn std::fmt::Display) -> String {
    shop.to_string()
}

#[tierce::memo]
fn float(x: f64) -> u64 {
    x as u64
}

#[tierce::memo]
fn nine(a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8, h: u8, i: u8) -> u8 {
    a + b + c + d + e + f + g + h + i
}

struct Shop;

impl Shop {
    #[tierce::memo]
    fn method(&self, n: u64) -> u64 {
        n
    }

    #[tierce::memo]
    fn of_its_type(n: u64) -> Self {
        let _ = n;
        Shop
    }
}

fn main() {}
