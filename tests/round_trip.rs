//! Client and server face to face: what the one sends is what the other receives (RFC 6455 §5, §6, §7.1).

mod support;

use proptest::collection::vec;
use proptest::prelude::*;
use sansocket::connection::{ClosedBy, Connection, Fin, Fragment, TransportPhase};
use sansocket::frame::CloseFrame;
use sansocket::{CloseCode, Config, Message, Role};
use support::{Event, connection, drain, from_peer, server_frame, wire_frames};

/// One end, its transport to the other, and what it has seen.
struct End {
    connection: Connection,
    reads_to_destination: bool,
    looks_ahead: bool,
    unread: Vec<u8>,
    messages: Vec<Event>,
    pings: Vec<Vec<u8>>,
    pongs: Vec<Vec<u8>>,
    close: Option<Event>,
    /// The Pings that came while less than 16 KiB were queued.
    owed: Vec<Vec<u8>>,
    /// What was sent.
    sent: Vec<Event>,
    pinged: Vec<Vec<u8>>,
}

impl End {
    fn new(role: Role, config: &Config, reads_to_destination: bool, looks_ahead: bool) -> Self {
        Self {
            connection: connection(role, config),
            reads_to_destination,
            looks_ahead,
            unread: Vec::new(),
            messages: Vec::new(),
            pings: Vec::new(),
            pongs: Vec::new(),
            close: None,
            owed: Vec::new(),
            sent: Vec::new(),
            pinged: Vec::new(),
        }
    }

    /// Up to `len` octets of what is queued, as a transport that takes no more.
    fn write(&mut self, len: usize) -> Vec<u8> {
        let mut slices = [&[][..]; 3];
        let filled = self.connection.slices(&mut slices);
        let mut octets = slices[..filled].concat();
        octets.truncate(len);
        self.connection.advance(octets.len());
        octets
    }

    fn read(&mut self, mut octets: &[u8]) {
        if self.connection.phase() != TransportPhase::ReadWrite {
            // Pongs for the Pings that our own Close crossed.
            return self.connection.discarded(octets.len());
        }
        while self.reads_to_destination && self.unread.is_empty() {
            let Some(mut destination) = self.connection.destination() else { break };
            let room = destination.room();
            if room == 0 {
                break;
            }
            let (read, rest) = octets.split_at(room.min(octets.len()));
            destination.append(read);
            octets = rest;
            self.receive();
            if octets.is_empty() {
                return;
            }
        }
        self.unread.extend_from_slice(octets);
        self.receive();
    }

    fn receive(&mut self) {
        if self.looks_ahead && self.connection.queued() == 0 {
            // The Pings that are answered now are not owed any more when they are received; there are few.
            self.connection.answer_pings_ahead(&self.unread);
        }
        loop {
            let owes = self.connection.queued() < 16 << 10;
            let received = self.connection.receive(&mut self.unread).expect("the peer is correct");
            let Some(located) = received.event else {
                self.unread.drain(..received.consumed);
                assert!(self.unread.len() <= 13);
                return;
            };
            match Event::from(self.connection.event(located, &self.unread)) {
                Event::Ping(payload) => {
                    if owes {
                        self.owed.push(payload.clone());
                    }
                    self.pings.push(payload);
                }
                Event::Pong(payload) => self.pongs.push(payload),
                close @ Event::Close(..) => self.close = Some(close),
                message => self.messages.push(message),
            }
            self.unread.drain(..received.consumed);
        }
    }
}

/// The two ends and how the transport between them cuts the octets.
struct Pair {
    /// The client, the server.
    ends: [End; 2],
    chunks: Vec<usize>,
    turn: usize,
}

impl Pair {
    /// Moves one chunk each way.
    fn step(&mut self) {
        for from in [0, 1] {
            let chunk = self.chunks[self.turn % self.chunks.len()];
            self.turn += 1;
            let octets = self.ends[from].write(chunk);
            if !octets.is_empty() {
                self.ends[1 - from].read(&octets);
            }
        }
    }

    fn until_flushed(&mut self) {
        while self.ends.iter().any(|end| end.connection.queued() > 0) {
            self.step();
        }
    }

    fn act(&mut self, action: &Action) {
        let from = action.from;
        while self.ends[from].connection.is_full() {
            self.step();
        }
        match &action.what {
            What::Message(message, owned) => {
                let end = &mut self.ends[from];
                end.sent.push(event_of(message));
                let result = match (message, owned) {
                    (_, true) => end.connection.send(message.clone()),
                    (Message::Text(text), false) => end.connection.send(text.as_str()),
                    (Message::Binary(payload), false) => end.connection.send(&payload[..]),
                };
                assert_eq!(result, Ok(()));
            }
            What::Fragments(fragments) => {
                self.ends[from].sent.push(Event::text(&fragments.concat()));
                for (i, text) in fragments.iter().enumerate() {
                    let fin = if i + 1 == fragments.len() { Fin::Last } else { Fin::More };
                    let end = &mut self.ends[from];
                    assert_eq!(end.connection.send_fragment(Fragment::Text(text), fin), Ok(()));
                    self.ping(from, i);
                    self.step();
                    while self.ends[from].connection.is_full() {
                        self.step();
                    }
                }
            }
            &What::Ping(len) => self.ping(from, len),
            What::Pong => assert_eq!(self.ends[from].connection.pong(b"unasked"), Ok(())),
        }
        for _ in 0..action.steps {
            self.step();
        }
    }

    /// A Ping like no other.
    fn ping(&mut self, from: usize, len: usize) {
        let end = &mut self.ends[from];
        let mut payload = (end.pinged.len() as u32).to_be_bytes().to_vec();
        payload.resize(4 + len.min(121), b'.');
        if end.connection.ping(&payload).is_ok() {
            end.pinged.push(payload);
        }
    }
}

fn event_of(message: &Message) -> Event {
    match message {
        Message::Text(text) => Event::text(text),
        Message::Binary(payload) => Event::binary(payload),
    }
}

#[derive(Debug, Clone)]
struct Action {
    /// 0 is the client, 1 the server.
    from: usize,
    what: What,
    /// How often a chunk is moved each way afterwards.
    steps: usize,
}

#[derive(Debug, Clone)]
enum What {
    Message(Message, bool),
    Fragments(Vec<String>),
    Ping(usize),
    Pong,
}

fn len() -> impl Strategy<Value = usize> {
    prop_oneof![
        4 => 0..3usize,
        4 => 124..129usize,
        3 => 0..2000usize,
        2 => 16_383..16_386usize,
        2 => 65_534..65_538usize,
        1 => 0..200usize << 10,
    ]
}

/// Of about `len` octets, with characters of every length, beginning with any of them.
fn text() -> impl Strategy<Value = String> {
    (len(), 0..4usize).prop_map(|(len, skip)| "aé€😀".chars().cycle().skip(skip).take(len * 2 / 5).collect())
}

fn message() -> impl Strategy<Value = Message> {
    let binary = (len(), any::<u8>()).prop_map(|(len, seed)| {
        Message::binary((0..len).map(|i| (i % 251) as u8 ^ seed).collect::<Vec<u8>>())
    });
    prop_oneof![text().prop_map(Message::text), binary]
}

fn action() -> impl Strategy<Value = Action> {
    let what = prop_oneof![
        6 => (message(), any::<bool>()).prop_map(|(message, owned)| What::Message(message, owned)),
        2 => vec(text(), 1..5).prop_map(What::Fragments),
        3 => (0..122usize).prop_map(What::Ping),
        1 => Just(What::Pong),
    ];
    (0..2usize, what, 0..4usize).prop_map(|(from, what, steps)| Action { from, what, steps })
}

fn chunks() -> impl Strategy<Value = Vec<usize>> {
    let chunk = prop_oneof![1..4usize, 1..200usize, 1000..20_000usize, Just(256 << 10)];
    // One that is large keeps the number of steps low.
    vec(chunk, 0..6).prop_map(|mut chunks| {
        chunks.push(64 << 10);
        chunks
    })
}

fn fragment_len() -> impl Strategy<Value = Option<usize>> {
    prop_oneof![Just(None), (1..200usize).prop_map(Some), (10_000..70_000usize).prop_map(Some)]
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Closes {
    One(usize),
    Both,
}

fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases(400))]

    // 6455-5.2-11 6455-5.3-5 6455-5.4-6 6455-5.4-9 6455-5.4-10 6455-5.5.2-1 6455-5.5.3-1 6455-6.1-1 6455-6.1-4 6455-6.2-4
    // 6455-5.5.1-11 6455-5.5.1-14 6455-7.1.4-1 CM-15 CM-16 CM-17 CM-22
    #[test]
    fn both_receive_what_the_other_sends_and_close_cleanly(
        actions in vec(action(), 0..14),
        chunks in chunks(),
        fragment_lens in [fragment_len(), fragment_len()],
        reads_to_destination in any::<[bool; 2]>(),
        looks_ahead in any::<[bool; 2]>(),
        closes in prop_oneof![Just(Closes::One(0)), Just(Closes::One(1)), Just(Closes::Both)],
        flushes_first in any::<bool>(),
    ) {
        let end = |i: usize, role| {
            let config = Config::default().fragment_len(fragment_lens[i]);
            End::new(role, &config, reads_to_destination[i], looks_ahead[i])
        };
        let mut pair = Pair { ends: [end(0, Role::Client), end(1, Role::Server)], chunks, turn: 0 };
        for action in &actions {
            pair.act(action);
        }

        if flushes_first {
            pair.until_flushed();
        }
        let code = |i: usize| CloseCode::new(4000 + i as u16).unwrap();
        for i in [0, 1] {
            if closes == Closes::One(i) || closes == Closes::Both {
                pair.ends[i].connection.close(&CloseFrame::new(code(i), "bye").unwrap()).unwrap();
            }
        }
        pair.until_flushed();
        prop_assert_eq!(pair.ends[0].connection.phase(), TransportPhase::Discard, "the client waits");
        prop_assert_eq!(pair.ends[1].connection.phase(), TransportPhase::ShutDown, "the server closes first");
        let [client, server] = &mut pair.ends;
        server.connection.write_side_shut_down();
        client.connection.end_of_stream();
        prop_assert_eq!(client.connection.phase(), TransportPhase::ShutDown);
        client.connection.write_side_shut_down();
        server.connection.end_of_stream();

        for (i, (here, there)) in [(0, (&pair.ends[0], &pair.ends[1])), (1, (&pair.ends[1], &pair.ends[0]))] {
            prop_assert!(here.messages == there.sent, "the messages, in order");
            prop_assert_eq!(&here.pings, &there.pinged);
            let unasked = actions.iter().filter(|action| action.from != i && matches!(action.what, What::Pong));
            let (unasked_pongs, pongs): (Vec<_>, Vec<_>) =
                here.pongs.iter().cloned().partition(|pong| pong == b"unasked");
            prop_assert_eq!(unasked_pongs.len(), unasked.count());
            // Every Ping that was owed an answer has one; of the others some have, and none has two.
            // Who closes before they have come may not see the last of them.
            let answered: Vec<_> = pongs.iter().filter(|pong| there.owed.contains(pong)).cloned().collect();
            prop_assert_eq!(&answered[..], &there.owed[..answered.len()]);
            prop_assert!(answered.len() == there.owed.len() || !flushes_first);
            prop_assert!(pongs.iter().all(|pong| here.pinged.contains(pong)));
            let mut different = pongs.clone();
            different.sort();
            different.dedup();
            prop_assert_eq!(different.len(), pongs.len());

            prop_assert_eq!(here.connection.phase(), TransportPhase::Drop);
            let report = here.connection.close_report().unwrap();
            prop_assert!(report.clean);
            prop_assert_eq!(report.failure, None);
            let closed_here = closes != Closes::One(1 - i);
            let closed_there = closes != Closes::One(i);
            prop_assert_eq!(report.closed_by, if closed_here { ClosedBy::Local } else { ClosedBy::Remote });
            // The answer to a Close has its code and no reason.
            let (received, reason) = if closed_there { (code(1 - i), "bye") } else { (code(i), "") };
            prop_assert_eq!(&here.close, &Some(Event::close(received.get(), reason)));
            prop_assert_eq!(report.received.number(), received.get());
            prop_assert_eq!(&*report.received_reason, reason);
            prop_assert_eq!(report.sent, Some(Some(if closed_here { code(i) } else { code(1 - i) })));
        }
    }

    // 6455-5.5.2-1 6455-5.5.2-2 6455-5.5.3-1
    #[test]
    fn both_receive_pings_and_answer_the_same_whether_they_look_ahead_or_not(
        role in prop_oneof![Just(Role::Client), Just(Role::Server)],
        frames in vec(frame_unmasked(), 0..20),
        moves in vec((0..60usize, 0..3usize, any::<bool>()), 1..40),
    ) {
        let input: Vec<u8> = frames.iter().flat_map(|frame| from_peer(role, frame)).collect();
        let config = Config::default();

        let mut plain = connection(role, &config);
        let mut unread = input.clone();
        let mut events = Vec::new();
        let failure = receive_up_to(&mut plain, &mut unread, usize::MAX, &mut events);
        let expected = wire_frames(role, &drain(&mut plain));

        // The same input in pieces, of which some are looked through before they are received, if at all.
        let mut ahead = connection(role, &config);
        let mut unread = Vec::new();
        let mut seen = Vec::new();
        let mut failed = None;
        let mut at = 0usize;
        for &(len, received, looks) in moves.iter().chain([&(usize::MAX, usize::MAX, true)]) {
            if ahead.phase() != TransportPhase::ReadWrite {
                break;
            }
            let mut piece = &input[at..input.len().min(at.saturating_add(len))];
            at += piece.len();
            if unread.is_empty() && let Some(mut destination) = ahead.destination() {
                let room = destination.room();
                let (read, rest) = piece.split_at(room.min(piece.len()));
                destination.append(read);
                piece = rest;
            }
            unread.extend_from_slice(piece);
            if looks {
                ahead.answer_pings_ahead(&unread);
            }
            failed = receive_up_to(&mut ahead, &mut unread, received, &mut seen);
        }
        prop_assert_eq!(seen, events);
        prop_assert_eq!(failed, failure);
        prop_assert_eq!(wire_frames(role, &drain(&mut ahead)), expected);
    }
}

/// Frames in no order, some of which do not fit what came before: there both the scan and the connection end.
fn frame_unmasked() -> impl Strategy<Value = Vec<u8>> {
    let first = prop_oneof![
        6 => Just(0x89),
        3 => proptest::sample::select(vec![0x81, 0x82, 0x8a]),
        2 => proptest::sample::select(vec![0x01, 0x02, 0x00, 0x80]),
    ];
    let frame = (first, 0..100u8)
        .prop_map(|(first, len)| server_frame(first, &(0..len).map(|i| b'a' + i % 26).collect::<Vec<u8>>()));
    prop_oneof![30 => frame, 1 => Just(b"\x88\x02\x03\xe8".to_vec()), 1 => Just(b"\x83\x00".to_vec())]
}

/// Receives up to `count` events.
fn receive_up_to(
    connection: &mut Connection,
    unread: &mut Vec<u8>,
    count: usize,
    events: &mut Vec<Event>,
) -> Option<sansocket::Failure> {
    for _ in 0..count {
        if connection.phase() != TransportPhase::ReadWrite {
            break;
        }
        let received = match connection.receive(unread) {
            Ok(received) => received,
            Err(failure) => return Some(failure),
        };
        events.extend(received.event.map(|located| Event::from(connection.event(located, unread))));
        unread.drain(..received.consumed);
        if received.event.is_none() {
            break;
        }
    }
    None
}
