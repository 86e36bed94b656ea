//! The figures as Markdown.

use std::fmt::Write;

use peers::markdown::{head, line, version};
use peers::statistics::median_and_spread;

use crate::{CONNECTIONS, Costs, Plan};

pub(crate) fn report(plan: &Plan, costs: &Costs, note: &str) -> String {
    let mut text = format!("# Clients, side by side\n\n{}\n", head(note));
    let _ = writeln!(
        text,
        "{} rounds; {CONNECTIONS} connections on one thread; client and echo on a CPU each.\n\n{COST}",
        plan.rounds
    );
    let raw = &costs[0];
    table(&mut text, plan, |row, column| {
        let rounds = costs[row][column].iter().zip(&raw[column]);
        let (median, spread) = median_and_spread(rounds.map(|(own, limit)| own / limit));
        format!("{median:.2} ±{spread:.0}")
    });
    text.push_str("\n## Microseconds of the client's processor for a message\n\n");
    table(&mut text, plan, |row, column| {
        let (median, _) = median_and_spread(costs[row][column].iter().copied());
        format!("{median:.3}")
    });
    text.push_str(
        "\n## What was chosen\n\n| client | version | masking-keys | settings |\n|---|---|---|---|\n",
    );
    for client in &plan.clients {
        let [keys, settings] = client.settings();
        line(&mut text, client.name(), [version(client.name()).unwrap_or("–"), keys, settings]);
    }
    text
}

const COST: &str = "\
## Cost of a message

Processor time of the client for a message that it sends and its echo, user and system together, as a multiple of what raw took
in the same round: the median over the rounds, and half of what lies between the quartiles in per cent. Below 5 % (one message
in flight), 8 % (others) and 15 % (1 MiB) is noise. A crate with weak masking-keys has less to do: the last table.
";

/// A line for each client, a column for each cell.
fn table(text: &mut String, plan: &Plan, cell: impl Fn(usize, usize) -> String) {
    line(text, "client", &plan.cells);
    line(text, "---", plan.cells.iter().map(|_| "---"));
    for (row, client) in plan.clients.iter().enumerate() {
        line(text, client.name(), (0..plan.cells.len()).map(|column| cell(row, column)));
    }
}
