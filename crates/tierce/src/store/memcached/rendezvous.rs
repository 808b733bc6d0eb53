//! Which of several servers has a name: the one whose number with it is the highest.
//!
//! So a server that is added takes its share from all others alike, and no name moves between two that were there before
//! (Thaler and Ravishankar, 1998). It costs a multiplication for each server. The numbers must be the same in each process
//! and in each version of tierce, or processes would look for a name in different places.

/// The order of the servers in a list does not matter, only how each is written.
pub(crate) struct Rendezvous(Vec<u64>);

impl Rendezvous {
    pub(crate) fn new<'a>(servers: impl IntoIterator<Item = &'a str>) -> Self {
        Rendezvous(servers.into_iter().map(hash).collect())
    }

    /// The place of the name's server in the list.
    pub(crate) fn place(&self, name: &str) -> usize {
        if self.0.len() == 1 {
            return 0;
        }
        let name = hash(name);
        let numbers = self.0.iter().map(|server| mixed(server ^ name));
        numbers.enumerate().max_by_key(|(_, number)| *number).map_or(0, |(at, _)| at)
    }
}

/// FNV-1a of 64 bits.
fn hash(text: &str) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
    mixed(text.bytes().fold(0xCBF2_9CE4_8422_2325, step))
}

/// The end of splitmix64: each bit depends on each.
fn mixed(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::Rendezvous;

    const SERVERS: [&str; 4] = ["cache-1:11211", "cache-2:11211", "cache-3:11211", "cache-4:11211"];

    fn places(servers: &[&'static str]) -> Vec<&'static str> {
        let rendezvous = Rendezvous::new(servers.iter().copied());
        (0..10_000).map(|number| servers[rendezvous.place(&format!("{{shop:product:1:{number}}}"))]).collect()
    }

    #[test]
    fn each_server_has_its_share_and_one_more_takes_only_what_is_its_own() {
        let (three, four) = (places(&SERVERS[..3]), places(&SERVERS));
        for server in SERVERS {
            let share = four.iter().filter(|place| **place == server).count();
            assert!((2300..2700).contains(&share), "{server} has {share} of 10000 names");
        }
        for (before, after) in three.iter().zip(&four) {
            assert!(before == after || *after == SERVERS[3], "a name went from {before} to {after}");
        }
    }

    #[test]
    fn names_stay_where_they_are_whatever_the_order_of_the_list_and_the_version_of_the_crate() {
        let mut turned = SERVERS;
        turned.reverse();
        assert_eq!(places(&SERVERS), places(&turned));
        let first: String = places(&SERVERS)[..16].iter().map(|server| &server[6..7]).collect();
        assert_eq!(first, "4132314431121411");
    }
}
