//! What the tests of caches share: a source that counts, waits and fails when told, and a hub whose time stands still.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use tierce::{Hub, ManualClock};
use tokio::sync::watch;

pub(crate) const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

pub(crate) const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// A hub that takes its time from this clock.
pub(crate) fn hub_at(clock: &ManualClock) -> Hub {
    Hub::builder().clock(clock.clock()).seed(7).build()
}

/// The error of a source that fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Broken(pub(crate) &'static str);

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Broken {}

/// A source whose n-th load brings n, so that a value says which load it came from.
#[derive(Clone)]
pub(crate) struct Source(Arc<State>);

struct State {
    calls: AtomicU64,
    failing: AtomicBool,
    open: watch::Sender<bool>,
}

impl Source {
    /// A source that answers at once.
    pub(crate) fn open() -> Self {
        let state = State { calls: AtomicU64::new(0), failing: AtomicBool::new(false), open: watch::Sender::new(true) };
        Source(Arc::new(state))
    }

    /// A source whose loads wait for [`answer`](Source::answer).
    pub(crate) fn waiting() -> Self {
        let source = Source::open();
        source.hold();
        source
    }

    /// Lets loads wait from now on.
    pub(crate) fn hold(&self) {
        self.0.open.send_replace(false);
    }

    /// Lets all loads end.
    pub(crate) fn answer(&self) {
        self.0.open.send_replace(true);
    }

    pub(crate) fn fail(&self) {
        self.0.failing.store(true, SeqCst);
    }

    pub(crate) fn recover(&self) {
        self.0.failing.store(false, SeqCst);
    }

    /// How many loads began.
    pub(crate) fn calls(&self) -> u64 {
        self.0.calls.load(SeqCst)
    }

    pub(crate) fn load(&self) -> impl Future<Output = Result<u64, Broken>> + Send + 'static + use<> {
        let source = self.clone();
        async move {
            let number = source.0.calls.fetch_add(1, SeqCst) + 1;
            source.0.open.subscribe().wait_for(|open| *open).await.expect("the source holds the sender");
            if source.0.failing.load(SeqCst) { Err(Broken("down")) } else { Ok(number) }
        }
    }
}

/// Lets every task that can go on do so, on a current-thread runtime, without time passing.
pub(crate) async fn settle() {
    for _ in 0..64 {
        tokio::task::yield_now().await;
    }
}

/// What went over a panic's lips.
pub(crate) fn panic_text(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_default()
}
