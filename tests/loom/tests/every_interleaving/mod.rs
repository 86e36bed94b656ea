//! A model in every interleaving.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use loom::model::Builder;

/// Runs the model in every interleaving of its threads, and says how many there were.
#[allow(dead_code, reason = "not every file has models as small as that")]
pub(crate) fn every_interleaving(model: impl Fn() + Send + Sync + 'static) {
    run(None, model);
}

/// Runs the model in every interleaving that interrupts a running thread so often at most: three threads have too many
/// of the others, and what is wrong shows with few.
pub(crate) fn with_interruptions(at_most: usize, model: impl Fn() + Send + Sync + 'static) {
    run(Some(at_most), model);
}

fn run(interruptions: Option<usize>, model: impl Fn() + Send + Sync + 'static) {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let mut builder = Builder::new();
    builder.preemption_bound = interruptions;
    builder.check(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        model();
    });
    let count = count.load(Ordering::Relaxed);
    println!("{count} interleavings");
    assert!(count > 1, "nothing was interleaved");
}
