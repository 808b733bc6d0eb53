//! The sleeps of one loop, in order: the loop itself is asked for the earliest alone.
//!
//! Each load has a deadline and each wait two, most of which never ring. A `call_later` for each would cost more than the
//! load, and its handle would lie in the loop's heap until the deadline.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::lock::locked;
use crate::clock::system_ms;

/// When one rings, and which it is.
type At = (u64, u64);

#[derive(Default)]
pub(crate) struct Alarms(Mutex<Set>);

#[derive(Default)]
struct Set {
    waiting: BTreeMap<At, Waker>,
    last: u64,
}

/// Ends after a time, counted from its first poll.
pub(crate) struct Sleep {
    alarms: Weak<Alarms>,
    time: Duration,
    at: Option<At>,
}

impl Alarms {
    pub(crate) fn sleep(self: &Arc<Self>, time: Duration) -> Sleep {
        Sleep { alarms: Arc::downgrade(self), time, at: None }
    }

    /// When the earliest rings.
    pub(crate) fn earliest_ms(&self) -> Option<u64> {
        locked(&self.0).waiting.keys().next().map(|(at_ms, _)| *at_ms)
    }

    /// Who is to be woken by now.
    pub(crate) fn due(&self) -> Vec<Waker> {
        let now_ms = system_ms();
        let mut set = locked(&self.0);
        let later = set.waiting.split_off(&(now_ms + 1, 0));
        std::mem::replace(&mut set.waiting, later).into_values().collect()
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(alarms) = self.alarms.upgrade() else { return Poll::Pending };
        let (now_ms, waker) = (system_ms(), cx.waker().clone());
        let mut set = locked(&alarms.0);
        let at = match self.at {
            Some(at) if at.0 <= now_ms => return Poll::Ready(()),
            Some(at) => at,
            None => {
                set.last += 1;
                // One more, since the first may be almost over.
                let time_ms = u64::try_from(self.time.as_millis()).unwrap_or(u64::MAX).saturating_add(1);
                (now_ms.saturating_add(time_ms), set.last)
            }
        };
        let older = set.waiting.insert(at, waker);
        drop(set);
        drop(older);
        self.at = Some(at);
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        let gone = match (self.at, self.alarms.upgrade()) {
            (Some(at), Some(alarms)) => locked(&alarms.0).waiting.remove(&at),
            _ => None,
        };
        drop(gone);
    }
}
