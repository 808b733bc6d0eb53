//! What is happening now, on stderr: one line that changes on a terminal, a few plain lines elsewhere.

use std::io::IsTerminal;
use std::time::Duration;

use crate::output::tell;

/// Cells of the bar.
const WIDTH: usize = 24;

/// Where progress goes.
pub(crate) struct Progress {
    terminal: bool,
    racing: bool,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Self { terminal: std::io::stderr().is_terminal(), racing: false }
    }

    /// A step that is done and stays on the screen.
    pub(crate) fn done(&mut self, line: &str) {
        self.clear();
        tell(&format!("{line}\n"));
    }

    /// A step that is under way.
    pub(crate) fn step(&mut self, line: &str) {
        if self.terminal {
            tell(&format!("\r\x1b[2K  {line}"));
        } else {
            tell(&format!("{line}\n"));
        }
    }

    /// The race is under way, and this contender has its turn.
    pub(crate) fn race(&mut self, name: &str, gone: Duration, length: Duration) {
        if self.terminal {
            let full = (gone.div_duration_f64(length).min(1.0) * WIDTH as f64) as usize;
            let bar = "█".repeat(full) + &"░".repeat(WIDTH - full);
            self.step(&format!(
                "racing  {bar}  {:>4.1} s of {:.1} s  {name}",
                gone.as_secs_f64(),
                length.as_secs_f64()
            ));
        } else if !self.racing {
            self.step(&format!("racing for {:.1} s", length.as_secs_f64()));
        }
        self.racing = true;
    }

    /// Takes the changing line off the screen.
    pub(crate) fn clear(&mut self) {
        if self.terminal {
            tell("\r\x1b[2K");
        }
    }
}
