//! What a connection holds while nothing happens on it, after messages of three sizes.

use std::io;
use std::thread;
use std::time::Duration;

use crate::load::{Load, Until};
use crate::measure::Plan;
use crate::process::{Process, Start};
use crate::servers::Server;
use peers::frames::{Frames, Payload, Verify};

/// Payloads of the messages, in the order in which each connection echoes one of each.
pub(crate) const LENS: [usize; 3] = [16, 16 << 10, 1 << 20];

/// What each idle connection of a server holds, in octets.
pub(crate) struct Held {
    /// Of that its future: what the task consists of besides what the runtime adds.
    pub(crate) future_len: u64,
    /// All of it, after each of [`LENS`].
    pub(crate) resident: [f64; 3],
}

/// By server.
pub(crate) fn held(plan: &Plan) -> io::Result<Vec<Held>> {
    eprintln!("memory");
    plan.servers.iter().map(|&server| held_by(server, plan.held_by)).collect()
}

/// The difference between many connections and few that have done the same work, so that what the process has once, or
/// keeps for those that work at the same time, counts for none.
fn held_by(server: Server, connections: usize) -> io::Result<Held> {
    let turns = (FEW + connections).div_ceil(FEW);
    let (few, future_len) = resident(server, FEW, turns)?;
    let (many, _) = resident(server, FEW + connections, turns)?;
    let resident = std::array::from_fn(|stage| (many[stage] as f64 - few[stage] as f64) / connections as f64);
    Ok(Held { future_len, resident })
}

/// As many as work at the same time.
const FEW: usize = 32;

fn resident(server: Server, connections: usize, turns: usize) -> io::Result<([u64; 3], u64)> {
    let mut process = Process::start(server, Start::PINNED)?;
    let mut load = Load::connect(process.port(), connections, Verify::Lengths)?;
    let mut resident = [0; 3];
    for (resident, len) in resident.iter_mut().zip(LENS) {
        let frames = Frames::new(Payload { len, is_text: false }, 1, server.is_raw());
        for turn in 0..turns {
            let first = turn * FEW % connections;
            load.run(&frames, 1, first..connections.min(first + FEW), Until::Once)?;
        }
        thread::sleep(Duration::from_millis(20));
        *resident = process.resident()?;
    }
    Ok((resident, process.used()?.future_len))
}
