//! What connections that share a budget hold together: RFC 6455 §10.4.
#![cfg(feature = "std")]

mod support;

use bytes::Bytes;
use proptest::prelude::*;
use sansocket::connection::{Connection, Fin, Fragment};
use sansocket::frame::CloseFrame;
use sansocket::{Budget, CloseCode, Config, Failure, Message, ProtocolError, Role, SendError};
use support::allocations::{Counting, held_by};
use support::{BOTH_ROLES, connection, drain, from_peer, server_frame, wire_frames};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const KIB: usize = 1 << 10;

/// How much is leased at a time.
const LEASE: usize = 16 * KIB;

/// A connection that shares a budget, with a lent buffer, which is no connection's.
fn sharing(role: Role, budget: &Budget) -> Connection {
    sharing_with(role, budget, Config::default())
}

fn sharing_with(role: Role, budget: &Budget, config: Config) -> Connection {
    let mut connection = connection(role, &config.budget(budget.clone()));
    assert!(connection.lend_output_buffer(vec![0; 32 * KIB]).is_none());
    connection
}

/// How the octets of a large payload come.
#[derive(Debug, Clone, Copy)]
enum Way {
    /// In the input, in pieces.
    Input,
    /// Read straight to their destination, as soon as there is room there.
    Destination,
    /// In fragments, each of them whole in the input.
    Fragments,
}

const WAYS: [Way; 3] = [Way::Input, Way::Destination, Way::Fragments];

/// What the peer of `role` sends for a message with so many octets.
fn message(role: Role, way: Way, len: usize) -> Vec<u8> {
    let payload = vec![7; len];
    if !matches!(way, Way::Fragments) {
        return from_peer(role, &server_frame(0x82, &payload));
    }
    let fragments: Vec<_> = payload.chunks(5000).collect();
    let mut octets = Vec::new();
    for (index, fragment) in fragments.iter().enumerate() {
        let fin = if index + 1 == fragments.len() { 0x80 } else { 0 };
        octets.extend(from_peer(role, &server_frame(fin | if index == 0 { 2 } else { 0 }, fragment)));
    }
    octets
}

/// Gives the connection these octets, which have no Ping among them; what of the first message was received.
fn receive(connection: &mut Connection, way: Way, octets: &[u8]) -> Result<Option<Message>, Failure> {
    let mut input = Vec::new();
    let mut rest = octets;
    loop {
        let received = connection.receive(&mut input)?;
        if let Some(located) = received.event {
            return Ok(connection.take(located, &input));
        }
        input.drain(..received.consumed);
        if rest.is_empty() {
            return Ok(None);
        }
        let destination = match way {
            Way::Destination if input.is_empty() => connection.destination(),
            _ => None,
        };
        let len = match destination {
            Some(mut destination) if destination.room() > 0 => destination.append(rest),
            _ => {
                let len = rest.len().min(3000);
                input.extend_from_slice(&rest[..len]);
                len
            }
        };
        rest = &rest[len..];
    }
}

fn failure(role: Role) -> Failure {
    Failure::Protocol(ProtocolError::BudgetExhausted(role))
}

fn close_code(role: Role) -> u16 {
    match role {
        Role::Server => 1013,
        Role::Client => 1009,
    }
}

// 6455-10.4-1
#[test]
fn both_receive_a_message_of_exactly_the_budget_and_fail_at_one_octet_more() {
    for role in BOTH_ROLES {
        for way in WAYS {
            let budget = Budget::new(4 * LEASE);
            let mut connection = sharing(role, &budget);
            let received = receive(&mut connection, way, &message(role, way, 4 * LEASE));
            assert_eq!(received, Ok(Some(Message::binary(vec![7; 4 * LEASE]))), "{role:?}, {way:?}");
            assert!(budget.in_use() <= LEASE, "taken, it is the application's");

            let received = receive(&mut connection, way, &message(role, way, 4 * LEASE + 1));
            assert_eq!(received, Err(failure(role)), "{role:?}, {way:?}");
            assert_eq!(budget.in_use(), 0, "what has come of it is free again");
            let frames = wire_frames(role, &drain(&mut connection));
            assert_eq!(frames, [server_frame(0x88, &close_code(role).to_be_bytes())]);
            assert_eq!(receive(&mut connection, way, b"\x82\0"), Err(failure(role)));
        }
    }
}

// 6455-10.4-1
#[test]
fn both_receive_and_send_usual_messages_without_any_budget() {
    for role in BOTH_ROLES {
        let budget = Budget::new(0);
        let mut connection = sharing(role, &budget);
        let mut input = [
            from_peer(role, &server_frame(0x82, &[7; 60 * KIB])),
            from_peer(role, b"\x81\x05Hello"),
            from_peer(role, b"\x89\x01p"),
        ]
        .concat();
        let mut events = 0;
        while !input.is_empty() {
            let received = connection.receive(&mut input).expect("nothing of it has to be kept");
            assert!(received.event.is_some());
            input.drain(..received.consumed);
            events += 1;
        }
        assert_eq!(events, 3);
        connection.send("Hello").expect("it fits the lent buffer");
        connection.send(vec![7; 16 * KIB]).expect("it fits the lent buffer");
        connection.send(&[7; 8 * KIB]).expect("it fits the lent buffer");
        connection.ping(b"ping").expect("it fits the lent buffer");
        assert_eq!(wire_frames(role, &drain(&mut connection)).len(), 5);
        // The first octet that has to be kept is one too many.
        assert_eq!(receive(&mut connection, Way::Input, &from_peer(role, b"\x01\x01H")), Err(failure(role)));
        assert_eq!(budget.in_use(), 0);
    }
}

// 6455-10.4-1
#[test]
fn both_receive_the_beginning_of_a_message_and_give_its_lease_back_at_every_end() {
    type End = fn(&mut Connection);
    let ends: [(&str, End); 6] = [
        ("end of stream", |connection| connection.end_of_stream()),
        ("failed transport", |connection| connection.transport_failed()),
        ("abort", |connection| connection.abort()),
        ("Close of the peer", |connection| {
            let role = connection.role();
            let mut close = from_peer(role, b"\x88\0");
            assert!(connection.receive(&mut close).expect("a Close is fine").event.is_some());
        }),
        ("broken rule", |connection| {
            let mut octets = from_peer(connection.role(), b"\xf0\0");
            assert!(connection.receive(&mut octets).is_err());
        }),
        ("timeout of the closing handshake", |connection| {
            connection.close(&CloseFrame::with_code(CloseCode::NORMAL)).expect("it is open");
            connection.abort();
        }),
    ];
    for role in BOTH_ROLES {
        for (what, end) in ends {
            let budget = Budget::new(1 << 20);
            let mut connection = sharing(role, &budget);
            let begun = from_peer(role, &server_frame(0x02, &[7; 40 * KIB]));
            assert_eq!(receive(&mut connection, Way::Input, &begun), Ok(None));
            assert!((40 * KIB..=80 * KIB).contains(&budget.in_use()), "{}", budget.in_use());
            end(&mut connection);
            // What a driver does next.
            let _ = connection.receive(&mut []);
            assert_eq!(budget.in_use(), 0, "{role:?}, {what}");
        }
        let budget = Budget::new(1 << 20);
        let mut connection = sharing(role, &budget);
        assert_eq!(
            receive(&mut connection, Way::Input, &from_peer(role, &server_frame(0x02, &[7; KIB]))),
            Ok(None)
        );
        assert_eq!(budget.in_use(), LEASE);
        drop(connection);
        assert_eq!(budget.in_use(), 0, "{role:?}, dropped");
    }
}

// 6455-10.4-1
#[test]
fn both_receive_many_messages_in_pieces_with_one_lease_and_give_it_back_when_idle() {
    for role in BOTH_ROLES {
        let budget = Budget::new(LEASE);
        let mut connection = sharing(role, &budget);
        for _ in 0..100 {
            let received = receive(&mut connection, Way::Fragments, &message(role, Way::Fragments, 12 * KIB));
            assert_eq!(received, Ok(Some(Message::binary(vec![7; 12 * KIB]))));
            assert_eq!(budget.in_use(), LEASE, "kept while it is busy");
        }
        assert_eq!(connection.receive(&mut []).map(|received| received.event), Ok(None));
        let _ = connection.release_buffers();
        assert_eq!(budget.in_use(), 0);

        // A large one that is not taken is there until the next is received.
        let budget = Budget::new(1 << 20);
        let mut connection = sharing(role, &budget);
        let mut octets = message(role, Way::Fragments, 100 * KIB);
        let located = loop {
            let received = connection.receive(&mut octets).expect("within the budget");
            octets.drain(..received.consumed);
            if let Some(located) = received.event {
                break located;
            }
        };
        let _ = connection.event(located, &octets);
        let _ = connection.release_buffers();
        assert!(budget.in_use() >= 100 * KIB, "it may still be looked at");
        assert_eq!(connection.receive(&mut []).map(|received| received.event), Ok(None));
        let _ = connection.release_buffers();
        assert_eq!(budget.in_use(), 0);
    }
}

/// How a payload is given to be sent.
#[derive(Debug, Clone, Copy)]
enum Payload {
    Owned,
    Borrowed,
    /// With frames of 20 KiB.
    Fragmented,
    /// As one of several pieces.
    Piece,
}

fn send(connection: &mut Connection, payload: Payload, octets: &[u8]) -> Result<(), SendError> {
    match payload {
        Payload::Owned | Payload::Fragmented => connection.send(Bytes::copy_from_slice(octets)),
        Payload::Borrowed => connection.send(octets),
        Payload::Piece => connection.send_fragment(Bytes::copy_from_slice(octets), Fin::Last),
    }
}

// 6455-10.4-1
#[test]
fn both_send_a_message_of_exactly_the_budget_and_refuse_one_octet_more() {
    for role in BOTH_ROLES {
        for payload in [Payload::Owned, Payload::Borrowed, Payload::Fragmented, Payload::Piece] {
            let budget = Budget::new(6 * LEASE);
            let fragment_len = matches!(payload, Payload::Fragmented).then_some(20 * KIB);
            let mut connection = sharing_with(role, &budget, Config::default().fragment_len(fragment_len));
            // A client masks what it was given to keep a piece at a time, of 64 KiB or a frame.
            let piece = match (role, payload) {
                (Role::Server, _) | (_, Payload::Borrowed) => 0,
                (_, Payload::Fragmented) => 20 * KIB,
                (_, Payload::Owned | Payload::Piece) => 6 * LEASE / 2,
            };
            let most = vec![7; 6 * LEASE - piece];
            let more = vec![7; most.len() + 2];
            assert_eq!(
                send(&mut connection, payload, &more),
                Err(SendError::BudgetExhausted),
                "{role:?}, {payload:?}"
            );
            assert_eq!((connection.queued(), budget.in_use()), (0, 0), "nothing of it was queued");
            assert_eq!(connection.failure(), None);
            assert_eq!(send(&mut connection, payload, &most), Ok(()), "{role:?}, {payload:?}");
            assert!(budget.in_use() > 5 * LEASE - 20 * KIB, "{}", budget.in_use());
            let queued = connection.queued();
            // Control frames and small messages have the lent buffer.
            connection.ping(b"ping").expect("it fits the lent buffer");
            connection.send("small").expect("it fits the lent buffer");
            assert_eq!(send(&mut connection, payload, &most), Err(SendError::BudgetExhausted));
            assert_eq!(connection.queued(), queued + 6 + 7 + if role == Role::Client { 8 } else { 0 });
            let frames = wire_frames(role, &drain(&mut connection));
            let sent: usize = frames[..frames.len() - 2]
                .iter()
                .map(|frame| frame.iter().rev().take_while(|octet| **octet == 7).count())
                .sum();
            assert_eq!(sent, most.len());
            assert_eq!(budget.in_use(), 0, "what was written is given back");
            assert_eq!(send(&mut connection, payload, &most), Ok(()));
            connection.write_failed();
            assert_eq!(budget.in_use(), 0, "what is dropped is given back");
        }
    }
}

// 6455-10.4-1
#[test]
fn both_send_from_a_buffer_of_their_own_that_costs_what_is_above_16_kib() {
    for role in BOTH_ROLES {
        let budget = Budget::new(2 * LEASE);
        let config = Config::default().budget(budget.clone()).high_water_mark(1 << 20);
        let mut connection = connection(role, &config);
        let mut sent = 0;
        while connection.queued() < 15 * KIB {
            connection.send(&[7; KIB]).expect("the first 16 KiB are free");
            sent += 1;
        }
        assert_eq!(budget.in_use(), 0);
        let refused = loop {
            match connection.send(&[7; KIB]) {
                Ok(()) => sent += 1,
                Err(error) => break error,
            }
        };
        assert_eq!(refused, SendError::BudgetExhausted);
        assert_eq!(budget.in_use(), 2 * LEASE);
        assert_eq!(connection.queued() / KIB, 47, "16 KiB, and two leases");
        // Control frames that are owed always leave.
        let mut ping = from_peer(role, &server_frame(0x89, &[7; 125]));
        let received = connection.receive(&mut ping);
        assert!(received.is_ok_and(|received| received.event.is_some()));
        connection.close(&CloseFrame::with_code(CloseCode::NORMAL)).expect("it is open");
        assert_eq!(wire_frames(role, &drain(&mut connection)).len(), sent + 2);
        assert!(connection.release_buffers().is_some());
        assert_eq!(budget.in_use(), 0);
    }
}

// 6455-10.4-1
#[test]
fn both_send_what_needs_nothing_behind_a_pong_that_was_beyond_the_budget() {
    for role in BOTH_ROLES {
        let budget = Budget::new(0);
        let config = Config::default().budget(budget.clone());
        let mut connection = connection(role, &config);
        // Less than would let the Pong wait.
        connection.send(&[7; 8 * KIB]).expect("the first 16 KiB are free");
        connection.send(&[7; 8 * KIB - 60]).expect("the first 16 KiB are free");
        let mut ping = from_peer(role, &server_frame(0x89, &[7; 125]));
        assert!(connection.receive(&mut ping).is_ok_and(|received| received.event.is_some()));
        assert!(connection.queued() > 16 * KIB, "beyond what is free: {}", connection.queued());
        assert_eq!(connection.send("more"), Err(SendError::BudgetExhausted));
        assert_eq!(wire_frames(role, &drain(&mut connection)).len(), 3);
        assert_eq!(connection.ping(b"it fits the buffer there is"), Ok(()));
        assert_eq!(budget.in_use(), 0);
    }
}

// 6455-10.4-1
#[test]
fn both_send_a_piece_that_is_refused_and_may_send_another_message_instead() {
    for role in BOTH_ROLES {
        let budget = Budget::new(LEASE);
        let mut connection = sharing(role, &budget);
        let large = vec![7; 40 * KIB];
        let refused = connection.send_fragment(Fragment::Binary(&large), Fin::More);
        assert_eq!(refused, Err(SendError::BudgetExhausted));
        connection.send("no fragment is open").expect("it fits the lent buffer");
        connection.send_fragment(Fragment::Text("a"), Fin::More).expect("it fits the lent buffer");
        assert_eq!(
            connection.send_fragment(Fragment::Text(&"b".repeat(40 * KIB)), Fin::Last),
            Err(SendError::BudgetExhausted)
        );
        connection.send_fragment(Fragment::Text("c"), Fin::Last).expect("the message is still open");
        let frames = wire_frames(role, &drain(&mut connection));
        assert_eq!(frames[1..], [b"\x01\x01a".to_vec(), b"\x80\x01c".to_vec()]);
    }
}

#[cfg(feature = "deflate")]
mod compressed {
    use sansocket::deflate::{Compression, DeflateConfig};
    use support::deflate::unlimited;

    use super::*;

    fn deflating(role: Role, budget: &Budget) -> Connection {
        sharing(role, budget).with_deflate(&unlimited())
    }

    /// What the peer of `role` sends for these octets, compressed.
    fn compressed(role: Role, payload: &[u8]) -> Vec<u8> {
        let mut peer = connection(role.peer(), &Config::default()).with_deflate(&unlimited());
        let message = Message::binary(payload.to_vec()).compression(Compression::Always);
        peer.send(message).expect("it is open");
        drain(&mut peer)
    }

    // 6455-10.4-1
    #[test]
    fn both_receive_a_bomb_up_to_exactly_the_budget() {
        for role in BOTH_ROLES {
            let budget = Budget::new(8 * LEASE);
            let mut connection = deflating(role, &budget);
            let most = vec![0; 8 * LEASE];
            let received = receive(&mut connection, Way::Fragments, &compressed(role, &most));
            assert_eq!(received, Ok(Some(Message::binary(most.clone()))));
            assert!(budget.in_use() <= LEASE);
            let bomb = compressed(role, &[most, vec![0]].concat());
            assert!(bomb.len() < KIB, "{}", bomb.len());
            let mut connection = deflating(role, &Budget::new(8 * LEASE));
            assert_eq!(receive(&mut connection, Way::Fragments, &bomb), Err(failure(role)));
            let frames = wire_frames(role, &drain(&mut connection));
            assert_eq!(frames, [server_frame(0x88, &close_code(role).to_be_bytes())]);
        }
    }

    // 6455-10.4-1
    #[test]
    fn both_receive_a_compressed_message_that_is_not_whole_and_pay_for_its_state() {
        let mut seed = 1_u32;
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 24) as u8 & 63
        })
        .take(40_000)
        .collect();
        for role in BOTH_ROLES {
            let octets = compressed(role, &noise);
            assert!(octets.len() > 24 * KIB);
            let budget = Budget::new(1 << 20);
            let mut connection = deflating(role, &budget);
            let (begin, rest) = octets.split_at(3000);
            assert_eq!(receive(&mut connection, Way::Input, begin), Ok(None));
            assert_eq!(budget.in_use(), LEASE, "held back");
            let (middle, end) = rest.split_at(9000);
            assert_eq!(receive(&mut connection, Way::Input, middle), Ok(None));
            assert!(budget.in_use() >= 64 * KIB, "a state and what came out of it: {}", budget.in_use());
            assert_eq!(receive(&mut connection, Way::Input, end), Ok(Some(Message::binary(noise.clone()))));
            assert_eq!(connection.receive(&mut []).map(|received| received.event), Ok(None));
            let _ = connection.release_buffers();
            assert_eq!(budget.in_use(), 0);

            let budget = Budget::new(3 * LEASE);
            let mut connection = deflating(role, &budget);
            assert_eq!(receive(&mut connection, Way::Input, &octets[..3000]), Ok(None));
            assert_eq!(receive(&mut connection, Way::Input, &octets[3000..]), Err(failure(role)));
            assert_eq!(budget.in_use(), 0);
        }
    }

    // 6455-10.4-1, 7692-7.2.1-1
    #[test]
    fn both_send_a_compressed_message_that_is_refused_and_the_next_can_be_read() {
        for role in BOTH_ROLES {
            let budget = Budget::new(LEASE);
            let mut sender = deflating(role, &budget);
            let mut receiver = connection(role.peer(), &Config::default())
                .with_deflate(&sansocket::deflate::Agreement::new(DeflateConfig::default()));
            let mut seed = 7_u32;
            let noise: Vec<u8> = std::iter::repeat_with(|| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (seed >> 24) as u8 & 63
            })
            .take(60_000)
            .collect();
            let always = |payload: &[u8]| Message::binary(payload.to_vec()).compression(Compression::Always);
            assert_eq!(sender.send(always(&noise)), Err(SendError::BudgetExhausted));
            assert_eq!((sender.queued(), budget.in_use()), (0, 0));
            let small = [&noise[..2000], &noise[..2000]].concat();
            sender.send(always(&small)).expect("it fits the lent buffer");
            let mut octets = drain(&mut sender);
            let received = receiver.receive(&mut octets).expect("it refers to nothing that was not sent");
            let located = received.event.expect("it is whole");
            assert_eq!(receiver.take(located, &octets), Some(Message::binary(small)));
        }
    }
}

// 6455-10.4-1
#[test]
fn both_receive_and_send_on_many_connections_and_hold_the_budget_and_17_kib_each() {
    const MANY: usize = 100;
    for role in BOTH_ROLES {
        for (budget_len, what) in [(2 << 20, "2 MiB"), (1 << 30, "1 GiB")] {
            let budget = Budget::new(budget_len);
            let config = Config::default().budget(budget.clone());
            // Their own boxes and what a thread spares are no part of it.
            let begun = from_peer(role, &server_frame(0x02, &[7; 50 * KIB]));
            let (held, ends) = held_by(|| {
                let mut ends: Vec<_> = (0..MANY).map(|_| connection(role, &config)).collect();
                for end in &mut ends {
                    let _ = receive(end, Way::Input, &begun);
                    while end.queued() < 60 * KIB && end.send(&[7; 12 * KIB]).is_ok() {}
                }
                ends
            });
            println!(
                "{role:?}: {MANY} connections with unfinished messages and output, a budget of {what}: {held} octets \
                 held, {} in use",
                budget.in_use()
            );
            if budget_len == 2 << 20 {
                assert!(held <= budget_len + MANY * (17 * KIB), "{held}");
            } else {
                assert!(held >= MANY * 110 * KIB, "without a bound it is far more: {held}");
            }
            drop(ends);
            assert_eq!(budget.in_use(), 0);
        }
    }
}

#[test]
fn both_hold_little_more_for_having_a_budget() {
    for role in BOTH_ROLES {
        let config = Config::default();
        let (without, _one) = held_by(|| connection(role, &config));
        let config = config.budget(Budget::new(1 << 20));
        let (with, _other) = held_by(|| connection(role, &config));
        println!("{role:?}: {} octets more for a connection with a budget", with - without);
        assert!(with - without <= 400, "{}", with - without);
    }
}

// 6455-10.4-1
#[test]
fn both_share_a_budget_from_many_threads_and_nothing_of_it_is_lost() {
    let budget = Budget::new(12 * LEASE);
    let exhausted: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8_usize)
            .map(|thread| {
                let budget = &budget;
                scope.spawn(move || {
                    let mut exhausted = 0;
                    for round in 0..200 {
                        let role = BOTH_ROLES[round % 2];
                        let mut connection = sharing(role, budget);
                        let len = (thread * 7919 + round * 104_729) % (6 * LEASE);
                        let way = WAYS[round % 3];
                        match receive(&mut connection, way, &message(role, way, len)) {
                            Ok(received) => assert_eq!(received, Some(Message::binary(vec![7; len]))),
                            Err(error) => {
                                assert_eq!(error, failure(role));
                                exhausted += 1;
                            }
                        }
                        if connection.send(vec![7; len]) == Err(SendError::BudgetExhausted) {
                            exhausted += 1;
                        }
                        assert!(budget.in_use() <= budget.octets());
                    }
                    exhausted
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("it fails there")).sum()
    });
    println!("eight threads: refused {exhausted} times");
    assert_eq!(budget.in_use(), 0);
}

/// What happens to one of two connections.
#[derive(Debug, Clone)]
enum Step {
    /// The peer sends a frame of so many octets, the last of its message or not.
    Receive(usize, bool),
    Send(usize),
    SendBorrowed(usize),
    SendFragment(usize, bool),
    Ping,
    /// The transport takes up to so many octets.
    Write(usize),
    Release,
    Lend(usize),
    WriteFailed,
    /// Another connection takes its place.
    Anew,
}

fn step() -> impl Strategy<Value = Step> {
    let len = prop_oneof![0..200_usize, 15_000..18_000_usize, 0..120_000_usize];
    prop_oneof![
        4 => (len.clone(), any::<bool>()).prop_map(|(len, fin)| Step::Receive(len, fin)),
        3 => len.clone().prop_map(Step::Send),
        2 => len.clone().prop_map(Step::SendBorrowed),
        2 => (len.clone(), any::<bool>()).prop_map(|(len, fin)| Step::SendFragment(len, fin)),
        1 => Just(Step::Ping),
        4 => len.clone().prop_map(Step::Write),
        1 => Just(Step::Release),
        1 => len.prop_map(Step::Lend),
        1 => Just(Step::WriteFailed),
        1 => Just(Step::Anew),
    ]
}

/// Takes the step; what is refused is refused for want of a budget, or since this end is no longer open.
fn take(connection: &mut Connection, message_open: &mut bool, step: &Step, anew: impl Fn() -> Connection) {
    let role = connection.role();
    match *step {
        Step::Receive(len, fin) => {
            let opcode = if *message_open { 0 } else { 2 };
            let mut octets =
                from_peer(role, &server_frame(if fin { 0x80 } else { 0 } | opcode, &vec![7; len]));
            *message_open = !fin;
            while !octets.is_empty() && connection.failure().is_none() {
                let Ok(received) = connection.receive(&mut octets) else { break };
                if let Some(located) = received.event
                    && len % 2 == 0
                {
                    let _ = connection.take(located, &octets);
                }
                octets.drain(..received.consumed);
            }
        }
        Step::Send(len) => _ = connection.send(vec![7; len]),
        Step::SendBorrowed(len) => _ = connection.send(vec![7; len].as_slice()),
        Step::SendFragment(len, fin) => {
            let fin = if fin { Fin::Last } else { Fin::More };
            let _ = connection.send_fragment(Fragment::Binary(&vec![7; len]), fin);
        }
        Step::Ping => _ = connection.receive(&mut from_peer(role, b"\x89\x01p")),
        Step::Write(mut len) => {
            while len > 0 && connection.queued() > 0 {
                let mut slices = [&[][..]; 4];
                let filled = connection.slices(&mut slices);
                let some = slices[..filled].iter().map(|slice| slice.len()).sum::<usize>().min(len);
                connection.advance(some);
                len -= some;
            }
        }
        Step::Release => _ = connection.release_buffers(),
        Step::Lend(len) => _ = connection.lend_output_buffer(vec![0; len]),
        Step::WriteFailed => connection.write_failed(),
        Step::Anew => {
            *connection = anew();
            *message_open = false;
        }
    }
    if connection.failure().is_some() {
        *connection = anew();
        *message_open = false;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    // 6455-10.4-1
    #[test]
    fn both_do_anything_and_never_lease_more_than_there_is_nor_keep_any(
        steps in proptest::collection::vec((0..2_usize, step()), 1..60),
        leases in 0..20_usize,
        fragment_len in prop_oneof![Just(None), (1000..40_000_usize).prop_map(Some)],
    ) {
        let budget = Budget::new(leases * LEASE + 100);
        let config = Config::default().fragment_len(fragment_len).budget(budget.clone());
        let mut ends = BOTH_ROLES.map(|role| (connection(role, &config), false));
        for (end, step) in &steps {
            let (end, message_open) = &mut ends[*end];
            let role = end.role();
            take(end, message_open, step, || connection(role, &config));
            prop_assert!(budget.in_use() <= budget.octets());
        }
        // Idle ends hold nothing.
        for (end, message_open) in &mut ends {
            take(end, message_open, &Step::Write(usize::MAX), || connection(Role::Server, &config));
            if !*message_open {
                let _ = end.receive(&mut []);
                let _ = end.release_buffers();
            }
        }
        if ends.iter().all(|(_, message_open)| !message_open) {
            prop_assert_eq!(budget.in_use(), 0);
        }
        drop(ends);
        prop_assert_eq!(budget.in_use(), 0);
    }
}

#[test]
fn a_budget_is_the_same_as_its_clones_and_as_no_other() {
    let budget = Budget::new(64 * KIB);
    assert_eq!(budget, budget.clone());
    assert_ne!(budget, Budget::new(64 * KIB));
    assert_eq!(Config::default().budget(budget.clone()), Config::default().budget(budget.clone()));
    assert_ne!(Config::default().budget(budget.clone()), Config::default());
    assert_eq!(format!("{budget:?}"), "Budget { octets: 65536, in_use: 0 }");
}
