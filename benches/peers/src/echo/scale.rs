//! Ten thousand connections, and two threads.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use crate::load::{Load, Until};
use crate::measure::Plan;
use crate::process::{Process, Start};
use crate::servers::Server;
use peers::cells::Cell;
use peers::cpus;
use peers::frames::{Frames, Payload, Verify};

/// What was seen of one server.
pub(crate) struct Scale {
    /// Octets for each connection after a message of 16 octets.
    pub(crate) held: f64,
    /// Of one connection while the others are idle, in microseconds.
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    /// When each of them has one message in flight, in microseconds of the server's processor for a message.
    pub(crate) cost: f64,
    /// Messages in a second with one thread and with two, both CPUs shared with the load generator.
    pub(crate) one_thread: f64,
    pub(crate) two_threads: f64,
}

pub(crate) const CONNECTIONS: usize = 10_000;

pub(crate) fn scale(plan: &Plan) -> io::Result<Vec<Scale>> {
    let of = |&server: &Server| {
        eprintln!("scale: {}", server.name());
        scale_of(server, plan)
    };
    plan.servers.iter().map(of).collect()
}

fn scale_of(server: Server, plan: &Plan) -> io::Result<Scale> {
    let frames = Frames::new(Payload { len: 16, is_text: false }, 1, server.is_raw());
    let few = {
        let process = Process::start(server, Start::PINNED)?;
        let mut load = Load::connect(process.port(), 32, Verify::Contents)?;
        load.run(&frames, 1, 0..32, Until::Once)?;
        process.resident()?
    };
    let mut process = Process::start(server, Start::PINNED)?;
    let mut load = Load::connect(process.port(), CONNECTIONS, Verify::Contents)?;
    for first in (0..CONNECTIONS).step_by(32) {
        load.run(&frames, 1, first..CONNECTIONS.min(first + 32), Until::Once)?;
    }
    thread::sleep(Duration::from_millis(20));
    let held = (process.resident()? as f64 - few as f64) / (CONNECTIONS - 32) as f64;
    let one = load.run(&frames, 1, 0..1, Until::Time(Instant::now() + plan.time * 2))?;
    let before = process.used()?.time;
    let all = load.run(&frames, 1, 0..CONNECTIONS, Until::Time(Instant::now() + plan.time * 2))?;
    let cost = (process.used()?.time - before).as_secs_f64() * 1e6 / all.messages as f64;
    drop((load, process));
    cpus::unpin()?;
    let (one_thread, two_threads) = (throughput(server, 1, plan)?, throughput(server, 2, plan)?);
    cpus::pin_counterpart()?;
    let (p50, p99) = (one.latency.quantile(0.5), one.latency.quantile(0.99));
    Ok(Scale { held, p50, p99, cost, one_thread, two_threads })
}

fn throughput(server: Server, threads: usize, plan: &Plan) -> io::Result<f64> {
    let cell = Cell { payload: Payload { len: 16, is_text: false }, in_flight: 32 };
    let frames = Frames::new(cell.payload, cell.in_flight, server.is_raw());
    let process = Process::start(server, Start { threads, count: false, is_pinned: false })?;
    let mut load = Load::connect(process.port(), 32, Verify::Lengths)?;
    load.run(&frames, cell.in_flight, 0..32, Until::Time(Instant::now() + plan.time / 5))?;
    let start = Instant::now();
    let echoed = load.run(&frames, cell.in_flight, 0..32, Until::Time(start + plan.time * 2))?;
    Ok(echoed.messages as f64 / start.elapsed().as_secs_f64())
}
