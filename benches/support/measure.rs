//! How long each bench measures.

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
