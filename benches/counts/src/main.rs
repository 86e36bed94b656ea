//! Instructions, allocations and calls on the transport, counted and compared with what they were: what noise cannot touch.
//!
//! `cargo run --release -p counts`, and with `-- --bless` to take over what is counted. Needs valgrind.
//!
//! The program runs itself under `valgrind --tool=callgrind`, which tells how many instructions each call of
//! [`measure::counted_frames`] took. Valgrind shows every program a CPU with AVX2 and without AVX-512, so the path that the
//! crate chooses at run time is the same on every machine with AVX2; so that it is for copies too, the C library is told
//! not to use `rep movsb`, of which each octet would count as an instruction.

mod allocations;
#[path = "../../support/by_hand.rs"]
mod by_hand;
mod callgrind;
mod document;
mod measure;
#[path = "../../support/memory.rs"]
mod memory;
mod values;
#[path = "../../support/wire.rs"]
mod wire;
mod workloads;

use std::process::ExitCode;

use values::Values;

#[global_allocator]
static ALLOCATOR: allocations::Counting = allocations::Counting;

fn main() -> ExitCode {
    let argument = std::env::args().nth(1);
    let result = match argument.as_deref() {
        _ if cfg!(debug_assertions) => {
            Err("only what is optimised is counted: `cargo run --release -p counts`".into())
        }
        _ if cfg!(target_feature = "avx2") => {
            Err("built for a CPU with AVX2: what would be counted is another path".into())
        }
        Some(measure::ARGUMENT) => measure::run(),
        Some("--bless") => bless(),
        None => compare(),
        Some(other) => Err(format!("unknown argument {other}: only --bless is known")),
    };
    result.map_or_else(
        |error| {
            eprintln!("counts: {error}");
            ExitCode::FAILURE
        },
        |()| ExitCode::SUCCESS,
    )
}

fn bless() -> Result<(), String> {
    let name = values::file_name()?;
    let path = values::folder().join(&name);
    callgrind::count()?.write(&path)?;
    // As it was written: rounded.
    let written = Values::read(&path)?.ok_or_else(|| format!("{name} is gone"))?;
    document::write(&name, &written)?;
    print!("{written}");
    Ok(())
}

fn compare() -> Result<(), String> {
    let counted = callgrind::count()?;
    let name = values::file_name()?;
    let Some(expected) = Values::read(&values::folder().join(&name))? else {
        print!("{counted}");
        println!("nothing to compare with: there is no benches/counts/values/{name}, `--bless` writes it");
        return Ok(());
    };
    let changes = expected.changes(&counted);
    if changes.is_empty() {
        print!("{counted}");
        return Ok(());
    }
    println!("{changes}");
    Err(format!(
        "more than {} % off, or another number of allocations or calls. If that is meant, run `cargo run --release -p counts -- --bless`, commit \
         benches/counts/values/{name} and docs/performance.md, and say in the commit why",
        values::TOLERANCE_PERCENT
    ))
}
