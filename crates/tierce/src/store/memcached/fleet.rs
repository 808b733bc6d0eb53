//! The servers of a store, and which of them are asked.
//!
//! A hub gives its store up as a whole when it does not answer (`store/breaker.rs`). Of several servers one alone may be away: what
//! it has is missed then at no cost, and the others are asked as ever. So each of several has a breaker of its own here, and
//! what one alone does not answer, [`Fault::Away`], does not count against the store, unless all are shut.

use std::sync::Arc;
use std::time::Duration;

use super::meta::Meta;
use crate::clock::Clock;
use crate::random::Random;
use crate::runtime;
use crate::store::breaker::{Breaker, Leave};
use crate::store::connection::{Deadline, Link, down};
use crate::store::fault::Fault;

/// Who was asked with less time left than this, and has not answered, has shown nothing: a server nearby answers in a tenth of it.
const SHOWN: Duration = Duration::from_millis(10);
/// How long it is looked whether one is back.
const LOOKED: Duration = Duration::from_millis(50);

/// All servers of a store.
pub(super) struct Fleet {
    members: Vec<Member>,
    random: Random,
}

/// One of them.
pub(super) struct Member {
    pub(super) place: String,
    pub(super) link: Link<Meta>,
    breaker: Breaker,
}

impl Member {
    pub(super) fn new(place: String, link: Link<Meta>) -> Self {
        Member { place, link, breaker: Breaker::default() }
    }
}

impl Fleet {
    pub(super) fn new(members: Vec<Member>) -> Arc<Self> {
        Arc::new(Fleet { members, random: Random::from_process() })
    }

    pub(super) fn member(&self, at: usize) -> &Member {
        &self.members[at]
    }

    /// Whether one of them is to be asked.
    ///
    /// # Errors
    /// It has not answered lately.
    pub(super) fn leave(self: &Arc<Self>, at: usize) -> Result<(), Fault> {
        let Member { place, breaker, .. } = &self.members[at];
        if !breaker.is_shut() {
            return Ok(());
        }
        self.look();
        Err(down(format!("{place} has not answered lately")))
    }

    /// A fault of one server as it is of the store: none of the others' while one of them may be asked.
    pub(super) fn of_one(&self, fault: Fault) -> Fault {
        let is_away = matches!(fault, Fault::Timeout | Fault::Lost | Fault::Down(_) | Fault::Garbled(_));
        let are_all = self.members.len() == 1 || self.members.iter().all(|member| member.breaker.is_shut());
        if !is_away || are_all {
            return fault;
        }
        Fault::Away(match fault {
            Fault::Down(why) => why,
            other => other.to_string().into(),
        })
    }

    /// One of them was asked with so much time left, and has answered, or has not. One alone is the hub's to give up.
    pub(super) fn note(&self, at: usize, time: Duration, fault: Option<&Fault>) {
        if self.members.len() == 1 {
            return;
        }
        match fault {
            None | Some(Fault::Refused(_)) => self.members[at].breaker.answered(),
            Some(Fault::Timeout) if time < SHOWN => {}
            Some(Fault::Timeout | Fault::Lost | Fault::Down(_) | Fault::Garbled(_)) => self.failed(at),
            Some(Fault::Away(_) | Fault::Full | Fault::TooLarge) => {}
        }
    }

    fn failed(&self, at: usize) {
        self.members[at].breaker.failed(Clock::system().now_ms(), &self.random);
    }

    /// Looks, behind the caller, whether those that are away are back.
    fn look(self: &Arc<Self>) {
        let now_ms = Clock::system().now_ms();
        for (at, member) in self.members.iter().enumerate() {
            if member.breaker.is_shut() && member.breaker.leave(now_ms, &self.random) == Leave::Probe {
                let Some(runtime) = runtime::lasting() else { return };
                let fleet = Arc::clone(self);
                runtime.spawn(Box::pin(async move {
                    let Member { link, breaker, .. } = fleet.member(at);
                    let asked = link.ask_one(Deadline::after(LOOKED), |out| out.extend_from_slice(b"mn\r\n")).await;
                    match asked {
                        Ok(_) => breaker.answered(),
                        Err(_) => fleet.failed(at),
                    }
                }));
            }
        }
    }
}
