//! What the race asks for: a ring of requests, the same for every contender, and the order of the updates.
//!
//! Of 100 requests 85 look up a place by id, 10 list a country and 5 search a name. Which place, country or name is
//! drawn by Zipf's law, big cities and countries first; or it comes from a trace, whose keys are spread over the same
//! things by hash. The number of distinct keys is bounded: 25,000 places, 1,000 ids that do not exist, some 200
//! countries and 100 misspelt names.

mod trace;
mod zipf;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use fastrand::Rng;
use serde::{Deserialize, Serialize};

pub(crate) use trace::Trace;
use zipf::Zipf;

use crate::error::Error;
use crate::place::Place;

/// Ids from here on belong to no place: GeoNames has given out some 13 million.
pub(crate) const ABSENT: u32 = 100_000_000;

/// In hundredths: lists of countries among all requests.
const COUNTRY_SHARE: u64 = 10;
/// In hundredths: searches among all requests.
const SEARCH_SHARE: u64 = 5;
/// In hundredths: ids that do not exist among lookups by id: dead links, crawlers, deleted rows.
const ABSENT_SHARE: u64 = 4;
/// Distinct ids that do not exist.
const ABSENT_IDS: u64 = 1_000;
/// Distinct searches. At some milliseconds each, all of them take a third of a second of one processor when cold.
const SEARCHES: usize = 100;
/// Every so many searches one finds nothing, as a tenth or so of the searches of a real site do not.
const FRUITLESS_EVERY: usize = 20;
/// Requests in the ring: enough that most places occur, few enough to be made in some milliseconds.
const REQUESTS: usize = 1 << 18;
/// Updates of each sort before their order repeats: more than a race makes.
const UPDATES: usize = 1 << 12;
/// Exponent of Zipf's law, as YCSB has it.
const SKEW: f64 = 0.99;

/// Where a load comes from: every process that is told so makes the same.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Origin {
    pub(crate) seed: u64,
    /// A file with one key a line; Zipf's law without.
    pub(crate) trace: Option<PathBuf>,
}

/// One request. Countries and searches are indices into [`Load`]'s lists.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Request {
    Place(u32),
    Country(u16),
    Search(u16),
}

/// The requests and updates of a race.
pub(crate) struct Load {
    /// What this load is, in the words of the table's caption.
    pub(crate) title: String,
    pub(crate) requests: Vec<Request>,
    pub(crate) countries: Vec<String>,
    pub(crate) searches: Vec<String>,
    /// The ids to update and their new populations, in order.
    pub(crate) updates: Vec<(u32, u32)>,
}

/// The things that a request can name, the most wanted first.
struct Wanted {
    places: Vec<u32>,
    countries: Vec<String>,
    searches: Vec<String>,
}

impl Load {
    /// The load of this origin.
    pub(crate) fn new(origin: &Origin, places: &[Place]) -> Result<Self, Error> {
        match &origin.trace {
            Some(path) => Ok(Self::trace(places, &Trace::read(path)?, path, origin.seed)),
            None => Ok(Self::zipf(places, origin.seed)),
        }
    }

    /// Requests drawn by Zipf's law; the same for the same seed.
    pub(crate) fn zipf(places: &[Place], seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let wanted = Wanted::new(places, &mut rng);
        let [by_place, by_country, by_search, by_absent] =
            [places.len(), wanted.countries.len(), wanted.searches.len(), ABSENT_IDS as usize]
                .map(|things| Zipf::new(things, SKEW));
        let requests: Vec<Request> = (0..REQUESTS)
            .map(|_| match kind(rng.u64(..)) {
                Kind::Search => Request::Search(by_search.draw(&mut rng) as u16),
                Kind::Country => Request::Country(by_country.draw(&mut rng) as u16),
                Kind::Absent => Request::Place(ABSENT + by_absent.draw(&mut rng) as u32),
                Kind::Place => Request::Place(wanted.places[by_place.draw(&mut rng)]),
            })
            .collect();
        let title = format!("zipf {SKEW} over {} places, seed {seed}", thousands(places.len()));
        Self::of(title, requests, places, wanted, seed)
    }

    /// The requests of a trace, in its order. A key stands for one thing throughout.
    pub(crate) fn trace(places: &[Place], trace: &Trace, path: &Path, seed: u64) -> Self {
        let wanted = Wanted::new(places, &mut Rng::with_seed(seed));
        let requests = trace
            .hashes
            .iter()
            .map(|&hash| {
                // The kind takes the hash modulo; the thing takes its upper half.
                let thing = hash >> 32;
                match kind(hash) {
                    Kind::Search => Request::Search((thing % wanted.searches.len() as u64) as u16),
                    Kind::Country => Request::Country((thing % wanted.countries.len() as u64) as u16),
                    Kind::Absent => Request::Place(ABSENT + (thing % ABSENT_IDS) as u32),
                    Kind::Place => Request::Place(wanted.places[(thing % wanted.places.len() as u64) as usize]),
                }
            })
            .collect();
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
        let title = format!("trace {name}, {} requests", thousands(trace.hashes.len()));
        Self::of(title, requests, places, wanted, seed)
    }

    fn of(title: String, requests: Vec<Request>, places: &[Place], wanted: Wanted, seed: u64) -> Self {
        let updates = updates(&requests, places, seed);
        Self { title, requests, countries: wanted.countries, searches: wanted.searches, updates }
    }
}

/// What is read is also updated, as often: one update goes to a place that is looked up, the next to one that is
/// searched for. Each takes the id and the new population.
fn updates(requests: &[Request], places: &[Place], seed: u64) -> Vec<(u32, u32)> {
    let by_id: HashMap<u32, &Place> = places.iter().map(|place| (place.id, place)).collect();
    let looked_up = |request: &Request| match request {
        Request::Place(id) => by_id.get(id).copied(),
        _ => None,
    };
    let searched = |request: &Request| match request {
        // The text was made from the name of the place at the same index.
        Request::Search(index) => places.get(usize::from(*index)),
        _ => None,
    };
    let looked_up: Vec<&Place> = requests.iter().filter_map(looked_up).collect();
    let searched: Vec<&Place> = requests.iter().filter_map(searched).collect();
    // Another stream than that of the requests.
    let mut rng = Rng::with_seed(!seed);
    let mut updates = Vec::with_capacity(2 * UPDATES);
    for _ in 0..UPDATES {
        // A trace may lack one kind or both.
        let drawn = [rng.choice(&looked_up), rng.choice(&searched)];
        for place in drawn.into_iter().flatten() {
            // Within two percent of what it was.
            updates.push((place.id, place.population / 100 * rng.u32(98..=102)));
        }
    }
    updates
}

impl Wanted {
    fn new(places: &[Place], rng: &mut Rng) -> Self {
        let mut countries: Vec<String> = Vec::new();
        for place in places {
            if !countries.contains(&place.country) {
                countries.push(place.country.clone());
            }
        }
        // Antarctica, Bouvet Island, Heard Island: codes that exist and have no place in the data.
        countries.extend(["AQ", "BV", "HM"].map(str::to_owned));
        let searches = (0..SEARCHES)
            .map(|at| match at % FRUITLESS_EVERY {
                // A word of consonants resembles no name.
                9 => (0..9).map(|_| rng.choice(['q', 'x', 'z', 'v', 'w', 'j', 'k']).unwrap_or('q')).collect(),
                _ => misspell(&places[at].name, rng),
            })
            .collect();
        Self { places: places.iter().map(|place| place.id).collect(), countries, searches }
    }
}

/// Swaps, drops or doubles one letter.
fn misspell(name: &str, rng: &mut Rng) -> String {
    let mut letters: Vec<char> = name.to_lowercase().chars().collect();
    if letters.len() > 3 {
        let at = rng.usize(1..letters.len() - 1);
        match rng.u8(..3) {
            0 => letters.swap(at, at + 1),
            1 => drop(letters.remove(at)),
            _ => letters.insert(at, letters[at]),
        }
    }
    letters.into_iter().collect()
}

enum Kind {
    Place,
    Absent,
    Country,
    Search,
}

/// Which kind of request a random number stands for.
fn kind(number: u64) -> Kind {
    let share = number % 100;
    if share < SEARCH_SHARE {
        Kind::Search
    } else if share < SEARCH_SHARE + COUNTRY_SHARE {
        Kind::Country
    } else if number / 100 % 100 < ABSENT_SHARE {
        Kind::Absent
    } else {
        Kind::Place
    }
}

fn thousands(number: usize) -> String {
    crate::figures::count(number as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset;

    #[test]
    fn the_same_seed_makes_the_same_load() {
        let places = dataset::places();
        let (first, second, other) = (Load::zipf(&places, 7), Load::zipf(&places, 7), Load::zipf(&places, 8));
        assert!(first.requests == second.requests && first.updates == second.updates);
        assert!(first.requests != other.requests);
    }

    #[test]
    fn a_key_of_a_trace_always_stands_for_the_same_request() {
        let places = dataset::places();
        let trace = Trace::parse("alpha\nbeta\r\nalpha\n17\nbeta").unwrap();
        let load = Load::trace(&places, &trace, Path::new("some/keys.txt"), 1);
        assert_eq!(load.requests[0], load.requests[2]);
        assert_eq!(load.requests[1], load.requests[4]);
        assert_eq!(load.title, "trace keys.txt, 5 requests");
    }
}
