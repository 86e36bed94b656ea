//! Which CPU a thread runs on: what is measured has one for itself.

use std::io;

use rustix::thread::{CpuSet, sched_setaffinity};

/// Keeps the calling thread, and those that it starts, on the CPU of what is measured.
pub fn pin_measured() -> io::Result<()> {
    pin(&[MEASURED_CPU])
}

/// Keeps the calling thread on the CPU of its counterpart.
pub fn pin_counterpart() -> io::Result<()> {
    pin(&[COUNTERPART_CPU])
}

/// Lets the calling thread run on both.
pub fn unpin() -> io::Result<()> {
    pin(&[MEASURED_CPU, COUNTERPART_CPU])
}

fn pin(to: &[usize]) -> io::Result<()> {
    let mut cpus = CpuSet::new();
    to.iter().for_each(|&cpu| cpus.set(cpu));
    Ok(sched_setaffinity(None, &cpus)?)
}

/// Where the server of `echo` runs, if it is pinned, and the clients of `client` …
const MEASURED_CPU: usize = 0;
/// … and where the load generator, or the server of the clients.
const COUNTERPART_CPU: usize = 1;
