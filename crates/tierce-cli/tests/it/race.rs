//! The table and its numbers.

use serde_json::Value;

use crate::demo::{SHORT, tierce};

#[test]
fn counts_agree_with_the_databases_own_counter() {
    let output = tierce(&[&["--once", "--json"], SHORT.as_slice()].concat());
    assert!(output.status.success(), "{output:?}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let number = |column: usize, path: &str| {
        let value = report["columns"][column].pointer(path);
        value.and_then(Value::as_u64).unwrap_or_else(|| panic!("{path} of column {column} in {report}"))
    };
    let reads =
        |column| ["place", "country", "search"].map(|kind| number(column, &format!("/queries/{kind}"))).iter().sum();

    // Without a cache each request is a query, so that the clients' count and SQLite's must be the same.
    assert_eq!(number(0, "/requests"), reads(0));
    for column in 0..3 {
        assert_eq!(number(column, "/updates"), number(column, "/queries/update"));
        assert!(number(column, "/requests") >= reads(column));
    }
    // The guide asks again for each absent id; tierce asks once for each of the thousand there are.
    assert!(number(2, "/queries/absent") <= 1_000);
    assert_eq!([0, 1, 2].map(|column| number(column, "/stampede/loads")), [40, 1, 1]);
    assert_eq!([0, 1, 2].map(|column| number(column, "/absent_stampede/loads")), [40, 40, 1]);
    assert_eq!([0, 2].map(|column| number(column, "/stale_reads")), [0, 0]);
    assert_eq!(number(0, "/memory_bytes"), 0);
    assert!(number(1, "/memory_bytes") > 0 && number(2, "/memory_bytes") > 0);
    assert!(number(1, "/kept/locks") >= number(1, "/kept/entries"));
}

#[test]
fn the_table_fits_eighty_columns_and_has_every_row() {
    let output = tierce(&[&["demo", "--once"], SHORT.as_slice()].concat());
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    assert!(!text.contains('\x1b'), "no colour without a terminal");
    let row = |label: &str| -> Vec<String> {
        let line = text.lines().find(|line| line.trim_start().starts_with(label));
        let line = line.unwrap_or_else(|| panic!("no row {label:?} in:\n{text}"));
        line.trim_start()[label.len()..].split("  ").filter(|cell| !cell.is_empty()).map(|c| c.trim().into()).collect()
    };
    for label in [
        "requests per second",
        "half of them took at most (p50)",
        "99 of 100 took at most (p99)",
        "database queries",
        "in 1,000 requests",
        "fewer than with no cache",
        "for ids that do not exist",
        "40 callers, cold key: loads",
        "until all had their answer",
        "if the key does not exist: loads",
        "stale reads after an invalidation",
        "memory of the cache",
        "entries",
        "locks left behind",
    ] {
        assert_eq!(row(label).len(), 3, "row {label:?} in:\n{text}");
    }
    assert_eq!(row("in 1,000 requests")[0], "1,000");
    assert_eq!(row("40 callers, cold key: loads"), ["40", "1", "1"]);
}
