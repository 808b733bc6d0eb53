//! Trouble on demand: for a while the database stands still, or fails.
//!
//! Each connection passes here on its own thread before it runs a query. While the database is frozen the thread waits,
//! so that queries pile up behind it as they do behind a real one; while it fails, the query ends in an error and never
//! reaches SQLite. Every trouble ends by itself, so that nobody has to remember to end it.

use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::Error;
use crate::clock;

/// What the database is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Health {
    /// Queries run.
    #[default]
    Running,
    /// Queries wait.
    Frozen,
    /// Queries fail.
    Failing,
}

/// What the connections pass.
#[derive(Default)]
pub(super) struct Gate {
    trouble: Mutex<Option<Trouble>>,
    changed: Condvar,
}

#[derive(Clone, Copy)]
struct Trouble {
    health: Health,
    until: Instant,
}

impl Gate {
    /// Is in this state for so long; `Running` ends all trouble at once.
    pub(super) fn set(&self, health: Health, length: Duration) {
        let trouble = Trouble { health, until: clock::now() + length };
        *self.lock() = (health != Health::Running).then_some(trouble);
        self.changed.notify_all();
    }

    /// What it is doing, and for how long yet; zero while it runs.
    pub(super) fn health(&self) -> (Health, Duration) {
        let left = |trouble: Trouble| trouble.until.saturating_duration_since(clock::now());
        let trouble = self.lock().map(|trouble| (trouble.health, left(trouble)));
        trouble.filter(|(_, left)| !left.is_zero()).unwrap_or_default()
    }

    /// Waits while it is frozen.
    ///
    /// # Errors
    /// [`Error::Failing`] while it fails.
    pub(super) fn pass(&self) -> Result<(), Error> {
        let mut trouble = self.lock();
        loop {
            let Some(Trouble { health, until }) = *trouble else { return Ok(()) };
            let left = until.saturating_duration_since(clock::now());
            if left.is_zero() {
                return Ok(());
            }
            if health == Health::Failing {
                return Err(Error::Failing);
            }
            trouble = self.changed.wait_timeout(trouble, left).expect("no holder of this lock can panic").0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Trouble>> {
        self.trouble.lock().expect("no holder of this lock can panic")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Far longer than a test takes.
    const LONG: Duration = Duration::from_secs(3600);

    #[test]
    fn queries_fail_while_it_fails_and_run_again_afterwards() {
        let gate = Gate::default();
        gate.set(Health::Failing, LONG);
        assert!(matches!(gate.pass(), Err(Error::Failing)));
        assert_eq!(gate.health().0, Health::Failing);
        gate.set(Health::Running, Duration::ZERO);
        assert!(gate.pass().is_ok());
        assert_eq!(gate.health(), (Health::Running, Duration::ZERO));
    }

    #[test]
    fn a_frozen_query_waits_until_somebody_ends_it() {
        let gate = Gate::default();
        gate.set(Health::Frozen, LONG);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| gate.pass().is_ok());
            gate.set(Health::Running, Duration::ZERO);
            assert!(waiting.join().unwrap());
        });
    }

    #[test]
    fn trouble_ends_by_itself() {
        let gate = Gate::default();
        gate.set(Health::Frozen, Duration::from_millis(20));
        let began = clock::now();
        assert!(gate.pass().is_ok());
        assert!(clock::since(began) >= Duration::from_millis(15));
        assert_eq!(gate.health().0, Health::Running);
        gate.set(Health::Failing, Duration::ZERO);
        assert!(gate.pass().is_ok());
    }
}
