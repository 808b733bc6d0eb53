//! The command line.

use std::fmt;
use std::path::PathBuf;

use crate::subject::Subject;

/// What `--help` prints.
pub(crate) const HELP: &str = "\
tierce-bench: tierce side by side with its peers, interleaved in one process

usage: tierce-bench SUBJECT [options]

subjects
  memory      one process's memory: speed, footprint, hit ratio
  engine      a hit of Cache::get_or_load against a bare Memory::get, allocations counted
  batch       Cache::get_many_or_load of a hundred keys against single lookups and one load
  macros      a hit of a function with #[memo] or #[cached] against what is written by hand
  compile     what a function with #[cached] adds to a debug build, with a shared value type and its own
  stampede    many callers of one key, in one process and in four: loader calls, answers, time
  stores      clients of Redis and Memcached, on servers that it starts (redis-server, memcached)
  lookup      whole lookups with Redis behind memory, against caches in layers
  tags        ending all entries of a tag, few and many; what a load says to other processes
  outage      a server that stands still or is started again: what callers notice

options
  --json              one line a measurement instead of tables
  --rounds N          rounds a case (default 5; the median is reported)
  --only CASE,..      these cases; hit_ratio/OLTP stands for all its capacities
  --contenders A,..   these contenders
  --traces DIR        directory of trace files, for hit_ratio/TRACE/CAPACITY
  --trace-file FILE   another trace, one key a line (may be .gz, .xz, .zst); may be repeated
  --callers N         callers of a stampede, in each process (default 10000)
  --entries N         entries of the tag in tags/invalidate_many (default 1000000)
  --help              this text
";

/// A command line that cannot be obeyed; exit code 2.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Usage(pub(crate) String);

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; try --help", self.0)
    }
}

/// A parsed command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Args {
    pub(crate) subject: Subject,
    pub(crate) json: bool,
    pub(crate) rounds: usize,
    pub(crate) callers: usize,
    pub(crate) entries: usize,
    pub(crate) traces: Option<PathBuf>,
    pub(crate) trace_files: Vec<PathBuf>,
    only: Vec<String>,
    contenders: Vec<String>,
}

impl Args {
    /// Parses what follows the program's name; `None` when help was asked for.
    ///
    /// # Errors
    /// [`Usage`] names the first word that cannot be obeyed.
    pub(crate) fn parse(words: &[String]) -> Result<Option<Self>, Usage> {
        if words.iter().any(|word| word == "--help" || word == "-h") {
            return Ok(None);
        }
        let mut words = words.iter();
        let Some(name) = words.next() else {
            return Err(Usage(format!("no subject: {}", Self::subjects())));
        };
        let Some(subject) = Subject::ALL.into_iter().find(|subject| subject.name() == name) else {
            return Err(Usage(format!("unknown subject '{name}': {}", Self::subjects())));
        };
        let mut args = Self {
            subject,
            json: false,
            rounds: 5,
            callers: 10_000,
            entries: 1_000_000,
            traces: None,
            trace_files: Vec::new(),
            only: Vec::new(),
            contenders: Vec::new(),
        };
        while let Some(word) = words.next() {
            args.option(word, &mut words)?;
        }
        args.check_names()?;
        Ok(Some(args))
    }

    fn subjects() -> String {
        Subject::ALL.map(Subject::name).join(", ")
    }

    fn option<'a>(&mut self, word: &str, rest: &mut impl Iterator<Item = &'a String>) -> Result<(), Usage> {
        if word == "--json" {
            self.json = true;
            return Ok(());
        }
        let known = ["--rounds", "--only", "--contenders", "--traces", "--trace-file", "--callers", "--entries"];
        if !known.contains(&word) {
            return Err(Usage(format!("unknown option '{word}'")));
        }
        let value = rest.next().ok_or_else(|| Usage(format!("{word} needs a value")))?;
        match word {
            "--rounds" => self.rounds = positive(word, value)?,
            "--callers" => self.callers = positive(word, value)?,
            "--entries" => self.entries = positive(word, value)?,
            "--only" => self.only.extend(value.split(',').map(String::from)),
            "--contenders" => self.contenders.extend(value.split(',').map(String::from)),
            "--traces" => self.traces = Some(value.into()),
            _ => self.trace_files.push(value.into()),
        }
        Ok(())
    }

    fn check_names(&self) -> Result<(), Usage> {
        let subject = self.subject.name();
        let cases = self.subject.cases();
        for case in &self.only {
            let first = case.split('/').next().unwrap_or(case);
            let known = cases.contains(&case.as_str()) || (first == "hit_ratio" && cases.contains(&"hit_ratio"));
            if !known {
                let list = cases.join(" ");
                return Err(Usage(format!("unknown case '{case}' of {subject}: {list}")));
            }
            if first == "hit_ratio" && self.traces.is_none() && self.trace_files.is_empty() {
                return Err(Usage(format!("{case} needs --traces DIR or --trace-file FILE")));
            }
        }
        let contenders = self.subject.contenders();
        match self.contenders.iter().find(|name| !contenders.contains(&name.as_str())) {
            None => Ok(()),
            Some(name) => {
                let list = contenders.join(" ");
                Err(Usage(format!("unknown contender '{name}' of {subject}: {list}")))
            }
        }
    }

    /// Whether a case was asked for.
    pub(crate) fn wants(&self, case: &str) -> bool {
        let below = |only: &String| case.strip_prefix(only).is_some_and(|rest| rest.starts_with('/'));
        self.only.is_empty() || self.only.iter().any(|only| only == case || below(only))
    }

    /// The first case asked for that none of those run answers to.
    pub(crate) fn unmatched(&self, run: &[String]) -> Option<&str> {
        let answers = |only: &str| {
            let below = format!("{only}/");
            run.iter().any(|case| case == only || case.starts_with(&below))
        };
        self.only.iter().map(String::as_str).find(|only| !answers(only))
    }

    /// The contenders of a case: those asked for, else the case's own.
    pub(crate) fn contenders(&self, default: &[&str]) -> Vec<String> {
        if self.contenders.is_empty() {
            return default.iter().map(ToString::to_string).collect();
        }
        self.contenders.clone()
    }
}

fn positive(word: &str, value: &str) -> Result<usize, Usage> {
    match value.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err(Usage(format!("{word} needs a number above zero, not '{value}'"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Option<Args>, Usage> {
        let words: Vec<String> = line.split_whitespace().map(String::from).collect();
        Args::parse(&words)
    }

    fn check_refused(line: &str, part: &str) {
        let message = parse(line).expect_err(line).to_string();
        assert!(message.contains(part), "{message}");
    }

    #[test]
    fn what_cannot_be_obeyed_is_named() {
        check_refused("", "no subject");
        check_refused("disk", "unknown subject 'disk'");
        check_refused("memory --loud", "unknown option '--loud'");
        check_refused("memory --rounds", "needs a value");
        check_refused("memory --rounds 0", "above zero, not '0'");
        check_refused("memory --only hit_u65", "unknown case 'hit_u65'");
        check_refused("memory --contenders ours,redis", "unknown contender 'redis'");
        check_refused("memory --only hit_ratio/OLTP", "needs --traces");
        check_refused("engine --only hit_ratio --traces t", "unknown case 'hit_ratio'");
    }

    #[test]
    fn a_case_stands_for_all_below_it() {
        let args = parse("memory --traces t --only hit_ratio/OLTP,insert_evict").unwrap().unwrap();
        assert!(args.wants("hit_ratio/OLTP/1868"));
        assert!(args.wants("insert_evict"));
        assert!(!args.wants("hit_ratio/OLTPX/1868"));
        assert!(!args.wants("hit_string"));
        assert_eq!(args.unmatched(&["hit_ratio/OLTP/50".into()]), Some("insert_evict"));
    }

    #[test]
    fn help_wins_over_everything_else() {
        assert_eq!(parse("memory --loud --help"), Ok(None));
    }
}
