//! The gazetteer that ships inside the binary: 25,000 places of GeoNames (see data/README.md).

use std::io::Read;

use flate2::read::GzDecoder;

use crate::place::Place;

static PACKED: &[u8] = include_bytes!("../data/places.tsv.gz");

/// Every place, the most populous first; `rank` is the index.
pub(crate) fn places() -> Vec<Place> {
    let mut text = String::new();
    GzDecoder::new(PACKED).read_to_string(&mut text).expect("the data was packed when the crate was made");
    let mut places: Vec<Place> =
        text.lines().map(|line| parse(line).expect("each line of the data has its seven columns")).collect();
    places.sort_by_key(|place| (std::cmp::Reverse(place.population), place.id));
    for (rank, place) in (0..).zip(&mut places) {
        place.rank = rank;
    }
    places
}

fn parse(line: &str) -> Option<Place> {
    let mut columns = line.split('\t');
    let mut next = || columns.next();
    Some(Place {
        id: next()?.parse().ok()?,
        name: next()?.to_owned(),
        country: next()?.to_owned(),
        population: next()?.parse().ok()?,
        latitude: next()?.parse().ok()?,
        longitude: next()?.parse().ok()?,
        timezone: next()?.to_owned(),
        rank: 0,
        version: 0,
    })
}

#[cfg(test)]
mod tests {
    use super::places;

    #[test]
    fn the_most_populous_place_comes_first_and_ids_are_unique() {
        let places = places();
        assert_eq!(places.len(), 25_000);
        assert_eq!((places[0].name.as_str(), places[0].rank), ("Shanghai", 0));
        let ids: std::collections::HashSet<u32> = places.iter().map(|place| place.id).collect();
        assert_eq!(ids.len(), places.len());
    }
}
