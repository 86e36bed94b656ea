//! Many clients, mixed traffic and faults against a server in the same process, with an account of every message:
//! `cargo run --release --all-features --example soak [-- --clients N --seconds N --seed N]`.
//!
//! Real TCP on the loopback. The seed and the number of a connection say what it does: who sends what and how much, by
//! which methods (lending, owned, `Stream` and `Sink`, halves), in fragments or not, compressed or not, who reads slowly, who
//! gives up futures, who closes; and what goes wrong, at which octet or message. When a connection has ended its client comes
//! again, with a new number. What is left to chance is scheduling.
//!
//! Each message says which it is, and has a checksum. What must hold, for each direction of each connection:
//!
//! 1. What is received is what was sent, in its order, without gap, repeat or change, whatever goes wrong: a prefix of it. Only
//!    messages whose sending was given up — the future dropped, or the connection failed in it — may be there or not.
//! 2. Where both ends report a clean end, all has been delivered, or was thrown away, and counted, by an end that called
//!    `close`. So has all that an end has sent that closed and got its own status code back, whatever became of the other one.
//! 3. A connection without a fault, or with one that nobody may notice, ends cleanly at both ends.
//! 4. An end reports no error that it has no reason for: no broken protocol but by a peer that broke it, no dead peer but
//!    one that is silent, no timeout but of one that does not answer.
//! 5. A peer that sends a wrong frame is told so in a Close frame with the right code, and what it sent before is delivered.
//! 6. Every connection ends, at both ends. When the time is up the server's table is empty, no task is left, and as many
//!    files are open as before.
//! 7. After the first minute — half the time, if there is less than two — memory does not grow: `GROWTH`.
//!
//! Any violation is printed with the plan and the history of its connection, and the exit status is 1.

mod conversation;
mod ends;
mod faces;
mod judge;
mod ledger;
mod message;
mod plan;
mod raw;
mod wire;

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ends::{Run, client, serve};
use ledger::{Ledger, lock};
use sansocket::Config;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

type AnyError = Box<dyn Error + Send + Sync>;

fn main() -> ExitCode {
    match options().and_then(|options| soak(&options)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

#[derive(Debug)]
struct Options {
    clients: u64,
    time: Duration,
    seed: u64,
}

fn options() -> Result<Options, AnyError> {
    let mut options = Options { clients: 1000, time: Duration::from_secs(600), seed: 1 };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let number = arguments.next().ok_or_else(|| format!("{argument} has no value"))?.parse()?;
        match argument.as_str() {
            "--clients" => options.clients = number,
            "--seconds" => options.time = Duration::from_secs(number),
            "--seed" => options.seed = number,
            _ => return Err("usage: soak [--clients N] [--seconds N] [--seed N]".into()),
        }
    }
    Ok(options)
}

fn soak(options: &Options) -> Result<bool, AnyError> {
    let Options { clients, time, seed } = *options;
    // The first runtime of a process opens files that stay.
    drop(runtime("first")?);
    let files_before = open_files();
    let ledger = Arc::new(Ledger::default());
    // Each side has threads of its own: what the library keeps for a thread is not shared by the two.
    let (server_runtime, client_runtime) = (runtime("server")?, runtime("client")?);
    let listener = server_runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
    let is_short = time < Duration::from_secs(120);
    let run = Run {
        seed,
        port: listener.local_addr()?.port(),
        // A run that is shorter than the default timeouts would be over before they are.
        config: if is_short { short_timeouts() } else { Config::default() },
        handshake_timeout: Duration::from_secs(if is_short { 3 } else { 10 }),
        patience: Duration::from_millis(if is_short { 1000 } else { 5000 }),
        longest: Duration::from_secs(if is_short { 45 } else { 240 }),
        ledger: Arc::clone(&ledger),
        stop: Arc::new(AtomicBool::new(false)),
    };
    println!(
        "seed {seed}, {clients} clients, {time:?}, timeouts: {}",
        if is_short { "short" } else { "default" }
    );

    let begun = Instant::now();
    let server = server_runtime.spawn(serve(run.clone(), listener));
    let tasks: Vec<_> =
        (0..clients).map(|number| client_runtime.spawn(client(run.clone(), number))).collect();
    let memory = sample_memory(&ledger, begun, time);
    run.stop.store(true, Ordering::Relaxed);

    let longest = run.longest;
    client_runtime.block_on(async {
        for task in tasks {
            if task.await.is_err() {
                ledger.add(&ledger.violations, 1);
            }
        }
    });
    let served = server_runtime.block_on(async { timeout(longest, server).await });
    let mut complaints = Vec::new();
    match served {
        Ok(served) => served??,
        Err(_) => complaints.push("the server's table is not empty".to_owned()),
    }
    // A task that has ended is not quite gone.
    thread::sleep(Duration::from_millis(200));
    let tasks_left = [&server_runtime, &client_runtime].map(|runtime| runtime.metrics().num_alive_tasks());
    drop(run);
    drop((server_runtime, client_runtime));
    let files_left = open_files().zip(files_before).map_or(0, |(after, before)| after.saturating_sub(before));
    let open = ledger.open.load(Ordering::Acquire);
    if tasks_left != [0, 0] {
        complaints.push(format!("tasks left: {tasks_left:?}"));
    }
    if files_left > 0 || open > 0 {
        complaints.push(format!("connections left: {open}, files left: {files_left}"));
    }
    complaints.extend(memory.grown());
    summarize(&ledger, begun.elapsed(), &memory);
    println!("left: {open} connections of the server, {tasks_left:?} tasks, {files_left} files");
    for complaint in &complaints {
        eprintln!("VIOLATION: {complaint} (seed {seed})");
    }
    Ok(complaints.is_empty() && ledger.violations.load(Ordering::Relaxed) == 0)
}

fn runtime(name: &str) -> Result<Runtime, AnyError> {
    Ok(Builder::new_multi_thread().worker_threads(2).thread_name(name).enable_all().build()?)
}

fn short_timeouts() -> Config {
    Config::default()
        .ping_interval(Some(Duration::from_secs(2)))
        .dead_peer_timeout(Some(Duration::from_secs(2)))
        .write_timeout(Some(Duration::from_secs(3)))
        .close_timeout(Duration::from_secs(4))
}

/// Resident memory over time, in octets. Zeroes where the system does not tell.
#[derive(Debug)]
struct Memory {
    /// The most that was resident until the first minute was over.
    early: u64,
    /// The median of the last minute.
    late: u64,
    most: u64,
}

impl Memory {
    fn grown(&self) -> Option<String> {
        let bound = self.early + self.early / GROWTH.0 + GROWTH.1;
        (self.late > bound)
            .then(|| format!("memory has grown from {} to {}, above {bound}", self.early, self.late))
    }
}

/// Waits until the time is up, and looks at the memory meanwhile.
fn sample_memory(ledger: &Ledger, begun: Instant, time: Duration) -> Memory {
    let minute = Duration::from_secs(60).min(time / 2);
    let mut samples: Vec<(Duration, u64)> = Vec::new();
    let mut next_line = Duration::ZERO;
    loop {
        let now = begun.elapsed();
        let resident = resident();
        samples.push((now, resident));
        if now >= next_line || now >= time {
            let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
            println!(
                "{:4} s: {:4} open, {:8} connections, {:10} messages, {:8} MB received, {:6} KiB resident",
                now.as_secs(),
                ledger.open.load(Ordering::Relaxed),
                load(&ledger.connections),
                load(&ledger.messages),
                load(&ledger.octets) / 1_000_000,
                resident >> 10,
            );
            next_line += (time / 20).max(Duration::from_secs(1));
        }
        if now >= time {
            break;
        }
        thread::sleep(Duration::from_millis(250).min(time - now));
    }
    let until = |end| samples.iter().filter(move |(at, _)| *at <= end).map(|(_, resident)| *resident);
    let mut last: Vec<_> =
        samples.iter().filter(|(at, _)| *at >= time - minute).map(|(_, resident)| *resident).collect();
    last.sort_unstable();
    Memory {
        early: until(minute).max().unwrap_or(0),
        late: last.get(last.len() / 2).copied().unwrap_or(0),
        most: until(time * 2).max().unwrap_or(0),
    }
}

/// What of this process is in memory.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) << 10
}

fn open_files() -> Option<usize> {
    Some(std::fs::read_dir("/proc/self/fd").ok()?.count())
}

fn summarize(ledger: &Ledger, took: Duration, memory: &Memory) {
    let row = |name: &str, value: u64| println!("{name:<42} {value:>14}");
    let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    println!("\nafter {took:.1?}");
    row("connections", load(&ledger.connections));
    row("  reconnects", load(&ledger.reconnects));
    row("  clean at both ends", load(&ledger.clean));
    row("messages received and checked", load(&ledger.messages));
    row("octets of payload", load(&ledger.octets));
    row("sends given up", load(&ledger.given_up));
    row("not delivered where the connection failed", load(&ledger.unconfirmed));
    row("lost", load(&ledger.lost));
    row("duplicated", load(&ledger.duplicated));
    row("changed", load(&ledger.corrupt));
    row("left open", load(&ledger.left_open));
    row("violations", load(&ledger.violations));
    row("KiB resident, at most in the first minute", memory.early >> 10);
    row("KiB resident, median of the last minute", memory.late >> 10);
    row("KiB resident, at most", memory.most >> 10);
    println!("fault: planned, came to be");
    for (name, (planned, came)) in &*lock(&ledger.faults) {
        println!("  {name:<40} {planned:>8} {came:>8}");
    }
    println!("error: reported by how many ends");
    for (name, count) in &*lock(&ledger.errors) {
        println!("  {name:<60} {count:>8}");
    }
}

/// How much more memory the last minute may take than the first: one part in so many, and so many octets.
const GROWTH: (u64, u64) = (4, 32 << 20);
