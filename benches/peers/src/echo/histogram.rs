//! Times, counted in buckets that are at most 3 % wide.

use std::time::Duration;

pub(crate) struct Histogram {
    buckets: Vec<u64>,
    count: u64,
}

/// Of each power of two.
const STEPS: usize = 32;

impl Histogram {
    pub(crate) fn new() -> Self {
        Self { buckets: vec![0; 64 * STEPS], count: 0 }
    }

    pub(crate) fn add(&mut self, time: Duration) {
        let nanoseconds = (time.as_nanos() as u64).max(STEPS as u64);
        let shift = nanoseconds.ilog2() - STEPS.ilog2();
        let step = (nanoseconds >> shift) as usize - STEPS;
        self.buckets[shift as usize * STEPS + step] += 1;
        self.count += 1;
    }

    /// The time that this share of all does not exceed, in microseconds; zero if there are none.
    pub(crate) fn quantile(&self, share: f64) -> f64 {
        let mut left = (self.count as f64 * share).ceil() as u64;
        for (index, &count) in self.buckets.iter().enumerate() {
            if count >= left && count > 0 {
                let shift = index / STEPS;
                return ((index % STEPS + STEPS) as u64 * (1_u64 << shift)) as f64 / 1e3;
            }
            left = left.saturating_sub(count);
        }
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_never_too_high_and_at_most_a_step_too_low() {
        let mut histogram = Histogram::new();
        for microseconds in 1..=10_000 {
            histogram.add(Duration::from_micros(microseconds));
        }
        for (share, exact) in [(0.01, 100.0), (0.5, 5_000.0), (0.99, 9_900.0), (1.0, 10_000.0)] {
            let found = histogram.quantile(share);
            assert!(found <= exact && found >= exact * (1.0 - 1.0 / STEPS as f64), "{share}: {found}");
        }
    }

    #[test]
    fn quantile_of_nothing_is_zero() {
        assert!(Histogram::new().quantile(0.99) == 0.0);
    }
}
