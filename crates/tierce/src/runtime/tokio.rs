//! Tokio: loads are tasks of the runtime whose thread the caller is on.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use super::{BoxFuture, Runtime};

struct Tokio(Handle);

pub(super) fn current() -> Option<Arc<dyn Runtime>> {
    let handle = Handle::try_current().ok()?;
    Some(Arc::new(Tokio(handle)))
}

impl Runtime for Tokio {
    fn spawn(&self, task: BoxFuture) {
        drop(self.0.spawn(task));
    }

    fn sleep(&self, time: Duration) -> BoxFuture {
        let _here = self.0.enter();
        Box::pin(tokio::time::sleep(time))
    }

    fn alive(&self) -> bool {
        true
    }

    /// A tokio runtime that shuts down drops its tasks.
    fn watch(&self) -> Option<Duration> {
        None
    }
}
