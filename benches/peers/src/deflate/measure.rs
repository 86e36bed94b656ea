//! Measuring one set of connections: time per message in each direction, octets on the wire, octets held.

use std::collections::{HashMap, HashSet};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use tokio::runtime::Runtime;

use crate::allocations;
use crate::corpus::Corpus;
use crate::endpoint::Endpoint;
use crate::transport::{Transport, Wire};
use crate::zlib::{self, Terms};

/// The messages of a corpus, as they are sent and as they come in.
pub(crate) struct Traffic {
    pub(crate) corpus: Corpus,
    messages: Vec<Bytes>,
    /// What the peers of so many connections send, compressed; each begins at another message, so that neighbours
    /// never have the same one in turn.
    compressed: HashMap<(Terms, usize), Vec<Vec<Vec<u8>>>>,
}

impl Traffic {
    pub(crate) fn new(corpus: Corpus, terms: &HashSet<Terms>, loads: [Load; 2]) -> Self {
        let messages: Vec<Bytes> = corpus.messages.iter().map(|message| message.clone().into()).collect();
        // The first clone of octets allocates what counts the clones.
        messages.iter().for_each(|message| drop(message.clone()));
        let mut traffic = Self { corpus, messages, compressed: HashMap::new() };
        for &terms in terms {
            for load in loads {
                let of = |connection| {
                    let messages = (0..load.messages).map(|index| &**traffic.message(connection, index));
                    zlib::compressed(messages, terms)
                };
                let streams = (0..load.connections).map(of).collect();
                traffic.compressed.insert((terms, load.connections), streams);
            }
        }
        traffic
    }

    /// What a connection receives, and sends, as its message of this number.
    fn message(&self, connection: usize, index: usize) -> &Bytes {
        &self.messages[(connection * STRIDE + index) % self.messages.len()]
    }

    /// What the peer of this connection, one of so many, sends.
    fn script(
        &self,
        script: Script,
        terms: Terms,
        connections: usize,
        connection: usize,
    ) -> Arc<Vec<Vec<u8>>> {
        let frames = self.compressed[&(terms, connections)][connection].iter().map(|payload| match script {
            Script::Payloads => payload.clone(),
            Script::Frames | Script::Handshake(_) => zlib::client_frame(payload, self.corpus.is_text),
        });
        let request = match script {
            Script::Handshake(request) => Some(request.as_bytes().to_vec()),
            Script::Frames | Script::Payloads => None,
        };
        Arc::new(request.into_iter().chain(frames).collect())
    }
}

/// Has no divisor in common with the length of a corpus, which is a power of ten.
const STRIDE: usize = 37;

/// How many connections, and what each of them does.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    pub(crate) connections: usize,
    /// Messages each way over each connection.
    pub(crate) messages: usize,
    /// How many of them come before the clock starts.
    pub(crate) warm_up: usize,
    /// How many a connection receives, and then sends, before the next one has its turn.
    pub(crate) turn: usize,
}

/// What was seen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    /// Microseconds of processor time per message.
    pub(crate) receive: f64,
    pub(crate) send: f64,
    /// Octets of payload for each octet written, frame headers included.
    pub(crate) ratio: f64,
    /// Octets held per connection when each of them waits for its next message.
    pub(crate) held: f64,
}

/// What the script of a peer consists of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Script {
    /// Masked frames.
    Frames,
    /// A request for the opening handshake, and masked frames.
    Handshake(&'static str),
    /// Compressed messages and nothing around them.
    Payloads,
}

/// Connections made by `make`, under `load`.
pub(crate) fn measure<E: Endpoint>(
    runtime: &Runtime,
    make: &impl AsyncFn(Transport) -> E,
    script: Script,
    terms: Terms,
    traffic: &Traffic,
    load: Load,
) -> Sample {
    fill_pools(runtime, make, script, terms, traffic);
    let transport = |connection| Transport::new(traffic.script(script, terms, load.connections, connection));
    let (transports, wires): (Vec<_>, Vec<Arc<Wire>>) = (0..load.connections).map(transport).unzip();
    let (mut receive, mut send, mut written) = (Duration::ZERO, Duration::ZERO, 0);
    let (held, ends) = allocations::held_by(|| {
        runtime.block_on(async {
            let mut ends = Vec::with_capacity(load.connections);
            for (transport, wire) in transports.into_iter().zip(&wires) {
                if matches!(script, Script::Handshake(_)) {
                    wire.arrive();
                }
                ends.push(make(transport).await);
            }
            let handshakes: usize = wires.iter().map(|wire| wire.written()).sum();
            for first in (0..load.messages).step_by(load.turn) {
                let turn = first..(first + load.turn).min(load.messages);
                let started = processor_time();
                for (connection, (end, wire)) in ends.iter_mut().zip(&wires).enumerate() {
                    for index in turn.clone() {
                        wire.arrive();
                        let len = traffic.message(connection, index).len();
                        end.receive(|message| assert_eq!(message.len(), len)).await;
                    }
                    // As a task does that has nothing else to do: only now a crate can know that there is no more to read.
                    idle(end).await;
                }
                let received = processor_time();
                for (connection, end) in ends.iter_mut().enumerate() {
                    for index in turn.clone() {
                        end.send(traffic.message(connection, index), traffic.corpus.is_text).await;
                    }
                }
                if first >= load.warm_up {
                    receive += received - started;
                    send += processor_time() - received;
                }
            }
            for end in &mut ends {
                idle(end).await;
            }
            written = wires.iter().map(|wire| wire.written()).sum::<usize>() - handshakes;
            ends
        })
    });
    drop(ends);
    let timed = (load.messages - load.warm_up) * load.connections;
    let lens = |connection| (0..load.messages).map(move |index| traffic.message(connection, index).len());
    let payload: usize = (0..load.connections).flat_map(lens).sum();
    Sample {
        receive: receive.as_secs_f64() * 1e6 / timed as f64,
        send: send.as_secs_f64() * 1e6 / timed as f64,
        ratio: payload as f64 / written as f64,
        held: held as f64 / load.connections as f64,
    }
}

/// Has a few connections work and end, so that what a crate keeps for all of them is there, and counted for none.
fn fill_pools<E: Endpoint>(
    runtime: &Runtime,
    make: &impl AsyncFn(Transport) -> E,
    script: Script,
    terms: Terms,
    traffic: &Traffic,
) {
    let pieces = traffic.script(script, terms, 1, 0);
    runtime.block_on(async {
        let mut ends = Vec::new();
        for _ in 0..8 {
            let (transport, wire) = Transport::new(pieces.clone());
            if matches!(script, Script::Handshake(_)) {
                wire.arrive();
            }
            ends.push((make(transport).await, wire));
        }
        for index in 0..4 {
            for (end, wire) in &mut ends {
                wire.arrive();
                end.receive(|_| {}).await;
                idle(end).await;
                end.send(traffic.message(0, index), traffic.corpus.is_text).await;
            }
        }
    });
}

/// Makes sure that one connection made by `make` receives what was sent to it, and sends what it was given.
pub(crate) fn check<E: Endpoint>(
    runtime: &Runtime,
    make: &impl AsyncFn(Transport) -> E,
    script: Script,
    terms: Terms,
    traffic: &Traffic,
) {
    const MESSAGES: usize = 200;
    let (transport, wire) = Transport::new(traffic.script(script, terms, 1, 0));
    runtime.block_on(async {
        if matches!(script, Script::Handshake(_)) {
            wire.arrive();
        }
        let mut end = make(transport).await;
        wire.record();
        for message in &traffic.messages[..MESSAGES] {
            wire.arrive();
            end.receive(|received| assert_eq!(received, message)).await;
            end.send(message, traffic.corpus.is_text).await;
        }
    });
    if script != Script::Payloads {
        let sent = zlib::server_messages(&wire.take_record(), terms);
        assert!(sent == traffic.messages[..MESSAGES], "what was sent can be read");
    }
}

/// Has the connection wait for a message that does not come.
async fn idle(end: &mut impl Endpoint) {
    let mut receive = pin!(end.receive(|_| {}));
    std::future::poll_fn(|cx| {
        assert!(receive.as_mut().poll(cx).is_pending(), "nothing was sent");
        Poll::Ready(())
    })
    .await;
}

/// Of this thread: others on the machine do not count, as far as they leave its caches alone.
fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
