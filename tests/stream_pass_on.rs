//! A lent message, fed by value: it leaves as it came, and nothing is copied that need not be.
#![cfg(feature = "tokio")]
#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests")]

#[path = "support/heap.rs"]
#[allow(dead_code, reason = "only peaks and what is held are asked for")]
mod heap;
#[path = "support/spared.rs"]
mod spared;
mod stream_support;

use heap::{held_by, peak_of};
use sansocket::stream::WebSocket;
use sansocket::{MessageKind, Role};
use spared::fill_spare;
use stream_support::*;

#[global_allocator]
static ALLOCATOR: heap::Heap = heap::Heap;

/// Around the lengths at which headers, copies, masking and buffers change.
const LENGTHS: [usize; 17] = [
    0,
    1,
    2,
    124,
    125,
    126,
    127,
    (16 << 10) - 1,
    16 << 10,
    (16 << 10) + 1,
    u16::MAX as usize,
    64 << 10,
    (64 << 10) + 1,
    (292 << 10) - 1,
    292 << 10,
    (292 << 10) + 1,
    1 << 20,
];

/// What an allocation beside a payload may take: a place in a queue.
const PLACE: usize = 4 << 10;

fn payload(first: u8, len: usize) -> Vec<u8> {
    if first != TEXT {
        return pattern(len);
    }
    let text: Vec<u8> = "aé€😀".bytes().cycle().take(len - len % 10).collect();
    [text, vec![b'z'; len % 10]].concat()
}

/// The frames of a message in so many fragments.
fn fragments(role: Role, first: u8, payload: &[u8], count: usize) -> Vec<u8> {
    let mut frames = Vec::new();
    for i in 0..count {
        let fragment = &payload[payload.len() * i / count..payload.len() * (i + 1) / count];
        let opcode = if i == 0 { first & 0x0f } else { MIDDLE };
        let fin = if i + 1 == count { LAST } else { MIDDLE };
        frames.extend(to(role, fin | opcode, fragment));
    }
    frames
}

/// Receives a message and feeds it by value.
fn pass_on(socket: &mut WebSocket<Mock>) -> MessageKind {
    let (message, mut outgoing) = now(socket.receive_ref()).unwrap().unwrap();
    let kind = message.kind();
    outgoing.feed(message).unwrap();
    kind
}

// 6455-6.1-1 6455-6.2-4 CM-15
#[test]
fn both_echo_messages_of_any_length_octet_by_octet() {
    for role in ROLES {
        for first in [TEXT, BINARY] {
            for len in LENGTHS {
                for count in [1, 2, 3] {
                    let payload = payload(first, len);
                    let (mut socket, script) = connect(role);
                    // In front of it and behind it, what is only borrowed.
                    let frames_in = fragments(role, first, &payload, count);
                    script.peer_sends(
                        [to(role, TEXT, b"before"), frames_in, to(role, BINARY, b"behind")].concat(),
                    );
                    let kinds = [pass_on(&mut socket), pass_on(&mut socket)];
                    // Above the high-water mark what is queued leaves first.
                    now(socket.flush()).unwrap();
                    assert_eq!(pass_on(&mut socket), MessageKind::Binary);
                    now(socket.flush()).unwrap();
                    let kind = if first == TEXT { MessageKind::Text } else { MessageKind::Binary };
                    assert_eq!(kinds, [MessageKind::Text, kind]);
                    let expected = [
                        Frame(TEXT, b"before".to_vec()),
                        Frame(first, payload),
                        Frame(BINARY, b"behind".to_vec()),
                    ];
                    assert!(
                        frames(role, &script.written()) == expected,
                        "{role:?}, {kind:?} of {len} octets in {count} fragments"
                    );
                }
            }
        }
    }
}

// CM-15 CM-23
#[test]
fn both_echo_messages_that_come_and_leave_in_pieces() {
    for role in ROLES {
        for len in [1, 126, (16 << 10) + 1, 300_000] {
            let text = payload(TEXT, len);
            let (mut socket, script) = connect(role);
            script.read_at_most(9973);
            script.write_at_most(7919);
            let input = [fragments(role, TEXT, &text, 2), to(role, BINARY, &text)].concat();
            script.peer_sends(input);
            for _ in 0..2 {
                pass_on(&mut socket);
            }
            now(socket.flush()).unwrap();
            let expected = [Frame(TEXT, text.clone()), Frame(BINARY, text)];
            assert!(frames(role, &script.written()) == expected, "{role:?}, {len} octets");
        }
    }
}

// What is lent lies in the input, or was assembled and is kept: it is copied once, into the output.
#[test]
fn both_pass_short_messages_on_without_an_allocation() {
    for role in ROLES {
        for count in [1, 3] {
            for len in [0, 1, 125, 126, 1000, 16 << 10] {
                let frames = [
                    fragments(role, TEXT, &payload(TEXT, len), count),
                    fragments(role, BINARY, &pattern(len), count),
                ];
                let (mut socket, script) = connect(role);
                script.peer_sends(frames.concat().repeat(3));
                // The first two bring buffers along, and room to assemble.
                for _ in 0..2 {
                    pass_on(&mut socket);
                }
                let (peak, ()) = peak_of(|| {
                    for _ in 0..4 {
                        pass_on(&mut socket);
                    }
                });
                assert_eq!(peak.transient, 0, "{role:?}, {len} octets in {count} fragments");
            }
        }
    }
}

#[test]
fn both_pass_long_messages_on_without_a_copy() {
    for role in ROLES {
        for first in [TEXT, BINARY] {
            for count in [1, 3] {
                for len in [300_000, 1 << 20] {
                    let payload = payload(first, len);
                    let frames_in = fragments(role, first, &payload, count);
                    let (mut socket, script) = connect(role);
                    script.peer_sends(to(role, TEXT, b"brings the buffers"));
                    pass_on(&mut socket);
                    script.peer_sends(&frames_in);
                    let (message, mut outgoing) = now(socket.receive_ref()).unwrap().unwrap();
                    let (peak, ()) = peak_of(|| outgoing.feed(message).unwrap());
                    assert!(
                        peak.grown <= PLACE,
                        "{} octets for {len}, {role:?}, {count} fragments",
                        peak.grown
                    );

                    // One that is borrowed has to be copied: the same measure sees it.
                    script.peer_sends(&frames_in);
                    now(socket.flush()).unwrap();
                    let (message, mut outgoing) = now(socket.receive_ref()).unwrap().unwrap();
                    outgoing.feed("takes the buffer for output").unwrap();
                    let (peak, ()) = peak_of(|| outgoing.feed(&message).unwrap());
                    assert!(peak.grown >= len, "{} octets for {len}", peak.grown);
                }
            }
        }
    }
}

/// What is done with a lent message.
#[derive(Debug, Clone, Copy)]
enum Use {
    FedByValue,
    FedByReference,
    OnlySeen,
}

#[test]
fn both_hold_nothing_of_a_long_message_once_they_are_idle() {
    for role in ROLES {
        for count in [1, 3] {
            for used in [Use::FedByValue, Use::FedByReference, Use::OnlySeen] {
                for behind in [false, true] {
                    let (mut socket, script) = connect(role);
                    let receive = |socket: &mut WebSocket<Mock>| {
                        script.peer_sends(fragments(role, BINARY, &pattern(1 << 20), count));
                        {
                            let (message, mut outgoing) = now(socket.receive_ref()).unwrap().unwrap();
                            match used {
                                Use::FedByValue => outgoing.feed(message).unwrap(),
                                Use::FedByReference => outgoing.feed(&message).unwrap(),
                                Use::OnlySeen => assert_eq!(message.payload().len(), 1 << 20),
                            }
                        }
                        if behind {
                            script.peer_sends(to(role, TEXT, b"a usual one behind it"));
                            pass_on(socket);
                        }
                        waits(socket.receive_ref());
                        drop((script.take_written(), script.take_ops()));
                    };
                    // The thread's pool is filled by another.
                    let (mut before, before_script) = connect(role);
                    before_script.peer_sends(to(role, TEXT, b"fills the pool"));
                    pass_on(&mut before);
                    waits(before.receive_ref());
                    fill_spare();
                    let (held, ()) = held_by(|| receive(&mut socket));
                    assert!(held <= 1024, "{held} octets, {role:?}, {count} fragments, {used:?}, {behind}");
                }
            }
        }
    }
}

// 6455-5.5.1-6
#[test]
fn both_refuse_a_lent_message_after_close_and_queue_nothing() {
    for role in ROLES {
        for len in [5, 300_000] {
            let (mut socket, script) = connect(role);
            script.peer_sends([to(role, BINARY, &pattern(len)), to(role, TEXT, b"next")].concat());
            {
                let (message, mut outgoing) = now(socket.receive_ref()).unwrap().unwrap();
                outgoing.start_close(None, "").unwrap();
                let queued = outgoing.queued();
                assert_eq!(outgoing.feed(message), Err(sansocket::SendError::SendAfterClose));
                assert_eq!(outgoing.queued(), queued);
            }
            let (message, _) = now(socket.receive_ref()).unwrap().unwrap();
            assert_eq!(message.as_text(), Some("next"), "receiving goes on");
            now(socket.flush()).unwrap();
            assert_eq!(frames(role, &script.written()), [Frame(CLOSE, Vec::new())]);
        }
    }
}

#[cfg(feature = "deflate")]
mod compressed {
    use sansocket::Message;
    use sansocket::connection::{Connection, Event, KeySource};
    use sansocket::deflate::{Agreement, Compression, DeflateConfig};
    use sansocket::handshake::Negotiated;

    use super::*;

    fn agreement() -> Agreement {
        Agreement::new(DeflateConfig::default())
    }

    /// The core at the other end.
    fn peer_of(role: Role) -> Connection {
        let connection = match role {
            Role::Client => Connection::server(&quiet()),
            Role::Server => Connection::client(&quiet(), KeySource::operating_system()),
        };
        connection.with_deflate(&agreement())
    }

    fn written_by(peer: &mut Connection) -> Vec<u8> {
        let mut written = Vec::new();
        while peer.queued() > 0 {
            let mut slices = [&[][..]; 4];
            let filled = peer.slices(&mut slices);
            let octets = slices[..filled].concat();
            peer.advance(octets.len());
            written.extend(octets);
        }
        written
    }

    fn received_by(peer: &mut Connection, mut octets: Vec<u8>) -> Vec<Message> {
        let mut messages = Vec::new();
        let mut at = 0;
        loop {
            let received = peer.receive(&mut octets[at..]).expect("all of it can be decompressed");
            let Some(located) = received.event else { return messages };
            assert!(matches!(peer.event(located, &octets[at..]), Event::Text(_) | Event::Binary(_)));
            messages.extend(peer.take(located, &octets[at..]));
            at += received.consumed;
        }
    }

    // 7692-6-8 7692-6.1-1 7692-6.2-1 6455-6.2-4
    #[test]
    fn both_echo_messages_that_are_compressed_or_not_octet_by_octet() {
        for role in ROLES {
            for compression in [Compression::Always, Compression::Never, Compression::Auto] {
                for first in [TEXT, BINARY] {
                    let (mock, script) = mock();
                    let negotiated = Negotiated::default().with_deflate(&agreement());
                    let mut socket = WebSocket::negotiated(mock, role, negotiated, &quiet(), Vec::new());
                    let mut peer = peer_of(role);
                    // One connection for all lengths: later messages refer to those before.
                    for len in LENGTHS {
                        let payload = payload(first, len);
                        let message = match first {
                            TEXT => Message::text(String::from_utf8(payload).unwrap()),
                            _ => Message::binary(payload),
                        };
                        peer.send(message.clone().compression(compression)).unwrap();
                        script.peer_sends(written_by(&mut peer));
                        pass_on(&mut socket);
                        now(socket.flush()).unwrap();
                        let echoed = received_by(&mut peer, script.take_written());
                        assert!(echoed == [message], "{role:?}, {compression:?}, {len} octets");
                    }
                }
            }
        }
    }

    // An inflated message has a place of its own, as an assembled one has: a connection that does not compress moves it.
    #[test]
    fn both_pass_long_inflated_messages_on_without_a_copy() {
        for role in ROLES {
            // Nothing is compressed on the way back: below the threshold everything is.
            let negotiated = Negotiated::default()
                .with_deflate(&Agreement::new(DeflateConfig::default().threshold(usize::MAX)));
            let (mock, script) = mock();
            let mut socket = WebSocket::negotiated(mock, role, negotiated, &quiet(), Vec::new());
            let mut peer = peer_of(role);
            script.peer_sends(to(role, TEXT, b"brings the buffers"));
            pass_on(&mut socket);
            let message = Message::binary(pattern(1 << 20));
            peer.send(message.clone().compression(Compression::Always)).unwrap();
            let compressed = written_by(&mut peer);
            assert!(compressed.len() < 1 << 19, "it is compressed");
            script.peer_sends(compressed);
            {
                let (message, mut outgoing) = now(socket.receive_ref()).unwrap().unwrap();
                let (peak, ()) = peak_of(|| outgoing.feed(message).unwrap());
                assert!(peak.grown <= PLACE, "{} octets, {role:?}", peak.grown);
            }
            now(socket.flush()).unwrap();
            let echoed = received_by(&mut peer, script.take_written());
            assert!(echoed[1..] == [message], "{role:?}");
        }
    }
}
