//! Rounds, and what they cost.
//!
//! A round is one try of every contender on the same load, and each round starts with another
//! contender. What is counted is tried in one piece, by [`interleave`]; what is timed is cut in
//! slices ([`crate::slices`]). A ratio is taken within each slice, then the median over the slices
//! of a round, then the median over the rounds.

use std::io::IsTerminal;

use crate::measure::median;

/// What one contender answered in one round; or why it cannot run.
pub(crate) type Outcome = Result<Costs, &'static str>;

/// One round of one contender.
#[derive(Debug, Clone, Default)]
pub(crate) struct Costs {
    /// A number per unit of the case, for every slice of the round. What is not cut is one slice.
    pub(crate) slices: Vec<Vec<f64>>,
    /// What the reader should know beside the number.
    pub(crate) note: String,
    /// Whether the work was another than ours did, so that a ratio would compare nothing.
    pub(crate) apart: bool,
}

impl Costs {
    /// A round in one piece: a number per unit, and a remark.
    pub(crate) fn whole(values: Vec<f64>, note: String) -> Self {
        Self { slices: vec![values], note, apart: false }
    }

    /// The median slice in one unit: a slice that was interrupted says nothing of the others.
    fn median(&self, unit: usize) -> f64 {
        median(&self.slices.iter().map(|slice| slice[unit]).collect::<Vec<_>>())
    }

    /// The median of the ratios of slices that were worked right after each other.
    fn ratio_to(&self, other: &Self, unit: usize) -> f64 {
        let pairs = self.slices.iter().zip(&other.slices);
        median(&pairs.map(|(mine, theirs)| mine[unit] / theirs[unit]).collect::<Vec<_>>())
    }
}

/// All rounds of one contender in one case.
#[derive(Debug)]
pub(crate) struct Row {
    /// Its name.
    pub(crate) contender: String,
    /// A round each, or why there is none.
    pub(crate) rounds: Result<Vec<Costs>, &'static str>,
}

impl Row {
    /// A row each, without rounds yet.
    pub(crate) fn all(contenders: &[String]) -> Vec<Self> {
        contenders.iter().map(|name| Self { contender: name.clone(), rounds: Ok(Vec::new()) }).collect()
    }

    /// Adds a round; the first that cannot run takes the contender out.
    pub(crate) fn add(&mut self, outcome: Outcome) {
        match (&mut self.rounds, outcome) {
            (Ok(done), Ok(costs)) => done.push(costs),
            (Ok(_), Err(reason)) => self.rounds = Err(reason),
            (Err(_), _) => {}
        }
    }

    /// The rounds in one unit.
    pub(crate) fn costs(&self, unit: usize) -> Option<Vec<f64>> {
        let rounds = self.rounds.as_ref().ok()?;
        Some(rounds.iter().map(|round| round.median(unit)).collect())
    }

    /// Its cost over another's; `None` where that one was free, or the work was not the same.
    pub(crate) fn ratio_to(&self, other: &Self, unit: usize) -> Option<f64> {
        let (mine, theirs) = (self.rounds.as_ref().ok()?, other.rounds.as_ref().ok()?);
        let ratios: Vec<f64> = mine.iter().zip(theirs).map(|(mine, theirs)| mine.ratio_to(theirs, unit)).collect();
        Some(median(&ratios)).filter(|ratio| ratio.is_finite() && !mine.iter().any(|round| round.apart))
    }
}

/// Runs the rounds of one case, a contender's whole round at a time: `load` makes what all
/// contenders of a round share, `run` is asked for one contender.
pub(crate) fn interleave<L>(
    case: &str,
    contenders: &[String],
    rounds: usize,
    mut load: impl FnMut(usize) -> L,
    mut run: impl FnMut(&str, &L) -> Outcome,
) -> Vec<Row> {
    let mut rows = Row::all(contenders);
    for round in 0..rounds {
        let shared = load(round);
        for index in rotated(rows.len(), round) {
            let row = &mut rows[index];
            if row.rounds.is_ok() {
                progress(&format!("{case}: round {}/{rounds}, {}", round + 1, row.contender));
                row.add(run(&row.contender, &shared));
            }
        }
    }
    progress("");
    rows
}

/// All of so many, from another one on at every turn.
pub(crate) fn rotated(count: usize, turn: usize) -> impl Iterator<Item = usize> {
    (0..count).map(move |index| (turn + index) % count)
}

/// Says on standard error what is under way, over what it said before. A file or a pipe would
/// keep every such line, so that only a terminal is told.
pub(crate) fn progress(text: &str) {
    if std::io::stderr().is_terminal() {
        eprint!("\r\x1b[K{text}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_round_starts_with_another_contender_and_all_share_its_load() {
        let names: Vec<String> = ["a", "b", "c"].map(String::from).into();
        let mut seen = Vec::new();
        let rows = interleave(
            "case",
            &names,
            3,
            |round| round,
            |name, load| {
                seen.push(format!("{name}{load}"));
                if name == "c" { Err("has no face") } else { Ok(Costs::whole(vec![*load as f64], String::new())) }
            },
        );
        assert_eq!(seen, ["a0", "b0", "c0", "b1", "a1", "a2", "b2"]);
        assert_eq!(rows[0].costs(0).unwrap(), [0.0, 1.0, 2.0]);
        assert!(rows[2].costs(0).is_none());
    }

    fn row(rounds: &[&[f64]]) -> Row {
        let slices = |round: &&[f64]| round.iter().map(|cost| vec![*cost]).collect();
        let costs = |round| Costs { slices: slices(round), ..Costs::default() };
        Row { contender: "any".into(), rounds: Ok(rounds.iter().map(costs).collect()) }
    }

    #[test]
    fn a_ratio_is_taken_slice_by_slice_and_round_by_round() {
        // The machine is ten times slower in the second round, and in one slice of the first.
        let ours = row(&[&[1.0, 10.0, 1.0], &[10.0, 10.0, 10.0], &[1.0, 1.0, 1.0]]);
        let other = row(&[&[2.0, 20.0, 2.0], &[20.0, 20.0, 20.0], &[3.0, 3.0, 30.0]]);
        assert_eq!(other.ratio_to(&ours, 0), Some(2.0));
        assert_eq!(other.costs(0).unwrap(), [2.0, 20.0, 3.0]);
    }

    #[test]
    fn there_is_no_ratio_to_what_was_free_or_other_work() {
        let (free, mut other) = (row(&[&[0.0]]), row(&[&[1.0]]));
        assert_eq!(other.ratio_to(&free, 0), None);
        other.rounds.as_mut().unwrap()[0].apart = true;
        assert_eq!(other.ratio_to(&row(&[&[1.0]]), 0), None);
    }
}
