//! What runs under valgrind: every workload at every size, warmed up and then counted.

use crate::allocations::{Allocated, allocated_by};
use crate::memory::calls;
use crate::workloads::{self, Workload};

/// Makes this program run the workloads instead of counting them.
pub(crate) const ARGUMENT: &str = "--measure";

/// A line for each workload and size, in the order in which they are counted: name, length, frames, allocations and octets;
/// and how many rounds there were, reads and writes.
pub(crate) fn run() -> Result<(), String> {
    #[cfg(target_arch = "x86_64")]
    if !std::arch::is_x86_feature_detected!("avx2") {
        return Err("this CPU has no AVX2: what would be counted is another path".into());
    }
    for &(name, prepare) in workloads::ALL {
        let large = if name.starts_with("burst-") { &LARGE_LENS[..] } else { &[] };
        for &len in LENS.iter().chain(large) {
            let mut workload = prepare(len);
            // These rounds make and fill what the counted ones find.
            counted_frames(&mut workload);
            let before = calls();
            let allocated = allocated_by(|| counted_frames(&mut workload));
            let frames = workload.frames * ROUNDS;
            let after = calls();
            let (reads, writes) = (after.reads - before.reads, after.writes - before.writes);
            let Allocated { times, octets } = allocated;
            println!("{name} {len} {frames} {times} {octets} {ROUNDS} {reads} {writes}");
        }
    }
    Ok(())
}

/// What is counted, the second time. Callgrind finds it by its name: see [`crate::callgrind`].
#[inline(never)]
pub(crate) fn counted_frames(workload: &mut Workload) {
    for _ in 0..ROUNDS {
        (workload.round)();
    }
}

const LENS: [usize; 4] = [16, 125, 1 << 10, 16 << 10];

/// Of messages that are read to a place of their own.
const LARGE_LENS: [usize; 2] = [64 << 10, 1 << 20];

/// What costs something only now and then, such as a read or fetching randomness, has its share.
const ROUNDS: usize = 3;
