//! One connection: its statements, and their counts.
//!
//! SQLite counts for each prepared statement how often it was run (`SQLITE_STMTSTATUS_RUN`). The connection keeps its
//! statements for as long as it lives, so that this number, read after each query, is the count that the race prints.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::functions::FunctionFlags;
use rusqlite::{CachedStatement, Connection, OptionalExtension, Params, Row, StatementStatus, params};

use super::Error;
use super::count::{Counts, Kind};
use super::schema::plain;
use crate::clock;
use crate::place::{Change, Place};
use crate::similarity::Wanted;

const PLACE: &str = "
    SELECT id, name, country, population, latitude, longitude, timezone, rank, version
    FROM place WHERE id = ?1";

/// Twenty rows are a page of a list.
const COUNTRY: &str = "
    SELECT id, name, country, population, latitude, longitude, timezone, rank, version
    FROM place WHERE country = ?1 ORDER BY population DESC LIMIT 20";

/// `similarity` is 0 for all names but those alike. Ties are ordered by rank, which never changes: the update of a
/// population changes what a search answers only where the place is in its answer.
const SEARCH: &str = "
    SELECT id, name, country, population, latitude, longitude, timezone, rank, version
    FROM (SELECT id AS found, similarity(plain, ?1) AS likeness FROM place) JOIN place ON id = found
    WHERE likeness > 0 ORDER BY likeness DESC, rank LIMIT 10";

const UPDATE: &str = "
    UPDATE place
    SET name = coalesce(?2, name), plain = coalesce(?3, plain), population = coalesce(?4, population),
        version = version + 1
    WHERE id = ?1
    RETURNING id, name, country, population, latitude, longitude, timezone, rank, version";

/// A connection and the counts of its statements.
pub(super) struct Session {
    connection: Connection,
    counts: Arc<Counts>,
}

impl Session {
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let connection = Connection::open(path)?;
        // Only a checkpoint, or another process's update, can make a connection wait, for milliseconds; or its opening.
        connection.busy_timeout(Duration::from_secs(5))?;
        // A WAL is flushed at checkpoints only.
        connection.execute_batch("PRAGMA synchronous = NORMAL;")?;
        // After another connection's commit a reader drops its page cache; mapped pages it need not read again. 64 MiB
        // is far more than the file has.
        connection.execute_batch("PRAGMA mmap_size = 67108864;")?;
        let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
        connection.create_scalar_function("similarity", 2, flags, |context| {
            // SQLite keeps what was worked out of the constant argument for the length of the query.
            let wanted = context.get_or_create_aux(1, |text| {
                text.as_str().map(|text| Wanted::new(&plain(text))).map_err(rusqlite::Error::from)
            })?;
            Ok(wanted.similarity(context.get_raw(0).as_bytes()?))
        })?;
        Ok(Self { connection, counts: Arc::default() })
    }

    pub(super) fn counts(&self) -> Arc<Counts> {
        Arc::clone(&self.counts)
    }

    pub(super) fn place(&self, id: u32) -> Result<Option<Place>, Error> {
        let found = self.run(Kind::Place, PLACE, |statement| Ok(statement.query_row([id], row).optional()?))?;
        if found.is_none() {
            self.counts.add_absent();
        }
        Ok(found)
    }

    pub(super) fn country(&self, code: &str) -> Result<Vec<Place>, Error> {
        self.run(Kind::Country, COUNTRY, |statement| rows(statement, [code]))
    }

    pub(super) fn search(&self, text: &str) -> Result<Vec<Place>, Error> {
        self.run(Kind::Search, SEARCH, |statement| rows(statement, [text]))
    }

    pub(super) fn update(&self, id: u32, change: &Change) -> Result<Option<Place>, Error> {
        let searched = change.name.as_deref().map(plain);
        let values = params![id, change.name, searched, change.population];
        self.run(Kind::Update, UPDATE, |statement| Ok(statement.query_row(values, row).optional()?))
    }

    fn run<T>(
        &self,
        kind: Kind,
        sql: &str,
        ask: impl FnOnce(&mut CachedStatement<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        // The connection's cache holds 16 statements and there are four: none is ever prepared, and so counted, anew.
        let mut statement = self.connection.prepare_cached(sql)?;
        let began = clock::now();
        let answer = ask(&mut statement);
        self.counts.add_time(kind, clock::since(began));
        // SQLite never counts below zero.
        self.counts.set_runs(kind, u64::try_from(statement.get_status(StatementStatus::Run)).unwrap_or(0));
        answer
    }
}

fn rows(statement: &mut CachedStatement<'_>, values: impl Params) -> Result<Vec<Place>, Error> {
    Ok(statement.query_map(values, row)?.collect::<Result<_, _>>()?)
}

fn row(row: &Row<'_>) -> rusqlite::Result<Place> {
    Ok(Place {
        id: row.get(0)?,
        name: row.get(1)?,
        country: row.get(2)?,
        population: row.get(3)?,
        latitude: row.get(4)?,
        longitude: row.get(5)?,
        timezone: row.get(6)?,
        rank: row.get(7)?,
        version: row.get(8)?,
    })
}
