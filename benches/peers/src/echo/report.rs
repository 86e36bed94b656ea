//! The figures as Markdown.

use std::fmt::Write;

use crate::fairness::Fairness;
use crate::goals::{goal, verdict};
use crate::measure::{Plan, Speed, Speeds, Work};
use crate::memory::Held;
use crate::scale::{CONNECTIONS, Scale};
use crate::servers::Server;
use peers::cells::Cell;
use peers::markdown::{head, line, version};
use peers::statistics::median_and_spread;

/// Everything.
pub(crate) fn all(
    plan: &Plan,
    speeds: &Speeds,
    work: &[Vec<Work>],
    held: &[Held],
    seen: &[Fairness],
    note: &str,
) -> String {
    let mut text = format!("# Echo servers, side by side\n\n{}\n", head(note));
    let _ = writeln!(
        text,
        "{} rounds of {} ms for each server and cell, twice as long at 1 MiB; 32 connections; server and load generator on a CPU \
         each.\n",
        plan.rounds,
        plan.time.as_millis()
    );
    text.push_str("![The first table, as dots](results.svg)\n\n");
    text.push_str(&speed(plan, speeds));
    text.push_str(&work_tables(plan, work));
    text.push_str(&self::held(plan, held));
    text.push_str(&fairness(plan, seen));
    text.push_str(&settings_table(plan));
    text
}

/// The tables of speed.
pub(crate) fn speed(plan: &Plan, speeds: &Speeds) -> String {
    let mut text = String::from(COST);
    text.push_str(&table(plan, |row, column| {
        let (median, spread) = ratio(plan, speeds, row, column);
        format!("{median:.2} ±{spread:.0}")
    }));
    for (name, server) in [
        ("goal, lending", Server::SansocketLending),
        ("goal, owned and `Stream`", Server::SansocketOwned),
        ("goal, split halves", Server::SansocketSplit),
    ] {
        let goal =
            |cell: &Cell| goal(server, *cell).map_or("–".to_owned(), |goal| format!("**{goal:.2}**"));
        line(&mut text, &format!("**{name}**"), plan.cells.iter().map(goal));
    }
    let _ = writeln!(text, "\n{}", verdict(plan, speeds));
    text.push_str("## Microseconds of the server's processor for a message\n\n");
    text.push_str(&table(plan, |row, column| median(speeds, row, column, |speed| speed.cost, 3)));
    text.push_str(
        "\n## Thousands of messages in a second\n\nWhat load generator and server do together.\n\n",
    );
    text.push_str(&table(plan, |row, column| {
        median(speeds, row, column, |speed| speed.messages_per_second / 1e3, 1)
    }));
    text.push_str(LATENCY);
    text.push_str(&table(plan, |row, column| {
        let of = |value: fn(&Speed) -> f64| median(speeds, row, column, value, 0);
        format!("{} / {}", of(|speed| speed.p50), of(|speed| speed.p99))
    }));
    text.push('\n');
    text
}

const COST: &str = "\
## Cost of a message

Processor time of the server for an echoed message, user and system together, as a multiple of what raw-shared took in the
same round: the median over the rounds, and half of what lies between the quartiles in per cent. Below 5 % (one message in
flight), 8 % (others) and 15 % (1 MiB) is noise.

";

const LATENCY: &str = "
## Latency: p50 / p99

Microseconds from sending a message to its echo, at full load: more in flight, or a faster load generator, is a longer
queue.

";

/// The cost of a message as a multiple of the reference's, and the spread of that.
pub(crate) fn ratio(plan: &Plan, speeds: &Speeds, row: usize, column: usize) -> (f64, f64) {
    let reference = plan.servers.iter().position(|server| *server == Server::RawShared).unwrap_or(0);
    let rounds = speeds[row][column].iter().zip(&speeds[reference][column]);
    median_and_spread(rounds.map(|(own, limit)| own.cost / limit.cost))
}

fn median(
    speeds: &Speeds,
    row: usize,
    column: usize,
    value: impl Fn(&Speed) -> f64,
    digits: usize,
) -> String {
    let (median, _) = median_and_spread(speeds[row][column].iter().map(value));
    format!("{median:.digits$}")
}

fn work_tables(plan: &Plan, work: &[Vec<Work>]) -> String {
    let mut text = String::from(CALLS);
    text.push_str(&table(plan, |row, column| {
        let Work { reads, waits, writes, .. } = work[row][column];
        format!("{reads:.2} / {waits:.2} / {writes:.2}")
    }));
    text.push_str("\n## Allocations for a message\n\nReallocations included.\n\n");
    text.push_str(&table(plan, |row, column| format!("{:.2}", work[row][column].allocations)));
    text.push('\n');
    text
}

const CALLS: &str = "\
## Calls on the transport for a message: reads / reads that found nothing / writes

As the server calls its stream. Of those that found nothing not each is a system call, since tokio knows that a short read
has drained the socket.

";

/// The table of what idle connections hold.
pub(crate) fn held(plan: &Plan, held: &[Held]) -> String {
    let mut text = format!(
        "## Octets held by an idle connection\n\nAnonymous resident memory of the server, for each of {} connections after \
         one echo of 16 B, then one of 16 KiB, then one of 1 MiB: the difference to a process with fewer connections, task \
         and socket included. The future is what the task consists of besides what the runtime adds.\n\n\
         | server | of that the future | 16 B | 16 KiB | 1 MiB |\n|---|---|---|---|---|\n",
        plan.held_by
    );
    for (server, Held { future_len, resident }) in plan.servers.iter().zip(held) {
        let cells = resident.iter().map(|octets| format!("{octets:.0}"));
        line(&mut text, server.name(), [future_len.to_string()].into_iter().chain(cells));
    }
    text.push('\n');
    text
}

/// The table of the ping-pong beside a flood.
pub(crate) fn fairness(plan: &Plan, seen: &[Fairness]) -> String {
    let mut text = String::from(FAIRNESS);
    for (server, Fairness { p50, p99, longest, flooded_per_second }) in plan.servers.iter().zip(seen) {
        let cells = [format!("{p50:.0}"), format!("{p99:.0}"), format!("{longest:.0}")];
        line(&mut text, server.name(), cells.into_iter().chain([format!("{:.0}", flooded_per_second / 1e3)]));
    }
    text.push('\n');
    text
}

const FAIRNESS: &str = "\
## A ping-pong beside a flood

One connection sends 16 B messages as fast as the server takes them, another waits for each echo before it sends the next; the
server has one thread. Microseconds of the ping-pong, in the best of five turns: others on the machine can only add. The goal is a
p99 below 1,000.

| server | p50 | p99 | longest | thousands of flooding messages in a second |
|---|---|---|---|---|
";

fn settings_table(plan: &Plan) -> String {
    let mut text = String::from("## What was chosen\n\n| server | version | settings |\n|---|---|---|\n");
    for server in &plan.servers {
        let version = version(server.name()).unwrap_or("–");
        line(&mut text, server.name(), [version, server.settings()]);
    }
    text
}

/// The table of `--scale`.
pub(crate) fn scale(plan: &Plan, scales: &[Scale], note: &str) -> String {
    let mut text = format!(
        "# {CONNECTIONS} connections, and two threads\n\n{}\n\
         Octets held by each of {CONNECTIONS} connections after one echo of 16 B; latency of one of them while the others are \
         idle; cost of a message of 16 B when each of them has one in flight; and thousands of messages of 16 B in a second, 32 \
         connections with 32 in flight, with a runtime of one thread and of two, none of them pinned: the load generator takes \
         its share of the same two CPUs. One run of each.\n\n\
         | server | octets held | p50 µs | p99 µs | cost µs | one thread | two threads |\n|---|---|---|---|---|---|---|\n",
        head(note)
    );
    for (server, scale) in plan.servers.iter().zip(scales) {
        let Scale { held, p50, p99, cost, one_thread, two_threads } = scale;
        let thousands = [one_thread, two_threads].map(|messages| format!("{:.0}", messages / 1e3));
        let cells = [format!("{held:.0}"), format!("{p50:.0}"), format!("{p99:.0}"), format!("{cost:.2}")];
        line(&mut text, server.name(), cells.into_iter().chain(thousands));
    }
    text
}

/// A line for each server, a column for each cell.
fn table(plan: &Plan, cell: impl Fn(usize, usize) -> String) -> String {
    let mut text = String::new();
    line(&mut text, "server", &plan.cells);
    line(&mut text, "---", plan.cells.iter().map(|_| "---"));
    for (row, server) in plan.servers.iter().enumerate() {
        line(&mut text, server.name(), (0..plan.cells.len()).map(|column| cell(row, column)));
    }
    text
}
