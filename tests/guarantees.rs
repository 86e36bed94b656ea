//! Holds `docs/guarantees.md` against the tests that it names, and against the defaults.
#![cfg(feature = "std")]

#[path = "support/named_tests.rs"]
mod named_tests;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use sansocket::Limits;
use sansocket::handshake::HeadLimits;

/// A row of the tables.
#[derive(Debug, PartialEq)]
struct Row<'a> {
    happens: &'a str,
    limit: &'a str,
    default: &'a str,
    tests: Vec<&'a str>,
}

/// The rows, and what is wrong with them.
fn rows(document: &str) -> (Vec<Row<'_>>, Vec<String>) {
    let (mut rows, mut problems) = (Vec::new(), Vec::new());
    for line in document.lines().filter(|line| line.starts_with('|')) {
        let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [happens, limit, default, _reaction, _octets, _seconds, tests] = cells[..] else {
            problems.push(format!("this row has not the columns of a table here: {line}"));
            continue;
        };
        if happens == "what happens" || happens.starts_with("---") {
            continue;
        }
        let names = match tests {
            NONE_YET => Vec::new(),
            _ => tests.split(", ").map(|test| test.trim_matches('`')).collect(),
        };
        if names.contains(&"") {
            problems.push(format!("{happens}: no test, and not \"{NONE_YET}\" either"));
        }
        rows.push(Row { happens, limit, default, tests: names });
    }
    (rows, problems)
}

/// What the table says of a guarantee that is not given yet.
const NONE_YET: &str = "none yet";

fn missing<'a>(rows: &[Row<'a>], there: &BTreeSet<&str>) -> Vec<&'a str> {
    rows.iter().flat_map(|row| &row.tests).filter(|test| !there.contains(**test)).copied().collect()
}

#[test]
fn every_guarantee_has_tests_that_are_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let document = fs::read_to_string(root.join("docs/guarantees.md")).expect("the table is in the package");
    let (tests, _) = named_tests::tests_of(root);
    let there: BTreeSet<_> = tests.iter().map(|test| test.name.as_str()).collect();
    let (rows, problems) = rows(&document);
    assert_eq!(problems, [""; 0]);
    assert_eq!(missing(&rows, &there), [""; 0], "docs/guarantees.md names tests that are not there");
    let open: Vec<_> = rows.iter().filter(|row| row.tests.is_empty()).map(|row| row.happens).collect();
    println!("{} guarantees, {} not given yet: {open:?}", rows.len(), open.len());
    assert!(rows.len() > 30);
}

#[test]
fn the_defaults_in_the_table_are_the_defaults() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let document = fs::read_to_string(root.join("docs/guarantees.md")).expect("the table is in the package");
    let (rows, _) = rows(&document);
    let limits = Limits::default();
    let head = HeadLimits::default();
    let expected = [
        ("`Limits::max_message_len`", format!("{} MiB", limits.message_len() >> 20)),
        ("`Limits::max_frame_len`", format!("{} MiB", limits.frame_len() >> 20)),
        ("`Limits::max_empty_fragments`", format!("{},000 in a row", limits.empty_fragments() / 1000)),
        ("`HeadLimits::max_bytes`", format!("{} KiB", head.max_bytes >> 10)),
        ("`HeadLimits::max_headers`", head.max_headers.to_string()),
    ];
    for (limit, default) in expected {
        let named: Vec<_> = rows.iter().filter(|row| row.limit == limit).collect();
        assert!(!named.is_empty(), "{limit} is not in the table");
        for row in named {
            assert_eq!(row.default, default, "{}", row.happens);
        }
    }
}

#[test]
fn a_table_that_names_what_is_not_there_has_problems() {
    let document = "\
| what happens | limit | default | reaction | octets | seconds | tests |
|---|---|---|---|---|---|---|
| One. | `a` | 1 | none | 0 |  | `x::one`, `x::two` |
| Two. |  |  |  |  |  | none yet |
| Three. |  |  |  |  |  |  |
| Four. |
";
    let (rows, problems) = rows(document);
    assert_eq!(
        problems,
        [
            "Three.: no test, and not \"none yet\" either",
            "this row has not the columns of a table here: | Four. |"
        ]
    );
    assert_eq!(rows[0], Row { happens: "One.", limit: "`a`", default: "1", tests: vec!["x::one", "x::two"] });
    assert_eq!(rows[1].tests, [""; 0]);
    assert_eq!(missing(&rows[..1], &BTreeSet::from(["x::one"])), ["x::two"]);
}
