//! The result of a race as a table for people.

use std::fmt::Write;
use std::io::IsTerminal;

use serde::Serialize;

use crate::figures::{bytes, count, decimal, drop_percent, duration};
use crate::race::{Column, Report, Shared};
use crate::remarks;

/// Columns of the labels and of each contender's figures: with the margin, 77 of a terminal's 80.
const LABEL: usize = 34;
const FIGURE: usize = 14;

/// How the table is set: plain text, or with a terminal's bold and faint.
#[derive(Clone, Copy, PartialEq)]
enum Style {
    Plain,
    Terminal,
}

impl Style {
    /// Colour only where somebody looks, and never against <https://no-color.org>.
    fn of_stdout() -> Self {
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        if std::io::stdout().is_terminal() && !unwanted { Self::Terminal } else { Self::Plain }
    }

    fn set(self, code: &str, text: &str) -> String {
        if self == Self::Terminal { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// The table and what its numbers mean, ready to print.
pub(crate) fn render(report: &Report) -> String {
    let style = Style::of_stdout();
    let mut text = String::from("\n");
    let out = &mut text;
    push(out, &heading(report, style));
    let rule = "─".repeat(LABEL + FIGURE * report.columns.len());
    push(out, &style.set("2", &rule));
    for row in rows(report) {
        push(out, &set_row(&row, style));
    }
    push(out, &style.set("2", &rule));
    for remark in remarks::remarks(report) {
        push_wrapped(out, "· ", &remark, style, "0");
    }
    push(out, "");
    push_wrapped(out, "", &remarks::method(report), style, "2");
    text
}

/// One line of the table.
#[derive(Serialize)]
pub(crate) struct Row {
    label: String,
    figures: Vec<String>,
    /// A row of its own, or a detail of the row above.
    detail: bool,
}

/// The lines of the table: a figure for each contender.
pub(crate) fn rows(report: &Report) -> Vec<Row> {
    let row = |label: &str, figure: &dyn Fn(&Column) -> String| Row {
        label: label.to_owned(),
        figures: report.columns.iter().map(figure).collect(),
        detail: false,
    };
    let detail = |label: &str, figure: &dyn Fn(&Column) -> String| Row { detail: true, ..row(label, figure) };
    let without = report.columns.first().map_or(0.0, Column::queries_per_thousand);
    let is_first = |column: &Column| report.columns.first().is_some_and(|first| first.name == column.name);
    let processes = report.shared.as_ref().map_or(String::new(), |shared| format!("{} × ", shared.processes));
    let mut rows = vec![
        row("requests per second", &|c| count(c.requests_per_second().round() as u64)),
        row("half of them took at most (p50)", &|c| duration(c.p50)),
        row("99 of 100 took at most (p99)", &|c| duration(c.p99)),
        row("database queries", &|c| count(c.queries.reads())),
        detail("in 1,000 requests", &|c| decimal(c.queries_per_thousand())),
        detail("fewer than with no cache", &|c| {
            if is_first(c) { "-".to_owned() } else { drop_percent(without, c.queries_per_thousand()) }
        }),
        detail("for ids that do not exist", &|c| count(c.queries.absent)),
        row(&format!("{processes}{} callers, cold key: loads", count(u64::from(report.callers))), &|c| {
            count(c.stampede.loads)
        }),
        detail("until all had their answer", &|c| duration(c.stampede.took)),
        detail("if the key does not exist: loads", &|c| count(c.absent_stampede.loads)),
        row("stale reads after an invalidation", &|c| count(c.stale_reads)),
    ];
    if let Some(shared) = &report.shared {
        rows.extend([
            detail("in the process that invalidated", &|c| count(c.stale_reads - c.stale_reads_elsewhere)),
            detail("the last came so long after it", &|c| stalest(c, is_first(c))),
            detail("promised at most", &|c| promised(c, shared)),
            row("commands of the server for 1,000", &|c| c.commands_per_thousand().map_or("-".to_owned(), decimal)),
        ]);
    } else {
        rows.extend([
            row("memory of the cache", &|c| match c.memory_bytes {
                Some(0) => "-".to_owned(),
                Some(size) => bytes(size),
                None => "?".to_owned(),
            }),
            detail("entries", &|c| count(c.kept.entries)),
            detail("locks left behind", &|c| c.kept.locks.map_or("-".to_owned(), count)),
        ]);
    }
    rows
}

fn stalest(column: &Column, has_no_cache: bool) -> String {
    if has_no_cache || column.stale_reads == 0 { "-".to_owned() } else { duration(column.stalest) }
}

/// The guide promises nothing; its entries end with their ttl.
fn promised(column: &Column, shared: &Shared) -> String {
    match column.name {
        "tierce" => duration(shared.bound),
        "the guide" => "300 s (ttl)".to_owned(),
        _ => "-".to_owned(),
    }
}

fn heading(report: &Report, style: Style) -> String {
    let mut line = format!("{:<LABEL$}", "");
    for (index, column) in report.columns.iter().enumerate() {
        let name = format!("{:>FIGURE$}", column.name);
        let ours = index + 1 == report.columns.len();
        line += &style.set(if ours { "1;32" } else { "1" }, &name);
    }
    line
}

fn set_row(row: &Row, style: Style) -> String {
    let label = if row.detail { format!("  {}", row.label) } else { row.label.clone() };
    let label = format!("{label:<LABEL$}");
    let mut line = if row.detail { style.set("2", &label) } else { label };
    for (index, figure) in row.figures.iter().enumerate() {
        let figure = format!("{figure:>FIGURE$}");
        let ours = index + 1 == row.figures.len();
        line += &if ours { style.set("32", &figure) } else { figure };
    }
    line
}

fn push(out: &mut String, line: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(out, "{}", format!(" {line}").trim_end());
}

/// Breaks a text into lines as wide as the table; the first begins with `mark` and the others under its text.
fn push_wrapped(out: &mut String, mark: &str, text: &str, style: Style, code: &str) {
    let indent = mark.chars().count();
    let width = LABEL + FIGURE * 3 - indent;
    let (mut line, mut lead) = (String::new(), mark.to_owned());
    for word in text.split(' ') {
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > width {
            push(out, &style.set(code, &format!("{lead}{line}")));
            line.clear();
            lead = " ".repeat(indent);
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    push(out, &style.set(code, &format!("{lead}{line}")));
}
