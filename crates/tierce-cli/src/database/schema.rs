//! The table, and how the places get into it.

use std::path::Path;

use deunicode::deunicode;
use rusqlite::{Connection, params};

use super::Error;
use crate::place::Place;

const TABLE: &str = "
    CREATE TABLE place (
        id         INTEGER PRIMARY KEY,
        name       TEXT    NOT NULL,
        plain      TEXT    NOT NULL,
        country    TEXT    NOT NULL,
        population INTEGER NOT NULL,
        latitude   REAL    NOT NULL,
        longitude  REAL    NOT NULL,
        timezone   TEXT    NOT NULL,
        rank       INTEGER NOT NULL,
        version    INTEGER NOT NULL
    );
    -- A search reads all names: from this index, which is narrower than the table.
    CREATE INDEX place_by_name ON place (plain);
    CREATE INDEX place_by_country ON place (country, population DESC);
";

/// Writes a new database file with all `places` in it. Its journal is a WAL: readers go on while an update commits, as on
/// a database server.
pub(super) fn fill(path: &Path, places: &[Place]) -> Result<(), Error> {
    let mut connection = Connection::open(path)?;
    // Nothing is lost if this file is: it is made anew from the binary on every start.
    connection.execute_batch("PRAGMA synchronous = OFF; PRAGMA journal_mode = OFF;")?;
    connection.execute_batch(TABLE)?;
    let transaction = connection.transaction()?;
    {
        let mut insert = transaction.prepare("INSERT INTO place VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)")?;
        for place in places {
            insert.execute(params![
                place.id,
                place.name,
                plain(&place.name),
                place.country,
                place.population,
                place.latitude,
                place.longitude,
                place.timezone,
                place.rank,
                place.version,
            ])?;
        }
    }
    transaction.commit()?;
    // The file keeps this mode, and so do its copies: a connection that had to change it while others open theirs would be
    // told at once that the file is locked, without the wait that `busy_timeout` gives.
    connection.execute_batch("PRAGMA journal_mode = WAL;")?;
    connection.close().map_err(|(_, source)| source)?;
    Ok(())
}

/// A name in ASCII, as it is searched.
pub(super) fn plain(name: &str) -> String {
    deunicode(name)
}

#[cfg(test)]
mod tests {
    use super::fill;

    #[test]
    fn a_connection_finds_the_wal_that_it_would_else_have_to_ask_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("places.sqlite");
        fill(&path, &[]).unwrap();
        // "WAL version numbers" 2 and 2 at 18, https://www.sqlite.org/fileformat.html#file_format_version_numbers.
        assert_eq!(std::fs::read(&path).unwrap()[18..20], [2, 2]);
    }
}
