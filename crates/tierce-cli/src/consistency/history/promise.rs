//! What is promised.

use std::time::Duration;

use crate::consistency::belief::Bounds;
use crate::consistency::loader::longest_load;
use crate::consistency::record::Class;

/// A tick of the coarse clock that ages are read from, and the rounding of milliseconds.
const TICK: Duration = Duration::from_millis(11);
/// How often who waits for another process's load asks for it, at least.
const ASKED_AGAIN: Duration = Duration::from_millis(200);
/// What a lookup spends at most on asking its store, unless said.
const BUDGET: Duration = Duration::from_millis(50);

/// How old what is read may be, and how long a read may take.
#[derive(Clone, Copy, Debug)]
pub(in crate::consistency) struct Promise {
    pub(in crate::consistency) bounds: Bounds,
    /// What a read takes beside its load, and another's that it waited for, without any fault in the seconds before its end.
    pub(in crate::consistency) calm: Duration,
    /// Any read.
    pub(in crate::consistency) longest: Duration,
}

impl Promise {
    /// How long after an invalidation has returned a read of this class may begin and bring what was before, where another
    /// process asked for it.
    pub(in crate::consistency) fn bound(&self, class: Class) -> Duration {
        match class {
            Class::Bypassing | Class::Coherent => self.bounds.coherence,
            Class::CutOff => self.bounds.serve_for + TICK,
            Class::Aged => self.bounds.memory_age + TICK,
            Class::Strong | Class::Anew | Class::AtRest => Duration::ZERO,
        }
    }

    /// How long a read of this key may take with no fault about.
    pub(in crate::consistency) fn calm(&self, key: u32) -> Duration {
        longest_load(key) * 2 + self.calm
    }

    /// How much longer it may take for each change of the key meanwhile: another load, and until that is found.
    pub(in crate::consistency) fn again(&self, key: u32) -> Duration {
        longest_load(key) + ASKED_AGAIN
    }

    /// For how long a load may ask its store before its loader is called: what changes the key meanwhile overtakes it.
    pub(in crate::consistency) fn asks(&self) -> Duration {
        BUDGET
    }

    /// How long a read may take that loads nothing, whatever the store does.
    pub(in crate::consistency) fn get(&self) -> Duration {
        BUDGET + self.calm
    }

    /// The bound of all plain reads.
    pub(in crate::consistency) fn widest(&self) -> Duration {
        Class::ALL.into_iter().map(|class| self.bound(class)).max().unwrap_or_default()
    }
}
