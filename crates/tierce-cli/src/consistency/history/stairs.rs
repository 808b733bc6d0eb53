//! The least version that may be read of a key, over time.

use std::collections::VecDeque;

/// So many steps are kept: at ten changes a second of a key, for minutes. Older ones are as if they were the oldest kept.
const KEPT: usize = 4096;

/// Times and the versions since then, both growing.
#[derive(Default)]
pub(super) struct Stairs(VecDeque<(u64, u64)>);

impl Stairs {
    /// From then on nothing older than this version. What is added late is put where it belongs.
    pub(super) fn add(&mut self, time: u64, version: u64) {
        let at = self.0.partition_point(|(then, _)| *then < time);
        if at > 0 && self.0[at - 1].1 >= version {
            return;
        }
        let lower = self.0.iter().skip(at).take_while(|(_, later)| *later <= version).count();
        self.0.drain(at..at + lower);
        self.0.insert(at, (time, version));
        if self.0.len() > KEPT {
            self.0.pop_front();
        }
    }

    /// Since when a version may not be read any more, of a read that began then.
    pub(super) fn forbids(&self, version: u64, begin: u64) -> Option<u64> {
        let at = self.0.partition_point(|(_, least)| *least <= version);
        self.0.get(at).map(|(time, _)| *time).filter(|time| *time < begin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_forbidden_from_the_first_step_above_it() {
        let mut stairs = Stairs::default();
        for (time, version) in [(10, 2), (30, 5), (20, 3), (25, 1), (40, 5)] {
            stairs.add(time, version);
        }
        assert_eq!(stairs.forbids(1, 11), Some(10));
        assert_eq!(stairs.forbids(1, 10), None);
        assert_eq!(stairs.forbids(2, 100), Some(20));
        assert_eq!(stairs.forbids(4, 100), Some(30));
        assert_eq!(stairs.forbids(5, 100), None);
    }
}
