//! Echo servers of sansocket and of its peers, under the same load: RESULTS.md.
//!
//! `echo` measures everything, `echo --quick` less of it. This one program is the driver, the load generator and, started
//! again by itself, each of the servers.

mod allocations;
mod breakdown;
mod chart;
mod fairness;
mod goals;
mod histogram;
mod load;
mod measure;
mod memory;
mod process;
mod report;
mod scale;
mod serve;
mod servers;
mod transport;

use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use crate::measure::Plan;
use crate::process::Start;
use crate::servers::Server;
use peers::cells::Cell;
use peers::cpus;
use peers::frames::Verify;

#[global_allocator]
static ALLOCATOR: allocations::Counting = allocations::Counting;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments.iter().map(String::as_str).collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("echo: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[&str]) -> Result<(), Box<dyn Error>> {
    if let ["serve", name, threads, flags @ ..] = arguments {
        let start = Start {
            threads: threads.parse()?,
            count: flags.contains(&"--count"),
            is_pinned: flags.contains(&"--pinned"),
        };
        return Ok(serve::serve(Server::named(name).ok_or(USAGE)?, start)?);
    }
    let options = options(arguments)?;
    let plan = &options.plan;
    serve::raise_file_limit();
    cpus::pin_counterpart()?;
    if options.is_scale {
        let text = report::scale(plan, &scale::scale(plan)?, &options.note);
        return publish(&options, "SCALE.md", &text);
    }
    if options.is_breakdown {
        let cells = breakdown::CELLS.into_iter().filter_map(Cell::named).collect();
        let plan = Plan { servers: breakdown::SERVERS.to_vec(), cells, ..options.plan };
        print!("{}", breakdown::breakdown(&plan)?);
        return Ok(());
    }
    if options.is_fairness {
        print!("{}", report::fairness(plan, &fairness::fairness(plan)?));
        return Ok(());
    }
    if options.is_memory {
        print!("{}", report::held(plan, &memory::held(plan)?));
        return Ok(());
    }
    let speeds = measure::speeds(plan)?;
    if options.is_speed {
        print!("{}", report::speed(plan, &speeds));
        return Ok(());
    }
    let (work, held) = (measure::work(plan)?, memory::held(plan)?);
    let fairness = fairness::fairness(plan)?;
    publish(&options, "RESULTS.md", &report::all(plan, &speeds, &work, &held, &fairness, &options.note))?;
    publish(&options, "results.svg", &chart::chart(plan, &speeds))
}

/// Results of a whole run are written beside the README; others are printed, and replace nothing.
fn publish(options: &Options, name: &str, text: &str) -> Result<(), Box<dyn Error>> {
    if options.is_whole {
        fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join(name), text)?;
        eprintln!("written: {name}");
    } else if name.ends_with(".md") {
        print!("{text}");
    }
    Ok(())
}

struct Options {
    plan: Plan,
    /// Every server, every cell, every round.
    is_whole: bool,
    is_scale: bool,
    /// Nothing but speed.
    is_speed: bool,
    /// Nothing but fairness.
    is_fairness: bool,
    /// Where the time of a message goes, instead of all else.
    is_breakdown: bool,
    /// Nothing but memory.
    is_memory: bool,
    /// What readers should know of the machine.
    note: String,
}

const USAGE: &str = "usage: echo [--quick] [--speed] [--fairness] [--memory] [--breakdown] [--verify] [--scale] [--rounds N] [--milliseconds N] \
    [--servers NAME,…] [--cells 16x1,125x32t,…] [--note TEXT]";

fn options(arguments: &[&str]) -> Result<Options, Box<dyn Error>> {
    let mut options = Options {
        plan: Plan {
            servers: Server::ALL.to_vec(),
            cells: Cell::ALL.to_vec(),
            rounds: 5,
            time: Duration::from_millis(250),
            verify: Verify::Lengths,
            held_by: 1000,
            fairness_time: Duration::from_secs(2),
        },
        is_whole: true,
        is_scale: false,
        is_speed: false,
        is_fairness: false,
        is_breakdown: false,
        is_memory: false,
        note: String::new(),
    };
    let plan = &mut options.plan;
    let mut arguments = arguments.iter();
    while let Some(&argument) = arguments.next() {
        let mut value = || arguments.next().copied().ok_or(USAGE);
        match argument {
            "--quick" => {
                (plan.rounds, plan.time, plan.held_by) = (2, Duration::from_millis(40), 100);
                plan.fairness_time = Duration::from_millis(250);
            }
            "--speed" => options.is_speed = true,
            "--fairness" => options.is_fairness = true,
            "--breakdown" => options.is_breakdown = true,
            "--memory" => options.is_memory = true,
            "--verify" => plan.verify = Verify::Contents,
            "--scale" => options.is_scale = true,
            "--rounds" => plan.rounds = value()?.parse()?,
            "--milliseconds" => plan.time = Duration::from_millis(value()?.parse()?),
            "--servers" => {
                plan.servers = value()?.split(',').map(Server::named).collect::<Option<_>>().ok_or(USAGE)?;
                // Every ratio is one to it.
                if !plan.servers.contains(&Server::RawShared) {
                    plan.servers.insert(0, Server::RawShared);
                }
            }
            "--cells" => {
                plan.cells = value()?.split(',').map(Cell::named).collect::<Option<_>>().ok_or(USAGE)?;
            }
            "--note" => options.note = value()?.to_owned(),
            _ => return Err(USAGE.into()),
        }
        options.is_whole &= matches!(argument, "--scale" | "--note");
    }
    if plan.rounds == 0 || plan.cells.is_empty() {
        return Err(USAGE.into());
    }
    Ok(options)
}
