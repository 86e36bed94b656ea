//! Which tests there are, and which rows of `docs/requirements.md` they name in comments.

use std::fs;
use std::path::{Path, PathBuf};

/// A test, and the rows that it names.
#[derive(Debug, PartialEq)]
pub(crate) struct Test {
    pub(crate) name: String,
    pub(crate) ids: Vec<String>,
}

/// Every test in the sources, with the rows it names, and what is wrong with the comments.
pub(crate) fn tests_of(root: &Path) -> (Vec<Test>, Vec<String>) {
    let (mut tests, mut problems) = (Vec::new(), Vec::new());
    for folder in ["src", "tests", "examples", "autobahn/src"] {
        let mut files = Vec::new();
        sources_in(&root.join(folder), &mut files);
        files.sort();
        for file in files {
            let path = file.strip_prefix(root).expect("it was found there").with_extension("");
            let name = path.to_str().expect("file names here are ASCII").replace('\\', "/");
            // The sources in there are text.
            if name == "tests/requirements" || name == "tests/support/named_tests" {
                continue;
            }
            let name = name.strip_prefix("tests/").unwrap_or(&name);
            let source = fs::read_to_string(&file).expect("it was there just now");
            tests_in(name, &source, &mut tests, &mut problems);
        }
    }
    (tests, problems)
}

pub(crate) fn is_id(word: &str) -> bool {
    let mut parts = word.split('-');
    let Some("6455" | "7692" | "8441" | "9220" | "CM" | "WS") = parts.next() else { return false };
    let mut numbers = parts.flat_map(|part| part.split('.')).peekable();
    numbers.peek().is_some()
        && numbers.all(|number| !number.is_empty() && number.bytes().all(|octet| octet.is_ascii_digit()))
}

/// The Rust files in a folder and below, but for programs with a manifest of their own.
fn sources_in(folder: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for path in entries.map(|entry| entry.expect("the folder can be read").path()) {
        if path.is_dir() && !path.join("Cargo.toml").exists() {
            sources_in(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// Finds the tests of one file by its lines: sources are formatted, so a function ends where its indentation says.
fn tests_in(file: &str, source: &str, tests: &mut Vec<Test>, problems: &mut Vec<String>) {
    let mut named: Vec<String> = Vec::new();
    let mut attribute = false;
    let mut inside: Option<String> = None;
    for (number, line) in source.lines().enumerate() {
        let code = line.trim_start();
        let indentation = &line[..line.len() - code.len()];
        if let Some(comment) = code.strip_prefix("//") {
            let words = comment.split_whitespace().map(|word| word.trim_end_matches([',', ';', ':', '.']));
            let ids = words.filter(|word| is_id(word)).map(str::to_owned);
            match (&inside, tests.last_mut()) {
                (Some(_), Some(test)) => test.ids.extend(ids),
                _ => named.extend(ids),
            }
        } else if inside.is_some() {
            if inside.as_deref() == Some(indentation) && code == "}" {
                inside = None;
            }
        } else if code.starts_with("#[") {
            attribute |= code == "#[test]" || code.contains("::test]") || code.contains("::test(");
        } else if let Some(name) = function(code).filter(|_| attribute) {
            tests.push(Test { name: format!("{file}::{name}"), ids: std::mem::take(&mut named) });
            attribute = false;
            if !code.ends_with('}') {
                inside = Some(indentation.to_owned());
            }
        } else if !code.is_empty() {
            attribute = false;
            for id in named.drain(..) {
                problems.push(format!("{file}, line {}: {id} is named above what is no test", number + 1));
            }
        }
    }
    problems.extend(named.iter().map(|id| format!("{file}: {id} is named where no test follows")));
}

/// The name of the function that begins in this line.
fn function(code: &str) -> Option<&str> {
    let rest = code.strip_prefix("pub ").unwrap_or(code);
    let rest = rest.strip_prefix("async ").unwrap_or(rest).strip_prefix("fn ")?;
    let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_')?;
    (end > 0).then_some(&rest[..end])
}

#[test]
fn tests_are_found_with_the_rows_they_name() {
    let source = r#"
// 6455-5.1-1 CM-2
#[test]
fn above() {}

#[tokio::test(flavor = "current_thread")]
async fn inside() {
    if true {
        // 6455-5.5.1-2, and more
    }
}

proptest! {
    // 6455-6.1-9
    #[test]
    fn generated(
        steps in any(),
    ) {
        run(steps);
    }
}

fn no_test() {}

#[test]
#[should_panic(expected = "x")]
// 6455-7.1-1
fn with_attributes() {
}
"#;
    let (mut tests, mut problems) = (Vec::new(), Vec::new());
    tests_in("file", source, &mut tests, &mut problems);
    let found: Vec<_> = tests.iter().map(|test| (test.name.as_str(), test.ids.join(" "))).collect();
    assert_eq!(
        found,
        [
            ("file::above", "6455-5.1-1 CM-2".to_owned()),
            ("file::inside", "6455-5.5.1-2".to_owned()),
            ("file::generated", "6455-6.1-9".to_owned()),
            ("file::with_attributes", "6455-7.1-1".to_owned()),
        ]
    );
    assert_eq!(problems, [""; 0]);
}

#[test]
fn a_row_that_is_named_outside_of_a_test_is_a_problem() {
    let (mut tests, mut problems) = (Vec::new(), Vec::new());
    tests_in("file", "// 6455-5.1-1\nfn helper() {}\n// CM-1\n", &mut tests, &mut problems);
    assert_eq!(
        problems,
        [
            "file, line 2: 6455-5.1-1 is named above what is no test",
            "file: CM-1 is named where no test follows"
        ]
    );
}
