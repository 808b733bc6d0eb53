//! When something was wrong: faults that struck, and what the processes say of themselves.

/// So many are looked at: what is judged is seconds old at most.
const KEPT: usize = 64;
/// What a process says again within this time is the same trouble.
const SAME: u64 = 100_000_000;

/// Something that is wrong for a while.
struct Trouble {
    /// Who says so; nobody of a fault.
    process: Option<u32>,
    begins: u64,
    /// The highest number while it lasts.
    ends: u64,
    /// Whether somebody did not get to run.
    stops: bool,
}

/// All that was wrong.
#[derive(Default)]
pub(in crate::consistency) struct Troubles(Vec<Trouble>);

impl Troubles {
    /// A fault strikes; gives what to say when it is over.
    pub(in crate::consistency) fn begin(&mut self, now: u64, stops: bool) -> usize {
        self.0.push(Trouble { process: None, begins: now, ends: u64::MAX, stops });
        self.0.len() - 1
    }

    pub(in crate::consistency) fn end(&mut self, fault: usize, now: u64) {
        if let Some(fault) = self.0.get_mut(fault) {
            fault.ends = now;
        }
    }

    /// A process was in trouble.
    pub(super) fn met(&mut self, process: u32, begins: u64, ends: u64, stops: bool) {
        let own = |known: &&mut Trouble| (known.process, known.stops) == (Some(process), stops);
        let known = self.0.iter_mut().rev().take(KEPT).find(own);
        match known.filter(|known| known.ends.saturating_add(SAME) >= begins) {
            Some(known) => known.ends = ends,
            None => self.0.push(Trouble { process: Some(process), begins, ends, stops }),
        }
    }

    /// Whether one may still be felt, for so long after its end, in this time.
    pub(super) fn felt(&self, felt: u64, begin: u64, end: u64) -> bool {
        self.0.iter().rev().take(KEPT).any(|one| one.begins <= end && one.ends.saturating_add(felt) >= begin)
    }

    /// Whether somebody did not get to run in this time.
    pub(super) fn stood_still(&self, begin: u64, end: u64) -> bool {
        let met = |one: &&Trouble| one.begins <= end && one.ends >= begin;
        self.0.iter().rev().take(KEPT).filter(met).any(|one| one.stops)
    }

    /// How often processes did not get to run, and for how long at most, in nanoseconds.
    pub(in crate::consistency) fn stalls(&self) -> (u64, u64) {
        let stalls = self.0.iter().filter(|one| one.stops && one.process.is_some());
        stalls.fold((0, 0), |(count, longest), one| (count + 1, longest.max(one.ends - one.begins)))
    }
}
