//! The figures as Markdown.

use std::fmt::Write;

use crate::measure::{Sample, Traffic};
use crate::rows::{Group, Row};

/// What was measured, by corpus, row and round: one connection, and many.
pub(crate) struct Samples(Vec<Vec<Vec<(Sample, Sample)>>>);

impl Samples {
    pub(crate) fn new(corpora: usize, rows: usize) -> Self {
        Self(vec![vec![Vec::new(); rows]; corpora])
    }

    pub(crate) fn add(&mut self, corpus: usize, row: usize, one: Sample, many: Sample) {
        self.0[corpus][row].push((one, many));
    }
}

/// A table for each corpus.
pub(crate) fn tables(traffic: &[Traffic], rows: &[Row], samples: &Samples) -> String {
    let mut text = String::new();
    for (traffic, samples) in traffic.iter().zip(&samples.0) {
        let mean = traffic.corpus.octets() / traffic.corpus.messages.len();
        let _ = writeln!(text, "## {}: messages of {mean} octets\n", traffic.corpus.name);
        for group in Group::ALL {
            let of_group: Vec<_> = (0..rows.len()).filter(|&index| rows[index].group == group).collect();
            if of_group.is_empty() {
                continue;
            }
            let _ = writeln!(text, "### {}: {}\n\n{HEAD}", traffic.corpus.name, group.title());
            let reference = of_group[0];
            for index in of_group {
                line(&mut text, &rows[index], &samples[index], &samples[reference]);
            }
            text.push('\n');
        }
    }
    text
}

fn line(text: &mut String, row: &Row, samples: &[(Sample, Sample)], reference: &[(Sample, Sample)]) {
    let cell = |value: &dyn Fn(&(Sample, Sample)) -> f64| {
        let (median, spread) = median_and_spread(samples.iter().map(value).collect());
        format!("{median:.2} ±{spread:.0} %")
    };
    let times = |work: &dyn Fn(&(Sample, Sample)) -> f64| {
        let ratios = samples.iter().zip(reference).map(|(ours, theirs)| work(ours) / work(theirs));
        format!("{:.2}", median_and_spread(ratios.collect()).0)
    };
    let median =
        |value: &dyn Fn(&(Sample, Sample)) -> f64| median_and_spread(samples.iter().map(value).collect()).0;
    let _ = writeln!(
        text,
        "| {} | {} | {:.2} | {} | {} | {} | {} | {} | {} | {:.1} |",
        row.name,
        row.settings,
        median(&|(one, _)| one.ratio),
        cell(&|(one, _)| one.send),
        cell(&|(one, _)| one.receive),
        times(&|(one, _)| one.send + one.receive),
        cell(&|(_, many)| many.send),
        cell(&|(_, many)| many.receive),
        times(&|(_, many)| many.send + many.receive),
        median(&|(_, many)| many.held) / 1024.0,
    );
}

/// The median, and half of what lies between the quartiles in per cent of it.
fn median_and_spread(mut values: Vec<f64>) -> (f64, f64) {
    values.sort_by(f64::total_cmp);
    let at = |quarter: usize| values[(values.len() - 1) * quarter / 4];
    let median = at(2);
    (median, (at(3) - at(1)) / 2.0 / median * 100.0)
}

const HEAD: &str = "\
| crate | settings | ratio | one: send µs | one: receive µs | × | many: send µs | many: receive µs | × | KiB held |
|---|---|---|---|---|---|---|---|---|---|";
