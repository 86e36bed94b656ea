//! Clients of sansocket and of its peers against one neutral echo: CLIENT.md.
//!
//! `client` measures everything, `client --quick` less of it.

mod clients;
mod report;
mod server;
mod turns;

use std::error::Error;
use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use peers::cells::Cell;
use peers::cpus;
use peers::frames::Frames;
use tokio::net::TcpStream;
use tokio::runtime::Builder;

use crate::clients::{Client, Work};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments.iter().map(String::as_str).collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("client: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[&str]) -> Result<(), Box<dyn Error>> {
    let options = options(arguments)?;
    let costs = costs(&options.plan, server::start()?)?;
    let text = report::report(&options.plan, &costs, &options.note);
    if options.is_whole {
        fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join("CLIENT.md"), text)?;
        eprintln!("written: CLIENT.md");
    } else {
        print!("{text}");
    }
    Ok(())
}

/// What is measured, and how much of it.
pub(crate) struct Plan {
    pub(crate) clients: Vec<Client>,
    pub(crate) cells: Vec<Cell>,
    pub(crate) rounds: usize,
    /// Octets of payload that each connection sends in each cell and round …
    octets: usize,
    /// … but no more messages than this with one in flight; ten times as many with more.
    messages: usize,
}

struct Options {
    plan: Plan,
    is_whole: bool,
    note: String,
}

const USAGE: &str =
    "usage: client [--quick] [--rounds N] [--clients NAME,…] [--cells 16x1,1024x32,…] [--note TEXT]";

fn options(arguments: &[&str]) -> Result<Options, Box<dyn Error>> {
    let mut plan = Plan {
        clients: Client::ALL.to_vec(),
        cells: Cell::ALL.into_iter().filter(|cell| !cell.payload.is_text).collect(),
        rounds: 9,
        octets: 24 << 20,
        messages: 2500,
    };
    let (mut is_whole, mut note) = (true, String::new());
    let mut arguments = arguments.iter();
    while let Some(&argument) = arguments.next() {
        let mut value = || arguments.next().copied().ok_or(USAGE);
        match argument {
            "--quick" => (plan.rounds, plan.octets, plan.messages) = (2, 8 << 20, 500),
            "--rounds" => plan.rounds = value()?.parse()?,
            "--clients" => {
                plan.clients = value()?.split(',').map(Client::named).collect::<Option<_>>().ok_or(USAGE)?;
                // Every ratio is one to it.
                plan.clients.retain(|client| *client != Client::Raw);
                plan.clients.insert(0, Client::Raw);
            }
            "--cells" => {
                plan.cells = value()?.split(',').map(Cell::named).collect::<Option<_>>().ok_or(USAGE)?;
            }
            "--note" => note = value()?.to_owned(),
            _ => return Err(USAGE.into()),
        }
        is_whole &= argument == "--note";
    }
    let has_text = plan.cells.iter().any(|cell| cell.payload.is_text);
    if plan.rounds == 0 || plan.cells.is_empty() || has_text {
        return Err(USAGE.into());
    }
    Ok(Options { plan, is_whole, note })
}

/// Microseconds of the client's processor for a message, by client, cell and round.
pub(crate) type Costs = Vec<Vec<Vec<f64>>>;

fn costs(plan: &Plan, port: u16) -> Result<Costs, Box<dyn Error>> {
    let mut costs = vec![vec![Vec::new(); plan.cells.len()]; plan.clients.len()];
    // For ever, as it is: there are a few, and tasks want what they borrow to live as long.
    let frames: Vec<&'static Frames> = plan
        .cells
        .iter()
        .map(|cell| &*Box::leak(Box::new(Frames::new(cell.payload, cell.in_flight, false))))
        .collect();
    for round in 0..plan.rounds {
        eprintln!("round {} of {}", round + 1, plan.rounds);
        for (column, &cell) in plan.cells.iter().enumerate() {
            for turn in 0..plan.clients.len() {
                // Each comes first once in a while, and behind every other.
                let index = (turn + round * 5 + column * 3) % plan.clients.len();
                let client = plan.clients[index];
                let (messages, frames) = (plan.messages(cell), frames[column]);
                // A thread of its own, so that nothing is left of who came before.
                let measured = thread::spawn(move || cost(client, cell, messages, frames, port)).join();
                let cost = measured.map_err(|_| format!("{}, {cell}: panicked", client.name()))?;
                costs[index][column]
                    .push(cost.map_err(|error| format!("{}, {cell}: {error}", client.name()))?);
            }
        }
    }
    Ok(costs)
}

impl Plan {
    /// How many messages each connection sends while the clock runs.
    fn messages(&self, cell: Cell) -> usize {
        let most = if cell.in_flight > 1 { self.messages * 10 } else { self.messages };
        (self.octets / cell.payload.len).min(most)
    }
}

pub(crate) const CONNECTIONS: usize = 8;

fn cost(client: Client, cell: Cell, messages: usize, frames: &'static Frames, port: u16) -> io::Result<f64> {
    cpus::pin_measured()?;
    // As its documentation recommends: it takes a while, once.
    sockudo_ws::init_clock();
    Builder::new_current_thread().enable_all().build()?.block_on(async {
        let mut streams = Vec::new();
        for _ in 0..CONNECTIONS {
            let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
            stream.set_nodelay(true)?;
            streams.push(stream);
        }
        let counted = messages * CONNECTIONS;
        let sent = cell.in_flight * CONNECTIONS;
        let warm = (counted / 4).max(2 * sent);
        let done = turns::begin(cell.payload.len, sent, warm, warm + counted);
        let work =
            Work { payload: Bytes::from(vec![b'x'; cell.payload.len]), in_flight: cell.in_flight, frames };
        for stream in streams {
            client.spawn(stream, work.clone());
        }
        let time = tokio::time::timeout(TIMEOUT, done).await.map_err(|_| io::ErrorKind::TimedOut)?;
        Ok(time.map_err(io::Error::other)?.as_secs_f64() * 1e6 / counted as f64)
    })
}

/// Replies that do not come are a failure, not a slow client.
const TIMEOUT: Duration = Duration::from_secs(20);
