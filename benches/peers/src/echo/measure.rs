//! Speed: processor time of the server, throughput and latency; and what it does for them: calls and allocations.

use std::io;
use std::time::{Duration, Instant};

use crate::load::{Load, Until};
use crate::process::{Process, Start};
use crate::servers::Server;
use peers::cells::Cell;
use peers::frames::{Frames, Verify};

/// What is measured, and for how long.
pub(crate) struct Plan {
    pub(crate) servers: Vec<Server>,
    pub(crate) cells: Vec<Cell>,
    pub(crate) rounds: usize,
    /// Of one server in one cell and round; large messages take twice as long.
    pub(crate) time: Duration,
    pub(crate) verify: Verify,
    /// Connections of the memory table.
    pub(crate) held_by: usize,
    pub(crate) fairness_time: Duration,
}

/// One server in one cell and round.
#[derive(Clone, Copy)]
pub(crate) struct Speed {
    /// Microseconds of the server's processor for a message.
    pub(crate) cost: f64,
    pub(crate) messages_per_second: f64,
    /// Microseconds from sending to the echo.
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

/// By server, cell and round.
pub(crate) type Speeds = Vec<Vec<Vec<Speed>>>;

const CONNECTIONS: usize = 32;

pub(crate) fn speeds(plan: &Plan) -> io::Result<Speeds> {
    let mut speeds = vec![vec![Vec::new(); plan.cells.len()]; plan.servers.len()];
    for round in 0..plan.rounds {
        eprintln!("round {} of {}", round + 1, plan.rounds);
        // All of them run at once, and all but one wait: each cell is measured server by server, as close as can be.
        let mut processes: Vec<_> = plan
            .servers
            .iter()
            .map(|&server| Process::start(server, Start::PINNED))
            .collect::<Result<_, _>>()?;
        for (column, &cell) in plan.cells.iter().enumerate() {
            for turn in 0..plan.servers.len() {
                // Each comes first once in a while, and behind every other.
                let index = (turn + round * 5 + column * 3) % plan.servers.len();
                let server = plan.servers[index];
                let speed = speed(&mut processes[index], server, cell, plan)
                    .map_err(|error| io::Error::other(format!("{}, {cell}: {error}", server.name())))?;
                speeds[index][column].push(speed);
            }
        }
    }
    Ok(speeds)
}

fn speed(process: &mut Process, server: Server, cell: Cell, plan: &Plan) -> io::Result<Speed> {
    let frames = Frames::new(cell.payload, cell.in_flight, server.is_raw());
    let time = plan.time * if cell.is_large() { 2 } else { 1 };
    // While it warms up, every octet is looked at.
    let mut load = Load::connect(process.port(), CONNECTIONS, Verify::Contents)?;
    load.run(&frames, cell.in_flight, 0..CONNECTIONS, Until::Time(Instant::now() + time / 5))?;
    load.verify(plan.verify);
    let before = process.used()?;
    let start = Instant::now();
    let echoed = load.run(&frames, cell.in_flight, 0..CONNECTIONS, Until::Time(start + time))?;
    let elapsed = start.elapsed();
    let used = process.used()?.time - before.time;
    let messages = echoed.messages as f64;
    Ok(Speed {
        cost: used.as_secs_f64() * 1e6 / messages,
        messages_per_second: messages / elapsed.as_secs_f64(),
        p50: echoed.latency.quantile(0.5),
        p99: echoed.latency.quantile(0.99),
    })
}

/// What a server does for a message.
#[derive(Clone, Copy)]
pub(crate) struct Work {
    pub(crate) reads: f64,
    pub(crate) waits: f64,
    pub(crate) writes: f64,
    pub(crate) allocations: f64,
}

/// By server and cell. Counting costs time, so it has a run of its own, and the figures of speed are free of it.
pub(crate) fn work(plan: &Plan) -> io::Result<Vec<Vec<Work>>> {
    eprintln!("calls and allocations");
    let of = |server: Server| {
        let mut process = Process::start(server, Start::COUNTING)?;
        plan.cells.iter().map(|&cell| work_for(&mut process, server, cell, plan)).collect()
    };
    plan.servers.iter().map(|&server| of(server)).collect()
}

fn work_for(process: &mut Process, server: Server, cell: Cell, plan: &Plan) -> io::Result<Work> {
    let frames = Frames::new(cell.payload, cell.in_flight, server.is_raw());
    let mut load = Load::connect(process.port(), CONNECTIONS, Verify::Lengths)?;
    let mut run =
        |time| load.run(&frames, cell.in_flight, 0..CONNECTIONS, Until::Time(Instant::now() + time));
    run(plan.time / 10)?;
    let before = process.used()?;
    let messages = run(plan.time / 5)?.messages as f64;
    let after = process.used()?;
    let per_message = |before: u64, after: u64| (after - before) as f64 / messages;
    Ok(Work {
        reads: per_message(before.calls.reads, after.calls.reads),
        waits: per_message(before.calls.waits, after.calls.waits),
        writes: per_message(before.calls.writes, after.calls.writes),
        allocations: per_message(before.allocations, after.allocations),
    })
}
