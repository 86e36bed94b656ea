//! RFC 6455 §7.4: every status code there is, in a Close frame.

mod support;

use sansocket::connection::ReceivedClose;
use sansocket::frame::CloseFrame;
use sansocket::{CloseCode, Config, ProtocolError, Role, SendError};
use support::{BOTH_ROLES, Event, connection, drain, every_split_from_peer, from_peer, key_len, wire_frames};

/// The table of the requirements' section (b), written out.
fn may_stand_in_a_close_frame(code: u16) -> bool {
    match code {
        0..=999 => false,
        1000..=1003 => true,
        1004..=1006 => false,
        1007..=1014 => true,
        1015 => false,
        1016..=2999 => false,
        3000..=3999 => true,
        4000..=4999 => true,
        5000.. => false,
    }
}

// Not at every split: that would be a million runs. The codes at the edges of each range are, below.
// 6455-7.4.1-1 6455-7.4.1-2 6455-7.4.1-3 6455-7.4.1-4 6455-7.4.1-5 6455-7.4.1-6 6455-7.4.1-8 6455-7.4.1-9
// 6455-7.4.1-10 6455-7.4.2-1 6455-7.4.2-2 6455-7.4.2-3 6455-7.4.2-4 6455-7.4.2-5 CM-39 CM-40 CM-41
#[test]
fn both_receive_every_code() {
    for role in BOTH_ROLES {
        for code in 0..=u16::MAX {
            let [high, low] = code.to_be_bytes();
            let mut connection = connection(role, &Config::default());
            let mut input = from_peer(role, &[0x88, 0x02, high, low]);
            let received = connection.receive(&mut input);
            let sent = wire_frames(role, &drain(&mut connection));
            if may_stand_in_a_close_frame(code) {
                let located = received.unwrap().event.unwrap();
                assert_eq!(Event::from(connection.event(located, &input)), Event::close(code, ""));
                assert_eq!(sent, [[0x88, 0x02, high, low]], "the code comes back");
            } else {
                let error = ProtocolError::InvalidCloseCode(code);
                assert_eq!(received, Err(error.into()));
                assert_eq!(sent, [[0x88, 0x02, 0x03, 0xea]], "1002");
            }
        }
    }
}

// 6455-7.4.1-3 6455-7.4.1-4 6455-7.4.1-9 6455-7.4.2-1 6455-7.4.2-2 6455-7.4.2-5 CM-39 CM-40 CM-41
#[test]
fn both_receive_code_that_must_not_be_sent() {
    let cases: [(&[u8], u16); 18] = [
        (b"\x88\x02\x00\x00", 0),
        // Only the high octet of 1000 was written.
        (b"\x88\x02\x03\x00", 768),
        (b"\x88\x02\x03\xe7", 999),
        (b"\x88\x02\x03\xec", 1004),
        (b"\x88\x02\x03\xed", 1005),
        (b"\x88\x02\x03\xee", 1006),
        (b"\x88\x02\x03\xf7", 1015),
        (b"\x88\x02\x03\xf8", 1016),
        (b"\x88\x02\x04\x4c", 1100),
        (b"\x88\x02\x07\xd0", 2000),
        (b"\x88\x02\x0b\xb7", 2999),
        (b"\x88\x02\x13\x88", 5000),
        // 1000 in ASCII, of which two octets are the code, and 1000 with its octets swapped.
        (b"\x88\x04\x31\x30\x30\x30", 12592),
        (b"\x88\x02\xe8\x03", 59395),
        (b"\x88\x02\xff\xff", 65535),
        (b"\x88\x05\x03\xeebye", 1006),
        (b"\x88\x03\x03\xed!", 1005),
        (b"\x88\x02\x27\x10", 10000),
    ];
    for role in BOTH_ROLES {
        for (frame, code) in cases {
            let received = every_split_from_peer(role, &[frame]);
            assert_eq!(received.events, []);
            let at = frame.len() + key_len(role);
            received.assert_failed(ProtocolError::InvalidCloseCode(code), 1002, at);
        }
    }
}

// 6455-7.4-1 6455-7.4.1-1 6455-7.4.1-5 6455-7.4.1-10 6455-7.4.2-3 6455-7.4.2-4
#[test]
fn both_receive_code_at_the_edge_of_each_range() {
    for role in BOTH_ROLES {
        for code in [1000, 1001, 1003, 1007, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999u16] {
            let [high, low] = code.to_be_bytes();
            let received = every_split_from_peer(role, &[&[0x88, 0x04, high, low, b'o', b'k']]);
            assert_eq!(received.events, [Event::close(code, "ok")]);
            let received_code = ReceivedClose::Code(CloseCode::new(code).unwrap());
            received.assert_closed_cleanly(role, received_code, &[0x88, 0x02, high, low]);
        }
    }
}

// 6455-7.4.1-2 6455-7.4.1-3 6455-7.4.1-4 6455-7.4.1-9 6455-7.4.2-1 6455-7.4.2-2 6455-7.4.2-5 CM-41
#[test]
fn both_send_no_code_that_must_not_be_sent() {
    for code in 0..=u16::MAX {
        assert_eq!(
            CloseCode::new(code).map(CloseCode::get),
            may_stand_in_a_close_frame(code).then_some(code)
        );
        assert_eq!(CloseCode::try_from(code).is_ok(), may_stand_in_a_close_frame(code));
    }
}

// 6455-7.4.1-6 CM-39
#[test]
fn both_send_every_code_with_its_high_octet_first() {
    for role in BOTH_ROLES {
        for code in (0..=u16::MAX).filter_map(CloseCode::new) {
            let mut connection = connection(role, &Config::default());
            let result = connection.close(&CloseFrame::with_code(code));
            if role == Role::Server && code == CloseCode::MANDATORY_EXTENSION {
                // It is for clients; a server may only echo it.
                assert_eq!(result, Err(SendError::CodeNotForRole));
                assert_eq!(connection.queued(), 0);
                continue;
            }
            assert_eq!(result, Ok(()));
            let [high, low] = code.get().to_be_bytes();
            assert_eq!(wire_frames(role, &drain(&mut connection)), [[0x88, 0x02, high, low]]);
        }
    }
}
