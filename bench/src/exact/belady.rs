//! Belady's MIN: knows the future, evicts what is needed last (L. Belady, IBM Systems Journal
//! 5(2), 1966). It may also decline to keep what was just loaded, which is what makes it a bound.

use std::collections::BTreeSet;

use super::numbered;

/// Hits of the best policy possible on the trace, starting empty.
pub(crate) fn belady_hits(keys: &[u64], capacity: usize) -> usize {
    let (trace, distinct) = numbered(keys);
    let next_uses = next_uses(&trace, distinct);
    let mut kept = vec![false; distinct];
    // Kept keys by the time of their next use; the last is the one to evict.
    let mut by_next_use: BTreeSet<(usize, usize)> = BTreeSet::new();
    let mut hits = 0;
    for (now, (&key, &next)) in trace.iter().zip(&next_uses).enumerate() {
        if kept[key] {
            hits += 1;
            by_next_use.remove(&(now, key));
        }
        kept[key] = true;
        by_next_use.insert((next, key));
        if by_next_use.len() > capacity
            && let Some((_, last)) = by_next_use.pop_last()
        {
            kept[last] = false;
        }
    }
    hits
}

/// For each access the time of the same key's next one; beyond the end where there is none.
fn next_uses(trace: &[usize], distinct: usize) -> Vec<usize> {
    let mut upcoming = vec![usize::MAX; distinct];
    let mut next_uses = vec![usize::MAX; trace.len()];
    for (now, &key) in trace.iter().enumerate().rev() {
        next_uses[now] = upcoming[key];
        upcoming[key] = now;
    }
    next_uses
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The best of all choices, tried one by one: evict any kept key or do not keep the new one.
    fn best_by_search(trace: &[u64], capacity: usize, kept: &[u64]) -> usize {
        let Some((&key, rest)) = trace.split_first() else { return 0 };
        if kept.contains(&key) {
            return 1 + best_by_search(rest, capacity, kept);
        }
        let mut with_key = kept.to_vec();
        with_key.push(key);
        if with_key.len() <= capacity {
            return best_by_search(rest, capacity, &with_key);
        }
        let without = |out: usize| {
            let mut kept = with_key.clone();
            kept.remove(out);
            best_by_search(rest, capacity, &kept)
        };
        (0..with_key.len()).map(without).max().unwrap_or(0)
    }

    #[test]
    fn no_choice_of_victims_beats_it() {
        let mut random = crate::zipf::Random::new(3);
        for _ in 0..50 {
            let trace: Vec<u64> = (0..12).map(|_| random.next_u64() % 5).collect();
            for capacity in 1..4 {
                let best = best_by_search(&trace, capacity, &[]);
                assert_eq!(belady_hits(&trace, capacity), best, "{trace:?} at {capacity}");
            }
        }
    }

    #[test]
    fn a_loop_larger_than_the_cache_still_hits() {
        let trace: Vec<u64> = (0..1000).map(|i| i % 10).collect();
        assert_eq!(super::super::lru_hits(&trace, 5), 0);
        assert_eq!(belady_hits(&trace, 5), 495);
    }
}
