//! Where the processes of a demo share their values: a server of this run's own, or the one at a URL.

use tierce::Hub;
use tierce::store::{Address, Kind};

use crate::contender::Remote;
use crate::error::Error;
use crate::race::Entrant;
use crate::server::Server;

/// What a Memcached of ours may hold, in MiB: all that the demo stores.
const ROOM_MB: u32 = 128;

/// A store.
pub(crate) struct Venue {
    /// Where it is this run's own.
    pub(crate) server: Option<Server>,
    pub(crate) url: String,
    /// What it is, without secrets.
    pub(crate) title: String,
    /// What stands before all names of this run.
    pub(crate) namespace: String,
    kind: Kind,
}

impl Venue {
    /// Starts a server, for `redis`, `valkey` or `memcached`; or sees whether the one at a URL answers.
    pub(crate) async fn open(store: &str) -> Result<Self, Error> {
        let usage = |error: tierce::Error| Error::Usage(format!("--store: {error}"));
        let namespace = format!("demo-{:012x}", fastrand::u64(..1 << 48));
        let (server, url) = match store {
            "redis" | "valkey" | "memcached" => {
                let server = Server::of(store, ROOM_MB).await?;
                let url = server.url_by(server.port);
                (Some(server), url)
            }
            url => (None, url.to_owned()),
        };
        let address = Address::parse(&url).map_err(usage)?;
        Hub::builder().namespace(&namespace).require_store().connect(&url).await.map_err(usage)?;
        let title = match &server {
            Some(server) => format!("a {store} of this run's on port {}", server.port),
            None => address.to_string(),
        };
        Ok(Self { server, url, title, namespace, kind: address.kind() })
    }

    /// Who can race over it: the guide teaches its tags for Redis alone.
    pub(crate) fn entrants(&self) -> Vec<Entrant> {
        let guide = self.kind != Kind::Memcached && Remote::reaches(&self.url);
        let all = [(Entrant::Bare, true), (Entrant::Guide, guide), (Entrant::Tierce, true)];
        all.into_iter().filter(|(_, runs)| *runs).map(|(entrant, _)| entrant).collect()
    }

    /// For how long tierce promises at most that another process's invalidation is missed, as its hubs are by default:
    /// docs/stores.md.
    pub(crate) fn bound(&self) -> std::time::Duration {
        std::time::Duration::from_millis(if self.kind == Kind::Memcached { 1_000 } else { 150 })
    }
}
