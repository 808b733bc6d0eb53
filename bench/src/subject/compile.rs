//! What a function with a cache adds to a program's build: `cargo build` of a crate of such functions, in a debug build
//! with code, against a crate of the same functions without caches.
//!
//! The crates are written to a directory of their own, with this bench's lock file, so that nothing is fetched. What they
//! depend on is built once; then each crate is built with few functions and with many, and the processor time between
//! the two is shared among the functions that the second has more. What one function costs and the next does not, such as
//! code of types that all share, is not in it.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::Subject;
use crate::args::Args;
use crate::report::Report;
use crate::rounds::{Costs, Outcome, Row, interleave};

const UNITS: &[&str] = &["cpu_ms/function"];

/// Functions in the two crates that are compared.
const FEW: usize = 2;
const MANY: usize = 22;

/// What the kernel's ticks are in, on every Linux.
const TICK_MS: f64 = 10.0;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Runs the cases asked for.
pub(crate) fn run(args: &Args, report: &mut Report) -> Result<(), String> {
    let program = Program::new().map_err(|error| format!("no crate to build: {error}"))?;
    program.build(&source("ours", true, 1)).map_err(str::to_string)?;
    for name in Subject::Compile.cases() {
        if !args.wants(name) {
            continue;
        }
        let contenders = args.contenders(Subject::Compile.contenders());
        let own = *name == "own_values";
        let rows = interleave(name, &contenders, args.rounds, |_| (), |contender, ()| program.cost(contender, own));
        report.case(name, UNITS, &rows);
        remark(&rows, report);
    }
    Ok(())
}

fn remark(rows: &[Row], report: &mut Report) {
    let cost = |name: &str| rows.iter().find(|row| row.contender == name).and_then(|row| row.costs(0));
    if let (Some(ours), Some(plain)) = (cost("ours"), cost("plain")) {
        let added: Vec<f64> = ours.iter().zip(plain).map(|(ours, plain)| ours - plain).collect();
        report.remark(&format!("  a cache adds {:.0} ms to a function", crate::measure::median(&added)));
    }
}

/// A crate that is built again and again.
struct Program(PathBuf);

impl Program {
    fn new() -> std::io::Result<Self> {
        let program = Program(std::env::temp_dir().join(format!("tierce-bench-compile-{}", std::process::id())));
        fs::create_dir_all(program.0.join("src"))?;
        fs::copy(Path::new(ROOT).join("Cargo.lock"), program.0.join("Cargo.lock"))?;
        let manifest = format!(
            "[package]\nname = \"built\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[workspace]\n[dependencies]\n\
             tierce = {{ path = {:?} }}\nserde = {{ version = \"1\", features = [\"derive\"] }}\n",
            Path::new(ROOT).join("../crates/tierce")
        );
        fs::write(program.0.join("Cargo.toml"), manifest)?;
        Ok(program)
    }

    fn cost(&self, contender: &str, own: bool) -> Outcome {
        let few = self.build(&source(contender, own, FEW))?;
        let many = self.build(&source(contender, own, MANY))?;
        Ok(Costs::whole(vec![(many - few) / (MANY - FEW) as f64], String::new()))
    }

    /// The processor time that it takes.
    fn build(&self, source: &str) -> Result<f64, &'static str> {
        fs::write(self.0.join("src/main.rs"), source).map_err(|_| "the crate cannot be written")?;
        let before = children_ms().ok_or("no /proc to read the time from")?;
        let mut cargo = Command::new("cargo");
        cargo.args(["build", "--quiet", "--offline"]).current_dir(&self.0).stdout(Stdio::null());
        // Its own settings, and one build's alone: what an earlier one left would be another measure.
        cargo.env("CARGO_INCREMENTAL", "0").env("CARGO_TARGET_DIR", self.0.join("target")).env_remove("RUSTFLAGS");
        let ended = cargo.status().map_err(|_| "cargo does not start")?;
        let after = children_ms().ok_or("no /proc to read the time from")?;
        if ended.success() { Ok(after - before) } else { Err("the crate does not build") }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // What is left lies among what is temporary.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Functions, each with a value type of its own or all with one.
fn source(contender: &str, own: bool, functions: usize) -> String {
    let macros = if contender == "plain" { "" } else { "#[tierce::cached(ttl = \"10m\")]\n" };
    let mut text = String::from("use serde::{Deserialize, Serialize};\n");
    let mut calls = String::new();
    for nth in 0..functions {
        let row = if own { nth } else { 0 };
        if own || nth == 0 {
            let derives = "#[derive(Clone, Serialize, Deserialize)]";
            let _ = writeln!(text, "{derives}\npub struct Row{row} {{ pub id: u64, pub name: String }}");
        }
        let body = format!("std::future::ready(()).await; Row{row} {{ id, name: String::from(\"lamp\") }}");
        let _ = writeln!(text, "{macros}pub async fn load{nth}(id: u64) -> Row{row} {{ {body} }}");
        let _ = writeln!(calls, "    sum += load{nth}({nth}).await.id;");
    }
    let _ = writeln!(text, "async fn all() -> u64 {{\n    let mut sum = 0;\n{calls}    sum\n}}");
    text.push_str("fn main() { println!(\"{}\", tierce::block_on(all())); }\n");
    text
}

/// Processor time of this process's children that have ended, and of theirs, in milliseconds.
fn children_ms() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // Behind the name in parentheses, which may hold anything: `cutime` and `cstime` are the 14th and 15th words.
    let mut words = stat.rsplit_once(')')?.1.split_whitespace().skip(13);
    let (user, system): (f64, f64) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    Some((user + system) * TICK_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_has_a_value_type_each_or_one_for_all() {
        let types = |own| source("ours", own, 3).matches("pub struct").count();
        assert_eq!((types(true), types(false)), (3, 1));
        assert_eq!(source("plain", true, 3).matches("cached").count(), 0);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn time_of_children_is_counted() {
        let before = children_ms().unwrap();
        let work = "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done";
        assert!(Command::new("sh").args(["-c", work]).status().unwrap().success());
        assert!(children_ms().unwrap() > before);
    }
}
