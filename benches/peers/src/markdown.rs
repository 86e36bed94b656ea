//! Results as Markdown: what all documents of figures have.

use std::fmt::{Display, Write};
use std::fs;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

/// When, where and how.
pub fn head(note: &str) -> String {
    let rustc = Command::new("rustc").arg("--version").output().ok();
    let rustc = rustc.map_or_else(String::new, |output| String::from_utf8_lossy(&output.stdout).into_owned());
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    // What follows the number names whoever built it.
    let kernel = kernel.split('-').next().unwrap_or_default();
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1));
    let tokio = version("tokio").unwrap_or_default();
    let count = cpus.lines().filter(|line| line.starts_with("processor")).count();
    format!(
        "{} · {} · {count} CPUs · Linux {} · {} · tokio {tokio} · no `target-cpu`, SIMD as each crate finds it when it runs\n\n\
         How it is measured and what is noise: [README](README.md). {note}\n",
        date(),
        model.unwrap_or("unknown CPU"),
        kernel.trim(),
        rustc.split(" (").next().unwrap_or_default(),
    )
}

/// The version of a dependency, as it is locked.
pub fn version(name: &str) -> Option<&'static str> {
    // Rows with a crate's name and more are ways to use it.
    let name =
        ["sansocket", "tokio-tungstenite"].into_iter().find(|own| name.starts_with(own)).unwrap_or(name);
    let package =
        LOCK.split("[[package]]").find(|package| package.contains(&format!("name = \"{name}\"\n")))?;
    package.lines().find_map(|line| line.strip_prefix("version = \"")?.strip_suffix('"'))
}

const LOCK: &str = include_str!("../Cargo.lock");

/// A line of a table.
pub fn line(text: &mut String, name: &str, cells: impl IntoIterator<Item = impl Display>) {
    let _ = write!(text, "| {name} |");
    for cell in cells {
        let _ = write!(text, " {cell} |");
    }
    text.push('\n');
}

/// Today, by the proleptic Gregorian calendar.
fn date() -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    // Years begin in March here, so that a leap day is the last of its year; 719,468 days lie between that calendar's
    // first day and 1970.
    let days = seconds / 86_400 + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year_of_era = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year}-{month:02}-{day:02}")
}
