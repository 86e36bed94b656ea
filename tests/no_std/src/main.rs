//! The core without the standard library: a client and a server talk, then close. Exits with 0 when all was right.
#![no_std]
#![no_main]

extern crate alloc;

mod memory;

use alloc::vec::Vec;
use core::ffi::c_int;
use core::panic::PanicInfo;

use sansocket::connection::{Connection, Event, Fin, Fragment, KeySource, Timestamp, TransportPhase};
use sansocket::frame::{CloseFrame, MaskingKey};
use sansocket::{CloseCode, Config};

#[unsafe(no_mangle)]
extern "C" fn main() -> c_int {
    let mut keys = (0u8..).map(|i| MaskingKey::new([0x37 ^ i, 0xfa, 0x21, 0x3d]));
    let keys = KeySource::injected(move || keys.next().expect("fewer frames than octets"));
    let config = Config::default();
    let mut client = End { connection: Connection::client(&config, keys), unread: Vec::new() };
    let mut server = End { connection: Connection::server(&config), unread: Vec::new() };

    // The example of RFC 6455 §5.7.
    client.connection.send("Hello").expect("it is open");
    let octets = client.write();
    assert_eq!(octets, [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]);
    for octet in octets {
        server.unread.push(octet);
        server.receive(|event| assert_eq!(event, Event::Text("Hello")));
    }

    let large: Vec<u8> = (0..200_000u32).map(|i| (i * 7 + i / 256) as u8).collect();
    for turn in 0..3 {
        client.connection.send(&large).expect("it is open");
        client.connection.ping(b"are you there?").expect("below the high-water mark");
        client.write_to(&mut server);
        let mut messages = 0;
        server.receive(|event| match event {
            Event::Binary(payload) => {
                assert!(payload == large);
                messages += 1;
            }
            other => assert_eq!(other, Event::Ping(b"are you there?")),
        });
        assert_eq!(messages, 1, "turn {turn}");

        server.connection.send_fragment(Fragment::Text("gr\u{fc}"), Fin::More).expect("it is open");
        server.connection.send_fragment(Fragment::Text("\u{df}e"), Fin::Last).expect("it is open");
        server.write_to(&mut client);
        let mut events = 0;
        client.receive(|event| {
            let expected = [Event::Pong(b"are you there?"), Event::Text("gr\u{fc}\u{df}e")];
            assert_eq!(event, expected[events]);
            events += 1;
        });
        assert_eq!(events, 2);
    }

    let close = CloseFrame::new(CloseCode::NORMAL, "done").expect("a short reason");
    client.connection.close(&close).expect("it is open");
    client.connection.handle_timeout(Timestamp::ORIGIN);
    client.write_to(&mut server);
    server.receive(|event| assert_eq!(event, Event::Close(close)));
    server.write_to(&mut client);
    client.receive(|event| assert_eq!(event, Event::Close(CloseFrame::with_code(CloseCode::NORMAL))));
    assert_eq!(server.connection.phase(), TransportPhase::ShutDown);
    server.connection.write_side_shut_down();
    client.connection.end_of_stream();
    client.connection.write_side_shut_down();
    server.connection.end_of_stream();
    for end in [&client, &server] {
        assert_eq!(end.connection.phase(), TransportPhase::Drop);
        let report = end.connection.close_report().expect("it has ended");
        assert!(report.clean);
        assert_eq!(report.received.number(), 1000);
    }
    0
}

struct End {
    connection: Connection,
    unread: Vec<u8>,
}

impl End {
    fn write(&mut self) -> Vec<u8> {
        let mut written = Vec::new();
        loop {
            let mut slices = [&[][..]; 4];
            let filled = self.connection.slices(&mut slices);
            let given = slices[..filled].concat();
            if given.is_empty() {
                return written;
            }
            self.connection.advance(given.len());
            written.extend(given);
        }
    }

    fn write_to(&mut self, peer: &mut End) {
        let written = self.write();
        peer.unread.extend(written);
    }

    fn receive(&mut self, mut deliver: impl FnMut(Event<'_>)) {
        loop {
            let received = self.connection.receive(&mut self.unread).expect("the peer follows the rules");
            if let Some(event) = received.event {
                deliver(self.connection.event(event, &self.unread));
            }
            self.unread.drain(..received.consumed);
            if received.event.is_none() {
                return;
            }
        }
    }
}

#[panic_handler]
fn panicked(_: &PanicInfo<'_>) -> ! {
    memory::exit(101)
}
