//! How long each bench measures.
#![allow(dead_code, reason = "each bench uses its part")]

use std::time::Duration;

use criterion::Criterion;

/// About a second for each row, unless the command line says otherwise: there are hundreds.
pub(crate) fn criterion() -> Criterion {
    Criterion::default()
        .sample_size(40)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_millis(800))
        .configure_from_args()
}

/// A fifth of that, for what takes nanoseconds and has a thousand rows.
pub(crate) fn criterion_of_many() -> Criterion {
    Criterion::default()
        .sample_size(40)
        .warm_up_time(Duration::from_millis(60))
        .measurement_time(Duration::from_millis(160))
        .configure_from_args()
}
