//! Runs this program under valgrind's callgrind and reads what it has counted.

use std::io::ErrorKind;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::measure;
use crate::values::{Cell, Values};

/// Counts every workload once.
pub(crate) fn count() -> Result<Values, String> {
    let program = std::env::current_exe().map_err(|error| format!("which program this is: {error}"))?;
    let dumps = program.with_extension(format!("{}.callgrind", std::process::id()));
    let result = run(&program, &dumps);
    let dumped = std::fs::read_to_string(&dumps);
    // Nobody reads it after this; that it is not there is reported below, if it matters.
    let _ = std::fs::remove_file(&dumps);
    let lines = result?;
    let dumped = dumped.map_err(|error| format!("what callgrind counted cannot be read: {error}"))?;
    join(&lines, &dumped)
}

/// Returns what the program prints under valgrind.
fn run(program: &Path, dumps: &Path) -> Result<String, String> {
    let output = Command::new("valgrind")
        .args(["-q", "--tool=callgrind", "--combine-dumps=yes"])
        .arg(format!("--dump-after={COUNTED}"))
        .arg(format!("--callgrind-out-file={}", dumps.display()))
        .arg(program)
        .arg(measure::ARGUMENT)
        .env("GLIBC_TUNABLES", "glibc.cpu.hwcaps=-ERMS,-FSRM")
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| match error.kind() {
            ErrorKind::NotFound => "valgrind is missing: install it, it counts the instructions".into(),
            _ => format!("valgrind: {error}"),
        })?;
    if !output.status.success() {
        return Err(format!("under valgrind: {}", output.status));
    }
    String::from_utf8(output.stdout).map_err(|error| format!("under valgrind: {error}"))
}

/// Two dumps for each line, in order. The first one holds what came before, the warming up last; the second one what is
/// counted.
fn join(lines: &str, dumped: &str) -> Result<Values, String> {
    let mut totals = dumped
        .split("\npart: ")
        .skip(1)
        .filter(|part| part.contains("desc: Trigger: --dump-after"))
        .map(|part| part.lines().find_map(|line| line.strip_prefix("summary: ")))
        .skip(1)
        .step_by(2);
    let mut values = Values::default();
    for line in lines.lines() {
        let instructions = totals.next().flatten().ok_or("callgrind has not counted every workload")?;
        let [name, len, frames, allocations, octets, rounds, reads, writes] =
            line.split(' ').collect::<Vec<_>>()[..]
        else {
            return Err(format!("under valgrind: {line}"));
        };
        let number = |text: &str| text.parse::<f64>().map_err(|_| format!("{text} in {line}: no number"));
        let (frames, rounds) = (number(frames)?, number(rounds)?);
        values.insert(
            name,
            number(len)? as u64,
            Cell {
                instructions: number(instructions)? / frames,
                allocations: number(allocations)? / frames,
                octets: number(octets)? / frames,
                reads: number(reads)? / rounds,
                writes: number(writes)? / rounds,
            },
        );
    }
    match totals.next() {
        None => Ok(values),
        Some(_) => Err("callgrind has counted more than the workloads".into()),
    }
}

/// [`measure::counted_frames`], however its name is mangled.
const COUNTED: &str = "*counted_frames*";
