//! The guide's `@lru_cache(maxsize=256)` with `cache_info()` and `cache_clear()`: bounded, and strict about the order.

/// Two letters for a country's name; `None` is remembered as well.
#[tierce::memo(capacity = 3, policy = "lru")]
fn country_code(name: &str) -> Option<&'static str> {
    let known = [("Norway", "NO"), ("Peru", "PE"), ("Japan", "JP"), ("Kenya", "KE")];
    known.into_iter().find(|(country, _)| *country == name).map(|(_, code)| code)
}

fn main() -> Result<(), tierce::Error> {
    for name in ["Norway", "Peru", "Norway", "Japan", "Norway"] {
        assert!(country_code(name).is_some());
    }
    let info = country_code::stats();
    assert_eq!((info.hits, info.misses, info.capacity, info.len), (2, 3, Some(3), 3));

    // The fourth takes the place of the one that was used least recently: not Norway.
    country_code("Kenya");
    assert_eq!(country_code::peek("Norway"), Some("NO"));
    assert_eq!(country_code::peek("Peru"), None);

    assert_eq!(country_code("Atlantis"), None);
    assert_eq!(country_code("Atlantis"), None);
    println!("{:?}", country_code::stats());

    country_code::clear()?;
    assert_eq!(country_code::stats().len, 0);
    Ok(())
}
