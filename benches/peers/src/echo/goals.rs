//! What sansocket wants to reach, and whether it has.

use std::fmt::Write;

use crate::measure::{Plan, Speeds};
use crate::report::ratio;
use crate::servers::Server;
use peers::cells::Cell;

/// The most that the server's processor may take for a message, as a multiple of raw-shared; in the order of the cells. Text has
/// no goal of its own.
pub(crate) fn goal(server: Server, cell: Cell) -> Option<f64> {
    let goals = match server {
        Server::SansocketLending => &LENDING,
        Server::SansocketOwned | Server::SansocketStream => &OWNED,
        Server::SansocketSplit => &SPLIT,
        _ => return None,
    };
    let goal = goals[Cell::ALL.iter().position(|other| *other == cell)?];
    (goal > 0.0).then_some(goal)
}

const LENDING: [f64; 13] = [1.02, 1.02, 1.03, 1.04, 1.06, 1.05, 1.11, 1.14, 0.0, 1.18, 1.04, 1.00, 0.85];
const OWNED: [f64; 13] = [1.04, 1.04, 1.05, 1.08, 1.06, 1.05, 1.26, 1.28, 0.0, 1.35, 1.09, 1.02, 0.85];
const SPLIT: [f64; 13] = [1.06, 1.06, 1.06, 1.10, 1.08, 1.10, 1.35, 1.38, 0.0, 1.40, 1.06, 1.02, 0.85];

/// What cannot be told from noise, as a share.
pub(crate) fn noise(cell: Cell) -> f64 {
    match (cell.payload.len, cell.in_flight) {
        (0x10_0000.., _) => 0.15,
        (_, 1) => 0.05,
        _ => 0.08,
    }
}

/// Whether the goals are met, and whether any peer is faster, cell by cell.
pub(crate) fn verdict(plan: &Plan, speeds: &Speeds) -> String {
    let mut text = String::from(HEAD);
    for (row, &server) in plan.servers.iter().enumerate().filter(|(_, server)| server.is_ours()) {
        let (mut missed, mut behind) = (Vec::new(), Vec::new());
        for (column, &cell) in plan.cells.iter().enumerate() {
            let (own, _) = ratio(plan, speeds, row, column);
            if let Some(goal) = goal(server, cell).filter(|goal| own > goal * (1.0 + noise(cell))) {
                missed.push(format!("{cell}: {own:.2}, goal {goal:.2}"));
            }
            for (other, peer) in plan.servers.iter().enumerate().filter(|(_, server)| server.is_peer()) {
                let (theirs, _) = ratio(plan, speeds, other, column);
                if own > theirs * (1.0 + noise(cell)) {
                    behind.push(format!("{cell}: {} ({theirs:.2}, own {own:.2})", peer.name()));
                }
            }
        }
        let or_none = |list: Vec<String>| if list.is_empty() { "none".to_owned() } else { list.join("; ") };
        let _ = writeln!(text, "| {} | {} | {} |", server.name(), or_none(missed), or_none(behind));
    }
    text
}

const HEAD: &str = "\
The goals were set on another machine and with another load generator, so a goal missed here by little may be met there. Peers and
sansocket were measured together.

| row | goals missed by more than noise | peers that are faster by more than noise |
|---|---|---|
";
