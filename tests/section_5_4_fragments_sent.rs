//! Fragments as they are sent: RFC 6455 §5.4.

#[path = "support/wire.rs"]
mod wire;

use sansocket::connection::{Connection, Fin, Fragment, KeySource};
use sansocket::frame::{CloseFrame, MaskingKey};
use sansocket::{CloseCode, Config, Role, SendError};
use wire::{End, KEY, ROLES, described, frames};

fn fragmenting(role: Role, octets: usize) -> End {
    End::with(role, &Config::default().fragment_len(Some(octets)))
}

// 6455-5.4-2 6455-6.1-4 6455-6.1-5 6455-6.1-6
#[test]
fn each_role_sends_hello_in_two_fragments_in_these_octets() {
    let mut server = End::new(Role::Server);
    server.send_fragment(Fragment::Text("Hel"), Fin::More).unwrap();
    server.send_fragment(Fragment::Text("lo"), Fin::Last).unwrap();
    assert_eq!(server.write_all(), b"\x01\x03\x48\x65\x6c\x80\x02\x6c\x6f");

    let mut keys = [[0xa1, 0xb2, 0xc3, 0xd4], KEY].to_vec();
    let keys = KeySource::injected(move || MaskingKey::new(keys.pop().unwrap()));
    let mut client = Connection::client(&Config::default(), keys);
    client.send_fragment(Fragment::Text("Hel"), Fin::More).unwrap();
    client.send_fragment(Fragment::Text("lo"), Fin::Last).unwrap();
    let mut slices = [&[][..]; 1];
    assert_eq!(client.slices(&mut slices), 1);
    assert_eq!(slices[0], b"\x01\x83\x37\xfa\x21\x3d\x7f\x9f\x4d\x80\x82\xa1\xb2\xc3\xd4\xcd\xdd");
}

// 6455-5.4-9 6455-5.4-11
#[test]
fn each_role_sends_the_fragments_that_its_caller_cuts() {
    type Pieces<'a> = &'a [(Fragment<'a>, Fin)];
    let table: [(Pieces<'_>, &[&str]); 5] = [
        (&[(Fragment::Text("whole"), Fin::Last)], &["text whole"]),
        (&[(Fragment::Binary(b""), Fin::Last)], &["binary"]),
        (
            &[
                (Fragment::Binary(b"1"), Fin::More),
                (Fragment::Binary(b"2"), Fin::More),
                (Fragment::Binary(b"3"), Fin::Last),
            ],
            &["binary more 1", "continuation more 2", "continuation 3"],
        ),
        (
            &[
                (Fragment::Text(""), Fin::More),
                (Fragment::Text(""), Fin::More),
                (Fragment::Text("text"), Fin::More),
                (Fragment::Text(""), Fin::Last),
            ],
            &["text more", "continuation more", "continuation more text", "continuation"],
        ),
        // A new message after each that was finished.
        (
            &[
                (Fragment::Text("a"), Fin::More),
                (Fragment::Text("b"), Fin::Last),
                (Fragment::Binary(b"c"), Fin::More),
                (Fragment::Binary(b"d"), Fin::Last),
                (Fragment::Text("e"), Fin::Last),
            ],
            &["text more a", "continuation b", "binary more c", "continuation d", "text e"],
        ),
    ];
    for role in ROLES {
        for (fragments, expected) in table {
            let mut end = End::new(role);
            for (fragment, fin) in fragments {
                end.send_fragment(*fragment, *fin).unwrap();
            }
            assert_eq!(described(&end.write_frames()), expected, "{role:?}");
        }
    }
}

// 6455-5.4-9 6455-6.1-6
#[test]
fn each_role_sends_messages_in_fragments_of_the_length_it_is_told() {
    let table: [(usize, &str, &[&str]); 7] = [
        (3, "", &["text"]),
        (3, "ab", &["text ab"]),
        (3, "abc", &["text abc"]),
        (3, "abcd", &["text more abc", "continuation d"]),
        (3, "abcdef", &["text more abc", "continuation def"]),
        (3, "abcdefg", &["text more abc", "continuation more def", "continuation g"]),
        // Zero would never come to an end.
        (0, "ab", &["text more a", "continuation b"]),
    ];
    for role in ROLES {
        for (fragment_len, text, expected) in table {
            let mut end = fragmenting(role, fragment_len);
            end.send(text).unwrap();
            end.send(text.to_owned()).unwrap();
            let expected = [expected, expected].concat();
            assert_eq!(described(&end.write_frames()), expected, "{role:?} {fragment_len}");
        }
    }
}

// 6455-5.4-6 6455-5.4-15
#[test]
fn each_role_sends_large_messages_in_fragments_that_add_up() {
    for role in ROLES {
        for fragment_len in [1000, 16_384, 16_385, 65_536, 100_000, 1 << 20] {
            let payload: Vec<u8> = (0..300_001).map(|i: u32| (i * 11 + i / 256) as u8).collect();
            let mut end = fragmenting(role, fragment_len);
            end.send(&payload).unwrap();
            let borrowed = end.write_frames();
            end.send(payload.clone()).unwrap();
            let shared = end.write_frames();
            assert!(borrowed == shared);
            assert_eq!(shared.len(), payload.len().div_ceil(fragment_len));
            for (i, frame) in shared.iter().enumerate() {
                assert_eq!(frame.opcode, if i == 0 { 0x2 } else { 0x0 });
                assert_eq!(frame.fin, i + 1 == shared.len());
                assert!(frame.payload.len() == fragment_len || frame.fin);
            }
            assert!(shared.iter().flat_map(|frame| &frame.payload).eq(&payload));
        }
    }
}

// 6455-5.6-2
#[test]
fn each_role_sends_text_cut_inside_a_code_point_that_its_peer_puts_together() {
    for role in ROLES {
        let mut end = fragmenting(role, 1);
        end.send("€").unwrap();
        let octets = end.write_all();
        let fragments: Vec<_> = frames(&octets).into_iter().map(|frame| frame.payload).collect();
        assert_eq!(fragments, [b"\xe2", b"\x82", b"\xac"]);
        let mut peer = End::new(role.peer());
        peer.read(&octets);
        assert_eq!(peer.events, ["text €"]);
    }
}

// 6455-5.4-7
#[test]
fn each_role_sends_no_other_message_while_one_is_open() {
    for role in ROLES {
        let mut end = End::new(role);
        end.send_fragment(Fragment::Text("open"), Fin::More).unwrap();
        assert_eq!(end.send("another"), Err(SendError::MessageOpen));
        assert_eq!(end.send(b"another"), Err(SendError::MessageOpen));
        end.send_fragment(Fragment::Text(" and closed"), Fin::Last).unwrap();
        end.send("another").unwrap();
        assert_eq!(
            described(&end.write_frames()),
            ["text more open", "continuation  and closed", "text another"]
        );
    }
}

// 6455-5.4-15
#[test]
fn each_role_sends_no_fragment_of_another_type_than_its_message() {
    for role in ROLES {
        for fin in [Fin::More, Fin::Last] {
            let mut end = End::new(role);
            end.send_fragment(Fragment::Text("text"), Fin::More).unwrap();
            assert_eq!(end.send_fragment(Fragment::Binary(b"no"), fin), Err(SendError::WrongFragmentKind));
            end.send_fragment(Fragment::Text(""), Fin::Last).unwrap();
            end.send_fragment(Fragment::Binary(b"binary"), Fin::More).unwrap();
            assert_eq!(end.send_fragment(Fragment::Text("no"), fin), Err(SendError::WrongFragmentKind));
            end.send_fragment(Fragment::Binary(b""), Fin::Last).unwrap();
            assert_eq!(
                described(&end.write_frames()),
                ["text more text", "continuation", "binary more binary", "continuation"]
            );
        }
    }
}

// 6455-5.4-4 6455-5.4-5
#[test]
fn each_role_sends_control_frames_whole_between_fragments() {
    for role in ROLES {
        let mut end = fragmenting(role, 10);
        end.send_fragment(Fragment::Text("Hel"), Fin::More).unwrap();
        end.ping(&[b'p'; 125]).unwrap();
        end.pong(&[b'q'; 125]).unwrap();
        end.read_frames(b"\x89\x04ping");
        end.send_fragment(Fragment::Text("lo"), Fin::Last).unwrap();
        let frames = end.write_frames();
        assert_eq!(
            described(&frames),
            ["text more Hel", "ping of 125", "pong of 125", "pong ping", "continuation lo"]
        );
    }
}

// 6455-5.4-8 6455-5.5.2-2 CM-26
#[test]
fn each_role_sends_a_pong_between_the_fragments_of_a_large_message() {
    for role in ROLES {
        let mut end = fragmenting(role, 10_000);
        end.send(vec![1; 100_000]).unwrap();
        let mut octets = end.write(15_000);
        end.read_frames(b"\x89\x04ping");
        octets.extend(end.write_all());
        let sent = described(&frames(&octets));
        assert_eq!(
            sent[..4],
            ["binary more of 10000", "continuation more of 10000", "pong ping", "continuation more of 10000"]
        );
        assert_eq!(sent.len(), 11);
    }
}

// 6455-5.4-7 CM-27
#[test]
fn each_role_sends_the_fragment_later_that_found_the_queue_full() {
    for role in ROLES {
        let mut end = End::with(role, &Config::default().high_water_mark(20));
        end.send_fragment(Fragment::Binary(&[1; 30]), Fin::More).unwrap();
        assert_eq!(end.send_fragment(Fragment::Binary(&[2; 30]), Fin::Last), Err(SendError::QueueFull));
        let mut sent = end.write_frames();
        assert_eq!(end.send("another"), Err(SendError::MessageOpen), "it is still open");
        end.send_fragment(Fragment::Binary(&[2; 30]), Fin::Last).unwrap();
        sent.extend(end.write_frames());
        assert_eq!(sent.len(), 2);
        assert_eq!((sent[0].opcode, sent[0].fin, &sent[0].payload[..]), (0x2, false, &[1; 30][..]));
        assert_eq!((sent[1].opcode, sent[1].fin, &sent[1].payload[..]), (0x0, true, &[2; 30][..]));
    }
}

// 6455-5.5.1-9 6455-6.1-3
#[test]
fn each_role_sends_no_further_fragment_once_the_peer_has_closed() {
    for role in ROLES {
        let mut end = End::new(role);
        end.send_fragment(Fragment::Text("unfin"), Fin::More).unwrap();
        end.read_frames(b"\x88\x02\x03\xe8");
        assert_eq!(end.send_fragment(Fragment::Text("ished"), Fin::Last), Err(SendError::SendAfterClose));
        assert_eq!(described(&end.write_frames()), ["text more unfin", "close 1000"]);
    }
}

// 6455-6.1-3
#[test]
fn each_role_sends_the_whole_of_a_message_that_was_queued_before_the_close() {
    for role in ROLES {
        let mut end = fragmenting(role, 1);
        end.send("64 fragments, of which the first only has left when it closes...").unwrap();
        let mut octets = end.write(7);
        end.close(&CloseFrame::with_code(CloseCode::GOING_AWAY)).unwrap();
        octets.extend(end.write_all());
        let sent = frames(&octets);
        assert_eq!(sent.len(), 64 + 1);
        assert!(sent[63].fin);
        assert_eq!(sent[64].describe(), "close 1001");
    }
}
