//! What has been reported against implementations of this protocol, against this one.
//!
//! Each test is named after the behaviour, and prints its figure: `cargo test --all-features --test known_attacks --
//! --nocapture`. The handshake has a file of its own, `known_attacks_handshake.rs`. Published advisories behind them:
//!
//! - memory by tiny fragments: CVE-2026-48779 (GHSA-96hv-2xvq-fx4p), and its sequel for messages that are never finished;
//! - lengths of 64 bits that overflow: CVE-2020-27813;
//! - a pong for every ping of a peer that never reads, and queues without a bound: found in several, without an advisory.
#![cfg(all(feature = "test-util", feature = "tokio"))]
#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests")]

#[path = "support/allocations.rs"]
mod allocations;
mod attack_support;

use std::pin::pin;
use std::task::Poll;

use allocations::{Counting, allocated_by, held_by, peak_of};
use attack_support::{Counts, End, Flood, ROLES, driven, flood, once, over, paused};
use sansocket::stream::{Error, WebSocket};
use sansocket::test_util::{Frame, MASKING_KEY, Peer};
use sansocket::{Config, Limits, Message, ProtocolError, Role, blocking};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// What is looked for is memory, and there is no runtime that could tell the time.
fn quiet() -> Config {
    Config::default().ping_interval(None).write_timeout(None)
}

/// As many whole copies of these octets as are about a read.
fn period(frame: &[u8]) -> Vec<u8> {
    frame.repeat((64 * KIB).div_ceil(frame.len()))
}

/// Fills what the thread keeps for all its connections, which is no connection's.
fn warm_up(role: Role) {
    let (io, counts) = flood(Frame::ping("warm").octets(role.peer()));
    let mut socket = over(io, role, &quiet());
    counts.send(1000);
    counts.take_output();
    assert!(once(socket.receive()).is_pending());
}

/// What a flood of the same frame costs a socket that receives it all: octets at the peak, and afterwards.
fn cost_of_flood(role: Role, frame: &Frame, total: usize, way: &str) -> (usize, usize, Counts) {
    warm_up(role);
    let (io, counts) = flood(period(&frame.octets(role.peer())));
    let config = quiet();
    match way {
        "unsplit" => {
            let mut socket = over(io, role, &config);
            assert!(once(socket.receive()).is_pending());
            let (peak, (held, ())) = peak_of(|| {
                held_by(|| {
                    counts.send(total);
                    assert!(once(socket.receive()).is_pending());
                })
            });
            (peak, held, counts)
        }
        "halves" => {
            let (mut receiver, _sender) = over(io, role, &config).split();
            assert!(once(receiver.receive()).is_pending());
            let (peak, (held, ())) = peak_of(|| {
                held_by(|| {
                    counts.send(total);
                    assert!(once(receiver.receive()).is_pending());
                })
            });
            (peak, held, counts)
        }
        _ => {
            let io = blocking::Plain(io);
            let mut socket = match role {
                Role::Client => blocking::WebSocket::client(io, &config, Vec::new()),
                Role::Server => blocking::WebSocket::server(io, &config, Vec::new()),
            };
            let mut wait = || while !matches!(socket.receive(), Err(Error::WouldBlock)) {};
            wait();
            let (peak, (held, ())) = peak_of(|| {
                held_by(|| {
                    counts.send(total);
                    while counts.read() < total {
                        wait();
                    }
                })
            });
            (peak, held, counts)
        }
    }
}

// 6455-5.5.3-2, CM-28
#[test]
fn both_receive_50_mb_of_pings_from_a_peer_that_never_reads() {
    const TOTAL: usize = 50_000_000;
    let mut worst = 0;
    for role in ROLES {
        for (way, len) in [("unsplit", 4), ("unsplit", 125), ("halves", 125)] {
            let (peak, held, counts) = cost_of_flood(role, &Frame::ping(vec![7; len]), TOTAL, way);
            assert_eq!((counts.read(), counts.written()), (TOTAL, 0));
            println!(
                "{role:?}, {way}, 50 MB of pings of {len}: {peak} octets more at the peak, {held} after"
            );
            worst = worst.max(peak);
        }
    }
    println!("50 MB of unread pings: at most {worst} octets");
    assert!(worst <= 64 * KIB, "{worst} octets");
}

// CM-28
#[test]
fn both_receive_pings_from_a_peer_that_never_reads_over_a_blocking_transport() {
    // A millisecond is waited for each write in vain.
    const TOTAL: usize = 5_000_000;
    for role in ROLES {
        let (peak, held, counts) = cost_of_flood(role, &Frame::ping(vec![7; 125]), TOTAL, "blocking");
        assert_eq!((counts.read(), counts.written()), (TOTAL, 0));
        println!("{role:?}, blocking, 5 MB of pings: {peak} octets more at the peak, {held} after");
        assert!(peak <= 64 * KIB, "{peak} octets");
    }
}

#[test]
fn both_receive_50_mb_of_pongs_that_nobody_asked_for() {
    const TOTAL: usize = 50_000_000;
    for role in ROLES {
        let (peak, held, counts) = cost_of_flood(role, &Frame::pong(vec![7; 125]), TOTAL, "unsplit");
        assert_eq!(counts.read(), TOTAL);
        println!("{role:?}, 50 MB of pongs: {peak} octets more at the peak, {held} after");
        assert!(peak <= KIB, "{peak} octets");
    }
}

/// Octets held more than by an idle socket, after a frame's header has claimed `claim` and `came` have come.
fn held_for_claim(role: Role, claim: u64, came: usize, config: &Config, split: bool) -> usize {
    warm_up(role);
    let key = (role == Role::Server).then_some(MASKING_KEY);
    let octets = [Frame::binary("").header(key, claim), vec![1; came]].concat();
    let len = octets.len();
    let (io, counts) = flood(octets);
    let socket = over(io, role, config);
    let held = |receive: &mut dyn FnMut() -> bool| {
        assert!(receive());
        held_by(|| {
            counts.send(len);
            assert!(receive());
        })
        .0
    };
    if split {
        let (mut receiver, _sender) = socket.split();
        held(&mut || once(receiver.receive()).is_pending())
    } else {
        let mut socket = socket;
        held(&mut || once(socket.receive()).is_pending())
    }
}

// 6455-10.4-1, CM-19
#[test]
fn both_receive_10_octets_of_a_claimed_10_mb() {
    let unlimited = quiet().limits(Limits::default().max_frame_len(usize::MAX).max_message_len(usize::MAX));
    let mut worst = 0;
    for role in ROLES {
        for split in [false, true] {
            for (claim, config) in [
                (10_000_000, quiet()),
                (16 << 20, quiet()),
                (1 << 40, unlimited.clone()),
                (i64::MAX as u64, unlimited.clone()),
            ] {
                let held = held_for_claim(role, claim, 10, &config, split);
                println!("{role:?}, split: {split}: {held} octets for 10 of a claimed {claim}");
                worst = worst.max(held);
            }
        }
    }
    println!("10 octets of a claim: at most {worst} octets");
    assert!(worst <= KIB, "{worst} octets");
}

// 6455-10.4-1, CM-19
#[test]
fn both_receive_lengths_that_overflow() {
    let runtime = paused();
    let _entered = runtime.enter();
    let max = usize::MAX as u64;
    let table = [
        (1 << 63, ProtocolError::LengthTopBit),
        ((1 << 63) + 1, ProtocolError::LengthTopBit),
        (u64::MAX, ProtocolError::LengthTopBit),
        (max, ProtocolError::LengthTopBit),
        (max - 14, ProtocolError::LengthTopBit),
        (i64::MAX as u64, ProtocolError::FrameTooBig),
        (u64::from(u32::MAX), ProtocolError::FrameTooBig),
        (u64::from(u32::MAX) + 1, ProtocolError::FrameTooBig),
        ((16 << 20) + 1, ProtocolError::FrameTooBig),
    ];
    for role in ROLES {
        let key = (role == Role::Server).then_some(MASKING_KEY);
        for (len, expected) in table {
            let (io, peer) = Peer::new(role.peer());
            let mut socket = over(io, role, &quiet());
            peer.send(Frame::binary("").header(key, len));
            peer.end();
            let (peak, received) = peak_of(|| driven(socket.receive()).unwrap());
            assert!(
                matches!(&received, Err(Error::Protocol(error)) if *error == expected),
                "{len}: {received:?}"
            );
            assert!(peak < 600 * KIB, "{peak} octets");
        }
        // The sum of two lengths that are allowed by themselves.
        for limit in [usize::MAX, 1 << 63, (1 << 63) - 1] {
            let limits = Limits::default().max_frame_len(limit).max_message_len(limit);
            let (io, peer) = Peer::new(role.peer());
            let mut socket = over(io, role, &quiet().limits(limits));
            peer.send_frame(&Frame::binary([1; 10]).not_final());
            peer.send(Frame::continuation("").header(key, i64::MAX as u64));
            let received = once(socket.receive());
            if limit == usize::MAX {
                assert!(received.is_pending(), "it is allowed, and waited for");
            } else {
                let failed = matches!(received, Poll::Pending | Poll::Ready(Err(_)));
                assert!(failed && socket.queued() == 0, "{received:?}");
                peer.end();
                let received = driven(socket.receive()).unwrap();
                assert!(
                    matches!(received, Err(Error::Protocol(ProtocolError::MessageTooBig))),
                    "{limit}: {received:?}"
                );
            }
        }
    }
}

// 6455-10.4-1
#[test]
fn both_receive_a_million_fragments_of_one_octet_in_linear_memory_and_work() {
    for role in ROLES {
        let mut cost = Vec::new();
        for count in [250_000, 500_000, 1_000_000] {
            let mut end = End::new(role, &quiet());
            let middle = Frame::continuation("x").not_final().octets(role.peer());
            let mut pieces = period(&middle);
            pieces.truncate(pieces.len() / middle.len() * middle.len());
            let each = pieces.len() / middle.len();
            end.receive(&Frame::binary("x").not_final().octets(role.peer())).unwrap();
            let (allocated, (held, ())) = allocated_by(|| {
                held_by(|| {
                    let mut left = count - 2;
                    while left > 0 {
                        let now = left.min(each);
                        assert_eq!(end.receive(&pieces[..now * middle.len()]).unwrap(), [0; 0]);
                        left -= now;
                    }
                })
            });
            let last = Frame::continuation("x").octets(role.peer());
            assert_eq!(end.receive(&last).unwrap(), [count]);
            println!(
                "{role:?}, {count} fragments of one octet: {allocated} octets allocated in all, {held} held"
            );
            // What is held before the message is finished is what has come, at most doubled.
            assert!(held <= 2 * count + KIB, "{held} octets");
            cost.push(allocated);
        }
        // Twice as many allocate no more than twice as much, and what a doubling adds.
        assert!(cost[2] <= 2 * cost[1] + KIB && cost[1] <= 2 * cost[0] + KIB, "{cost:?}");
        assert!(cost[2] <= 4 * 1_000_000, "{cost:?}");
    }
}

// 6455-10.4-1, CM-32
#[test]
fn both_receive_300_000_empty_fragments_without_memory_and_cut_them_off() {
    let unlimited = quiet().limits(Limits::default().max_empty_fragments(u32::MAX));
    for role in ROLES {
        for (config, cut_off) in [(quiet(), true), (unlimited.clone(), false)] {
            let mut end = End::new(role, &config);
            let empty = Frame::continuation("").not_final().octets(role.peer());
            let pieces = empty.repeat(1000);
            end.receive(&Frame::binary("").not_final().octets(role.peer())).unwrap();
            let mut received = 1;
            let (peak, failure) = peak_of(|| {
                (0..300).find_map(|_| {
                    let failure = end.receive(&pieces).err();
                    received += if failure.is_none() { 1000 } else { 0 };
                    failure
                })
            });
            println!("{role:?}, {received} empty fragments, cut off: {cut_off}: {peak} octets");
            assert!(peak <= KIB, "{peak} octets");
            if cut_off {
                assert_eq!(failure, Some(ProtocolError::TooManyEmptyFragments.into()));
                assert_eq!(received, 99_001, "a thousand at a time, up to 100,000");
            } else {
                assert_eq!((failure, received), (None, 300_001));
                assert_eq!(end.receive(&Frame::continuation("").octets(role.peer())).unwrap(), [0]);
            }
        }
    }
}

/// Echoes until nothing moves any more.
fn echo(socket: &mut WebSocket<Flood>) {
    while let Poll::Ready(received) = once(socket.receive_ref()) {
        let (message, mut outgoing) = received.unwrap().unwrap();
        outgoing.feed(message).unwrap();
    }
}

// 6455-10.4-2, CM-27
#[test]
fn both_echo_to_a_peer_that_never_reads_up_to_the_high_water_mark() {
    for role in ROLES {
        for len in [0, 100, 10_000, 1_000_000] {
            let frame = Frame::binary(vec![1; len]).octets(role.peer());
            let reply_len = Frame::binary(vec![1; len]).octets(role).len();
            let mut figures = (0, 0, 0);
            // The first time it fills what the thread keeps.
            for _ in 0..2 {
                let (io, counts) = flood(frame.clone());
                let mut socket = over(io, role, &quiet());
                assert!(once(socket.receive()).is_pending());
                let (peak, ()) = peak_of(|| {
                    counts.send(usize::MAX);
                    echo(&mut socket);
                });
                figures = (socket.queued(), counts.read(), peak);
                // And asks for no more, however often it is polled.
                for _ in 0..100 {
                    assert!(once(socket.receive_ref()).is_pending());
                }
                assert_eq!((socket.queued(), counts.read()), (figures.0, figures.1));
            }
            let (queued, read, peak) = figures;
            println!(
                "{role:?}, echoes of {len} to a peer that never reads: {queued} queued, {read} read, {peak} held"
            );
            assert!(queued < HIGH_WATER_MARK + reply_len, "{queued} octets are queued");
            // What was answered, one buffer of input, and the message that is coming.
            let answered = queued / reply_len * frame.len();
            assert!(read <= answered + 2 * HIGH_WATER_MARK + frame.len(), "{read} octets were read");
            assert!(peak <= 2 * HIGH_WATER_MARK + 2 * len + 64 * KIB, "{peak} octets");
        }
    }
}

/// Echoes owned messages, polled 100 times. Returns how much is queued.
fn echo_owned(mut socket: WebSocket<Flood>, split: bool) -> usize {
    let echo_often = |echo: &mut dyn FnMut() -> bool| assert!((0..100).all(|_| echo()));
    if split {
        let (mut receiver, sender) = socket.split();
        let mut echo = pin!(async {
            while let Some(message) = receiver.receive().await? {
                sender.feed(message).await?;
            }
            Ok::<_, Error>(())
        });
        echo_often(&mut || once(echo.as_mut()).is_pending() && once(sender.flush()).is_pending());
        return sender.queued();
    }
    {
        let mut echo = pin!(async {
            while let Some(message) = socket.receive().await? {
                socket.feed(message).await?;
            }
            Ok::<_, Error>(())
        });
        echo_often(&mut || once(echo.as_mut()).is_pending());
    }
    socket.queued()
}

// 6455-10.4-2, CM-27
#[test]
fn both_echo_owned_messages_to_a_peer_that_never_reads_up_to_the_high_water_mark() {
    for (role, split) in ROLES.into_iter().flat_map(|role| [(role, false), (role, true)]) {
        for len in [0, 100, 10_000, 1_000_000] {
            let frame = Frame::binary(vec![1; len]).octets(role.peer());
            let reply_len = Frame::binary(vec![1; len]).octets(role).len();
            let (io, counts) = flood(frame.clone());
            counts.send(usize::MAX);
            let queued = echo_owned(over(io, role, &quiet()), split);
            let read = counts.read();
            println!("{role:?}, split: {split}, owned echoes of {len}: {queued} queued, {read} read");
            assert!(queued < HIGH_WATER_MARK + reply_len, "{queued} octets are queued");
            // What was answered, one buffer of input, and the message that is coming.
            let answered = queued / reply_len * frame.len();
            assert!(read <= answered + 2 * HIGH_WATER_MARK + frame.len(), "{read} octets were read");
        }
    }
}

/// [`Config::high_water_mark`] by default.
const HIGH_WATER_MARK: usize = 256 * KIB;

#[test]
fn both_receive_a_message_that_is_never_finished_up_to_the_limit() {
    let runtime = paused();
    let _entered = runtime.enter();
    let config = quiet().limits(Limits::default().max_message_len(MIB).max_frame_len(MIB));
    for role in ROLES {
        warm_up(role);
        let (io, peer) = Peer::new(role.peer());
        let mut socket = over(io, role, &config);
        peer.send_frame(&Frame::binary("").not_final());
        let piece = Frame::continuation(vec![1; 1000]).not_final().octets(role.peer());
        let (peak, error) = peak_of(|| {
            loop {
                peer.send(&piece);
                if let Poll::Ready(received) = once(socket.receive()) {
                    break received.unwrap_err();
                }
                if socket.close_report().is_some() || peer.outgoing().unread() > 100_000 {
                    peer.end();
                    break driven(socket.receive()).unwrap().unwrap_err();
                }
            }
        });
        println!("{role:?}, an endless message with a limit of 1 MiB: {peak} octets at the peak");
        assert!(matches!(error, Error::Protocol(ProtocolError::MessageTooBig)), "{error}");
        assert!(peak <= 2 * MIB + 700 * KIB, "{peak} octets");
    }
}

#[test]
fn both_receive_a_million_empty_messages_and_hold_nothing() {
    for role in ROLES {
        warm_up(role);
        let frame = Frame::text("").octets(role.peer());
        let (io, counts) = flood(period(&frame));
        let mut socket = over(io, role, &quiet());
        assert!(once(socket.receive()).is_pending());
        let mut received = 0;
        let (allocated, (held, ())) = allocated_by(|| {
            held_by(|| {
                counts.send(1_000_000 * frame.len());
                while let Poll::Ready(message) = once(socket.receive()) {
                    assert_eq!(message.unwrap(), Some(Message::text("")));
                    received += 1;
                }
            })
        });
        println!("{role:?}, {received} empty messages: {allocated} octets allocated, {held} held");
        assert_eq!(received, 1_000_000);
        assert!(held == 0 && allocated <= KIB);
    }
}
