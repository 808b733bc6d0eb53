//! What the numbers of a race mean, in sentences that say nothing but what was measured.

use crate::figures::{count, decimal, duration};
use crate::race::{Column, Outage, Report, Shared};

/// How it was measured: what a reader needs in order to trust, or repeat, the numbers.
pub(crate) fn method(report: &Report) -> String {
    let updates: Vec<String> = report.columns.iter().map(|column| count(column.updates)).collect();
    let how = format!(
        "Load: {}. 64 clients; {} turns of {:.0} ms each; caches empty at first; {} updates in pairs 2 ms apart, each \
         followed by an invalidation. SQLite counts the queries.",
        report.load,
        report.turns,
        report.slice_ms,
        updates.join(" / "),
    );
    let guide =
        "The guide: cache-aside with a dictionary of locks and tag sets, as \"Python Caching Strategies\" teaches it;";
    match &report.shared {
        None => format!(
            "{how} Memory is what dropping the cache gave back. {guide} its Redis is a dictionary in this process, so \
             that no network counts against it."
        ),
        Some(shared) => format!(
            "{how} {} processes with memory of their own share {}, one database file for each column, and the clients. \
             {}Whether a read was stale is judged by a clock that all processes share: it began after an update and the \
             invalidation after it had returned, and got the older row. Commands are the server's own count, those \
             inside scripts singly, beats apart.",
            shared.processes,
            shared.store,
            if report.columns.len() == 3 { format!("{guide} over that server. ") } else { String::new() },
        ),
    }
}

/// What follows from the numbers.
pub(crate) fn remarks(report: &Report) -> Vec<String> {
    let callers = report.callers;
    match (report.columns.as_slice(), &report.shared) {
        ([bare, guide, ours], None) => {
            let remarks = [speed(bare, guide, ours), absence(callers, guide, ours), staleness(guide, ours)];
            remarks.into_iter().chain(leftovers(guide)).collect()
        }
        ([bare, guide, ours], Some(shared)) => {
            let remarks = [
                speed(bare, guide, ours),
                together(callers, shared, &[guide, ours]),
                staleness(guide, ours),
                bound(ours, shared),
            ];
            remarks.into_iter().chain(untold(ours)).chain(report.outage.as_ref().map(outage)).collect()
        }
        ([_, ours], Some(shared)) => {
            let remarks = [together(callers, shared, &[ours]), bound(ours, shared)];
            remarks.into_iter().chain(untold(ours)).chain(report.outage.as_ref().map(outage)).collect()
        }
        _ => Vec::new(),
    }
}

/// What the death of the server cost tierce's callers.
fn outage(outage: &Outage) -> String {
    format!(
        "Then the server was stopped in its tracks for 2 s: of {} lookups of tierce {} failed. {} misses waited for it, {} at \
         most; of the others 99 of 100 took {} at most, load included ({} before); of hits {} ({} before). All processes used \
         it again {} after it went on, and {} after it had been killed and answered again.",
        count(outage.lookups),
        count(outage.failed),
        count(outage.waited),
        duration(outage.longest),
        duration(outage.miss),
        duration(outage.miss_before),
        duration(outage.hit),
        duration(outage.hit_before),
        duration(outage.after_freeze),
        duration(outage.after_restart),
    )
}

/// What could not be told in time.
fn untold(ours: &Column) -> Option<String> {
    (ours.untold > 0).then(|| {
        format!(
            "{} of tierce's {} updates were told that the store had not taken an invalidation in time; it was told again, \
             and until then they count as under way.",
            count(ours.untold),
            count(ours.updates),
        )
    })
}

/// What callers in all processes cost.
fn together(callers: u32, shared: &Shared, columns: &[&Column]) -> String {
    let loads = |column: &&Column| {
        let name = if column.name == "tierce" { "tierce" } else { "the guide, whose locks are each process's own" };
        format!("{} with {name}", count(column.stampede.loads))
    };
    let loads: Vec<String> = columns.iter().map(loads).collect();
    format!(
        "{} callers in each of {} processes wanted one cold key at once. Loads: {}.",
        count(u64::from(callers)),
        shared.processes,
        loads.join("; "),
    )
}

/// What tierce promises of other processes' invalidations, beside what was seen.
fn bound(ours: &Column, shared: &Shared) -> String {
    if ours.stale_reads == 0 {
        return format!(
            "tierce promises that another process's invalidation is missed for {} at most; nobody missed one.",
            duration(shared.bound)
        );
    }
    format!(
        "tierce promises that another process's invalidation is missed for {} at most; the last such read began {} after \
         it.",
        duration(shared.bound),
        duration(ours.stalest),
    )
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
