//! The closing handshake: RFC 6455 §5.5.1, §7.1.1 to §7.1.4.

#[path = "support/states.rs"]
mod states;
#[path = "support/wire.rs"]
mod wire;

use sansocket::connection::TransportPhase;
use sansocket::frame::CloseFrame;
use sansocket::{CloseCode, Role};
use states::{State, reach};
use wire::{End, ROLES, described, each_cut, frames, from_peer_of};

const NORMAL: CloseFrame<'_> = CloseFrame::with_code(CloseCode::NORMAL);

fn code(code: u16) -> CloseCode {
    CloseCode::new(code).expect("a code that may be sent")
}

// 6455-5.5.1-1 6455-7.1.2-1 6455-7.4-1 6455-7.4.1-1 6455-7.4.1-5 6455-7.4.1-8 6455-7.4.1-10 6455-7.4.2-3 6455-7.4.2-4
// CM-39 CM-40
#[test]
fn each_role_sends_close_in_these_octets() {
    type Sent = (Option<u16>, &'static str, &'static [u8], &'static [u8]);
    let table: [Sent; 17] = [
        (None, "", b"\x88\x00", b"\x88\x80\x37\xfa\x21\x3d"),
        (Some(1000), "", b"\x88\x02\x03\xe8", b"\x88\x82\x37\xfa\x21\x3d\x34\x12"),
        (Some(1000), "bye", b"\x88\x05\x03\xe8bye", b"\x88\x85\x37\xfa\x21\x3d\x34\x12\x43\x44\x52"),
        (Some(1001), "", b"\x88\x02\x03\xe9", b"\x88\x82\x37\xfa\x21\x3d\x34\x13"),
        (Some(1002), "", b"\x88\x02\x03\xea", b"\x88\x82\x37\xfa\x21\x3d\x34\x10"),
        (Some(1003), "", b"\x88\x02\x03\xeb", b"\x88\x82\x37\xfa\x21\x3d\x34\x11"),
        (Some(1007), "", b"\x88\x02\x03\xef", b"\x88\x82\x37\xfa\x21\x3d\x34\x15"),
        (Some(1008), "", b"\x88\x02\x03\xf0", b"\x88\x82\x37\xfa\x21\x3d\x34\x0a"),
        (Some(1009), "", b"\x88\x02\x03\xf1", b"\x88\x82\x37\xfa\x21\x3d\x34\x0b"),
        (Some(1011), "", b"\x88\x02\x03\xf3", b"\x88\x82\x37\xfa\x21\x3d\x34\x09"),
        (Some(1012), "", b"\x88\x02\x03\xf4", b"\x88\x82\x37\xfa\x21\x3d\x34\x0e"),
        (Some(1013), "", b"\x88\x02\x03\xf5", b"\x88\x82\x37\xfa\x21\x3d\x34\x0f"),
        (Some(1014), "", b"\x88\x02\x03\xf6", b"\x88\x82\x37\xfa\x21\x3d\x34\x0c"),
        (Some(3000), "", b"\x88\x02\x0b\xb8", b"\x88\x82\x37\xfa\x21\x3d\x3c\x42"),
        (Some(3999), "", b"\x88\x02\x0f\x9f", b"\x88\x82\x37\xfa\x21\x3d\x38\x65"),
        (Some(4000), "", b"\x88\x02\x0f\xa0", b"\x88\x82\x37\xfa\x21\x3d\x38\x5a"),
        (Some(4999), "", b"\x88\x02\x13\x87", b"\x88\x82\x37\xfa\x21\x3d\x24\x7d"),
    ];
    for (number, reason, by_server, by_client) in table {
        for (role, expected) in [(Role::Server, by_server), (Role::Client, by_client)] {
            let close = match number {
                None => CloseFrame::EMPTY,
                Some(number) => CloseFrame::new(code(number), reason).unwrap(),
            };
            let mut end = End::new(role);
            end.close(&close).unwrap();
            assert_eq!(end.write_all(), expected, "{role:?} {number:?}");
        }
    }
}

// 6455-7.4.1-2 6455-7.4.1-3 6455-7.4.1-4 6455-7.4.1-9 6455-7.4.2-1 6455-7.4.2-2 6455-7.4.2-5 CM-41
#[test]
fn no_code_that_must_not_be_sent_can_be_built() {
    for number in 0..=u16::MAX {
        let may_be_sent = match number {
            1000..=1003 | 1007..=1014 => true,
            3000..=4999 => true,
            0..=999 | 1004..=1006 | 1015..=2999 | 5000.. => false,
        };
        assert_eq!(CloseCode::new(number).map(CloseCode::get), may_be_sent.then_some(number));
        assert_eq!(CloseCode::try_from(number).is_ok(), may_be_sent);
    }
}

// 6455-5.5.1-7 6455-5.5.1-8 6455-5.5.1-10 6455-7.1.3-1 CM-41
#[test]
fn each_role_sends_an_answer_with_the_code_it_received() {
    let table: [(&[u8], &[u8], &[u8]); 6] = [
        (b"\x88\x00", b"\x88\x00", b"\x88\x80\x37\xfa\x21\x3d"),
        (b"\x88\x02\x03\xe8", b"\x88\x02\x03\xe8", b"\x88\x82\x37\xfa\x21\x3d\x34\x12"),
        (b"\x88\x05\x03\xe8bye", b"\x88\x02\x03\xe8", b"\x88\x82\x37\xfa\x21\x3d\x34\x12"),
        (b"\x88\x02\x03\xe9", b"\x88\x02\x03\xe9", b"\x88\x82\x37\xfa\x21\x3d\x34\x13"),
        // 1010 is the client's, but goes back to it as it came.
        (b"\x88\x02\x03\xf2", b"\x88\x02\x03\xf2", b"\x88\x82\x37\xfa\x21\x3d\x34\x08"),
        (b"\x88\x02\x13\x87", b"\x88\x02\x13\x87", b"\x88\x82\x37\xfa\x21\x3d\x24\x7d"),
    ];
    for (received, by_server, by_client) in table {
        for (role, expected) in [(Role::Server, by_server), (Role::Client, by_client)] {
            each_cut(&from_peer_of(role, received), |pieces| {
                let mut end = End::new(role);
                for piece in pieces {
                    assert_eq!(end.phase(), TransportPhase::ReadWrite);
                    end.read(piece);
                }
                assert_eq!(end.phase(), TransportPhase::Flush);
                assert_eq!(end.write_all(), expected, "{role:?} {received:02x?}");
            });
        }
    }
}

// 6455-5.5.1-8 6455-5.5.1-9 6455-5.5.1-15 CM-48
#[test]
fn each_role_sends_its_answer_behind_the_replies_to_earlier_messages() {
    for role in ROLES {
        let mut end = End::new(role);
        let mut input = from_peer_of(role, b"\x81\x01?\x88\x02\x03\xe8\x81\x04late");
        let received = end.receive(&mut input).unwrap();
        assert!(received.event.is_some());
        assert_eq!(end.queued(), 0, "the Close behind it has not been looked at");
        end.send("the reply").unwrap();
        end.read(&input[received.consumed..]);
        assert_eq!(end.events, ["close 1000"], "nothing behind the Close is received");
        assert_eq!(described(&end.write_frames()), ["text the reply", "close 1000"]);
    }
}

// 6455-7.1.2-1 WS-8
#[test]
fn each_role_sends_close_behind_what_is_queued() {
    for role in ROLES {
        let mut end = End::new(role);
        end.send("first").unwrap();
        end.send(vec![1; 40_000]).unwrap();
        end.ping(b"third").unwrap();
        let mut octets = end.write(2);
        end.close(&NORMAL).unwrap();
        octets.extend(end.write_all());
        assert_eq!(
            described(&frames(&octets)),
            ["text first", "binary of 40000", "ping third", "close 1000"]
        );
    }
}

// 6455-5.5.1-16
#[test]
fn each_role_receives_messages_until_the_peers_close_after_its_own() {
    for role in ROLES {
        let input = from_peer_of(role, b"\x81\x01a\x82\x01\x00\x01\x01b\x80\x01c\x89\x01p\x88\x02\x0f\xa1");
        each_cut(&input, |pieces| {
            let mut end = reach(State::CloseSent, role).unwrap();
            pieces.iter().for_each(|piece| end.read(piece));
            assert_eq!(end.events, ["text a", "binary [00]", "text bc", "ping p", "close 4001"]);
            assert_eq!(described(&end.write_frames()), ["pong p"], "the ping is answered, the Close is not");
        });
    }
}

// 6455-5.5.1-14 CM-46
#[test]
fn two_ends_that_close_at_the_same_time_each_send_one_close() {
    for cut in [1, 3, usize::MAX] {
        let (mut client, mut server) = (End::new(Role::Client), End::new(Role::Server));
        client.close(&CloseFrame::with_code(code(4001))).unwrap();
        server.close(&CloseFrame::with_code(code(4002))).unwrap();
        while client.queued() + server.queued() > 0 {
            let (to_server, to_client) = (client.write(cut), server.write(cut));
            server.read(&to_server);
            client.read(&to_client);
        }
        assert_eq!(
            (&client.events[..], &server.events[..]),
            (&["close 4002".into()][..], &["close 4001".into()][..])
        );
        assert_eq!(client.phase(), TransportPhase::Discard, "the client waits");
        assert_eq!(server.phase(), TransportPhase::ShutDown, "the server closes the transport first");
    }
}

// 6455-5.5.1-11 6455-5.5.1-12 6455-7.1.1-1 6455-7.1.1-3 6455-7.1.1-5 6455-7.1.2-2 CM-44
#[test]
fn server_shuts_the_transport_down_at_once_when_both_closes_have_passed() {
    for server_first in [false, true] {
        let mut server = End::new(Role::Server);
        if server_first {
            server.close(&NORMAL).unwrap();
            server.write_all();
        }
        server.read_frames(b"\x88\x02\x03\xe8");
        if !server_first {
            assert_eq!(server.phase(), TransportPhase::Flush, "its answer is not on the wire yet");
            server.write(3);
            assert_eq!(server.phase(), TransportPhase::Flush);
            server.write_all();
        }
        assert_eq!(server.phase(), TransportPhase::ShutDown);
        server.write_side_shut_down();
        assert_eq!(server.phase(), TransportPhase::Discard, "so that the peer is not reset while it reads");
        server.read(b"anything");
        server.end_of_stream();
        assert_eq!(server.phase(), TransportPhase::Drop);
        assert!(server.close_report().unwrap().clean);
    }
}

// 6455-5.5.1-11 6455-5.5.1-13 6455-7.1.1-6 6455-7.1.2-2 CM-45
#[test]
fn client_waits_for_the_server_to_close_the_transport() {
    for client_first in [false, true] {
        let mut client = End::new(Role::Client);
        if client_first {
            client.close(&NORMAL).unwrap();
            client.write_all();
        }
        client.read_frames(b"\x88\x02\x03\xe8");
        client.write_all();
        assert_eq!(client.phase(), TransportPhase::Discard);
        client.read(b"anything");
        assert_eq!(client.phase(), TransportPhase::Discard);
        client.end_of_stream();
        assert_eq!(client.phase(), TransportPhase::ShutDown);
        client.write_side_shut_down();
        assert_eq!(client.phase(), TransportPhase::Drop);
        assert!(client.close_report().unwrap().clean);
    }
}

// 6455-5.5.1-11 6455-7.3-1
#[test]
fn a_conversation_closes_from_either_end_to_the_last_octet() {
    for first in ROLES {
        for cut in [1, 2, 5, usize::MAX] {
            let (mut client, mut server) = (End::new(Role::Client), End::new(Role::Server));
            client.send("from the client").unwrap();
            server.send("from the server").unwrap();
            let starter = if first == Role::Client { &mut client } else { &mut server };
            starter.close(&CloseFrame::new(code(4000), "done").unwrap()).unwrap();
            while client.queued() + server.queued() > 0 {
                let to_server = client.write(cut);
                server.read(&to_server);
                let to_client = server.write(cut);
                client.read(&to_client);
            }
            assert_eq!(server.phase(), TransportPhase::ShutDown);
            server.write_side_shut_down();
            client.end_of_stream();
            assert_eq!(client.phase(), TransportPhase::ShutDown);
            client.write_side_shut_down();
            server.end_of_stream();
            for end in [&client, &server] {
                assert_eq!(end.phase(), TransportPhase::Drop);
                assert!(end.close_report().unwrap().clean);
            }
            assert_eq!(client.events[0], "text from the server");
            assert_eq!(server.events[0], "text from the client");
        }
    }
}
