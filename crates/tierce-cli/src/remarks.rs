//! What the numbers of a race mean, in sentences that say nothing but what was measured.

use crate::figures::{count, decimal, duration};
use crate::race::{Column, Report};

/// How it was measured: what a reader needs in order to trust, or repeat, the numbers.
pub(crate) fn method(report: &Report) -> String {
    let updates: Vec<String> = report.columns.iter().map(|column| count(column.updates)).collect();
    format!(
        "Load: {}. 64 clients; {} turns of {:.0} ms each; caches empty at first; {} updates in pairs 2 ms apart, each \
         followed by an invalidation. SQLite counts the queries. Memory is what dropping the cache gave back. The \
         guide: cache-aside with a dictionary of locks and tag sets, as \"Python Caching Strategies\" teaches it; its \
         Redis is a dictionary in this process, so that no network counts against it.",
        report.load,
        report.turns,
        report.slice_ms,
        updates.join(" / "),
    )
}

/// What follows from the numbers.
pub(crate) fn remarks(report: &Report) -> Vec<String> {
    let [bare, guide, ours] = report.columns.as_slice() else { return Vec::new() };
    let mut remarks = vec![speed(bare, guide, ours), absence(report.callers, guide, ours), staleness(guide, ours)];
    remarks.extend(leftovers(guide));
    remarks
}

fn speed(bare: &Column, guide: &Column, ours: &Column) -> String {
    let times = |other: &Column| match other.requests_per_second() {
        0.0 => "?".to_owned(),
        theirs => decimal(ours.requests_per_second() / theirs),
    };
    format!(
        "tierce answered {} times as many requests as the guide's pattern and {} times as many as no cache; {} of \
         1,000 reached the database, {} with the guide.",
        times(guide),
        times(bare),
        decimal(ours.queries_per_thousand()),
        decimal(guide.queries_per_thousand()),
    )
}

fn absence(callers: u32, guide: &Column, ours: &Column) -> String {
    format!(
        "The guide remembers no \"there is none\": it sent {} queries for ids that do not exist, tierce {}. {} \
         callers who wanted one such id sent {} in {}; with tierce {} in {}.",
        count(guide.queries.absent),
        count(ours.queries.absent),
        count(u64::from(callers)),
        count(guide.absent_stampede.loads),
        duration(guide.absent_stampede.took),
        count(ours.absent_stampede.loads),
        duration(ours.absent_stampede.took),
    )
}

fn staleness(guide: &Column, ours: &Column) -> String {
    let mut text = format!(
        "{} of the guide's reads began after an update and its invalidation had returned, and still got the older row; \
         of tierce's, {}.",
        count(guide.stale_reads),
        count(ours.stale_reads),
    );
    if guide.stale_reads > 0 {
        text += " A load that began before an update puts the old row back after the invalidation.";
    }
    text
}

fn leftovers(guide: &Column) -> Option<String> {
    let locks = guide.kept.locks.filter(|locks| *locks > 0)?;
    Some(format!(
        "The guide's dictionary of locks holds {} locks for {} entries; nothing ever leaves it.",
        count(locks),
        count(guide.kept.entries),
    ))
}
