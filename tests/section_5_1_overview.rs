//! RFC 6455 §5.1: who masks and who must not.

mod support;

use sansocket::{Config, ProtocolError, Role};
use support::{BOTH_ROLES, Event, every_split, from_peer};

// 6455-5.4-1
#[test]
fn client_receives_hello_unmasked() {
    let hello = [0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f];
    let received = every_split(Role::Client, &Config::default(), &[hello]);
    assert_eq!(received.events, [Event::text("Hello")]);
    assert_eq!(received.output, []);
    received.assert_open();
}

// 6455-6.2-6
#[test]
fn server_receives_hello_masked() {
    let hello = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
    let received = every_split(Role::Server, &Config::default(), &[hello]);
    assert_eq!(received.events, [Event::text("Hello")]);
    assert_eq!(received.output, []);
    received.assert_open();
}

// 6455-5.1-2 6455-5.1-3 CM-37
#[test]
fn server_receives_hello_unmasked() {
    let hello = [0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f];
    let received = every_split(Role::Server, &Config::default(), &[hello]);
    assert_eq!(received.events, []);
    assert_eq!(received.output, [0x88, 0x02, 0x03, 0xea]);
    received.assert_failed(ProtocolError::UnmaskedFrame, 1002, 2);
}

// 6455-5.1-5 CM-37
#[test]
fn client_receives_hello_masked() {
    let hello = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
    let received = every_split(Role::Client, &Config::default(), &[hello]);
    assert_eq!(received.events, []);
    assert_eq!(received.output, [0x88, 0x82, 0x37, 0xfa, 0x21, 0x3d, 0x34, 0x10]);
    received.assert_failed(ProtocolError::MaskedFrame, 1002, 2);
}

// 6455-5.1-2 6455-5.1-5 CM-37
#[test]
fn both_receive_frames_of_every_kind_masked_for_the_other_role() {
    // First octet, and what has to come before it so that the mask is all that is wrong.
    let kinds: [(u8, &[u8]); 7] = [
        (0x81, b""),
        (0x82, b""),
        (0x01, b""),
        (0x80, b"\x02\x01a"),
        (0x88, b""),
        (0x89, b""),
        (0x8a, b"\x02\x01a"),
    ];
    for role in BOTH_ROLES {
        for (first, before) in kinds {
            for len7 in [0, 2, 125, 126, 127] {
                if first & 0x08 != 0 && len7 > 125 {
                    continue;
                }
                let before = if before.is_empty() { Vec::new() } else { from_peer(role, before) };
                let (second, error) = match role {
                    Role::Server => (len7, ProtocolError::UnmaskedFrame),
                    Role::Client => (0x80 | len7, ProtocolError::MaskedFrame),
                };
                let at = before.len() + 2;
                let received = every_split(role, &Config::default(), &[before, vec![first, second]]);
                assert_eq!(received.events, []);
                received.assert_failed(error, 1002, at);
            }
        }
    }
}

// 6455-5.1-2
#[test]
fn server_receives_unmasked_frame_after_masked_ones() {
    let received = every_split(
        Role::Server,
        &Config::default(),
        &[
            &[0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58][..],
            &[0x89, 0x80, 0x37, 0xfa, 0x21, 0x3d],
            &[0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f],
        ],
    );
    assert_eq!(received.events, [Event::text("Hello"), Event::ping("")]);
    // The Pong that was owed already leaves before the Close.
    assert_eq!(received.sent, [&[0x8a, 0x00][..], &[0x88, 0x02, 0x03, 0xea]]);
    received.assert_failed(ProtocolError::UnmaskedFrame, 1002, 19);
}
