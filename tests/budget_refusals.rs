//! What a budget refuses, and what it must not: RFC 6455 §10.4.
#![cfg(feature = "std")]

#[cfg(feature = "deflate")]
#[path = "support/spared.rs"]
mod spared;
mod support;

use std::time::Duration;

use sansocket::connection::{Connection, KEEPALIVE_PAYLOAD, Timestamp};
use sansocket::{Budget, Config, Role, SendError};
use support::allocations::{Counting, allocated_by};
use support::{BOTH_ROLES, connection, drain, from_peer, server_frame, wire_frames};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

fn sharing(role: Role, budget: &Budget) -> Connection {
    connection(role, &Config::default().high_water_mark(8 * MIB).budget(budget.clone()))
}

/// The transport takes so many octets.
fn write(connection: &mut Connection, len: usize) {
    let mut slices = [&[][..]; 4];
    let filled = connection.slices(&mut slices);
    assert!(slices[..filled].iter().map(|slice| slice.len()).sum::<usize>() >= len);
    connection.advance(len);
}

// 6455-10.4-1
#[test]
fn both_send_what_fits_the_buffer_once_the_written_octets_make_way() {
    for role in BOTH_ROLES {
        let budget = Budget::new(0);
        let mut connection = sharing(role, &budget);
        assert!(connection.lend_output_buffer(vec![0; 32 * KIB]).is_none());
        for _ in 0..3 {
            connection.send(&[7; 10 * KIB]).expect("it fits the lent buffer");
        }
        write(&mut connection, 25 * KIB);
        connection.send(&[7; 4 * KIB]).expect("it fits as soon as what is queued was moved to the front");
        assert_eq!(connection.send(&[7; 30 * KIB]), Err(SendError::BudgetExhausted));
        write(&mut connection, 9 * KIB);
        assert_eq!(budget.in_use(), 0);
    }
}

// 6455-10.4-1, 6455-5.5.2-3
#[test]
fn both_send_the_ping_of_the_keepalive_without_asking() {
    for role in BOTH_ROLES {
        let budget = Budget::new(0);
        let mut connection = sharing(role, &budget);
        connection.handle_timeout(Timestamp::ORIGIN);
        connection.send(&[7; 8 * KIB]).expect("the first 16 KiB are free");
        connection.send(&[7; 8 * KIB - 30]).expect("the first 16 KiB are free");
        assert_eq!(connection.ping(KEEPALIVE_PAYLOAD), Err(SendError::BudgetExhausted));
        for seconds in [10, 20, 30] {
            connection.handle_timeout(Timestamp::from_origin(Duration::from_secs(seconds)));
        }
        let frames = wire_frames(role, &drain(&mut connection));
        assert_eq!(frames[2..], [server_frame(0x89, KEEPALIVE_PAYLOAD)], "{role:?}");
    }
}

// 6455-10.4-1
#[test]
fn both_receive_many_fragments_near_the_end_of_a_budget_without_copying_for_each() {
    for role in BOTH_ROLES {
        let budget = Budget::new(8 * MIB + 64 * KIB);
        let mut connection = sharing(role, &budget);
        let (allocated, ()) = allocated_by(|| {
            for index in 0..8 * 64 {
                let opcode = if index == 0 { 0x02 } else { 0x00 };
                let mut octets = from_peer(role, &server_frame(opcode, &[7; 16 * KIB]));
                assert!(connection.receive(&mut octets).expect("within the budget").event.is_none());
            }
            for _ in 0..2000 {
                let mut octets = from_peer(role, &server_frame(0x00, b"a"));
                assert!(connection.receive(&mut octets).expect("within the budget").event.is_none());
            }
        });
        println!("{role:?}: {allocated} octets allocated for a message of 8 MiB and 2,000 fragments");
        assert!(allocated <= 150 * MIB, "{allocated}");
        assert!(budget.in_use() <= budget.octets());
    }
}

// 6455-10.4-1
#[test]
fn both_send_many_messages_near_the_end_of_a_budget_without_copying_for_each() {
    for role in BOTH_ROLES {
        let budget = Budget::new(2 * MIB);
        let mut connection = sharing(role, &budget);
        let (allocated, sent) =
            allocated_by(|| (0..4096).take_while(|_| connection.send(&[7; KIB]).is_ok()).count());
        println!("{role:?}: {allocated} octets allocated for {sent} messages of 1 KiB");
        assert!(sent >= 2 * KIB - 16, "{sent}");
        assert!(allocated <= 32 * MIB, "{allocated}");
        assert_eq!(wire_frames(role, &drain(&mut connection)).len(), sent);
    }
}

#[cfg(feature = "deflate")]
mod compressed {
    use proptest::prelude::*;
    use sansocket::connection::{Fin, OutgoingMessage};
    use sansocket::deflate::{Agreement, Compression, DeflateConfig, States};
    use sansocket::{Failure, Message, ProtocolError};
    use spared::fill_spare;
    use support::allocations::held_by;
    use support::deflate::{random, with_takeover};

    use super::*;

    /// The messages that a peer without a budget makes of these octets.
    fn received(receiver: &mut Connection, mut octets: Vec<u8>) -> Vec<Message> {
        let mut messages = Vec::new();
        while !octets.is_empty() {
            let received = receiver.receive(&mut octets).expect("the peer understands all of it");
            messages.extend(received.event.and_then(|located| receiver.take(located, &octets)));
            octets.drain(..received.consumed);
        }
        messages
    }

    /// Does not compress to much less, and yet some.
    fn noise(seed: u64, len: usize) -> Vec<u8> {
        random(seed, len).iter().map(|octet| octet & 63).collect()
    }

    fn piece(payload: &[u8]) -> OutgoingMessage<'_> {
        OutgoingMessage::from(payload).compression(Compression::Always)
    }

    // 6455-10.4-1, 7692-7.2.1-1
    #[test]
    fn both_send_a_compressed_fragment_that_is_refused_and_go_on_with_the_message() {
        for role in BOTH_ROLES {
            for agreement in with_takeover() {
                let budget = Budget::new(16 * KIB);
                let mut sender = sharing(role, &budget).with_deflate(&agreement);
                assert!(sender.lend_output_buffer(vec![0; 32 * KIB]).is_none());
                let mut receiver = connection(role.peer(), &Config::default()).with_deflate(&agreement);
                let [first, large, last, next] =
                    [noise(1, 2000), noise(2, 60_000), noise(3, 3000), noise(4, 2000)];
                sender.send_fragment(piece(&first), Fin::More).expect("it fits the lent buffer");
                for fin in [Fin::More, Fin::Last] {
                    let refused = sender.send_fragment(piece(&large), fin);
                    assert_eq!(refused, Err(SendError::BudgetExhausted));
                }
                let (allocated, ()) = allocated_by(|| {
                    for _ in 0..10 {
                        let refused = sender.send_fragment(piece(&large), Fin::Last);
                        assert_eq!(refused, Err(SendError::BudgetExhausted));
                    }
                });
                // The payload as it would have been queued, and no state of 175 KiB.
                assert!(allocated <= 10 * 64 * KIB, "{role:?}: {allocated}");
                // Each refers to what was sent before, and to nothing that was refused.
                sender.send_fragment(piece(&first), Fin::More).expect("it fits the lent buffer");
                sender.send_fragment(piece(&last), Fin::Last).expect("it fits the lent buffer");
                let messages = received(&mut receiver, drain(&mut sender));
                assert_eq!(messages, [Message::binary([&first[..], &first, &last].concat())], "{role:?}");
                let refused = sender.send(piece(&large));
                assert_eq!(refused, Err(SendError::BudgetExhausted));
                let whole = [&next[..], &last].concat();
                sender.send(piece(&whole)).expect("it fits the lent buffer");
                sender.send_fragment(piece(&next), Fin::Last).expect("it fits the lent buffer");
                let messages = received(&mut receiver, drain(&mut sender));
                assert_eq!(messages, [Message::binary(whole), Message::binary(next)], "{role:?}");
                assert_eq!(budget.in_use(), 0);
            }
        }
    }

    #[derive(Debug, Clone)]
    enum Step {
        /// The peer sends so many octets of a message, compressed or not, the last or not.
        Receive {
            len: usize,
            compressed: bool,
            fin: bool,
        },
        Send {
            len: usize,
            compressed: bool,
        },
        SendFragment {
            len: usize,
            fin: bool,
        },
        Write,
        Release,
    }

    fn step() -> impl Strategy<Value = Step> {
        let len = prop_oneof![1..200_usize, 15_000..18_000_usize, 1..120_000_usize];
        prop_oneof![
            4 => (len.clone(), any::<bool>(), any::<bool>())
                .prop_map(|(len, compressed, fin)| Step::Receive { len, compressed, fin }),
            3 => (len.clone(), any::<bool>()).prop_map(|(len, compressed)| Step::Send { len, compressed }),
            2 => (len, any::<bool>()).prop_map(|(len, fin)| Step::SendFragment { len, fin }),
            2 => Just(Step::Write),
            1 => Just(Step::Release),
        ]
    }

    /// A connection and the peer that sends to it.
    struct End {
        connection: Connection,
        peer: Connection,
        /// The beginning of a header that the connection has left.
        rest: Vec<u8>,
    }

    impl End {
        fn new(role: Role, config: &Config, agreement: &Agreement) -> Self {
            Self {
                connection: connection(role, config).with_deflate(agreement),
                peer: connection(role.peer(), &Config::default()).with_deflate(agreement),
                rest: Vec::new(),
            }
        }

        /// What was received and what was written, or why nothing was.
        fn take(&mut self, step: &Step, seed: u64) -> Result<(Vec<Message>, Vec<u8>), Refused> {
            let compression = |compressed| if compressed { Compression::Always } else { Compression::Never };
            let mut messages = Vec::new();
            let mut written = Vec::new();
            match *step {
                Step::Receive { len, compressed, fin } => {
                    let fin = if fin { Fin::Last } else { Fin::More };
                    let payload = noise(seed, len);
                    let message = piece(&payload).compression(compression(compressed));
                    self.peer.send_fragment(message, fin).expect("the peer has no budget");
                    for chunk in drain(&mut self.peer).chunks(5000) {
                        let mut input = chunk.to_vec();
                        // Some octets of a header may be left for the next time.
                        input.splice(..0, std::mem::take(&mut self.rest));
                        loop {
                            let received = self.connection.receive(&mut input)?;
                            let event = received.event;
                            messages.extend(event.and_then(|located| self.connection.take(located, &input)));
                            input.drain(..received.consumed);
                            if event.is_none() {
                                break;
                            }
                        }
                        self.rest = input;
                    }
                }
                Step::Send { len, compressed } => {
                    let payload = noise(seed, len);
                    self.connection.send(piece(&payload).compression(compression(compressed)))?;
                }
                Step::SendFragment { len, fin } => {
                    let fin = if fin { Fin::Last } else { Fin::More };
                    self.connection.send_fragment(piece(&noise(seed, len)), fin)?;
                }
                Step::Write => written = drain(&mut self.connection),
                Step::Release => {
                    let _ = self.connection.receive(&mut [])?;
                    let _ = self.connection.release_buffers();
                }
            }
            Ok((messages, written))
        }
    }

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum Refused {
        Received(Failure),
        Sent(SendError),
    }

    impl From<Failure> for Refused {
        fn from(failure: Failure) -> Self {
            Self::Received(failure)
        }
    }

    impl From<SendError> for Refused {
        fn from(error: SendError) -> Self {
            Self::Sent(error)
        }
    }

    const EXHAUSTED: Refused = Refused::Sent(SendError::BudgetExhausted);

    proptest! {
        #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

        // 6455-10.4-1
        #[test]
        fn both_do_with_a_budget_what_they_do_without_unless_it_is_exhausted(
            steps in prop::collection::vec(step(), 1..40),
            leases in 0..24_usize,
            role in prop_oneof![Just(Role::Client), Just(Role::Server)],
            dedicated in any::<bool>(),
        ) {
            let states = if dedicated { States::Dedicated } else { States::Pooled };
            let agreement = Agreement::new(DeflateConfig::default().states(states));
            let budget = Budget::new(leases * 16 * KIB);
            let config = Config::default();
            let new = |config: &Config| End::new(role, config, &agreement);
            let counted = config.clone().budget(budget.clone());
            let (mut with, mut without) = (new(&counted), new(&config));
            for (step, seed) in steps.iter().zip(1..) {
                let left = budget.octets() - budget.in_use();
                let outcome = with.take(step, seed);
                prop_assert!(budget.in_use() <= budget.octets());
                match (outcome, step) {
                    (Err(EXHAUSTED), Step::Send { len, .. } | Step::SendFragment { len, .. }) => {
                        // Its payload, its headers, what the buffer has to grow by, and a lease of rounding.
                        prop_assert!(left < 2 * len + 34 * KIB, "{left} were left for {len}");
                        // Nothing of it was queued: so the other does without it.
                    }
                    (Err(Refused::Received(failure)), Step::Receive { len, .. })
                        if failure == Failure::Protocol(ProtocolError::BudgetExhausted(role)) =>
                    {
                        // The message so far is part of what is in use; a state may be missing, and a lease of rounding.
                        prop_assert!(left < len + 80 * KIB, "{left} were left for {len}");
                        prop_assert!(without.take(step, seed).is_ok());
                        (with, without) = (new(&counted), new(&config));
                        prop_assert_eq!(budget.in_use(), 0);
                    }
                    (outcome, _) => prop_assert_eq!(outcome, without.take(step, seed)),
                }
            }
            drop(with);
            prop_assert_eq!(budget.in_use(), 0);
        }
    }

    // 6455-10.4-1
    #[test]
    fn both_receive_and_send_compressed_on_many_connections_and_hold_the_budget_and_26_kib_each() {
        const MANY: usize = 100;
        fill_spare();
        for role in BOTH_ROLES {
            for (budget_len, what) in [(2 * MIB, "2 MiB"), (1 << 30, "1 GiB")] {
                let agreement = Agreement::new(DeflateConfig::default());
                let budget = Budget::new(budget_len);
                let config = Config::default().budget(budget.clone());
                let mut peer = connection(role.peer(), &Config::default()).with_deflate(&agreement);
                peer.send_fragment(piece(&noise(1, 50 * KIB)), Fin::More).expect("the peer has no budget");
                let begun = drain(&mut peer);
                let reply = noise(2, 12 * KIB);
                let run = || {
                    let mut ends: Vec<_> =
                        (0..MANY).map(|_| connection(role, &config).with_deflate(&agreement)).collect();
                    for end in &mut ends {
                        for chunk in begun.chunks(5000) {
                            let _ = end.receive(&mut chunk.to_vec());
                        }
                        while end.queued() < 60 * KIB && end.send(piece(&reply)).is_ok() {}
                    }
                    ends
                };
                // What the thread keeps is no connection's.
                drop(run());
                let (held, ends) = held_by(run);
                println!(
                    "{role:?}: {MANY} connections with unfinished compressed messages and output, a budget of {what}: {held} \
                     octets held, {} in use",
                    budget.in_use()
                );
                if budget_len == 2 * MIB {
                    // Two windows of what was compressed, of 4 KiB, are what an idle connection keeps as well.
                    assert!(held <= budget_len + MANY * 26 * KIB, "{held}");
                } else {
                    assert!(held >= MANY * 120 * KIB, "without a bound it is far more: {held}");
                }
                drop(ends);
                assert_eq!(budget.in_use(), 0);
            }
        }
    }
}
