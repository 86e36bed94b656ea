//! A flooder beside a ping-pong, on one thread of the server: how long the ping-pong waits.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::histogram::Histogram;
use crate::load;
use crate::measure::Plan;
use crate::process::{Process, Start};
use crate::servers::Server;
use peers::frames::{Frames, Payload, Verify};

/// What was seen, in microseconds.
#[derive(Clone, Copy)]
pub(crate) struct Fairness {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) longest: f64,
    pub(crate) flooded_per_second: f64,
}

pub(crate) fn fairness(plan: &Plan) -> io::Result<Vec<Fairness>> {
    eprintln!("fairness");
    // Others on the machine can only add to what is measured, so the best of several turns is nearest to the truth.
    let best = |&server: &Server| {
        let turns = (0..TURNS).map(|_| beside_a_flood(server, plan.fairness_time / TURNS));
        let turns: Vec<Fairness> = turns.collect::<Result<_, _>>()?;
        turns.into_iter().min_by(|a, b| a.p99.total_cmp(&b.p99)).ok_or(io::ErrorKind::InvalidInput.into())
    };
    plan.servers.iter().map(best).collect()
}

const TURNS: u32 = 5;

fn beside_a_flood(server: Server, time: Duration) -> io::Result<Fairness> {
    let process = Process::start(server, Start::PINNED)?;
    let payload = Payload { len: 16, is_text: false };
    let mut flood = Flood {
        stream: load::open(process.port())?,
        frames: Frames::new(payload, 4096, server.is_raw()),
        position: 0,
        received: 0,
        buffer: vec![0; 64 << 10],
    };
    flood.stream.set_nonblocking(true)?;
    let frames = Frames::new(payload, 1, server.is_raw());
    let mut stream = load::open(process.port())?;
    stream.set_nonblocking(true)?;
    let (mut reply, mut there) = (vec![0; frames.reply_len()], 0);
    let (mut times, mut longest) = (Histogram::new(), 0.0_f64);
    let start = Instant::now();
    let mut sent_at = start;
    stream.write_all(frames.from(0, frames.sent_len()))?;
    while start.elapsed() < time {
        match stream.read(&mut reply[there..]) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            // Some write a header by itself.
            Ok(read) if there + read < reply.len() => there += read,
            Ok(_) => {
                there = 0;
                frames.verify(0, &reply, Verify::Contents);
                let time = sent_at.elapsed();
                times.add(time);
                longest = longest.max(time.as_secs_f64() * 1e6);
                sent_at = Instant::now();
                stream.write_all(frames.from(0, frames.sent_len()))?;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        flood.turn()?;
    }
    // A ping that is never answered is the longest.
    longest = longest.max(sent_at.elapsed().as_secs_f64() * 1e6);
    let flooded = flood.received / flood.frames.reply_len();
    Ok(Fairness {
        p50: times.quantile(0.5),
        p99: if times.quantile(0.99) == 0.0 { longest } else { times.quantile(0.99) },
        longest,
        flooded_per_second: flooded as f64 / start.elapsed().as_secs_f64(),
    })
}

/// A connection whose input never runs dry: as much is written as the transport takes, in turns that are short, so that
/// the ping-pong does not wait for the load generator instead.
struct Flood {
    stream: TcpStream,
    frames: Frames,
    position: usize,
    received: usize,
    buffer: Vec<u8>,
}

impl Flood {
    fn turn(&mut self) -> io::Result<()> {
        match self.stream.write(self.frames.from(self.position, self.buffer.len())) {
            Ok(written) => self.position = (self.position + written) % self.frames.period,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        match self.stream.read(&mut self.buffer) {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => {
                self.frames.verify(self.received, &self.buffer[..read], Verify::Lengths);
                self.received += read;
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error),
        }
    }
}
