//! A lent message, fed by value to a blocking transport: it leaves as it came, and nothing is copied that need not be.
#![cfg(feature = "std")]
#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests")]

#[path = "support/heap.rs"]
#[allow(dead_code, reason = "only peaks are asked for")]
mod heap;
#[path = "support/blocking.rs"]
mod support;

use heap::peak_of;
use sansocket::blocking::WebSocket;
use sansocket::{Config, MessageKind, Role, SendError};
use support::{BOTH_ROLES, Script, Step, frames, from_peer, socket};

#[global_allocator]
static ALLOCATOR: heap::Heap = heap::Heap;

const TEXT: u8 = 0x81;
const BINARY: u8 = 0x82;

/// Around the lengths at which headers, copies, masking and buffers change.
const LENGTHS: [usize; 13] = [
    0,
    1,
    125,
    126,
    (16 << 10) - 1,
    16 << 10,
    (16 << 10) + 1,
    u16::MAX as usize,
    64 << 10,
    (64 << 10) + 1,
    292 << 10,
    (292 << 10) + 1,
    1 << 20,
];

/// What an allocation beside a payload may take: a place in a queue.
const PLACE: usize = 4 << 10;

/// Octets that differ from their neighbours.
fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i ^ i >> 8 ^ i >> 16) as u8).collect()
}

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
        let opcode = if i == 0 { first & 0x0f } else { 0x00 };
        let fin = if i + 1 == count { 0x80 } else { 0x00 };
        frames.extend(from_peer(role, fin | opcode, fragment));
    }
    frames
}

/// Receives a message and feeds it by value.
fn pass_on(socket: &mut WebSocket<Script>) -> MessageKind {
    let (message, mut outgoing) = socket.receive_ref().unwrap().unwrap();
    let kind = message.kind();
    outgoing.feed(message).unwrap();
    kind
}

// 6455-6.1-1 6455-6.2-4 CM-15
#[test]
fn both_echo_messages_of_any_length_octet_by_octet() {
    for role in BOTH_ROLES {
        for first in [TEXT, BINARY] {
            for len in LENGTHS {
                for count in [1, 2, 3] {
                    let payload = payload(first, len);
                    // In front of it and behind it, what is only borrowed.
                    let input = [
                        from_peer(role, TEXT, b"before"),
                        fragments(role, first, &payload, count),
                        from_peer(role, BINARY, b"behind"),
                    ];
                    let script = Script::reading(input.concat()).max_read(50_021).max_write(50_023);
                    let mut socket = socket(role, &script, &Config::default());
                    let kind = if first == TEXT { MessageKind::Text } else { MessageKind::Binary };
                    for kind in [MessageKind::Text, kind, MessageKind::Binary] {
                        assert_eq!(pass_on(&mut socket), kind);
                    }
                    socket.flush().unwrap();
                    let expected =
                        [(TEXT, b"before".to_vec()), (first, payload), (BINARY, b"behind".to_vec())];
                    assert!(
                        frames(&script.written()) == expected,
                        "{role:?}, {kind:?} of {len} octets in {count} fragments"
                    );
                }
            }
        }
    }
}

// What is lent lies in the input, or was assembled and is kept: it is copied once, into the output.
#[test]
fn both_pass_short_messages_on_without_an_allocation() {
    for role in BOTH_ROLES {
        for count in [1, 3] {
            for len in [0, 1, 125, 126, 1000, 8 << 10] {
                let message = fragments(role, BINARY, &pattern(len), count);
                // One read has room for all of it.
                let script = Script::reading(message.repeat(6));
                let mut socket = socket(role, &script, &Config::default());
                // The first ones bring buffers along, which stay.
                for _ in 0..2 {
                    pass_on(&mut socket);
                    socket.flush().unwrap();
                }
                let (peak, _) = peak_of(|| pass_on(&mut socket));
                assert_eq!(peak.transient, 0, "{role:?}, {len} octets in {count} fragments");
            }
        }
    }
}

#[test]
fn both_pass_long_messages_on_without_a_copy() {
    for role in BOTH_ROLES {
        for first in [TEXT, BINARY] {
            for count in [1, 3] {
                for len in [300_000, 1 << 20] {
                    let message = fragments(role, first, &payload(first, len), count);
                    let script =
                        Script::reading([from_peer(role, TEXT, b"brings buffers"), message.clone()].concat());
                    let mut socket = socket(role, &script, &Config::default());
                    pass_on(&mut socket);
                    let (message_ref, mut outgoing) = socket.receive_ref().unwrap().unwrap();
                    let (peak, ()) = peak_of(|| outgoing.feed(message_ref).unwrap());
                    assert!(
                        peak.grown <= PLACE,
                        "{} octets for {len}, {role:?}, {count} fragments",
                        peak.grown
                    );

                    // One that is borrowed has to be copied: the same measure sees it.
                    script.push(Step::Octets(message));
                    let (message_ref, mut outgoing) = socket.receive_ref().unwrap().unwrap();
                    let (peak, ()) = peak_of(|| outgoing.feed(&message_ref).unwrap());
                    assert!(peak.grown >= len, "{} octets for {len}", peak.grown);
                }
            }
        }
    }
}

// 6455-5.5.1-6
#[test]
fn both_refuse_a_lent_message_after_close_and_queue_nothing() {
    for role in BOTH_ROLES {
        for len in [5, 300_000] {
            let input = [from_peer(role, BINARY, &pattern(len)), from_peer(role, TEXT, b"next")];
            let script = Script::reading(input.concat());
            let mut socket = socket(role, &script, &Config::default());
            let (message, mut outgoing) = socket.receive_ref().unwrap().unwrap();
            outgoing.start_close(None, "").unwrap();
            let queued = outgoing.queued();
            assert_eq!(outgoing.feed(message), Err(SendError::SendAfterClose));
            assert_eq!(outgoing.queued(), queued);
            let (message, _) = socket.receive_ref().unwrap().unwrap();
            assert_eq!(message.as_text(), Some("next"), "receiving goes on");
            socket.flush().unwrap();
            assert_eq!(frames(&script.written()), [(0x88, Vec::new())]);
        }
    }
}

// 7692-6-8 7692-6.1-1 7692-6.2-1 6455-6.2-4
#[cfg(feature = "deflate")]
#[test]
fn both_echo_messages_that_are_compressed_or_not_octet_by_octet() {
    use sansocket::Message;
    use sansocket::deflate::{Agreement, Compression, DeflateConfig};
    use sansocket::handshake::Negotiated;

    for role in BOTH_ROLES {
        for compression in [Compression::Always, Compression::Never, Compression::Auto] {
            for first in [TEXT, BINARY] {
                let over = |role, script: &Script| {
                    let negotiated =
                        Negotiated::default().with_deflate(&Agreement::new(DeflateConfig::default()));
                    WebSocket::negotiated(script.clone(), role, negotiated, &Config::default(), Vec::new())
                };
                let peer_role = if role == Role::Client { Role::Server } else { Role::Client };
                let (near, far) = (Script::new([]), Script::new([]));
                let (mut socket, mut peer) = (over(role, &near), over(peer_role, &far));
                let (mut sent, mut echoed) = (0, 0);
                // One connection for all lengths: later messages refer to those before.
                for len in LENGTHS {
                    let payload = payload(first, len);
                    let message = match first {
                        TEXT => Message::text(String::from_utf8(payload).unwrap()),
                        _ => Message::binary(payload),
                    };
                    peer.send(message.clone().compression(compression)).unwrap();
                    near.push(Step::Octets(far.written().split_off(sent)));
                    sent = far.written().len();
                    pass_on(&mut socket);
                    socket.flush().unwrap();
                    far.push(Step::Octets(near.written().split_off(echoed)));
                    echoed = near.written().len();
                    let received = peer.receive().unwrap();
                    assert!(received == Some(message), "{role:?}, {compression:?}, {len} octets");
                }
            }
        }
    }
}
