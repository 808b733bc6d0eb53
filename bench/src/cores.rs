//! Which processors client and server have.
//!
//! Left to the kernel, a client and a server that wait for each other are now on one core and now on two, and stay there
//! for seconds. What an answer costs differs by a factor of three between the two, more than between any two clients. So
//! the server has the last core for itself, and a client of one worker the first.

/// Who is to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whose {
    /// The first processor.
    Client,
    /// The last one.
    Server,
    /// All.
    Everybody,
}

/// Gives this thread, and those and the processes that it starts from now on, their processors. Where the system cannot
/// do that, or has one processor only, nothing changes.
#[cfg(target_os = "linux")]
pub(crate) fn give(whose: Whose) {
    use rustix::thread::{CpuSet, sched_setaffinity};
    use std::sync::OnceLock;

    static ALL: OnceLock<Option<CpuSet>> = OnceLock::new();
    let Some(all) = ALL.get_or_init(|| rustix::thread::sched_getaffinity(None).ok()) else { return };
    let mut some = CpuSet::new();
    let mut numbers = (0..CpuSet::MAX_CPU).filter(|number| all.is_set(*number));
    let chosen = if whose == Whose::Client { numbers.next() } else { numbers.next_back() };
    match chosen {
        Some(number) if whose != Whose::Everybody && all.count() > 1 => some.set(number),
        _ => some = *all,
    }
    // What is refused stays as it was.
    let _ = sched_setaffinity(None, &some);
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn give(_: Whose) {}
