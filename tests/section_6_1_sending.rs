//! Sending data: RFC 6455 §6.1, and the headers of §5.2 as they are sent.

#[path = "support/wire.rs"]
mod wire;

use bytes::Bytes;
use sansocket::connection::{Fin, Fragment, OutgoingMessage};
use sansocket::frame::CloseFrame;
use sansocket::{CloseCode, Config, Message, Role, SendError, Utf8Bytes};
use wire::{End, ROLES, described, frames};

// 6455-5.1-1 6455-5.1-4 6455-5.4-1 6455-6.1-4 6455-6.1-5 6455-6.1-6 6455-6.1-7
#[test]
fn each_role_sends_messages_and_control_frames_in_these_octets() {
    type Do = fn(&mut End);
    let table: [(Do, &[u8], &[u8]); 9] = [
        (|end| end.send("Hello").unwrap(), b"\x81\x05Hello", b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"),
        (
            |end| end.send(b"Hello").unwrap(),
            b"\x82\x05Hello",
            b"\x82\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58",
        ),
        (|end| end.send("").unwrap(), b"\x81\x00", b"\x81\x80\x37\xfa\x21\x3d"),
        (|end| end.send(b"").unwrap(), b"\x82\x00", b"\x82\x80\x37\xfa\x21\x3d"),
        (
            |end| end.ping(b"Hello").unwrap(),
            b"\x89\x05Hello",
            b"\x89\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58",
        ),
        (|end| end.ping(b"").unwrap(), b"\x89\x00", b"\x89\x80\x37\xfa\x21\x3d"),
        (
            |end| end.pong(b"Hello").unwrap(),
            b"\x8a\x05Hello",
            b"\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58",
        ),
        (
            |end| end.close(&CloseFrame::new(CloseCode::NORMAL, "bye").unwrap()).unwrap(),
            b"\x88\x05\x03\xe8bye",
            b"\x88\x85\x37\xfa\x21\x3d\x34\x12\x43\x44\x52",
        ),
        (|end| end.close(&CloseFrame::EMPTY).unwrap(), b"\x88\x00", b"\x88\x80\x37\xfa\x21\x3d"),
    ];
    for (i, (send, by_server, by_client)) in table.into_iter().enumerate() {
        for (role, expected) in [(Role::Server, by_server), (Role::Client, by_client)] {
            let mut end = End::new(role);
            send(&mut end);
            assert_eq!(end.queued(), expected.len(), "{role:?} row {i}");
            assert_eq!(end.write_all(), expected, "{role:?} row {i}");
            assert_eq!(end.queued(), 0);
        }
    }
}

// 6455-5.2-5 6455-5.2-6 6455-5.2-7 6455-5.2-8
#[test]
fn each_role_sends_lengths_in_their_shortest_form() {
    let table: [(usize, &[u8], &[u8]); 10] = [
        (0, b"\x82\x00", b"\x82\x80\x37\xfa\x21\x3d"),
        (125, b"\x82\x7d", b"\x82\xfd\x37\xfa\x21\x3d"),
        (126, b"\x82\x7e\x00\x7e", b"\x82\xfe\x00\x7e\x37\xfa\x21\x3d"),
        (127, b"\x82\x7e\x00\x7f", b"\x82\xfe\x00\x7f\x37\xfa\x21\x3d"),
        (255, b"\x82\x7e\x00\xff", b"\x82\xfe\x00\xff\x37\xfa\x21\x3d"),
        (256, b"\x82\x7e\x01\x00", b"\x82\xfe\x01\x00\x37\xfa\x21\x3d"),
        (65_535, b"\x82\x7e\xff\xff", b"\x82\xfe\xff\xff\x37\xfa\x21\x3d"),
        (
            65_536,
            b"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00",
            b"\x82\xff\x00\x00\x00\x00\x00\x01\x00\x00\x37\xfa\x21\x3d",
        ),
        (
            1_048_576,
            b"\x82\x7f\x00\x00\x00\x00\x00\x10\x00\x00",
            b"\x82\xff\x00\x00\x00\x00\x00\x10\x00\x00\x37\xfa\x21\x3d",
        ),
        (
            16_777_216,
            b"\x82\x7f\x00\x00\x00\x00\x01\x00\x00\x00",
            b"\x82\xff\x00\x00\x00\x00\x01\x00\x00\x00\x37\xfa\x21\x3d",
        ),
    ];
    for (len, by_server, by_client) in table {
        let payload: Vec<u8> = (0..len).map(|i| (i * 7 + i / 251) as u8).collect();
        for (role, header) in [(Role::Server, by_server), (Role::Client, by_client)] {
            for message in [OutgoingMessage::from(&payload[..]), OutgoingMessage::from(payload.clone())] {
                let mut end = End::new(role);
                end.send(message).unwrap();
                let written = end.write_all();
                assert_eq!(written[..header.len()], *header, "{role:?} {len}");
                let frame = frames(&written).pop().unwrap();
                assert!(frame.payload == payload, "{role:?} {len}");
            }
        }
    }
}

// 6455-5.2-1 6455-5.2-9 6455-5.8-1 6455-9.1-6
#[test]
fn each_role_sends_no_reserved_bit_without_an_extension() {
    for role in ROLES {
        let mut end = End::with(role, &Config::default().fragment_len(Some(3)));
        end.send("in several fragments").unwrap();
        end.send(vec![0xff; 70_000]).unwrap();
        end.ping(&[0xff; 125]).unwrap();
        end.pong(&[0xff; 125]).unwrap();
        end.read_frames(b"\x89\x01p");
        end.close(&CloseFrame::with_code(CloseCode::NORMAL)).unwrap();
        let frames = end.write_frames();
        assert!(frames.len() > 23_000);
        assert!(frames.iter().all(|frame| frame.rsv == 0), "{role:?}");
    }
}

// 6455-6.1-5
#[test]
fn each_role_sends_whatever_turns_into_a_message_as_its_own_kind() {
    let text = String::from("text");
    let octets = vec![1, 2, 3];
    let message = Message::text("text");
    let messages: [(OutgoingMessage<'_>, u8); 12] = [
        ("text".into(), 0x1),
        ((&text).into(), 0x1),
        (text.clone().into(), 0x1),
        (Utf8Bytes::from("text").into(), 0x1),
        ((&message).into(), 0x1),
        (message.clone().into(), 0x1),
        ((&[1, 2, 3]).into(), 0x2),
        ((&octets[..]).into(), 0x2),
        ((&octets).into(), 0x2),
        (octets.clone().into(), 0x2),
        (Bytes::from(octets.clone()).into(), 0x2),
        (Message::binary(octets.clone()).into(), 0x2),
    ];
    for (i, (message, opcode)) in messages.into_iter().enumerate() {
        for role in ROLES {
            let mut end = End::new(role);
            end.send(message.clone()).unwrap();
            let frames = end.write_frames();
            assert_eq!((frames.len(), frames[0].opcode, frames[0].fin), (1, opcode, true), "row {i}");
            let payload: &[u8] = if opcode == 0x1 { b"text" } else { &octets };
            assert_eq!(frames[0].payload, payload, "row {i}");
        }
    }
}

// 6455-5.4-6 6455-6.1-1 6455-6.1-9 CM-22
#[test]
fn each_role_sends_the_same_octets_however_few_the_transport_takes() {
    for role in ROLES {
        let fill = |end: &mut End| {
            end.send("first").unwrap();
            end.send(Bytes::from(vec![0xab; 200_000])).unwrap();
            end.ping(b"between").unwrap();
            end.send(&[0xcd; 30_000][..]).unwrap();
            end.send("last").unwrap();
        };
        let mut end = End::new(role);
        fill(&mut end);
        let whole = end.write_all();
        assert_eq!(
            described(&frames(&whole)),
            ["text first", "binary of 200000", "ping between", "binary of 30000", "text last"]
        );
        for taken in [1, 2, 3, 7, 4096, 65_536, 65_537] {
            for slots in [1, 2, 5, 64] {
                let mut end = End::new(role);
                fill(&mut end);
                let mut written = Vec::new();
                while end.queued() > 0 {
                    let (queued, start) = (end.queued(), written.len());
                    let mut slices = vec![&[][..]; slots];
                    let filled = end.slices(&mut slices);
                    for slice in &slices[..filled] {
                        let left = start + taken - written.len();
                        written.extend_from_slice(&slice[..left.min(slice.len())]);
                    }
                    let len = written.len() - start;
                    assert!(len > 0, "what is queued is offered");
                    end.advance(len);
                    assert_eq!(end.queued(), queued - len);
                }
                assert!(written == whole, "{role:?} {taken} {slots}");
            }
        }
    }
}

// 6455-6.1-9
#[test]
fn nothing_queued_gives_no_slices() {
    for role in ROLES {
        let mut end = End::new(role);
        assert_eq!(end.slices(&mut [&[][..]; 4]), 0);
        end.send("Hello").unwrap();
        assert_eq!(end.slices(&mut []), 0, "there is no room for them");
        end.write_all();
        assert_eq!(end.slices(&mut [&[][..]; 4]), 0);
    }
}

// 6455-10.3-2
#[test]
fn each_role_sends_what_the_payload_was_when_it_was_queued() {
    for role in ROLES {
        for len in [5, 20_000] {
            let mut end = End::new(role);
            let mut payload = vec![b'a'; len];
            end.send(&payload).unwrap();
            payload.fill(b'b');
            assert!(end.write_frames()[0].payload == vec![b'a'; len], "{role:?} {len}");
        }
    }
}

#[test]
fn server_sends_large_owned_payload_from_where_it_lies() {
    let payload = Bytes::from(vec![7; 16 * 1024 + 1]);
    let mut end = End::new(Role::Server);
    end.send(payload.clone()).unwrap();
    let mut slices = [&[][..]; 4];
    assert_eq!(end.slices(&mut slices), 2);
    assert_eq!(slices[0], b"\x82\x7e\x40\x01");
    assert_eq!((slices[1].as_ptr(), slices[1].len()), (payload.as_ptr(), payload.len()));
}

#[test]
fn client_sends_large_owned_payload_masked_64_kib_at_a_time() {
    let mut end = End::new(Role::Client);
    end.send(vec![7; 200_000]).unwrap();
    for given in [14 + 65_536, 65_536, 65_536, 200_000 - 3 * 65_536] {
        let mut slices = [&[][..]; 8];
        let filled = end.slices(&mut slices);
        let len: usize = slices[..filled].iter().map(|slice| slice.len()).sum();
        assert_eq!(len, given);
        end.advance(len);
    }
    assert_eq!(end.queued(), 0);
}

#[test]
fn output_is_written_into_the_buffer_that_was_lent() {
    for role in ROLES {
        let mut end = End::new(role);
        assert!(end.release_buffers().is_none(), "an idle connection owns none");
        let lent = vec![0xee; 4096];
        let place = lent.as_ptr();
        assert!(end.lend_output_buffer(lent).is_none());
        assert_eq!(end.lend_output_buffer(vec![1, 2]), Some(vec![1, 2]), "one is enough");
        end.send("Hello").unwrap();
        assert!(end.release_buffers().is_none(), "it is in use");
        assert_eq!(described(&end.write_frames()), ["text Hello"]);
        let buffer = end.release_buffers().unwrap();
        assert_eq!((buffer.as_ptr(), buffer.len()), (place, 4096));
        end.send("without one").unwrap();
        assert_eq!(described(&end.write_frames()), ["text without one"]);
    }
}

/// Runs a call that is refused, and holds it to that: nothing on the wire, and the connection goes on as it was.
fn refused(end: &mut End, expected: SendError, call: impl FnOnce(&mut End) -> Result<(), SendError>) {
    let (queued, phase, deadline) = (end.queued(), end.phase(), end.next_deadline());
    assert_eq!(call(end), Err(expected));
    assert_eq!((end.queued(), end.phase(), end.next_deadline()), (queued, phase, deadline), "{expected:?}");
}

// 6455-10.4-1 CM-27
#[test]
fn each_role_sends_nothing_more_at_the_high_water_mark() {
    for role in ROLES {
        // A header and 98 octets: the mark is reached to the octet.
        let mark = match role {
            Role::Server => 100,
            Role::Client => 104,
        };
        let mut end = End::with(role, &Config::default().high_water_mark(mark));
        end.send(&[1; 97]).unwrap();
        assert!(!end.is_full(), "one octet below the mark");
        end.write_all();
        end.send(&[1; 98]).unwrap();
        assert_eq!(end.queued(), mark);
        assert!(end.is_full());
        refused(&mut end, SendError::QueueFull, |end| end.send("one more"));
        refused(&mut end, SendError::QueueFull, |end| {
            end.send_fragment(Fragment::Text("one more"), Fin::More)
        });
        refused(&mut end, SendError::QueueFull, |end| end.ping(b"one more"));
        refused(&mut end, SendError::QueueFull, |end| end.pong(b"one more"));
        assert_eq!(described(&frames(&end.write(mark))), ["binary of 98"]);
        assert!(!end.is_full());
        end.send("after it").unwrap();
        assert_eq!(described(&end.write_frames()), ["text after it"]);
    }
}

// 6455-10.4-1
#[test]
fn each_role_queues_one_message_above_the_high_water_mark_and_no_second() {
    for role in ROLES {
        let mut end = End::new(role);
        end.send(vec![1; (256 << 10) - 20]).unwrap();
        assert!(!end.is_full(), "the default is 256 KiB of frames");
        end.send(vec![1; 1 << 20]).unwrap();
        assert!(end.is_full());
        refused(&mut end, SendError::QueueFull, |end| end.send(""));
        assert!(end.queued() < (256 << 10) + (1 << 20) + 14);
    }
}

// 6455-7.1.2-1
#[test]
fn each_role_sends_close_even_at_the_high_water_mark() {
    for role in ROLES {
        let mut end = End::with(role, &Config::default().high_water_mark(10));
        end.send("more than ten octets").unwrap();
        end.close(&CloseFrame::with_code(CloseCode::NORMAL)).unwrap();
        assert_eq!(described(&end.write_frames()), ["text more than ten octets", "close 1000"]);
    }
}

#[test]
fn a_high_water_mark_of_zero_still_lets_one_message_through() {
    for role in ROLES {
        let mut end = End::with(role, &Config::default().high_water_mark(0));
        assert!(!end.is_full(), "or nothing would ever be received or sent");
        end.send("Hello").unwrap();
        assert!(end.is_full());
        assert_eq!(described(&end.write_frames()), ["text Hello"]);
    }
}

// 6455-5.5-1
#[test]
fn each_role_sends_no_control_payload_above_125_octets() {
    for role in ROLES {
        let mut end = End::new(role);
        end.send("queued before").unwrap();
        refused(&mut end, SendError::ControlPayloadTooLong, |end| end.ping(&[0; 126]));
        refused(&mut end, SendError::ControlPayloadTooLong, |end| end.pong(&[0; 126]));
        end.ping(&[0; 125]).unwrap();
        end.pong(&[0; 125]).unwrap();
        assert_eq!(
            described(&end.write_frames()),
            ["text queued before", "ping of 125", "pong of 125"],
            "{role:?}"
        );
    }
}

// 6455-5.5.1-3 CM-42
#[test]
fn a_close_reason_above_123_octets_cannot_be_sent() {
    use sansocket::frame::truncated_reason;

    let longest = "r".repeat(123);
    let close = CloseFrame::new(CloseCode::NORMAL, &longest).unwrap();
    for role in ROLES {
        let mut end = End::new(role);
        end.close(&close).unwrap();
        assert_eq!(end.write_frames()[0].payload.len(), 125);
    }
    assert!(CloseFrame::new(CloseCode::NORMAL, &"r".repeat(124)).is_err());

    let split = format!("{}é", "r".repeat(122));
    assert_eq!(split.len(), 124);
    assert!(CloseFrame::new(CloseCode::NORMAL, &split).is_err());
    assert_eq!(truncated_reason(&split), "r".repeat(122));
    assert_eq!(truncated_reason(&longest), longest);
    assert_eq!(truncated_reason(""), "");
}

// 6455-7.4.1-6
#[test]
fn server_sends_no_1010() {
    let close = CloseFrame::new(CloseCode::MANDATORY_EXTENSION, "permessage-deflate").unwrap();
    let mut server = End::new(Role::Server);
    refused(&mut server, SendError::CodeNotForRole, |server| server.close(&close));
    server.send("and goes on").unwrap();
    assert_eq!(described(&server.write_frames()), ["text and goes on"]);

    let mut client = End::new(Role::Client);
    client.close(&close).unwrap();
    assert_eq!(described(&client.write_frames()), ["close 1010 permessage-deflate"]);
}

// 6455-5.1-6 6455-5.5.1-6 6455-6.1-2 6455-6.1-3 CM-47
#[test]
fn each_role_sends_nothing_after_its_close() {
    for role in ROLES {
        let mut end = End::new(role);
        end.send_fragment(Fragment::Text("unfin"), Fin::More).unwrap();
        end.close(&CloseFrame::with_code(CloseCode::NORMAL)).unwrap();
        for flushed in [false, true] {
            if flushed {
                assert_eq!(described(&end.write_frames()), ["text more unfin", "close 1000"]);
            }
            refused(&mut end, SendError::SendAfterClose, |end| end.send("too late"));
            refused(&mut end, SendError::SendAfterClose, |end| {
                end.send_fragment(Fragment::Text("ished"), Fin::Last)
            });
            refused(&mut end, SendError::SendAfterClose, |end| end.ping(b""));
            refused(&mut end, SendError::SendAfterClose, |end| end.pong(b""));
            refused(&mut end, SendError::SendAfterClose, |end| end.close(&CloseFrame::EMPTY));
        }
        assert_eq!(end.write_all(), b"");
    }
}
