//! RFC 6455 §6.2: octets in, messages out.

mod support;

use sansocket::connection::{Connection, Event as Borrowed, ReceivedClose, TransportPhase};
use sansocket::frame::CloseFrame;
use sansocket::{CloseCode, Config, Failure, Message, MessageKind, Role};
use support::{
    BOTH_ROLES, Event, connection, drain, every_split, every_split_from_peer, from_peer, server_frame,
};

// 6455-6.2-1 6455-6.2-2 6455-6.2-3 6455-6.2-4 6455-6.2-5
#[test]
fn both_receive_conversation_of_everything() {
    for role in BOTH_ROLES {
        let received = every_split_from_peer(
            role,
            &[
                b"\x81\x05Hello",
                b"\x02\x01a",
                b"\x89\x02p1",
                b"\x00\x00",
                b"\x80\x01b",
                b"\x8a\x02p0",
                b"\x01\x01\xc3",
                b"\x89\x00",
                b"\x80\x01\xa9",
                &server_frame(0x82, &[7; 200]),
                b"\x88\x05\x03\xe9bye",
            ],
        );
        assert_eq!(
            received.events,
            [
                Event::text("Hello"),
                Event::ping("p1"),
                Event::binary("ab"),
                Event::pong("p0"),
                Event::ping(""),
                Event::text("é"),
                Event::binary([7; 200]),
                Event::close(1001, "bye"),
            ]
        );
        assert_eq!(received.sent, [&b"\x8a\x02p1"[..], b"\x8a\x00", b"\x88\x02\x03\xe9"]);
        assert!(received.report.clean);
    }
}

// 6455-6.2-1 CM-15
#[test]
fn both_receive_nothing() {
    for role in BOTH_ROLES {
        let received = every_split(role, &Config::default(), &[[]]);
        assert_eq!(received.events, []);
        received.assert_open();
    }
}

// 6455-7.1.5-3 CM-43
#[test]
fn both_receive_end_of_stream_anywhere_without_a_close_and_never_call_it_clean() {
    let frames: [&[u8]; 3] = [b"\x81\x02ok", b"\x01\x01a", b"\x80\x02bc"];
    for role in BOTH_ROLES {
        let input: Vec<u8> = frames.iter().flat_map(|frame| from_peer(role, frame)).collect();
        for len in 0..=input.len() {
            let received = every_split(role, &Config::default(), &[&input[..len]]);
            assert_eq!(received.report.failure, Some(Failure::EndOfStream), "after {len} octets");
            assert_eq!(received.report.received, ReceivedClose::Abnormal);
            assert_eq!(received.report.received.number(), 1006);
            assert_eq!(received.report.sent, None);
            assert!(!received.report.clean);
        }
    }
}

// 6455-7.1.5-3 CM-43
#[test]
fn both_receive_the_same_failure_for_ever_after_the_end_of_stream() {
    for role in BOTH_ROLES {
        let mut connection = connection(role, &Config::default());
        connection.end_of_stream();
        for _ in 0..3 {
            let mut input = from_peer(role, b"\x81\x02ok");
            assert_eq!(connection.receive(&mut input), Err(Failure::EndOfStream));
        }
    }
}

/// One event of `input`, which has to be there.
fn receive_one(connection: &mut Connection, input: &mut [u8]) -> (Event, Option<Message>, usize) {
    let received = connection.receive(input).expect("it is valid");
    let located = received.event.expect("an event");
    let event = Event::from(connection.event(located, input));
    (event, connection.take(located, input), received.consumed)
}

// 6455-6.2-4
#[test]
fn both_receive_message_that_can_be_taken_as_its_kind() {
    for role in BOTH_ROLES {
        let mut connection = connection(role, &Config::default());
        let mut text = from_peer(role, b"\x81\x05Hello");
        let (event, message, _) = receive_one(&mut connection, &mut text);
        assert_eq!(event, Event::text("Hello"));
        let message = message.unwrap();
        assert_eq!(message.kind(), MessageKind::Text);
        assert_eq!(message.as_text(), Some("Hello"));
        assert_eq!(&message.into_payload()[..], b"Hello");

        let mut fragments = [from_peer(role, b"\x02\x01a"), from_peer(role, b"\x80\x01b")].concat();
        let (event, message, consumed) = receive_one(&mut connection, &mut fragments);
        assert_eq!((event, consumed), (Event::binary("ab"), fragments.len()));
        let message = message.unwrap();
        assert_eq!((message.kind(), message.as_text()), (MessageKind::Binary, None));
        assert_eq!(message.payload(), b"ab");

        let mut ping = from_peer(role, b"\x89\x01p");
        assert_eq!(receive_one(&mut connection, &mut ping).1, None, "a control frame is no message");
    }
}

// A message that lies whole in the input is delivered where it lies.
// 6455-6.2-4
#[test]
fn client_receives_whole_message_without_a_copy() {
    let mut client = connection(Role::Client, &Config::default());
    let mut input = *b"\x82\x05Hello";
    let received = client.receive(&mut input).unwrap();
    let Borrowed::Binary(payload) = client.event(received.event.unwrap(), &input) else { panic!("binary") };
    assert!(std::ptr::eq(payload, &raw const input[2..7]));
}

// The payload of an event that came in pieces stays until the next call, and no longer.
// 6455-6.2-4 CM-31
#[test]
fn both_receive_messages_in_pieces_that_do_not_run_into_each_other() {
    for role in BOTH_ROLES {
        let mut connection = connection(role, &Config::default());
        for (len, octet) in [(40_000, b'a'), (3, b'b'), (20_000, b'c'), (0, b'd'), (70_000, b'e')] {
            for take in [false, true] {
                let payload = vec![octet; len];
                let frame = from_peer(role, &server_frame(0x82, &payload));
                let (mut front, mut back) =
                    (frame[..frame.len() - 1].to_vec(), frame[frame.len() - 1..].to_vec());
                let received = connection.receive(&mut front).unwrap();
                assert_eq!(received.event, None);
                let mut rest = front.split_off(received.consumed);
                rest.append(&mut back);
                let received = connection.receive(&mut rest).unwrap();
                let located = received.event.unwrap();
                if take {
                    assert!(connection.take(located, &rest).unwrap().payload() == payload);
                } else {
                    assert!(Event::from(connection.event(located, &rest)) == Event::binary(payload));
                }
                connection.release_buffers();
            }
        }
    }
}

// 6455-6.2-1 6455-5.3-5
#[test]
fn both_receive_large_payload_read_to_its_place() {
    let payload: Vec<u8> = (0..300_000u32).map(|i| (i % 251) as u8).collect();
    for role in BOTH_ROLES {
        let frame = from_peer(role, &server_frame(0x82, &payload));
        let mut connection = connection(role, &Config::default());
        assert!(connection.destination().is_none(), "between frames there is none");
        let mut head = frame[..1000].to_vec();
        assert_eq!(connection.receive(&mut head).unwrap().consumed, 1000);
        let mut at = 1000;
        let mut reads = 0;
        let located = loop {
            assert_eq!(connection.missing(), frame.len() - at);
            let mut destination = connection.destination().unwrap();
            let room = destination.room();
            assert!(room > 0);
            destination.append(&frame[at..at + room]);
            at += room;
            reads += 1;
            if let Some(located) = connection.receive(&mut []).unwrap().event {
                break located;
            }
        };
        assert!(Event::from(connection.event(located, &[])) == Event::binary(&payload));
        assert_eq!((at, connection.missing()), (frame.len(), 0));
        assert!(reads <= 5, "the room grows with what has arrived: {reads} reads");
        assert!(connection.destination().is_none());
    }
}

// 6455-6.2-2 6455-5.5.1-12
#[test]
fn server_receives_answer_to_its_close_and_ends_the_transport_first() {
    let mut server = connection(Role::Server, &Config::default());
    server.close(&CloseFrame::with_code(CloseCode::GOING_AWAY)).unwrap();
    assert_eq!(drain(&mut server), b"\x88\x02\x03\xe9");
    let mut close = from_peer(Role::Server, b"\x88\x02\x03\xe9");
    assert_eq!(receive_one(&mut server, &mut close).0, Event::close(1001, ""));
    assert_eq!(server.phase(), TransportPhase::ShutDown);
    server.write_side_shut_down();
    assert_eq!(server.phase(), TransportPhase::Discard);
    server.end_of_stream();
    assert!(server.close_report().unwrap().clean);
}
