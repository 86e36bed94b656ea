//! Many clients, mixed traffic and faults against a server in the same process, with an account of every message:
//! `cargo run --release --all-features --example soak [-- --clients N --seconds N --seed N]`.
//!
//! Real TCP on the loopback. The seed and the number of a connection say what it does: who sends what and how much, by
//! which methods (lending, owned, `Stream` and `Sink`, halves), in fragments or not, compressed or not, who reads slowly, who
//! gives up futures, who closes; and what goes wrong, at which octet or message. When a connection has ended its client comes
//! again, with a new number. One client of twenty is a thread of the blocking layer. What is left to chance is scheduling.
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
//! 7. After the first minute memory does not grow, if the run is long enough to tell. When all is over, nothing that was
//!    allocated for a connection is left on the heap, whose octets are counted: `memory.rs`.
//!
//! Any violation is printed with the plan and the history of its connection, and the exit status is 1.

mod blocking;
mod conversation;
mod ends;
mod faces;
mod judge;
mod ledger;
mod memory;
mod message;
mod plan;
#[path = "../../tests/support/process_heap.rs"]
mod process_heap;
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
use memory::Memory;
use process_heap::ProcessHeap;
use sansocket::Config;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

#[global_allocator]
static ALLOCATOR: ProcessHeap = ProcessHeap;

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
    message::prepare();
    let (files_before, heap_before) = (open_files(), process_heap::live());
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
        patience: Duration::from_millis(if is_short { 1000 } else { 5000 }),
        longest: Duration::from_secs(240),
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
    let memory = memory::sample(&ledger, begun, time);
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
    let alive = || [&server_runtime, &client_runtime].map(|runtime| runtime.metrics().num_alive_tasks());
    // A task that has ended is not quite gone.
    let until = Instant::now() + Duration::from_secs(10);
    while alive() != [0, 0] && Instant::now() < until {
        thread::sleep(Duration::from_millis(10));
    }
    let tasks_left = alive();
    drop(run);
    // A thread that hangs has been told of as a connection that was left open.
    for runtime in [client_runtime, server_runtime] {
        runtime.shutdown_timeout(Duration::from_secs(10));
    }
    let files_left = open_files().zip(files_before).map_or(0, |(after, before)| after.saturating_sub(before));
    let open = ledger.open.load(Ordering::Acquire);
    if tasks_left != [0, 0] {
        complaints.push(format!("tasks left: {tasks_left:?}"));
    }
    if files_left > 0 || open > 0 {
        complaints.push(format!("connections left: {open}, files left: {files_left}"));
    }
    complaints.extend(memory.complaints());
    summarize(&ledger, begun.elapsed(), &memory);
    let all_is_well = ledger.violations.load(Ordering::Relaxed) == 0;
    drop(ledger);
    let (heap_left, complaint) = memory::left(heap_before);
    complaints.extend(complaint);
    println!(
        "left: {open} connections of the server, {tasks_left:?} tasks, {files_left} files, {heap_left} octets on the heap"
    );
    for complaint in &complaints {
        eprintln!("VIOLATION: {complaint} (seed {seed})");
    }
    Ok(complaints.is_empty() && all_is_well)
}

fn runtime(name: &str) -> Result<Runtime, AnyError> {
    Ok(Builder::new_multi_thread().worker_threads(2).thread_name(name).enable_all().build()?)
}

/// Long enough for a busy machine to do in time what has to be done in it.
fn short_timeouts() -> Config {
    Config::default()
        .ping_interval(Some(Duration::from_secs(2)))
        .dead_peer_timeout(Some(Duration::from_secs(10)))
        .write_timeout(Some(Duration::from_secs(10)))
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
    row("  compressed", load(&ledger.compressed));
    row("  of a thread of the blocking layer", load(&ledger.blocking));
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
    let span = memory.span.as_secs();
    row(&format!("KiB on the heap, median from {span} s to {} s", 2 * span), memory.heap.early >> 10);
    row(&format!("KiB on the heap, median of the last {span} s"), memory.heap.late >> 10);
    row("KiB on the heap, at most", process_heap::peak() as u64 >> 10);
    row(&format!("KiB resident, median from {span} s to {} s", 2 * span), memory.resident.early >> 10);
    row(&format!("KiB resident, median of the last {span} s"), memory.resident.late >> 10);
    row("KiB resident, at most", memory.most_resident >> 10);
    println!("fault: planned, came to be");
    for (name, (planned, came)) in &*lock(&ledger.faults) {
        println!("  {name:<40} {planned:>8} {came:>8}");
    }
    println!("error: reported by how many ends");
    for (name, count) in &*lock(&ledger.errors) {
        println!("  {name:<60} {count:>8}");
    }
}
