//! What a payload can be made of, and what it turns into.

mod support;

use bytes::Bytes;
use sansocket::connection::OutgoingMessage;
use sansocket::frame::{ControlOpcode, DataOpcode, Opcode};
use sansocket::{Config, Message, MessageKind, Role, Utf8Bytes};
use support::{connection, drain};

#[test]
fn text_is_what_it_was_made_of() {
    const TEXT: Utf8Bytes = Utf8Bytes::from_static("grüße");
    let made = [
        TEXT,
        Utf8Bytes::from("grüße"),
        Utf8Bytes::from(String::from("grüße")),
        Utf8Bytes::try_from(Bytes::from_static("grüße".as_bytes())).unwrap(),
        Utf8Bytes::try_from("grüße".as_bytes().to_vec()).unwrap(),
    ];
    for text in made {
        assert_eq!(text, "grüße");
        assert_eq!(text, *"grüße");
        assert_eq!((text.to_string(), format!("{text:?}")), ("grüße".into(), "\"grüße\"".into()));
        assert_eq!(AsRef::<str>::as_ref(&text), "grüße");
        assert_eq!(AsRef::<[u8]>::as_ref(&text), "grüße".as_bytes());
        assert_eq!(String::from(text.clone()), "grüße");
        assert_eq!(Bytes::from(text.clone()), "grüße".as_bytes());
        assert_eq!(text.into_bytes(), "grüße".as_bytes());
    }
}

// 6455-5.6-2
#[test]
fn octets_that_are_no_text_make_none() {
    for octets in [&b"\xff"[..], b"gr\xc3", b"\xed\xa0\x80"] {
        assert!(Utf8Bytes::try_from(octets.to_vec()).is_err());
        assert!(Utf8Bytes::try_from(Bytes::copy_from_slice(octets)).is_err());
    }
}

#[test]
fn each_role_sends_the_same_octets_whatever_a_message_was_made_of() {
    let (string, bytes, vec) = (String::from("m"), Bytes::from_static(b"m"), b"m".to_vec());
    let utf8 = Utf8Bytes::from("m");
    let texts: [fn(&String, &Utf8Bytes) -> OutgoingMessage<'static>; 4] = [
        |_, _| "m".into(),
        |string, _| string.clone().into(),
        |_, utf8| utf8.clone().into(),
        |_, utf8| utf8.into(),
    ];
    for role in [Role::Client, Role::Server] {
        let octets = |message: OutgoingMessage<'_>| {
            let kind = message.kind();
            let mut connection = connection(role, &Config::default());
            connection.send(message).unwrap();
            (kind, drain(&mut connection))
        };
        let text = octets("m".into());
        assert_eq!((text.0, text.1[0]), (MessageKind::Text, 0x81));
        for made in texts {
            assert_eq!(octets(made(&string, &utf8)), text);
        }
        assert_eq!(octets((&string).into()), text);
        assert_eq!(octets(Message::text("m").into()), text);
        let binary = octets(b"m".into());
        assert_eq!((binary.0, binary.1[0]), (MessageKind::Binary, 0x82));
        assert_eq!(octets(b"m"[..].into()), binary);
        assert_eq!(octets((&vec).into()), binary);
        assert_eq!(octets(vec.clone().into()), binary);
        assert_eq!(octets((&bytes).into()), binary);
        assert_eq!(octets(bytes.clone().into()), binary);
        assert_eq!(octets(Message::binary(bytes.clone()).into()), binary);
    }
}

#[test]
fn a_message_gives_its_kind_and_its_payload() {
    let (text, binary) = (Message::text("m"), Message::binary(&b"\xff"[..]));
    assert_eq!((text.kind(), text.payload()), (MessageKind::Text, &b"m"[..]));
    assert_eq!((binary.kind(), binary.payload()), (MessageKind::Binary, &b"\xff"[..]));
    assert_eq!(
        (text.into_payload(), binary.into_payload()),
        (Bytes::from_static(b"m"), Bytes::from_static(b"\xff"))
    );
}

#[test]
fn an_opcode_is_one_of_data_or_of_control() {
    assert_eq!(Opcode::from(DataOpcode::Text), Opcode::Data(DataOpcode::Text));
    assert_eq!(Opcode::from(ControlOpcode::Ping), Opcode::Control(ControlOpcode::Ping));
}
