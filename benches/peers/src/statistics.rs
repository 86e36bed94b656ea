//! What is said of several rounds.

/// The median, and half of what lies between the quartiles in per cent of it.
pub fn median_and_spread(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let at = |quarter: usize| values[(values.len() - 1) * quarter / 4];
    let median = match values.len() % 2 {
        0 => (values[values.len() / 2 - 1] + values[values.len() / 2]) / 2.0,
        _ => values[values.len() / 2],
    };
    (median, (at(3) - at(1)) / 2.0 / median * 100.0)
}
