//! Where the time of one echoed message goes, in sansocket's lending echo and in `ideal`.
//!
//! Each part is measured alone, or as the difference between two stages of the same work in memory; what is left of the server's
//! whole cost is told too.

#[path = "../../../support/memory.rs"]
mod memory;

use std::fmt::Write as _;
use std::hint::black_box;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Waker};
use std::thread;
use std::time::{Duration, Instant};

use peers::cells::Cell;
use peers::cpus;
use peers::frame_header::Header;
use peers::frames::Frames;
use peers::markdown::line;
use peers::statistics::median_and_spread;
use sansocket::Config;
use sansocket::connection::Connection;
use sansocket::frame::MaskingKey;
use sansocket::stream::WebSocket;

use self::memory::{Memory, wake};
use crate::measure::{self, Plan, Speeds};
use crate::servers::Server;

/// The cells of the table, as on the command line.
pub(crate) const CELLS: [&str; 3] = ["16x1", "16x32", "16384x1"];

pub(crate) const SERVERS: [Server; 3] = [Server::RawShared, Server::Ideal, Server::SansocketLending];

/// Nanoseconds of one message.
struct Parts {
    /// One `send` and one `recv` for each burst.
    system_calls: f64,
    /// raw-shared, whole.
    raw: f64,
    lending: InMemory,
    ideal: InMemory,
}

/// What one server does between reading and writing, and its whole cost.
struct InMemory {
    /// Headers read and judged, and, with a core, made events.
    header: f64,
    mask: f64,
    /// What the layer over tokio adds: buffers lent and given back, state, the message lent.
    layer: Option<f64>,
    queue: f64,
    whole: f64,
}

/// The table.
pub(crate) fn breakdown(plan: &Plan) -> io::Result<String> {
    let speeds = measure::speeds(plan)?;
    eprintln!("parts");
    let mut text = String::from(HEAD);
    line(
        &mut text,
        "nanoseconds per message",
        plan.cells.iter().map(|cell| format!("{cell}: lending | ideal")),
    );
    line(&mut text, "---", plan.cells.iter().map(|_| "---: | ---:"));
    let parts: Vec<Parts> = (0..plan.cells.len())
        .map(|column| {
            let cell = plan.cells[column];
            let whole = whole(&speeds, column);
            // On the CPU where the servers were.
            let measured = thread::spawn(move || parts(cell, whole)).join();
            measured.map_err(|_| io::Error::other("a part panicked"))?
        })
        .collect::<Result<_, _>>()?;
    for (name, part) in ROWS {
        let cells = parts.iter().map(|parts| {
            let [lending, ideal] = [&parts.lending, &parts.ideal].map(|server| match part(parts, server) {
                Some(nanoseconds) => format!("{nanoseconds:.1}"),
                None => "–".to_owned(),
            });
            format!("{lending} | {ideal}")
        });
        line(&mut text, name, cells);
    }
    let _ = writeln!(text, "\nraw-shared: {}", {
        let all: Vec<_> = parts
            .iter()
            .zip(&plan.cells)
            .map(|(parts, cell)| format!("{:.1} at {cell}", parts.raw))
            .collect();
        all.join(", ")
    });
    Ok(text)
}

const HEAD: &str = "\
Nanoseconds of the server's processor for one echoed message. The whole and raw-shared as in the tables of speed; each part alone, the
fastest of 40 samples.

";

type Row = (&'static str, fn(&Parts, &InMemory) -> Option<f64>);

const ROWS: [Row; 8] = [
    ("system calls: `recv` and `send`", |parts, _| Some(parts.system_calls)),
    ("runtime, waiting, waking: raw-shared less that", |parts, _| Some(parts.raw - parts.system_calls)),
    ("header read, judged, made an event", |_, server| Some(server.header)),
    ("unmasked", |_, server| Some(server.mask)),
    ("layer over tokio, receiving", |_, server| server.layer),
    ("queued: header and copy", |_, server| Some(server.queue)),
    ("rest: caches, branches, what the load makes dear", |parts, server| {
        Some(server.whole - parts.raw - server.in_memory())
    }),
    ("**whole**", |_, server| Some(server.whole)),
];

impl InMemory {
    fn in_memory(&self) -> f64 {
        self.header + self.mask + self.layer.unwrap_or(0.0) + self.queue
    }
}

/// The cost of [`SERVERS`], in nanoseconds.
fn whole(speeds: &Speeds, column: usize) -> [f64; 3] {
    std::array::from_fn(|row| median_and_spread(speeds[row][column].iter().map(|speed| speed.cost * 1e3)).0)
}

fn parts(cell: Cell, [raw, ideal, lending]: [f64; 3]) -> io::Result<Parts> {
    cpus::pin_measured()?;
    let frames = Frames::new(cell.payload, cell.in_flight, false);
    let burst = &frames.sent[..frames.period];
    let messages = cell.in_flight;
    let reply = frames.reply_len() * messages;
    Ok(Parts {
        system_calls: system_calls(reply, messages)?,
        raw,
        lending: in_lending(burst, messages, lending),
        ideal: in_ideal(burst, messages, ideal),
    })
}

/// What both ends of one connection do in one thread: `send` delivers, so that `recv` never waits and nobody is woken.
fn system_calls(len: usize, messages: usize) -> io::Result<f64> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let mut sender = TcpStream::connect(listener.local_addr()?)?;
    let (mut receiver, _) = listener.accept()?;
    sender.set_nodelay(true)?;
    let octets = vec![0; len];
    let mut buffer = vec![0; 256 << 10];
    let mut result = Ok(());
    let time = fastest(messages, || {
        let mut once = || {
            sender.write_all(&octets)?;
            let mut there = 0;
            while there < len {
                there += receiver.read(&mut buffer)?;
            }
            Ok(())
        };
        if result.is_ok() {
            result = once();
        }
    });
    result.map(|()| time)
}

fn in_lending(burst: &[u8], messages: usize, whole: f64) -> InMemory {
    let mut input = burst.to_vec();
    let payloads = payloads(burst);
    let mask = fastest(messages, || {
        for (header, place) in &payloads {
            MaskingKey::new(header.masking_key).mask(&mut black_box(&mut input)[place.clone()]);
        }
    });
    let mut input = burst.to_vec();
    let mut connection = Connection::server(&Config::default());
    let core = fastest(messages, || {
        let mut at = 0;
        while at < input.len() {
            let input = &mut input[at..];
            let received = connection.receive(input).expect("a correct peer");
            let located = received.event.expect("a whole message");
            black_box(connection.event(located, input));
            at += received.consumed;
        }
    });
    let mut room = vec![0; burst.len()];
    let copied = fastest(messages, || black_box(&mut room).copy_from_slice(black_box(burst)));
    let receiving = woken(messages, receive(burst));
    let echoing = woken(messages, echo(burst));
    InMemory {
        header: core - mask,
        mask,
        layer: Some(receiving - core - copied),
        queue: echoing - receiving,
        whole,
    }
}

type Task = Pin<Box<dyn Future<Output = Result<(), sansocket::stream::Error>>>>;

fn socket(burst: &[u8]) -> WebSocket<Memory> {
    // Polled without a runtime, and so without a timer.
    let config = Config::default().ping_interval(None).write_timeout(None);
    WebSocket::server(Memory::pausing(burst.to_vec()), &config, Vec::new())
}

fn receive(burst: &[u8]) -> Task {
    let mut socket = socket(burst);
    Box::pin(async move {
        while let Some((message, _)) = socket.receive_ref().await? {
            black_box(message.payload());
        }
        Ok(())
    })
}

fn echo(burst: &[u8]) -> Task {
    let mut socket = socket(burst);
    Box::pin(async move {
        while let Some((message, mut outgoing)) = socket.receive_ref().await? {
            outgoing.feed(message)?;
        }
        Ok(())
    })
}

/// A task that is woken for a burst and finds nothing behind it.
fn woken(messages: usize, mut task: Task) -> f64 {
    fastest(messages, || {
        wake();
        assert!(task.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    })
}

fn in_ideal(burst: &[u8], messages: usize, whole: f64) -> InMemory {
    let mut input = burst.to_vec();
    let mut output = Vec::with_capacity(burst.len());
    let mut walk = |mask: bool, queue: bool| {
        fastest(messages, || {
            output.clear();
            let mut left = &mut black_box(&mut input)[..];
            while let Some(header) = Header::parse(left).expect("a correct frame") {
                let (payload, behind) = left[header.len..].split_at_mut(header.payload_len);
                if mask {
                    header.unmask(payload, 0);
                }
                if queue {
                    let (reply, len) = header.reply();
                    output.extend_from_slice(&reply[..len]);
                    output.extend_from_slice(payload);
                }
                left = behind;
            }
            black_box(&output);
        })
    };
    let (header, received, queued) = (walk(false, false), walk(true, false), walk(true, true));
    InMemory { header, mask: received - header, layer: None, queue: queued - received, whole }
}

/// Each frame's header, and where its payload lies.
fn payloads(burst: &[u8]) -> Vec<(Header, Range<usize>)> {
    let mut payloads = Vec::new();
    let mut at = 0;
    while let Some(header) = Header::parse(&burst[at..]).expect("a correct frame") {
        let start = at + header.len;
        at = start + header.payload_len;
        payloads.push((header, start..at));
    }
    payloads
}

/// Nanoseconds of one message in the fastest of many samples of this work: what else the machine does can only add.
fn fastest(messages: usize, mut work: impl FnMut()) -> f64 {
    let mut times = 1;
    let mut sample = |times: u32| {
        let start = Instant::now();
        (0..times).for_each(|_| work());
        start.elapsed()
    };
    while sample(times) < SAMPLE {
        times *= 2;
    }
    let fastest = (0..SAMPLES).map(|_| sample(times)).min().unwrap_or_default();
    fastest.as_secs_f64() * 1e9 / f64::from(times) / messages as f64
}

const SAMPLES: usize = 40;
const SAMPLE: Duration = Duration::from_millis(2);
