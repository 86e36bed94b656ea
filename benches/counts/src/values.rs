//! What was counted, as a file that is easy to compare.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

/// By workload and length of the payload.
#[derive(Debug, Default)]
pub(crate) struct Values(BTreeMap<(String, u64), Cell>);

/// For one message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cell {
    pub(crate) instructions: f64,
    pub(crate) allocations: f64,
    /// In all allocations.
    pub(crate) octets: f64,
    /// Calls on the transport: not for one message but for all of a round, which one read brings if they fit.
    pub(crate) reads: f64,
    pub(crate) writes: f64,
}

/// What is no longer as it was: a table.
pub(crate) struct Changes(String);

/// How far instructions may be from what they were; nothing else may.
pub(crate) const TOLERANCE_PERCENT: u32 = 5;

/// The name of the file with this compiler's values.
pub(crate) fn file_name() -> Result<String, String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("-vV").output().map_err(|error| format!("rustc -vV: {error}"))?;
    let output = String::from_utf8_lossy(&output.stdout);
    let field = |name: &str| {
        let line = output.lines().find_map(|line| line.strip_prefix(name));
        line.ok_or_else(|| format!("rustc -vV has no line `{name}`"))
    };
    Ok(format!("rustc-{}-{}.txt", field("release: ")?, field("host: ")?))
}

/// Where these files are.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("values")
}

impl Values {
    pub(crate) fn insert(&mut self, name: &str, len: u64, cell: Cell) {
        self.0.insert((name.into(), len), cell);
    }

    /// `None` if the file is not there.
    pub(crate) fn read(path: &Path) -> Result<Option<Self>, String> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(format!("{}: {error}", path.display())),
        };
        let mut values = Self::default();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let wrong = || format!("{}: {line}", path.display());
            let [name, len, instructions, allocations, octets, reads, writes] =
                line.split_ascii_whitespace().collect::<Vec<_>>()[..]
            else {
                return Err(wrong());
            };
            let number = |text: &str| text.parse::<f64>().map_err(|_| wrong());
            let cell = Cell {
                instructions: number(instructions)?,
                allocations: number(allocations)?,
                octets: number(octets)?,
                reads: number(reads)?,
                writes: number(writes)?,
            };
            values.insert(name, len.parse().map_err(|_| wrong())?, cell);
        }
        Ok(Some(values))
    }

    pub(crate) fn write(&self, path: &Path) -> Result<(), String> {
        let write = || {
            std::fs::create_dir_all(path.parent().unwrap_or(path))?;
            std::fs::write(path, self.to_string())
        };
        write().map_err(|error| format!("{}: {error}", path.display()))
    }

    /// For a document: a row for each workload.
    pub(crate) fn table(&self) -> String {
        let lens: BTreeSet<u64> = self.0.keys().map(|(_, len)| *len).collect();
        let names: BTreeSet<&str> = self.0.keys().map(|(name, _)| name.as_str()).collect();
        let mut table = String::from("| instructions per message |");
        table.extend(lens.iter().map(|len| format!(" {len} B |")));
        table.push_str(" allocations | reads + writes of a round |\n|---|");
        table.extend(lens.iter().map(|_| "---:|"));
        table.push_str("---:|---:|\n");
        for name in names {
            let cells = || lens.iter().filter_map(|len| self.0.get(&(name.into(), *len)));
            table.push_str(&format!("| `{name}` |"));
            table.extend(lens.iter().map(|len| match self.0.get(&(name.into(), *len)) {
                Some(cell) => format!(" {:.0} |", cell.instructions),
                None => String::from(" |"),
            }));
            let allocations = cells().map(|cell| cell.allocations).fold(0.0, f64::max);
            let mut calls: Vec<_> =
                cells().map(|cell| format!("{:.0} + {:.0}", cell.reads, cell.writes)).collect();
            calls.dedup();
            table.push_str(&format!(" {allocations:.2} | {} |\n", calls.join(", ")));
        }
        table
    }

    /// What is not as it was expected.
    pub(crate) fn changes(&self, counted: &Self) -> Changes {
        let mut table = String::new();
        let mut row = |key: &(String, u64), what: &str, before: Option<f64>, after: Option<f64>| {
            let show = |value: Option<f64>| value.map_or("—".into(), |value| format!("{value:.2}"));
            let change = match (before, after) {
                (Some(before), Some(after)) if before > 0.0 => {
                    format!("{:+.1} %", (after / before - 1.0) * 100.0)
                }
                _ => String::new(),
            };
            let (name, len) = key;
            let (before, after) = (show(before), show(after));
            table
                .push_str(&format!("{name:<18} {len:>6} {what:<12} {before:>10} {after:>10} {change:>10}\n"));
        };
        for key in self.0.keys().chain(counted.0.keys().filter(|key| !self.0.contains_key(*key))) {
            match (self.0.get(key), counted.0.get(key)) {
                (Some(before), Some(after)) => {
                    for ((what, before, allowed), (_, after, _)) in
                        before.parts().into_iter().zip(after.parts())
                    {
                        if (after - before).abs() > allowed {
                            row(key, what, Some(before), Some(after));
                        }
                    }
                }
                (before, after) => {
                    row(
                        key,
                        INSTRUCTIONS,
                        before.map(|cell| cell.instructions),
                        after.map(|cell| cell.instructions),
                    );
                }
            }
        }
        Changes(table)
    }
}

impl Cell {
    /// Each with what it is, and how much more or less of it is let pass: a tolerance, or what rounding does.
    fn parts(&self) -> [(&'static str, f64, f64); 5] {
        [
            (
                INSTRUCTIONS,
                self.instructions,
                (self.instructions * f64::from(TOLERANCE_PERCENT) / 100.0).max(1.0),
            ),
            ("allocations", self.allocations, 0.01),
            ("octets", self.octets, 1.0),
            ("reads", self.reads, 0.01),
            ("writes", self.writes, 0.01),
        ]
    }
}

impl Changes {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (before, after) = ("expected", "counted");
        writeln!(f, "{:<18} {:>6} {:<12} {before:>10} {after:>10}", "workload", "octets", "per message")?;
        f.write_str(&self.0)
    }
}

impl fmt::Display for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "# per message: workload, octets of payload, {INSTRUCTIONS}, allocations, octets in them; per round: reads, writes"
        )?;
        for ((name, len), cell) in &self.0 {
            let Cell { instructions, allocations, octets, reads, writes } = cell;
            write!(f, "{name:<18} {len:>6} {instructions:>10.1} {allocations:>6.2} {octets:>9.1}")?;
            writeln!(f, " {reads:>6.2} {writes:>6.2}")?;
        }
        Ok(())
    }
}

const INSTRUCTIONS: &str = "instructions";

#[cfg(test)]
mod tests {
    use super::*;

    fn values(cells: &[(&str, f64, f64)]) -> Values {
        let mut values = Values::default();
        for &(name, instructions, allocations) in cells {
            let cell = Cell { instructions, allocations, octets: 0.0, reads: 1.0, writes: 1.0 };
            values.insert(name, 16, cell);
        }
        values
    }

    #[test]
    fn what_is_more_than_five_percent_off_is_a_change() {
        let expected = values(&[("kept", 100.0, 0.0), ("slower", 100.0, 0.0), ("faster", 100.0, 0.0)]);
        let counted = values(&[("kept", 104.9, 0.0), ("slower", 105.1, 0.0), ("faster", 94.9, 0.0)]);
        let changes = expected.changes(&counted).to_string();
        let names: Vec<_> =
            changes.lines().skip(1).filter_map(|row| row.split_ascii_whitespace().next()).collect();
        assert_eq!(names, ["faster", "slower"]);
        assert!(changes.contains("+5.1 %") && changes.contains("-5.1 %"), "{changes}");
        assert!(expected.changes(&expected).is_empty());
    }

    #[test]
    fn an_allocation_now_and_then_is_a_change() {
        for before in [0.0, 1.0] {
            let [expected, counted] =
                [before, before + 0.02].map(|allocations| values(&[("lending", 100.0, allocations)]));
            assert!(!expected.changes(&counted).is_empty());
        }
    }

    #[test]
    fn a_write_more_is_a_change() {
        let expected = values(&[("lending", 100.0, 0.0)]);
        let mut counted = values(&[("lending", 100.0, 0.0)]);
        counted.0.values_mut().for_each(|cell| cell.writes += 1.0);
        assert!(expected.changes(&counted).to_string().contains("writes"));
    }

    #[test]
    fn a_workload_that_came_or_went_is_a_change() {
        let (one, none) = (values(&[("new", 100.0, 0.0)]), values(&[]));
        assert!(!one.changes(&none).is_empty() && !none.changes(&one).is_empty());
    }

    #[test]
    fn what_was_written_can_be_read() {
        let path = std::env::temp_dir().join(format!("sansocket-counts-{}.txt", std::process::id()));
        let written = values(&[("one", 12.3, 1.0), ("two", 45.6, 0.0)]);
        written.write(&path).unwrap();
        let read = Values::read(&path);
        std::fs::remove_file(&path).unwrap();
        assert!(written.changes(&read.unwrap().unwrap()).is_empty());
        assert!(Values::read(&path).unwrap().is_none());
    }
}
