//! What servers say of themselves, in one set of words.
//!
//! All of it is of the whole server: of everybody who uses it, whatever for, since it began or its counts were set back. How
//! a cache of this program does is [`Cache::stats`](crate::Cache::stats).

use std::time::Duration;

use super::face::Server;

impl Server {
    /// A fact by the server's own name for it.
    pub fn fact(&self, name: &str) -> Option<&str> {
        self.facts.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Why it said nothing, where it did not answer.
    pub fn fault(&self) -> Option<&str> {
        self.fact("fault")
    }

    /// What it is: `redis`, `valkey` or `memcached`.
    pub fn software(&self) -> Option<&'static str> {
        // Valkey also calls itself a Redis, for old clients.
        let known = [("valkey_version", "valkey"), ("redis_version", "redis"), ("version", "memcached")];
        known.into_iter().find(|(fact, _)| self.fact(fact).is_some()).map(|(_, name)| name)
    }

    /// Its version.
    pub fn version(&self) -> Option<&str> {
        self.first(&["valkey_version", "redis_version", "version"])
    }

    /// How long it has been running.
    pub fn uptime(&self) -> Option<Duration> {
        self.number(&["uptime_in_seconds", "uptime"]).map(Duration::from_secs)
    }

    /// Open connections, of everybody.
    pub fn clients(&self) -> Option<u64> {
        self.number(&["connected_clients", "curr_connections"])
    }

    /// Reads, by anybody and of any key, that found something. Of Redis also those of leases, scripts and tags.
    pub fn hits(&self) -> Option<u64> {
        self.number(&["keyspace_hits", "get_hits"])
    }

    /// Reads, by anybody and of any key, that found nothing.
    pub fn misses(&self) -> Option<u64> {
        self.number(&["keyspace_misses", "get_misses"])
    }

    /// The share of reads that found something; none of nothing.
    #[allow(clippy::cast_precision_loss, reason = "a share of counts")]
    pub fn hit_rate(&self) -> Option<f64> {
        let (hits, misses) = (self.hits()?, self.misses()?);
        let all = hits.checked_add(misses).filter(|all| *all > 0)?;
        Some(hits as f64 / all as f64)
    }

    /// Entries that it threw away to make room.
    pub fn evictions(&self) -> Option<u64> {
        self.number(&["evicted_keys", "evictions"])
    }

    /// Bytes in use: of Redis all that it has allocated, of Memcached what its items take.
    pub fn memory_bytes(&self) -> Option<u64> {
        self.number(&["used_memory", "bytes"])
    }

    /// Bytes that it may use; none without a limit.
    pub fn memory_limit_bytes(&self) -> Option<u64> {
        self.number(&["maxmemory", "limit_maxbytes"]).filter(|bytes| *bytes > 0)
    }

    fn first(&self, names: &[&str]) -> Option<&str> {
        names.iter().find_map(|name| self.fact(name))
    }

    fn number(&self, names: &[&str]) -> Option<u64> {
        self.first(names)?.trim().parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(facts: &[(&str, &str)]) -> Server {
        Server::new("a", facts.iter().map(|(name, value)| ((*name).to_string(), (*value).to_string())).collect())
    }

    #[test]
    fn the_rate_of_nothing_is_none_and_that_of_one_hit_is_one() {
        let rate = |hits, misses| server(&[("keyspace_hits", hits), ("keyspace_misses", misses)]).hit_rate();
        assert_eq!(rate("0", "0"), None);
        assert_eq!(rate("1", "0"), Some(1.0));
        assert_eq!(rate("1", "3"), Some(0.25));
        assert_eq!(rate("many", "3"), None);
        assert_eq!(server(&[("fault", "it is away")]).hit_rate(), None);
    }

    #[test]
    fn valkey_is_told_from_redis_and_no_limit_from_one_of_nothing() {
        let valkey = server(&[("redis_version", "7.2.4"), ("valkey_version", "9.1.2"), ("maxmemory", "0")]);
        assert_eq!((valkey.software(), valkey.version()), (Some("valkey"), Some("9.1.2")));
        assert_eq!(valkey.memory_limit_bytes(), None);
        assert_eq!(server(&[]).software(), None);
    }
}
