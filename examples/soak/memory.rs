//! Memory over time: what is on the heap, counted by the allocator, and what of the process is resident.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::ledger::Ledger;
use crate::process_heap;

/// What was seen four times a second.
#[derive(Debug, Clone, Copy)]
struct Sample {
    at: Duration,
    heap: u64,
    resident: u64,
}

/// Octets, by the median of two spans of time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Growth {
    /// The first span behind the warm-up.
    pub(crate) early: u64,
    /// The last span.
    pub(crate) late: u64,
}

/// What a run has taken.
#[derive(Debug)]
pub(crate) struct Memory {
    pub(crate) span: Duration,
    pub(crate) heap: Growth,
    /// Zeroes where the system does not tell.
    pub(crate) resident: Growth,
    pub(crate) most_resident: u64,
}

impl Memory {
    /// Whether anything has grown. How memory comes to be in use depends on the machine, so a short run does not tell.
    pub(crate) fn complaints(&self) -> Vec<String> {
        if self.span < SPAN {
            return Vec::new();
        }
        let kinds = [("heap", self.heap, HEAP_GROWTH), ("resident memory", self.resident, RESIDENT_GROWTH)];
        let grown = kinds.into_iter().filter_map(|(what, Growth { early, late }, growth)| {
            let bound = early + early / 4 + growth;
            (late > bound)
                .then(|| format!("the {what} has grown from {early} to {late} octets, above {bound}"))
        });
        grown.collect()
    }
}

/// Complains about what is left on the heap when all is over: nothing that grows with the number of connections.
pub(crate) fn left(before: usize) -> (usize, Option<String>) {
    let left = process_heap::live().saturating_sub(before);
    (left, (left > LEFT).then(|| format!("{left} octets are left on the heap, above {LEFT}")))
}

/// Waits until the time is up, and looks at the memory meanwhile.
pub(crate) fn sample(ledger: &Ledger, begun: Instant, time: Duration) -> Memory {
    let span = SPAN.min(time / 3);
    // Room for all: what counts the memory takes no more while it does.
    let mut samples = Vec::with_capacity(4 * time.as_secs() as usize + 60);
    let mut next_line = Duration::ZERO;
    loop {
        let now = begun.elapsed();
        let sample = Sample { at: now, heap: process_heap::live() as u64, resident: resident() };
        samples.push(sample);
        if now >= next_line || now >= time {
            print(ledger, sample);
            next_line += Duration::from_secs(10).min(time / 10);
        }
        if now >= time {
            break;
        }
        thread::sleep(Duration::from_millis(250).min(time - now));
    }
    let growth = |octets: fn(&Sample) -> u64| {
        let median = |from: Duration| median(&samples, from..from + span, octets);
        Growth { early: median(span), late: median(time - span) }
    };
    Memory {
        span,
        heap: growth(|sample| sample.heap),
        resident: growth(|sample| sample.resident),
        most_resident: samples.iter().map(|sample| sample.resident).max().unwrap_or(0),
    }
}

fn median(samples: &[Sample], within: Range<Duration>, octets: fn(&Sample) -> u64) -> u64 {
    let mut octets: Vec<_> =
        samples.iter().filter(|sample| within.contains(&sample.at)).map(octets).collect();
    octets.sort_unstable();
    octets.get(octets.len() / 2).copied().unwrap_or(0)
}

fn print(ledger: &Ledger, sample: Sample) {
    let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    println!(
        "{:4} s: {:4} open, {:8} connections, {:10} messages, {:8} MB received, {:7} KiB on the heap, {:7} KiB resident",
        sample.at.as_secs(),
        ledger.open.load(Ordering::Relaxed),
        load(&ledger.connections),
        load(&ledger.messages),
        load(&ledger.octets) / 1_000_000,
        sample.heap >> 10,
        sample.resident >> 10,
    );
}

/// What of this process is in memory, in octets.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) << 10
}

/// How long a median is taken of, in a run of three times that or more.
const SPAN: Duration = Duration::from_secs(60);

/// How many octets more may be on the heap in the last span than in the one behind the warm-up, beside a quarter.
const HEAP_GROWTH: u64 = 8 << 20;

/// The same of what is resident, which is as well what the allocator has not given back.
const RESIDENT_GROWTH: u64 = 32 << 20;

/// What may be left when all is over, in octets: what the process keeps for itself, whatever it did.
const LEFT: usize = 16 << 10;
