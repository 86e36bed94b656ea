//! Holds `docs/requirements.md` against the tests: every test that names a row stands in the row, and no other.
//!
//! `REQUIREMENTS_BLESS=1` writes the table's last column instead of comparing it.

#[path = "support/named_tests.rs"]
mod named_tests;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::{env, fs, io};

use named_tests::{Test, is_id, tests_of};

#[test]
fn the_table_of_requirements_agrees_with_the_tests() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let place = root.join("docs/requirements.md");
    let document = fs::read_to_string(&place).unwrap();
    let (tests, mut problems) = tests_of(root);
    let table = Table::parse(&document, &mut problems);
    let proofs = table.proofs(&tests, &mut problems);

    let blessed = table.blessed(&document, &proofs);
    if env::var_os("REQUIREMENTS_BLESS").is_some() {
        fs::write(&place, blessed).unwrap();
    } else {
        table.compare(&proofs, &mut problems);
    }
    let (figures, open) = table.figures(&proofs);
    if table.finished {
        problems
            .extend(open.iter().map(|id| format!("{id}: a MUST without a test and without an exception")));
    }
    // Not `print!`, which the test harness hides.
    io::stdout().write_all(figures.as_bytes()).unwrap();
    assert!(problems.is_empty(), "docs/requirements.md and the tests disagree:\n{}", problems.join("\n"));
}

struct Row<'a> {
    id: &'a str,
    level: &'a str,
    requirement: &'a str,
    besides: &'a str,
    tests: &'a str,
}

struct Table<'a> {
    rows: Vec<Row<'a>>,
    /// Ids of what is not built yet.
    later: Vec<&'a str>,
    finished: bool,
}

/// The tests of each row.
type Proofs<'a> = BTreeMap<&'a str, Vec<&'a str>>;

impl<'a> Table<'a> {
    fn parse(document: &'a str, problems: &mut Vec<String>) -> Self {
        let mut table = Self { rows: Vec::new(), later: Vec::new(), finished: false };
        for line in document.lines() {
            if let Some(row) = Row::parse(line) {
                table.rows.push(row);
            } else if line.starts_with('|') {
                if line.contains("6455-") || line.contains("CM-") || line.contains("WS-") {
                    problems.push(format!("this row has not the columns of a table here: {line}"));
                }
            } else {
                table.later.extend(line.split_whitespace().filter(|word| is_id(word)));
                table.finished |= line == "State: finished";
            }
        }
        table.check(problems);
        table
    }

    fn check(&self, problems: &mut Vec<String>) {
        let mut ids: Vec<_> = self.rows.iter().map(|row| row.id).chain(self.later.iter().copied()).collect();
        ids.sort_unstable();
        for twice in ids.windows(2).filter(|pair| pair[0] == pair[1]) {
            problems.push(format!("{}: listed twice", twice[0]));
        }
        for row in &self.rows {
            if row.requirement.is_empty() {
                problems.push(format!("{}: says nothing", row.id));
            }
            if row.is_6455() && !LEVELS.contains(&row.level) {
                problems.push(format!("{}: {:?} is no level", row.id, row.level));
            }
            let known = ["exception: ", "Autobahn "].iter().any(|start| row.besides.starts_with(start));
            if !known && !row.besides.is_empty() {
                problems.push(format!(
                    "{}: {:?} is neither an exception nor Autobahn cases",
                    row.id, row.besides
                ));
            }
        }
    }

    fn proofs<'t>(&self, tests: &'t [Test], problems: &mut Vec<String>) -> Proofs<'t> {
        let mut proofs = Proofs::new();
        for test in tests {
            for id in &test.ids {
                if self.later.contains(&id.as_str()) {
                    problems.push(format!("{}: proves {id}, which is listed as later", test.name));
                } else if !self.rows.iter().any(|row| row.id == id) {
                    problems.push(format!("{}: names the unknown row {id}", test.name));
                }
                let proof = proofs.entry(id.as_str()).or_default();
                if !proof.contains(&test.name.as_str()) {
                    proof.push(test.name.as_str());
                }
            }
        }
        for row in &self.rows {
            if row.is_exception() && proofs.contains_key(row.id) {
                problems.push(format!("{}: is an exception, but a test proves it", row.id));
            }
        }
        proofs
    }

    fn compare(&self, proofs: &Proofs<'_>, problems: &mut Vec<String>) {
        let before = problems.len();
        for row in &self.rows {
            let expected = column(proofs, row.id);
            if row.tests != expected {
                problems
                    .push(format!("{}:\n  in the table: {}\n  in the tests: {expected}", row.id, row.tests));
            }
        }
        if problems.len() > before {
            problems.push("REQUIREMENTS_BLESS=1 cargo test --test requirements writes the column".into());
        }
    }

    fn blessed(&self, document: &str, proofs: &Proofs<'_>) -> String {
        let mut blessed = String::new();
        for line in document.lines() {
            match Row::parse(line) {
                None => blessed.push_str(line),
                Some(row) => {
                    let kept =
                        line.trim_end().trim_end_matches('|').rsplit_once('|').map_or("", |(kept, _)| kept);
                    blessed += &format!("{kept}| {} |", column(proofs, row.id));
                }
            }
            blessed.push('\n');
        }
        blessed
    }

    /// How many rows are covered, and the ids of the MUST and MUST NOT rows of RFC 6455 that are not.
    fn figures(&self, proofs: &Proofs<'_>) -> (String, Vec<&'a str>) {
        let rows: Vec<_> = self.rows.iter().filter(|row| row.is_6455()).collect();
        let count = |of: &dyn Fn(&Row<'_>) -> bool| {
            let all = rows.iter().filter(|row| of(row)).count();
            let proven = rows.iter().filter(|row| of(row) && proofs.contains_key(row.id)).count();
            let exceptions = rows.iter().filter(|row| of(row) && row.is_exception()).count();
            (proven, all, exceptions)
        };
        let (proven, all, exceptions) = count(&|_| true);
        let (musts_proven, musts, must_exceptions) = count(&|row| row.is_must());
        let mut figures = format!(
            "\nRFC 6455: {proven} of {all} rows, MUST+MUST NOT: {musts_proven} of {musts}, \
             exceptions {exceptions} ({must_exceptions} of them MUST or MUST NOT)\n"
        );
        for level in LEVELS {
            let (proven, all, exceptions) = count(&|row| row.level == level);
            figures += &format!("  {level}: {proven} of {all}, exceptions {exceptions}\n");
        }
        for rfc in ["7692", "8441", "9220"] {
            let later = self.later.iter().filter(|id| id.starts_with(rfc)).count();
            let built: Vec<_> = self.rows.iter().filter(|row| row.id.starts_with(rfc)).collect();
            let proven = built.iter().filter(|row| proofs.contains_key(row.id)).count();
            figures += &format!("RFC {rfc}: {proven} of {} rows, {later} later\n", built.len() + later);
        }
        let open: Vec<_> =
            rows.iter().filter(|row| !proofs.contains_key(row.id) && !row.is_exception()).collect();
        if !open.is_empty() {
            let ids: Vec<_> = open.iter().map(|row| format!("{} ({})", row.id, row.level)).collect();
            figures += &format!("neither test nor exception: {}\n", ids.join(", "));
        }
        (figures, open.iter().filter(|row| row.is_must()).map(|row| row.id).collect())
    }
}

impl<'a> Row<'a> {
    /// `| id | role | level | requirement | besides | tests |`, or the same without role and level.
    fn parse(line: &'a str) -> Option<Self> {
        let cells: Vec<_> = line.strip_prefix('|')?.strip_suffix('|')?.split('|').map(str::trim).collect();
        let row = match cells[..] {
            [id, _role, level, requirement, besides, tests] => {
                Self { id, level, requirement, besides, tests }
            }
            [id, requirement, besides, tests] => Self { id, level: "", requirement, besides, tests },
            _ => return None,
        };
        is_id(row.id).then_some(row)
    }

    fn is_6455(&self) -> bool {
        self.id.starts_with("6455-")
    }

    fn is_must(&self) -> bool {
        self.level.starts_with("MUST")
    }

    fn is_exception(&self) -> bool {
        self.besides.starts_with("exception: ")
    }
}

fn column(proofs: &Proofs<'_>, id: &str) -> String {
    let mut tests = proofs.get(id).cloned().unwrap_or_default();
    tests.sort_unstable();
    tests.iter().map(|test| format!("`{test}`")).collect::<Vec<_>>().join(", ")
}

const LEVELS: [&str; 6] = ["MUST", "MUST NOT", "SHOULD", "SHOULD NOT", "MAY", "DEF"];

const DOCUMENT: &str = "\
| id | role | level | requirement | besides | tests |
|---|---|---|---|---|---|
| 6455-1-1 | B | MUST | one | Autobahn 1.1.1 | `a::x` |
| 6455-1-2 | B | MUST NOT | two | exception: a reason | |
| 6455-1-3 | C | SHOULD | three |  |  |
| 6455-1-4 | S | MUST | four |  |  |
| CM-1 | mistake |  |  |
Later: 7692-5-1 7692-5-2
";

/// What is found wrong with the document above, for a test that names these rows.
fn problems_with(document: &str, ids: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let tests = [Test { name: "a::x".into(), ids: ids.split(' ').map(str::to_owned).collect() }];
    let table = Table::parse(document, &mut problems);
    let proofs = table.proofs(&tests, &mut problems);
    table.compare(&proofs, &mut problems);
    problems
}

#[test]
fn a_table_that_agrees_has_no_problems() {
    assert_eq!(problems_with(DOCUMENT, "6455-1-1"), [""; 0]);
}

#[test]
fn a_table_that_disagrees_has_problems() {
    let table = [
        ("6455-1-1 6455-9-9", "a::x: names the unknown row 6455-9-9"),
        ("6455-1-1 7692-5-1", "a::x: proves 7692-5-1, which is listed as later"),
        ("6455-1-1 6455-1-2", "6455-1-2: is an exception, but a test proves it"),
        ("CM-1", "6455-1-1:\n  in the table: `a::x`\n  in the tests: "),
        ("6455-1-1 6455-1-3", "6455-1-3:\n  in the table: \n  in the tests: `a::x`"),
    ];
    for (ids, problem) in table {
        assert_eq!(problems_with(DOCUMENT, ids)[0], problem);
    }
    for (from, to, problem) in [
        ("6455-1-4", "6455-1-3", "6455-1-3: listed twice"),
        ("Autobahn", "autobahn", "6455-1-1: \"autobahn 1.1.1\" is neither an exception nor Autobahn cases"),
        ("SHOULD", "SHALL", "6455-1-3: \"SHALL\" is no level"),
        (" four ", "", "6455-1-4: says nothing"),
        ("| S |", "|", "this row has not the columns of a table here: | 6455-1-4 | MUST | four |  |  |"),
    ] {
        assert_eq!(problems_with(&DOCUMENT.replace(from, to), "6455-1-1")[0], problem);
    }
}

#[test]
fn blessing_writes_the_last_column_and_nothing_else() {
    let tests = [
        Test { name: "b::y".into(), ids: vec!["6455-1-3".into()] },
        Test { name: "a::z".into(), ids: vec!["6455-1-3".into(), "CM-1".into()] },
    ];
    let table = Table::parse(DOCUMENT, &mut Vec::new());
    let blessed = table.blessed(DOCUMENT, &table.proofs(&tests, &mut Vec::new()));
    let expected = DOCUMENT
        .replace("Autobahn 1.1.1 | `a::x` |", "Autobahn 1.1.1 |  |")
        .replace("a reason | |", "a reason |  |")
        .replace("| three |  |  |", "| three |  | `a::z`, `b::y` |")
        .replace("| mistake |  |  |", "| mistake |  | `a::z` |");
    assert_eq!(blessed, expected);
}

#[test]
fn the_figures_count_what_is_proven_and_name_what_is_open() {
    let tests = [Test { name: "a::x".into(), ids: vec!["6455-1-1".into()] }];
    let table = Table::parse(DOCUMENT, &mut Vec::new());
    let (figures, open) = table.figures(&table.proofs(&tests, &mut Vec::new()));
    assert!(figures.contains("RFC 6455: 1 of 4 rows, MUST+MUST NOT: 1 of 3, exceptions 1"), "{figures}");
    assert!(figures.contains("  SHOULD: 0 of 1, exceptions 0\n"), "{figures}");
    assert!(figures.contains("RFC 7692: 0 of 2 rows, 2 later\n"), "{figures}");
    assert!(
        figures.contains("neither test nor exception: 6455-1-3 (SHOULD), 6455-1-4 (MUST)\n"),
        "{figures}"
    );
    assert_eq!(open, ["6455-1-4"]);
    assert!(!table.finished);
    assert!(Table::parse("State: finished\n", &mut Vec::new()).finished);
}
