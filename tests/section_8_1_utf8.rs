//! RFC 6455 §8.1: text that is not UTF-8, refused at the first octet that cannot be right.

mod support;

use sansocket::connection::{Connection, Located};
use sansocket::{Config, ProtocolError, Role};
use support::{
    BOTH_ROLES, Event, client_frame, client_frame_with, connection, every_split, every_split_from_peer,
    from_peer, key_len, server_frame,
};

/// Texts like those of the Autobahn suite's group 6, with the index of the octet that cannot be right: the length of
/// the text if it only must not end there.
const INVALID: &[(&[u8], usize)] = &[
    // 6.3: a surrogate in the middle of a text.
    (b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited", 12),
    // 6.4: a code point above U+10FFFF in the middle of a text.
    (b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xf4\x90\x80\x80edited", 12),
    // 6.6: the beginnings of "κόσμε" that end inside a character.
    (b"\xce", 1),
    (b"\xce\xba\xe1", 3),
    (b"\xce\xba\xe1\xbd", 4),
    (b"\xce\xba\xe1\xbd\xb9\xcf", 6),
    // 6.8, 6.10: sequences of five and six octets, which there are none of.
    (b"\xf8\x88\x80\x80\x80", 0),
    (b"\xfc\x84\x80\x80\x80\x80", 0),
    (b"\xf7\xbf\xbf\xbf", 0),
    (b"\xfb\xbf\xbf\xbf\xbf", 0),
    (b"\xfd\xbf\xbf\xbf\xbf\xbf", 0),
    // 6.11: above U+10FFFF.
    (b"\xf4\x90\x80\x80", 1),
    (b"\xf5\x80\x80\x80", 0),
    // 6.12, 6.13: continuation octets on their own.
    (b"\x80", 0),
    (b"\xbf", 0),
    (b"\x80\xbf", 0),
    (b"a\x80\xbf\x80\xbf\x80\xbf", 1),
    // 6.14: first octets, each followed by a space.
    (b"\xc0\x20", 0),
    (b"\xc1\x20", 0),
    (b"\xc2\x20", 1),
    (b"\xdf\x20", 1),
    (b"\xe0\x20", 1),
    (b"\xef\x20", 1),
    (b"\xf0\x20", 1),
    (b"\xf4\x20", 1),
    // 6.15: the last octet is missing.
    (b"\xc3", 1),
    (b"\xe0\xa0", 2),
    (b"\xef\xbf", 2),
    (b"\xf0\x90\x80", 3),
    (b"\xf4\x8f\xbf", 3),
    (b"\xe2\x82", 2),
    // 6.16: incomplete sequences one after the other.
    (b"\xe0\xa0\xef\xbf", 2),
    (b"\xf0\x9f\x98\xf0\x9f\x98\x80", 3),
    // 6.17: octets that are never right.
    (b"\xfe", 0),
    (b"\xff", 0),
    (b"\xfe\xfe\xff\xff", 0),
    // 6.18, 6.19: overlong forms.
    (b"\xc0\xaf", 0),
    (b"\xe0\x80\xaf", 1),
    (b"\xf0\x80\x80\xaf", 1),
    (b"\xc1\xbf", 0),
    (b"\xe0\x9f\xbf", 1),
    (b"\xf0\x8f\xbf\xbf", 1),
    (b"\xc0\x80", 0),
    // 6.20: surrogates, 6.21: pairs of them.
    (b"\xed\xa0\x80", 1),
    (b"\xed\xad\xbf", 1),
    (b"\xed\xae\x80", 1),
    (b"\xed\xaf\xbf", 1),
    (b"\xed\xb0\x80", 1),
    (b"\xed\xbe\x80", 1),
    (b"\xed\xbf\xbf", 1),
    (b"\xed\xa0\x80\xed\xb0\x80", 1),
    (b"\xed\xaf\xbf\xed\xbf\xbf", 1),
    (b"\xc3\x28", 1),
];

/// Texts at the edges of what is valid.
const VALID: &[&[u8]] = &[
    b"",
    b"Hello-\xc2\xb5@\xc3\x9f\xc3\xb6\xc3\xa4\xc3\xbc\xc3\xa0\xc3\xa1-UTF-8!!",
    // 6.5, 6.6: "κόσμε".
    b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5",
    // 6.7, 6.9: the first and last code points of each length.
    b"\x00",
    b"\x7f",
    b"\xc2\x80",
    b"\xdf\xbf",
    b"\xe0\xa0\x80",
    b"\xef\xbf\xbf",
    b"\xf0\x90\x80\x80",
    b"\xf4\x8f\xbf\xbf",
    // 6.11: around the surrogates.
    b"\xed\x9f\xbf",
    b"\xee\x80\x80",
    b"\xef\xbf\xbd",
    // 6.22: non-characters; 6.23: specials.
    b"\xef\xbf\xbe",
    b"\xef\xb7\x90\xef\xb7\xaf",
    b"\xf0\x9f\xbf\xbe\xf0\x9f\xbf\xbf",
    b"\xef\xbf\xb9\xef\xbf\xba\xef\xbf\xbb\xef\xbf\xbc",
    b"\xef\xbb\xbfbom",
];

// The harness offers the frame octet by octet: the bad one fails the connection when it comes, and not later.
// 6455-8.1-1 6455-5.6-1 6455-5.6-2 6455-5.6-3 CM-33
#[test]
fn both_receive_invalid_text_and_refuse_its_first_bad_octet() {
    for role in BOTH_ROLES {
        for (text, bad) in INVALID {
            let received = every_split_from_peer(role, &[&server_frame(0x81, text)]);
            assert_eq!(received.events, []);
            // One that only must not end there is bad with its last octet.
            let at = 2 + key_len(role) + text.len().min(bad + 1);
            received.assert_failed(ProtocolError::InvalidUtf8, 1007, at);
        }
    }
}

// Behind ASCII, and behind characters that leave the validator in other states: at both widths of validation.
// 6455-8.1-1 6455-5.6-3 CM-33
#[test]
fn both_receive_invalid_text_behind_valid_text() {
    for before in ["a".repeat(127), "é".repeat(100), "a€😀".repeat(30)] {
        for role in BOTH_ROLES {
            for (text, bad) in INVALID {
                let text = [before.as_bytes(), text, b" and more"].concat();
                // What only must not end there is bad with the space that follows.
                let bad = before.len() + bad;
                let header_len = if text.len() < 126 { 2 } else { 4 };
                let received = every_split_from_peer(role, &[&server_frame(0x81, &text)]);
                assert_eq!(received.events, []);
                let at = header_len + key_len(role) + bad + 1;
                received.assert_failed(ProtocolError::InvalidUtf8, 1007, at);
            }
        }
    }
}

// 6455-8.1-1 6455-5.6-3
#[test]
fn both_receive_invalid_octet_in_a_frame_whose_rest_never_comes() {
    for role in BOTH_ROLES {
        // 16 MiB are claimed; the eighth octet of payload is none that a text may have.
        let header = from_peer(role, &[0x81, 0x7f, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00]);
        let payload = from_peer(role, &server_frame(0x82, b"so far \xff"))[2 + key_len(role)..].to_vec();
        let at = header.len() + 8;
        let received = every_split(role, &Config::default(), &[header, payload]);
        assert_eq!(received.events, []);
        received.assert_failed(ProtocolError::InvalidUtf8, 1007, at);
    }
}

// 6455-8.1-1 6455-5.6-2 6455-5.6-3 CM-33
#[test]
fn both_receive_invalid_text_cut_into_frames_of_one_octet() {
    for role in BOTH_ROLES {
        for (text, bad) in INVALID {
            let mut frames: Vec<Vec<u8>> = text.iter().map(|&octet| server_frame(0x00, &[octet])).collect();
            frames[0][0] = 0x01;
            frames.push(server_frame(0x80, b""));
            let frame_len = 3 + key_len(role);
            let at = if *bad < text.len() {
                (bad + 1) * frame_len
            } else {
                // Only the last frame says that the text ends here.
                text.len() * frame_len + 2 + key_len(role)
            };
            let frames: Vec<&[u8]> = frames.iter().map(Vec::as_slice).collect();
            let received = every_split_from_peer(role, &frames);
            assert_eq!(received.events, []);
            received.assert_failed(ProtocolError::InvalidUtf8, 1007, at);
        }
    }
}

// 6455-8.1-1 6455-5.6-1 6455-5.6-2
#[test]
fn both_receive_valid_text() {
    for role in BOTH_ROLES {
        for text in VALID {
            let expected = Event::text(std::str::from_utf8(text).unwrap());
            let received = every_split_from_peer(role, &[&server_frame(0x81, text)]);
            assert_eq!(received.events, [expected]);
            received.assert_open();
        }
    }
}

// 6455-5.6-2 CM-33
#[test]
fn both_receive_valid_text_cut_into_two_frames_anywhere() {
    let text = VALID.concat();
    for role in BOTH_ROLES {
        for cut in 0..=text.len() {
            let (front, back) = text.split_at(cut);
            let received =
                every_split_from_peer(role, &[&server_frame(0x01, front), &server_frame(0x80, back)]);
            assert_eq!(received.events, [Event::text(std::str::from_utf8(&text).unwrap())]);
        }
    }
}

// 6455-8.1-1
#[test]
fn both_receive_invalid_text_between_messages_and_deliver_what_came_before() {
    for role in BOTH_ROLES {
        let received = every_split_from_peer(
            role,
            &[b"\x81\x02ok", b"\x89\x01p", b"\x81\x02\xc3\x28", b"\x81\x05never"],
        );
        assert_eq!(received.events, [Event::text("ok"), Event::ping("p")]);
        // The Pong is owed already and leaves before the Close.
        assert_eq!(received.sent, [&b"\x8a\x01p"[..], b"\x88\x02\x03\xef"]);
        received.assert_failed(ProtocolError::InvalidUtf8, 1007, 11 + 3 * key_len(role));
    }
}

// 6455-8.1-1 6455-5.6-3 CM-33
#[test]
fn both_receive_invalid_text_whole_behind_valid_texts_and_deliver_nothing_of_it() {
    for role in BOTH_ROLES {
        for (text, bad) in INVALID {
            let frames =
                [&server_frame(0x81, "κόσμε".as_bytes()), &b"\x81\x02ok"[..], &server_frame(0x81, text)];
            let received = every_split_from_peer(role, &[frames[0], frames[1], frames[2], b"\x81\x05never"]);
            assert_eq!(received.events, [Event::text("κόσμε"), Event::text("ok")]);
            let before = frames[0].len() + frames[1].len() + 2 * key_len(role);
            let at = before + 2 + key_len(role) + text.len().min(bad + 1);
            received.assert_failed(ProtocolError::InvalidUtf8, 1007, at);
        }
    }
}

// Judged is what was masked, however often it is looked at.
// 6455-8.1-1 6455-5.3-5
#[test]
fn server_receives_invalid_text_whose_masked_octets_are_valid() {
    let masked = client_frame_with([0x9e, 0x9d, 0x9c, 0x9b], 0x81, &[0xff; 8]);
    assert_eq!(&masked[6..], b"abcdabcd");
    let before = client_frame(0x81, b"ok");
    let received = every_split(Role::Server, &Config::default(), &[before, masked]);
    assert_eq!(received.events, [Event::text("ok")]);
    received.assert_failed(ProtocolError::InvalidUtf8, 1007, 8 + 7);
}

// 6455-8.1-1
#[test]
fn client_receives_invalid_text_and_sends_1007() {
    let received = every_split(Role::Client, &Config::default(), &[b"\x81\x02\xc3\x28"]);
    assert_eq!(received.output, b"\x88\x82\x37\xfa\x21\x3d\x34\x15");
}

/// A driver that is not correct: no safe code may come by a `str` that is not UTF-8.
fn client_with_text() -> (Connection, Located, [u8; 4]) {
    let mut client = connection(Role::Client, &Config::default());
    let mut input = *b"\x81\x02ok";
    let located = client.receive(&mut input).expect("it is valid").event.expect("it is whole");
    (client, located, input)
}

// 6455-8.1-1 6455-10.7-1
#[test]
#[should_panic(expected = "the text is not what `receive` located")]
fn client_receives_text_and_refuses_to_borrow_it_changed() {
    let (client, located, mut input) = client_with_text();
    input[3] = 0xff;
    let _ = client.event(located, &input);
}

// 6455-8.1-1 6455-10.7-1
#[test]
#[should_panic(expected = "the text is not what `receive` located")]
fn client_receives_text_and_refuses_to_take_it_changed() {
    let (mut client, located, mut input) = client_with_text();
    input[3] = 0xff;
    let _ = client.take(located, &input);
}
