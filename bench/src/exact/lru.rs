//! Least recently used, exact, in one queue.

use super::numbered;

/// No neighbour.
const NONE: usize = usize::MAX;

/// Hits of least-recently-used on the trace, starting empty.
pub(crate) fn lru_hits(keys: &[u64], capacity: usize) -> usize {
    let (trace, distinct) = numbered(keys);
    let mut queue = Queue::new(distinct);
    let (mut hits, mut length) = (0, 0);
    for &key in &trace {
        if queue.kept[key] {
            hits += 1;
            queue.unlink(key);
        } else if length == capacity {
            queue.unlink(queue.oldest);
        } else {
            length += 1;
        }
        queue.push(key);
    }
    hits
}

/// A doubly linked list over numbered keys, newest first.
struct Queue {
    kept: Vec<bool>,
    newer: Vec<usize>,
    older: Vec<usize>,
    newest: usize,
    oldest: usize,
}

impl Queue {
    fn new(keys: usize) -> Self {
        Self { kept: vec![false; keys], newer: vec![NONE; keys], older: vec![NONE; keys], newest: NONE, oldest: NONE }
    }

    fn push(&mut self, key: usize) {
        self.kept[key] = true;
        self.newer[key] = NONE;
        self.older[key] = self.newest;
        match self.newest {
            NONE => self.oldest = key,
            newest => self.newer[newest] = key,
        }
        self.newest = key;
    }

    fn unlink(&mut self, key: usize) {
        self.kept[key] = false;
        let (newer, older) = (self.newer[key], self.older[key]);
        match newer {
            NONE => self.newest = older,
            newer => self.older[newer] = older,
        }
        match older {
            NONE => self.oldest = newer,
            older => self.newer[older] = newer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_agrees_with_a_list_that_is_searched_through() {
        let mut random = crate::zipf::Random::new(5);
        let trace = crate::zipf::stream(40, 2000, &mut random);
        for capacity in [1, 2, 7, 40] {
            let (mut list, mut hits) = (Vec::new(), 0);
            for key in &trace {
                if let Some(place) = list.iter().position(|kept| kept == key) {
                    hits += 1;
                    list.remove(place);
                } else if list.len() == capacity {
                    list.remove(0);
                }
                list.push(*key);
            }
            assert_eq!(lru_hits(&trace, capacity), hits, "at {capacity}");
        }
    }
}
