//! Tables for people, lines of JSON for programs.

use crate::args::Args;
use crate::measure::median;
use crate::rounds::Row;
use crate::subject::Subject;

/// One number of one contender in one case.
#[derive(Debug, Clone)]
pub(crate) struct Measurement {
    pub(crate) case: String,
    pub(crate) contender: String,
    pub(crate) unit: &'static str,
    pub(crate) cost: f64,
    /// Its cost over ours, `None` when ours did not run.
    pub(crate) ratio_to_ours: Option<f64>,
}

/// Collects what was measured and prints it as it comes.
#[derive(Debug)]
pub(crate) struct Report {
    subject: Subject,
    json: bool,
    measurements: Vec<Measurement>,
    cases: Vec<String>,
}

impl Report {
    /// An empty report.
    pub(crate) fn new(args: &Args) -> Self {
        Self { subject: args.subject, json: args.json, measurements: Vec::new(), cases: Vec::new() }
    }

    /// The cases run so far.
    pub(crate) fn cases(&self) -> &[String] {
        &self.cases
    }

    /// Prints a case, a line per contender, and keeps its numbers.
    pub(crate) fn case(&mut self, case: &str, units: &[&'static str], rows: &[Row]) {
        self.cases.push(case.into());
        let ours = rows.iter().find(|row| row.contender == "ours");
        self.heading(case, units);
        for row in rows {
            let mut line = format!("  {:<20}", row.contender);
            for (index, unit) in units.iter().enumerate() {
                let Some(costs) = row.costs(index) else { continue };
                let ours = ours.filter(|_| is_cost(unit));
                let ratio_to_ours = ours.and_then(|ours| row.ratio_to(ours, index));
                line.push_str(&cell(unit, &costs, ratio_to_ours));
                let (case, contender, cost) = (case.into(), row.contender.clone(), median(&costs));
                self.keep(Measurement { case, contender, unit, cost, ratio_to_ours });
            }
            let remark = match &row.rounds {
                Ok(rounds) => rounds.last().map_or("", |round| round.note.as_str()),
                Err(reason) => reason,
            };
            let absent = if row.rounds.is_err() { "         n/a" } else { "" };
            self.remark(format!("{line}{absent}  {remark}").trim_end());
        }
    }

    /// A sentence under the tables; not part of the JSON.
    pub(crate) fn remark(&self, text: &str) {
        if !self.json {
            println!("{text}");
        }
    }

    /// A number, printed as a line of JSON where that is asked for.
    pub(crate) fn keep(&mut self, measurement: Measurement) {
        if self.json {
            self.line(&measurement);
        }
        self.measurements.push(measurement);
    }

    /// The ratio of a contender in a case, of its first unit.
    pub(crate) fn ratio(&self, case: &str, contender: &str) -> Option<f64> {
        let found = |m: &&Measurement| m.case == case && m.contender == contender;
        self.measurements.iter().find(found)?.ratio_to_ours
    }

    /// Everything measured so far.
    pub(crate) fn measurements(&self) -> &[Measurement] {
        &self.measurements
    }

    fn heading(&self, case: &str, units: &[&str]) {
        let mut head = format!("  {:<20}", "contender");
        for unit in units {
            head.push_str(&format!(" {unit:>width$}", width = width(unit)));
            if is_cost(unit) {
                head.push_str(&format!(" {:>7} {:>17}", "/ ours", "min .. max"));
            }
        }
        self.remark(&format!("\n{case}\n{head}"));
    }

    fn line(&self, m: &Measurement) {
        println!(
            r#"{{"subject":"{}","case":{},"contender":{},"unit":"{}","cost":{},"ratio_to_ours":{}}}"#,
            self.subject.name(),
            quoted(&m.case),
            quoted(&m.contender),
            m.unit,
            json_number(m.cost),
            m.ratio_to_ours.map_or_else(|| "null".into(), json_number),
        );
    }
}

/// Whether less of it is better. Answers are counted to be looked at, and have no ratio.
fn is_cost(unit: &str) -> bool {
    !unit.starts_with("answers")
}

/// The width of a unit's column.
fn width(unit: &str) -> usize {
    unit.len().max(9)
}

fn cell(unit: &str, costs: &[f64], ratio: Option<f64>) -> String {
    let mut cell = format!(" {:>width$}", number(median(costs)), width = width(unit));
    if is_cost(unit) {
        let ratio = ratio.map_or_else(|| "-".into(), |ratio| format!("{ratio:.2}"));
        let low = costs.iter().copied().fold(f64::INFINITY, f64::min);
        let high = costs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let spread = format!("{} .. {}", number(low), number(high));
        cell.push_str(&format!(" {ratio:>7} {spread:>17}"));
    }
    cell
}

/// Four significant digits at most, so that columns can be compared by eye.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 1000.0 => format!("{value:.0}"),
        size if size >= 100.0 || value.fract() == 0.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// JSON has no infinity and no "not a number".
fn json_number(value: f64) -> String {
    if value.is_finite() { format!("{value}") } else { "null".into() }
}

/// A JSON string; the names come from file names too.
fn quoted(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_and_numbers_are_valid_json() {
        assert_eq!(quoted("a\"b\\c\n"), r#""a\"b\\c\u000a""#);
        assert_eq!(json_number(f64::INFINITY), "null");
        assert_eq!(json_number(2.5), "2.5");
    }
}
