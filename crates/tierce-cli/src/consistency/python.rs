//! Processes under check that are Python's: the interpreter that runs them, and their program, which this binary has.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::args::Check;
use crate::error::Error;

const PROGRAM: [(&str, &str); 8] = [
    ("worker.py", include_str!("python/worker.py")),
    ("reads.py", include_str!("python/reads.py")),
    ("changes.py", include_str!("python/changes.py")),
    ("world.py", include_str!("python/world.py")),
    ("rows.py", include_str!("python/rows.py")),
    ("way.py", include_str!("python/way.py")),
    ("link.py", include_str!("python/link.py")),
    ("record.py", include_str!("python/record.py")),
];

/// Ends with these codes where the package is not there, or has not all that the program asks of it.
const PROBE: &str = "
import sys
try:
    import tierce
except ImportError as error:
    print(error, file=sys.stderr)
    sys.exit(3)
try:
    from tierce import Hub, KeyedCache, StoreError
    from tierce._tierce import testing
    testing.step_wall_clock, Hub()._hub._troubles
except (ImportError, AttributeError) as error:
    print(error, file=sys.stderr)
    sys.exit(4)
";
const ABSENT: i32 = 3;
const OLD: i32 = 4;

/// An interpreter that has the package.
pub(super) struct Python {
    interpreter: String,
    /// From this place on processes are Python's.
    from: u32,
    program: tempfile::TempDir,
}

impl Python {
    /// Sees whether the interpreter can run what it is to run; `None` where none was named.
    pub(super) fn of(check: &Check) -> Result<Option<Self>, Error> {
        let Some(interpreter) = check.python.clone() else { return Ok(None) };
        let count = check.python_processes.unwrap_or(check.processes.div_ceil(2));
        let Some(from) = check.processes.checked_sub(count) else {
            let all = check.processes;
            return Err(Error::Usage(format!("--python-processes {count} are more than the {all} of --processes")));
        };
        probe(&interpreter)?;
        let system = |source| Error::System { doing: "lay out the program of Python's processes", source };
        let program = tempfile::Builder::new().prefix("tierce-check-").tempdir().map_err(system)?;
        for (name, text) in PROGRAM {
            std::fs::write(program.path().join(name), text).map_err(system)?;
        }
        Ok(Some(Python { interpreter, from, program }))
    }

    /// Whether the process in this place is Python's.
    pub(super) fn is_at(&self, place: u32) -> bool {
        place >= self.from
    }

    /// How one is started.
    pub(super) fn command(&self) -> Command {
        let mut command = Command::new(&self.interpreter);
        // What it compiles is nobody's later.
        command.arg("-B").arg(Path::join(self.program.path(), PROGRAM[0].0));
        command
    }
}

fn probe(interpreter: &str) -> Result<(), Error> {
    let asked = Command::new(interpreter).args(["-B", "-c", PROBE]).stdin(Stdio::null()).output();
    let answer = asked.map_err(|error| {
        Error::Usage(format!("--python: cannot run {interpreter}: {error}; name a CPython from 3.11 on"))
    })?;
    let said = String::from_utf8_lossy(&answer.stderr);
    let last = said.trim_end().lines().last().unwrap_or_default();
    let install = format!("install that of this repository: {interpreter} -m pip install ./python");
    match answer.status.code() {
        Some(0) => Ok(()),
        Some(ABSENT) => Err(Error::Usage(format!("--python: {interpreter} has no package tierce ({last}): {install}"))),
        Some(OLD) => Err(Error::Usage(format!("--python: {interpreter} has another tierce ({last}): {install}"))),
        _ => Err(Error::Usage(format!("--python: {interpreter} is no CPython that works: {last}"))),
    }
}
