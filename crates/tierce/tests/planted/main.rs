//! Plants each fault of `faults.txt` in a copy of the sources, and demands that the tests which it names fail.
//!
//! `./check plant [NAME…]` runs it; `cargo test` alone does not, since each fault is a build. The copy is
//! `target/planted/tree`, built in `target/planted/build` and kept for the next time: only files that differ are written, so
//! that cargo builds little, and whatever ends a run early leaves the working tree as it was. The control comes first: with
//! nothing planted all the tests pass. What does not build is not caught; nor is what hangs or crashes, unless the list says so.

mod copy;
mod list;
mod target;

use std::path::Path;
use std::process::ExitCode;

use copy::Copy;
use list::{Fault, LIST, Test, Way};
use target::{Ended, Target};

fn main() -> ExitCode {
    let names: Vec<String> = std::env::args().skip(1).collect();
    match plant(&names) {
        Ok((passed, failed)) => {
            println!("{passed} passed, {failed} failed");
            ExitCode::from(u8::from(failed > 0 || passed == 0))
        }
        Err(why) => {
            println!("{why}\n0 passed, 1 failed");
            ExitCode::FAILURE
        }
    }
}

/// How many faults, the control counted, were as they should be, and how many were not.
fn plant(names: &[String]) -> Result<(usize, usize), String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let root = root.canonicalize().map_err(|error| error.to_string())?;
    let faults = chosen(&root, names)?;
    let built = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    let place = root.join(built).join("planted");
    let copy = Copy::of(&root, &place).map_err(|error| format!("no copy: {error}"))?;
    let (mut passed, mut failed) = (0, 0);
    let mut count = |is_good: bool| *(if is_good { &mut passed } else { &mut failed }) += 1;
    let controlled = control(&copy, &faults);
    count(controlled.is_ok());
    println!("{}", controlled.clone().unwrap_or_else(|why| why));
    if controlled.is_ok() {
        for fault in &faults {
            let seen = see(&copy, fault);
            count(seen.is_ok());
            println!("{}", seen.unwrap_or_else(|why| why));
        }
    }
    Ok((passed, failed))
}

/// The faults of these names, or all.
fn chosen(root: &Path, names: &[String]) -> Result<Vec<Fault>, String> {
    let text = std::fs::read_to_string(root.join(LIST)).map_err(|error| format!("{LIST}: {error}"))?;
    let mut faults = list::parse(&text).map_err(|why| format!("{LIST}:{why}"))?;
    if let Some(unknown) = names.iter().find(|name| faults.iter().all(|fault| fault.name != **name)) {
        return Err(format!("{LIST} has no {unknown}"));
    }
    faults.retain(|fault| names.is_empty() || names.contains(&fault.name));
    Ok(faults)
}

/// With nothing planted all tests pass.
fn control(copy: &Copy, faults: &[Fault]) -> Result<String, String> {
    let tests = faults.iter().flat_map(|fault| &fault.tests);
    let tests = by_target(tests);
    let count: usize = tests.iter().map(|(_, tests)| tests.len()).sum();
    for (target, tests) in tests {
        let run = target.build(copy, "control").and_then(|()| target.run(copy, "control", &tests))?;
        if let Some(bad) = tests.iter().find(|test| run.of(test) != Ended::Passed) {
            return Err(format!("BROKEN without any fault: {bad}, see {}", run.log.display()));
        }
    }
    Ok(format!("passed with nothing planted: {count} tests"))
}

/// Whether each of a fault's tests catches it.
fn see(copy: &Copy, fault: &Fault) -> Result<String, String> {
    let Fault { name, file, line, .. } = fault;
    let _planted = copy.plant(fault).map_err(|why| format!("BROKEN {name}: {LIST}:{line}: {file}: {why}"))?;
    for (target, tests) in by_target(fault.tests.iter()) {
        let run = target.build(copy, name).and_then(|()| target.run(copy, name, &tests));
        let run = run.map_err(|why| format!("BROKEN {name}: {why}"))?;
        let expected = match fault.way {
            Way::Fails => Ended::Failed,
            Way::Hangs => Ended::Hung,
            Way::Crashes => Ended::Crashed,
        };
        for test in tests {
            match run.of(test) {
                Ended::Passed => return Err(format!("SURVIVED {name}: {test}")),
                ended if ended == Ended::Failed || ended == expected => {}
                ended => return Err(format!("SURVIVED {name}: {test} {ended:?}, see {}", run.log.display())),
            }
        }
    }
    let tests: Vec<_> = fault.tests.iter().map(Test::to_string).collect();
    Ok(format!("caught {name} by {}", tests.join(", ")))
}

/// Tests, each once, together with the others of their target.
fn by_target<'a>(tests: impl Iterator<Item = &'a Test>) -> Vec<(Target, Vec<&'a Test>)> {
    let mut tests: Vec<_> = tests.collect();
    tests.sort();
    tests.dedup();
    let groups = tests.chunk_by(|one, other| one.target == other.target);
    groups.map(|tests| (Target::of(&tests[0].target), tests.to_vec())).collect()
}
