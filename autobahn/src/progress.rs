//! Showing how far the suite is: one line that changes on a terminal; elsewhere a line per section, and one now and then.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use crate::cases::{self, CaseId};
use crate::role::Role;

pub(crate) struct Progress {
    role: Role,
    asked: usize,
    started: usize,
    last: Option<CaseId>,
    /// When a line was last printed that is not printed over.
    printed: Instant,
    on_terminal: bool,
}

impl Progress {
    pub(crate) fn of(role: Role, asked: usize) -> Self {
        let on_terminal = std::io::stderr().is_terminal();
        Self { role, asked, started: 0, last: None, printed: Instant::now(), on_terminal }
    }

    /// Takes a line of the suite's output, which names each case as it starts.
    pub(crate) fn see(&mut self, line: &str) {
        let Some(case) = case_of(line) else { return };
        let new_section = self.last.is_none_or(|last| last.section() != case.section());
        self.started += 1;
        self.last = Some(case);
        let (name, started, asked) = (self.role.program(), self.started, self.asked);
        if self.on_terminal {
            eprint!("\r{name}: case {started} of {asked}: {case:<8}");
            // A terminal that cannot be written to is no reason to stop the run.
            let _ = std::io::stderr().flush();
        } else if new_section || self.printed.elapsed() >= SILENCE {
            self.printed = Instant::now();
            let title = cases::title(case.section());
            eprintln!("{name}: case {started} of {asked}: {case} ({title})");
        }
    }

    /// The case that started last.
    pub(crate) fn last(&self) -> Option<CaseId> {
        self.last
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.on_terminal && self.last.is_some() {
            eprint!("\r{:60}\r", "");
        }
    }
}

/// After this long the next case is named, whichever section it is of: those about compression take minutes.
const SILENCE: Duration = Duration::from_secs(10);

fn case_of(line: &str) -> Option<CaseId> {
    line.strip_prefix("Running test case ID ")?.split(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_about_cases_are_recognised_and_no_others() {
        let line = "Running test case ID 6.22.34 for agent sansocket from peer tcp4:127.0.0.1:9001";
        assert_eq!(case_of(line), "6.22.34".parse().ok());
        assert_eq!(case_of("Ok, will run 301 test cases against 1 servers"), None);
        assert_eq!(case_of("Running test case ID of"), None);
    }
}
