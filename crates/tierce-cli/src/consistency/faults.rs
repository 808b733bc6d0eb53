//! What strikes while the processes read and write.

use std::time::Duration;

use clap::ValueEnum;

use super::proxy::Proxy;
use super::weather::{HELD_OF, Way};
use crate::error::Error;
use crate::server::{Server, Speaks};

/// A fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Fault {
    /// The server is stopped for a while.
    StopServer,
    /// The server is stopped for longer than anybody waits for it.
    FreezeServer,
    /// The server is killed, and another is started in its place, empty.
    KillServer,
    /// The server forgets everything.
    Flush,
    /// The server closes every connection.
    CutClients,
    /// The server runs out of room and evicts, by each of its policies in turn.
    Evict,
    /// The server runs out of room and refuses what needs more.
    Full,
    /// What is stored is cut short, overwritten, and put under other keys.
    Damage,
    /// A process is stopped for a while.
    StopProcess,
    /// A process is killed, and another is started in its place.
    KillProcess,
    /// The network closes every connection.
    Cut,
    /// … in the middle of what was sent.
    CutFrame,
    /// Nothing comes through for a while.
    BlackHole,
    /// Everything comes late for a while.
    Delay,
    /// … and what was sent within some milliseconds all at once.
    Clump,
    /// One process in three hears nothing for a while, and is heard.
    Deaf,
    /// One process in three is not heard for a while, and hears.
    Mute,
    /// Answers to beats of one process in three come late, and what the server tells after them later still.
    LateBeats,
    /// The wall clock of a process is set forward or back, by up to two hours.
    ClockStep,
    /// Every fault that this server can have.
    All,
    /// None.
    None,
}

use Fault::{
    All, BlackHole, ClockStep, Clump, Cut, CutClients, CutFrame, Damage, Deaf, Delay, Evict, Flush, FreezeServer, Full,
    KillProcess, KillServer, LateBeats, Mute, None as No, StopProcess, StopServer,
};

const EVERY: [Fault; 19] = [
    StopServer,
    FreezeServer,
    KillServer,
    Flush,
    CutClients,
    Evict,
    Full,
    Damage,
    StopProcess,
    KillProcess,
    Cut,
    CutFrame,
    BlackHole,
    Delay,
    Clump,
    Deaf,
    Mute,
    LateBeats,
    ClockStep,
];
/// Longer than a lookup may wait by any means, a second for each of what it asks of the store.
const FREEZE: Duration = Duration::from_secs(4);
/// What Redis evicts by, one after the other.
const POLICIES: [&str; 7] =
    ["allkeys-lru", "volatile-lru", "allkeys-random", "volatile-ttl", "allkeys-lfu", "volatile-random", "volatile-lfu"];

impl Fault {
    /// Its name on the command line.
    pub(super) fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// Why a server cannot have it.
    fn refused(self, server: &Server) -> Option<&'static str> {
        match (self, server.speaks) {
            (StopServer | FreezeServer | KillServer | Flush | CutClients | Evict | Full | Damage, _)
                if !server.is_own() =>
            {
                Some(
                    "strikes a server that is not this command's own: name none but redis, valkey or memcached by --store",
                )
            }
            (Full, Speaks::Memcached) => Some("is nothing that Memcached does: it evicts"),
            (LateBeats, Speaks::Memcached) => Some("is nothing to Memcached: it tells of no changes, and has no beats"),
            (CutClients, Speaks::Memcached) => Some("is nothing that Memcached does; cut does it in the network"),
            _ => None,
        }
    }

    /// Those that were asked for, or what is wrong with one.
    pub(super) fn chosen(asked: &[Fault], server: &Server) -> Result<Vec<Fault>, Error> {
        let mut chosen = Vec::new();
        for fault in asked.iter().copied() {
            match (fault, fault.refused(server)) {
                (All, _) => chosen.extend(EVERY.into_iter().filter(|fault| fault.refused(server).is_none())),
                (No, _) => {}
                (fault, Some(why)) => return Err(Error::Usage(format!("the fault {} {why}", fault.name()))),
                (fault, None) => chosen.push(fault),
            }
        }
        Ok(chosen)
    }
}

/// A fault of the server or the network, from beginning to end, for the so-manieth time; those of processes are the run's.
pub(super) async fn strike(
    fault: Fault,
    server: &mut Server,
    proxy: &Proxy,
    (length, turn): (Duration, usize),
    chance: &mut fastrand::Rng,
) -> Result<(), Error> {
    match fault {
        StopServer => {
            server.signal("STOP");
            tokio::time::sleep(length).await;
            server.signal("CONT");
        }
        FreezeServer => {
            server.signal("STOP");
            tokio::time::sleep(FREEZE).await;
            server.signal("CONT");
        }
        KillServer => {
            server.kill().await;
            tokio::time::sleep(length / 2).await;
            server.start().await?;
        }
        Flush => {
            drop(server.ask(if server.speaks == Speaks::Redis { b"FLUSHALL\r\n" } else { b"flush_all\r\n" }).await)
        }
        CutClients => drop(server.ask(b"CLIENT KILL TYPE normal\r\n").await),
        Evict => evict(server, (length, turn), chance).await,
        Full => {
            server.ask(b"CONFIG SET maxmemory-policy noeviction maxmemory 1\r\n").await;
            tokio::time::sleep(length).await;
            server.ask(b"CONFIG SET maxmemory 0\r\n").await;
        }
        Damage => damage(server, chance).await,
        fault => blow(fault, proxy, length, chance).await,
    }
    Ok(())
}

/// A fault of the network.
async fn blow(fault: Fault, proxy: &Proxy, length: Duration, chance: &mut fastrand::Rng) {
    match fault {
        Cut => proxy.change(|weather| weather.cuts += 1),
        CutFrame => proxy.change(|weather| weather.half_cuts += 1),
        BlackHole => {
            proxy.change(|weather| weather.black_hole = true);
            tokio::time::sleep(length).await;
            let is_cut = chance.bool();
            proxy.change(|weather| {
                weather.black_hole = false;
                weather.cuts += u64::from(is_cut);
            });
        }
        Delay => {
            let delay = Duration::from_millis(chance.u64(1..60));
            proxy.change(|weather| weather.delay = delay);
            tokio::time::sleep(length).await;
            proxy.change(|weather| weather.delay = Duration::ZERO);
        }
        Clump => {
            // Who has just connected has everything to ask.
            let (clump, is_cut) = (Duration::from_millis(chance.u64(2..40)), chance.bool());
            proxy.change(|weather| {
                weather.clump = clump;
                weather.cuts += u64::from(is_cut);
            });
            tokio::time::sleep(length).await;
            proxy.change(|weather| weather.clump = Duration::ZERO);
        }
        Deaf | Mute => {
            let way = if fault == Deaf { Way::Down } else { Way::Up };
            let one = chance.u64(0..HELD_OF);
            proxy.change(|weather| weather.held = Some((way, one)));
            tokio::time::sleep(length).await;
            proxy.change(|weather| weather.held = None);
        }
        LateBeats => {
            let one = chance.u64(0..HELD_OF);
            proxy.change(|weather| weather.late_beats = Some(one));
            tokio::time::sleep(length).await;
            proxy.change(|weather| weather.late_beats = None);
        }
        _ => {}
    }
}

/// Fills the server with what nobody wants until it has evicted what somebody does.
async fn evict(server: &Server, (length, turn): (Duration, usize), chance: &mut fastrand::Rng) {
    if server.speaks == Speaks::Memcached {
        let mut bytes = Vec::new();
        for i in 0..20_000 {
            let size = chance.usize(60..500);
            bytes.extend(format!("ms ballast{i} {size} T2 q\r\n").bytes());
            bytes.extend(std::iter::repeat_n(b'x', size).chain(*b"\r\n"));
        }
        bytes.extend(b"mn\r\n");
        server.ask(&bytes).await;
        return;
    }
    let policy = POLICIES[turn % POLICIES.len()];
    server.ask(format!("CONFIG SET maxmemory-policy {policy}\r\n").as_bytes()).await;
    let ballast = vec![b'x'; 4000];
    // Room for half of it, beside what an empty server needs.
    server.ask(b"CONFIG SET maxmemory 2500000\r\n").await;
    for i in 0..400 {
        let name = format!("ballast{i}");
        server.command(&[b"SET", name.as_bytes(), &ballast, b"PX", b"2000"]).await;
    }
    tokio::time::sleep(length / 4).await;
    server.ask(b"CONFIG SET maxmemory 0\r\n").await;
    server.ask(b"CONFIG SET maxmemory-policy noeviction\r\n").await;
}

/// Spoils what is stored: nothing of it may be served, and nothing may fail for it.
async fn damage(server: &Server, chance: &mut fastrand::Rng) {
    let names = entries(server).await;
    let mut last: Option<Vec<u8>> = None;
    for name in &names {
        let Some(bytes) = stored(server, name).await else { continue };
        let spoilt = match chance.u8(0..5) {
            0 => bytes[..bytes.len() / 2].to_vec(),
            1 => {
                let mut bytes = bytes.clone();
                let at = chance.usize(0..bytes.len().max(1));
                // The third byte is the store's own mark. Nothing is put back as it was: it may have been invalidated since.
                let at = if at == 2 { 3 } else { at };
                bytes.get_mut(at).into_iter().for_each(|byte| *byte ^= 1 << chance.u8(0..8));
                bytes
            }
            2 => vec![0xFF; chance.usize(3..200)],
            // Another key's, whole.
            _ => last.clone().unwrap_or_else(|| b"foreign".to_vec()),
        };
        last = Some(bytes);
        store(server, name, &spoilt).await;
    }
}

/// The names of stored entries: leases and tags have a letter before the brace.
async fn entries(server: &Server) -> Vec<String> {
    let answer = match server.speaks {
        Speaks::Redis => server.command(&[b"KEYS", b"{*"]).await,
        Speaks::Memcached => server.ask(b"lru_crawler metadump all\r\n").await,
    };
    let text = String::from_utf8_lossy(&answer.unwrap_or_default()).into_owned();
    let name = |line: &str| {
        let name = line.split(' ').next()?.trim_start_matches("key=").replace("%7B", "{").replace("%7D", "}");
        let name = name.replace("%3A", ":");
        name.starts_with('{').then_some(name)
    };
    text.lines().filter_map(name).collect()
}

async fn stored(server: &Server, name: &str) -> Option<Vec<u8>> {
    let answer = match server.speaks {
        Speaks::Redis => server.command(&[b"GET", name.as_bytes()]).await?,
        Speaks::Memcached => server.ask(format!("mg {name} v\r\n").as_bytes()).await?,
    };
    let line = answer.iter().position(|byte| *byte == b'\n')? + 1;
    let head = String::from_utf8_lossy(&answer[..line]).into_owned();
    let length: usize = head.trim_end().trim_start_matches(['$', 'V', 'A', ' ']).split(' ').next()?.parse().ok()?;
    answer.get(line..line + length).filter(|bytes| bytes.len() > 2).map(<[u8]>::to_vec)
}

async fn store(server: &Server, name: &str, bytes: &[u8]) {
    match server.speaks {
        Speaks::Redis => drop(server.command(&[b"SET", name.as_bytes(), bytes, b"XX", b"PX", b"60000"]).await),
        Speaks::Memcached => {
            let request = [format!("ms {name} {} MR T60\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat();
            drop(server.ask(&request).await);
        }
    }
}
