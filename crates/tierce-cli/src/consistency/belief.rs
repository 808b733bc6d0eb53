//! How long a process under check believes what it has in memory, and of which class its plain reads are.

use std::time::Duration;

use clap::{Args, ValueEnum};
use tierce::store::OnDisconnect;
use tierce::{Hub, HubBuilder};

use super::record::Class;
/// What a process does with its memory while its store does not tell it of changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Belief {
    /// It is not served while the process is cut off.
    Bypass,
    /// It is, for a while.
    ServeFor,
    /// Each entry ends when it is so old, whatever is told.
    MemoryAge,
}

/// How long memory is believed: the bounds of plain reads.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Bounds {
    /// What others changed is served for no longer than this by processes that their store tells of changes, in milliseconds.
    #[arg(long, value_name = "MILLISECONDS", default_value = "150", value_parser = milliseconds)]
    pub(crate) coherence: Duration,
    /// How long a process serves memory that is cut off, of those that do, in milliseconds.
    #[arg(long, value_name = "MILLISECONDS", default_value = "500", value_parser = milliseconds)]
    pub(crate) serve_for: Duration,
    /// How long an entry is believed by processes that go by age, in milliseconds: by all of them with Memcached.
    #[arg(long, value_name = "MILLISECONDS", default_value = "200", value_parser = milliseconds)]
    pub(crate) memory_age: Duration,
}

impl Bounds {
    /// As arguments.
    pub(super) fn arguments(&self) -> Vec<String> {
        let one = |name: &str, time: Duration| [format!("--{name}"), time.as_millis().to_string()];
        let all = [("coherence", self.coherence), ("serve-for", self.serve_for), ("memory-age", self.memory_age)];
        all.into_iter().flat_map(|(name, time)| one(name, time)).collect()
    }
}

impl Belief {
    /// That of a process of this number; all kinds in turn, where the store tells of changes.
    pub(super) fn of(number: u32, tells: bool) -> Self {
        match number % 3 {
            0 if tells => Belief::Bypass,
            1 if tells => Belief::ServeFor,
            _ => Belief::MemoryAge,
        }
    }

    /// Its name on the command line.
    pub(super) fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// A hub that believes so.
    pub(super) fn apply(self, hub: HubBuilder, bounds: &Bounds) -> HubBuilder {
        let hub = hub.coherence(bounds.coherence);
        match self {
            Belief::Bypass => hub.on_disconnect(OnDisconnect::Bypass),
            Belief::ServeFor => hub.on_disconnect(OnDisconnect::ServeFor(bounds.serve_for)),
            Belief::MemoryAge => hub.memory_age(bounds.memory_age),
        }
    }

    /// What a plain read that begins now is promised, by what its process says of itself.
    pub(super) fn class(self, hub: &Hub) -> Class {
        match self {
            Belief::Bypass => Class::Bypassing,
            Belief::ServeFor if hub.store_health().is_some_and(|health| health.is_coherent) => Class::Coherent,
            Belief::ServeFor => Class::CutOff,
            Belief::MemoryAge => Class::Aged,
        }
    }
}

fn milliseconds(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(ms @ 1..=60_000) => Ok(Duration::from_millis(ms)),
        _ => Err("a number from 1 to 60000 is needed".to_owned()),
    }
}
