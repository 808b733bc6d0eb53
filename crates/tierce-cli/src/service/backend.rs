//! The store behind the processes, and what it is made to suffer where it is this run's own.

use std::sync::Mutex as Lock;

use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use crate::error::Error;
use crate::server::Server;

/// What the server suffers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Trouble {
    /// It runs, as far as this process has to do with it.
    #[default]
    None,
    /// It is stopped: connections stand, and nothing is answered.
    Frozen,
    /// It is gone, and what it held with it.
    Killed,
}

/// The store.
pub(super) struct Backend {
    /// What it is, without secrets.
    pub(super) title: String,
    server: Option<Mutex<Server>>,
    trouble: Lock<Trouble>,
}

impl Backend {
    pub(super) fn new(title: String, server: Option<Server>) -> Self {
        Self { title, server: server.map(Mutex::new), trouble: Lock::default() }
    }

    /// Whether it is ours to break.
    pub(super) fn is_own(&self) -> bool {
        self.server.is_some()
    }

    pub(super) fn trouble(&self) -> Trouble {
        *self.trouble.lock().expect("no holder of this lock can panic")
    }

    /// Makes it suffer, or lets it run again; what it suffered before.
    pub(super) async fn set(&self, trouble: Trouble) -> Result<Trouble, Error> {
        let Some(server) = &self.server else {
            return Err(Error::Usage("this store is not this run's own".to_owned()));
        };
        let mut server = server.lock().await;
        let before = self.trouble();
        match (before, trouble) {
            (Trouble::None, Trouble::Frozen) => server.signal("STOP"),
            (Trouble::Frozen, Trouble::None) => server.signal("CONT"),
            (Trouble::None | Trouble::Frozen, Trouble::Killed) => server.kill().await,
            (Trouble::Killed, Trouble::None) => server.start().await?,
            (Trouble::Killed, Trouble::Frozen) => {
                return Err(Error::Usage("the store is gone, so that it cannot be frozen".to_owned()));
            }
            (Trouble::None, Trouble::None)
            | (Trouble::Frozen, Trouble::Frozen)
            | (Trouble::Killed, Trouble::Killed) => {}
        }
        *self.trouble.lock().expect("no holder of this lock can panic") = trouble;
        Ok(before)
    }
}
