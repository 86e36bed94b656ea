//! permessage-deflate by sansocket and by its peers: time, octets on the wire, octets held.
//!
//! `deflate [--quick]` prints the tables of DEFLATE.md.

#[path = "../../../../tests/support/allocations.rs"]
mod allocations;
#[path = "../../../../tests/support/corpus.rs"]
mod corpus;
mod endpoint;
mod measure;
mod rows;
mod table;
mod transport;
mod zlib;

use std::collections::HashSet;
use std::process::ExitCode;
use std::rc::Rc;

use crate::measure::{Load, Traffic};
use crate::table::Samples;

#[global_allocator]
static ALLOCATOR: allocations::Counting = allocations::Counting;

fn main() -> ExitCode {
    let mut quick = false;
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--quick" => quick = true,
            _ => {
                eprintln!("usage: deflate [--quick]");
                return ExitCode::from(2);
            }
        }
    }
    let plan = if quick { QUICK } else { FULL };
    // As its documentation recommends: it takes a while, once.
    sockudo_ws::init_clock();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let rows = rows::rows(&Rc::new(runtime.expect("a runtime")));
    let terms: HashSet<_> = rows.iter().map(|row| row.terms).collect();
    let loads = [ONE, plan.many];
    let traffic = corpus::all(ONE.messages).map(|corpus| Traffic::new(corpus, &terms, loads));
    let mut samples = Samples::new(traffic.len(), rows.len());
    for (kind, traffic) in traffic.iter().enumerate() {
        for row in &rows {
            (row.check)(traffic);
        }
        for round in 0..plan.rounds {
            eprintln!("{}: round {} of {}", traffic.corpus.name, round + 1, plan.rounds);
            for turn in 0..rows.len() {
                // Every row comes first once in a while, and behind every other.
                let index = (turn + round * 5) % rows.len();
                let one = (rows[index].measure)(traffic, ONE);
                let many = (rows[index].measure)(traffic, plan.many);
                samples.add(kind, index, one, many);
            }
        }
    }
    print!("{}", table::tables(&traffic, &rows, &samples));
    ExitCode::SUCCESS
}

struct Plan {
    rounds: usize,
    many: Load,
}

const FULL: Plan = Plan { rounds: 5, many: MANY };
const QUICK: Plan = Plan { rounds: 3, many: Load { connections: 50, messages: 60, ..MANY } };

/// One busy connection.
const ONE: Load = Load { connections: 1, messages: 1_000, warm_up: 100, turn: 50 };

/// Many connections, each of which has a message now and then.
const MANY: Load = Load { connections: 200, messages: 100, warm_up: 20, turn: 1 };
