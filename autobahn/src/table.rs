//! What a person reads at the end: a table by section, the cases that failed, one line for machines.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use crate::cases::{self, CaseId};
use crate::report::{self, CaseResult, Judgement, Report, Verdict, judge};
use crate::role::Role;

/// How many cases passed and failed. It prints as the line for machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Summary {
    role: Role,
    passed: usize,
    failed: usize,
}

impl Summary {
    /// Counts the cases that were asked for. A missing one has failed; so has a run that went wrong besides its cases.
    pub(crate) fn of(role: Role, asked: &[CaseId], report: &Report, went_wrong: bool) -> Self {
        let mut summary = Self { role, passed: 0, failed: 0 };
        for &case in asked {
            match judge(case, report.get(&case)) {
                Judgement::Passed => summary.passed += 1,
                Judgement::Failed | Judgement::Missing => summary.failed += 1,
            }
        }
        if went_wrong {
            summary.failed = summary.failed.max(1);
        }
        summary
    }

    pub(crate) fn is_success(self) -> bool {
        self.failed == 0
    }
}

impl std::fmt::Display for Summary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {} passed, {} failed", self.role.program(), self.passed, self.failed)
    }
}

/// The table: a line per section, its cases by behaviour, and how their connections were closed.
pub(crate) fn table(asked: &[CaseId], report: &Report) -> String {
    let mut sections = BTreeMap::<u8, Row>::new();
    let mut total = Row::default();
    for case in asked {
        let result = report.get(case);
        sections.entry(case.section()).or_default().count(result);
        total.count(result);
    }
    let mut table = String::new();
    line(&mut table, &COLUMNS.map(|(name, _)| name.to_owned()), "closing");
    for (section, row) in &sections {
        row.line(&mut table, format!("{section:>2}  {}", cases::title(*section)));
    }
    total.line(&mut table, "    all".to_owned());
    table
}

/// The cases that failed, with the suite's reasons from the report in `folder`, and the missing ones.
pub(crate) fn failures(asked: &[CaseId], report: &Report, folder: &Path) -> String {
    let mut text = String::new();
    let mut failed = 0;
    let mut missing = Vec::new();
    for &case in asked {
        match (judge(case, report.get(&case)), report.get(&case)) {
            (Judgement::Failed, Some(result)) => {
                failed += 1;
                if failed <= EXPLAINED {
                    explain(&mut text, case, result, folder);
                }
            }
            (Judgement::Missing, _) => missing.push(case.to_string()),
            _ => {}
        }
    }
    if failed > EXPLAINED {
        let _ = writeln!(text, "and {} more that failed", failed - EXPLAINED);
    }
    if !missing.is_empty() {
        let more = if missing.len() > LISTED { " …" } else { "" };
        let listed = missing[..missing.len().min(LISTED)].join(" ");
        let _ = writeln!(text, "{} missing from the report: {listed}{more}", missing.len());
    }
    text
}

fn explain(text: &mut String, case: CaseId, result: &CaseResult, folder: &Path) {
    let code = result.remote_close_code.map_or("none".to_owned(), |code| code.to_string());
    let _ = writeln!(
        text,
        "{case}: {}, closing {}, close code received: {code}",
        result.behavior, result.closing
    );
    let detail = report::detail(folder, result);
    for (name, value) in
        [("expected", detail.expectation), ("result", detail.result), ("closing", detail.closing)]
    {
        if !value.is_empty() {
            let _ = writeln!(text, "    {:<9} {value}", format!("{name}:"));
        }
    }
}

#[derive(Default)]
struct Row {
    cases: usize,
    missing: usize,
    behaviors: BTreeMap<Verdict, usize>,
    closings: BTreeMap<Verdict, usize>,
}

impl Row {
    fn count(&mut self, result: Option<&CaseResult>) {
        self.cases += 1;
        match result {
            Some(result) => {
                *self.behaviors.entry(result.behavior).or_default() += 1;
                *self.closings.entry(result.closing).or_default() += 1;
            }
            None => self.missing += 1,
        }
    }

    fn line(&self, table: &mut String, name: String) {
        let of =
            |verdicts: &[Verdict]| verdicts.iter().filter_map(|verdict| self.behaviors.get(verdict)).sum();
        let failed = [Verdict::Failed, Verdict::Unclean, Verdict::WrongCode, Verdict::FailedByClient];
        let counts: [usize; 7] = [
            self.cases,
            of(&[Verdict::Ok]),
            of(&[Verdict::NonStrict]),
            of(&[Verdict::Informational]),
            of(&[Verdict::Unimplemented]),
            of(&failed),
            self.missing,
        ];
        let closings: Vec<_> =
            self.closings.iter().map(|(verdict, count)| format!("{count} {verdict}")).collect();
        let mut cells =
            counts.map(|count| if count == 0 { "-".to_owned() } else { count.to_string() }).to_vec();
        cells.insert(0, name);
        line(table, &cells, &closings.join(", "));
    }
}

fn line(table: &mut String, cells: &[String], closing: &str) {
    for (index, (cell, (_, width))) in cells.iter().zip(COLUMNS).enumerate() {
        let _ = if index == 0 { write!(table, "{cell:<width$}") } else { write!(table, "  {cell:>width$}") };
    }
    let _ = if closing.is_empty() { writeln!(table) } else { writeln!(table, "   {closing}") };
}

const COLUMNS: [(&str, usize); 8] = [
    ("section", 23),
    ("cases", 5),
    ("OK", 3),
    ("NON-STRICT", 10),
    ("INFORMATIONAL", 13),
    ("UNIMPLEMENTED", 13),
    ("FAILED", 6),
    ("missing", 7),
];

/// How many failed cases are explained; the HTML report has them all.
const EXPLAINED: usize = 40;

/// How many missing cases are named.
const LISTED: usize = 30;

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(cases: &[&str]) -> Vec<CaseId> {
        cases.iter().map(|case| case.parse().unwrap()).collect()
    }

    fn report(results: &[(&str, Verdict, Verdict)]) -> Report {
        let result = |&(case, behavior, closing): &(&str, Verdict, Verdict)| {
            let result =
                CaseResult { behavior, closing, remote_close_code: Some(1002), detail: String::new() };
            (case.parse().unwrap(), result)
        };
        results.iter().map(result).collect()
    }

    #[test]
    fn the_table_counts_by_section() {
        let report = report(&[
            ("1.1.1", Verdict::Ok, Verdict::Ok),
            ("1.1.2", Verdict::Failed, Verdict::Unclean),
            ("7.1.6", Verdict::Informational, Verdict::Informational),
            ("12.1.1", Verdict::Unimplemented, Verdict::Ok),
        ]);
        let table = table(&asked(&["1.1.1", "1.1.2", "1.1.3", "7.1.6", "12.1.1"]), &report);
        let expected = "\
section                  cases   OK  NON-STRICT  INFORMATIONAL  UNIMPLEMENTED  FAILED  missing   closing
 1  framing                  3    1           -              -              -       1        1   1 OK, 1 UNCLEAN
 7  closing                  1    -           -              1              -       -        -   1 INFORMATIONAL
12  compression: data        1    -           -              -              1       -        -   1 OK
    all                      5    1           -              1              1       1        1   2 OK, 1 INFORMATIONAL, 1 UNCLEAN
";
        assert_eq!(table, expected);
    }

    #[test]
    fn the_summary_is_one_line_in_the_form_that_a_machine_expects() {
        let cases = asked(&["1.1.1", "1.1.2", "12.1.1"]);
        let full = report(&[
            ("1.1.1", Verdict::Ok, Verdict::Ok),
            ("1.1.2", Verdict::Ok, Verdict::Ok),
            ("12.1.1", Verdict::Unimplemented, Verdict::Ok),
        ]);
        let summary = Summary::of(Role::Server, &cases, &full, false);
        assert_eq!(summary.to_string(), "autobahn-server: 2 passed, 1 failed");
        assert!(!summary.is_success());
        let summary = Summary::of(Role::Client, &cases[..1], &full, false);
        assert_eq!(summary.to_string(), "autobahn-client: 1 passed, 0 failed");
        assert!(summary.is_success());
    }

    #[test]
    fn missing_cases_and_a_run_that_went_wrong_are_failures() {
        let cases = asked(&["1.1.1", "1.1.2"]);
        let half = report(&[("1.1.1", Verdict::Ok, Verdict::Ok)]);
        assert_eq!(
            Summary::of(Role::Server, &cases, &half, true).to_string(),
            "autobahn-server: 1 passed, 1 failed"
        );
        let summary = Summary::of(Role::Server, &cases[..1], &half, true);
        assert_eq!(summary.to_string(), "autobahn-server: 1 passed, 1 failed");
        assert!(!summary.is_success());
    }

    #[test]
    fn failed_cases_are_explained_and_missing_ones_named() {
        let report =
            report(&[("6.4.1", Verdict::NonStrict, Verdict::Ok), ("6.4.2", Verdict::Ok, Verdict::Ok)]);
        assert_eq!(
            failures(&asked(&["6.4.1", "6.4.2", "6.4.3"]), &report, Path::new("no-such-folder")),
            "6.4.1: NON-STRICT, closing OK, close code received: 1002\n1 missing from the report: 6.4.3\n"
        );
    }
}
