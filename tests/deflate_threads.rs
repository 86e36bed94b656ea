//! RFC 7692 §7.2: a connection may be used on any thread, whatever the states there remember of it and of others.
#![cfg(feature = "deflate")]

mod support;

use std::sync::mpsc;
use std::thread;

use sansocket::connection::{Connection, OutgoingMessage};
use sansocket::deflate::{Agreement, Compression, DeflateConfig};
use sansocket::{Config, Role};
use support::deflate::{deflating, letters, unlimited, window, with_takeover};
use support::{Event, drain};

/// Both ends of a connection.
struct Pair {
    client: Connection,
    server: Connection,
    sent: u64,
}

impl Pair {
    fn new(agreement: &Agreement) -> Self {
        let open = |role| deflating(role, &Config::default(), agreement);
        Self { client: open(Role::Client), server: open(Role::Server), sent: 0 }
    }

    /// A message each way, much of it as it was before.
    fn exchange(&mut self, number: u64) {
        self.sent += 1;
        let text = format!("{}{} of {number}", letters(number, 300), self.sent);
        pass(&mut self.client, &mut self.server, &text);
        pass(&mut self.server, &mut self.client, &format!("{text}, and back"));
    }
}

#[track_caller]
fn pass(from: &mut Connection, to: &mut Connection, text: &str) {
    from.send(OutgoingMessage::from(text).compression(Compression::Always)).expect("it is open");
    let mut wire = drain(from);
    assert!(wire[0] & 0x40 != 0);
    let received = to.receive(&mut wire).expect("it is right");
    let event = Event::from(to.event(received.event.expect("it is whole"), &wire));
    assert_eq!(event, Event::text(text));
}

// 7692-7.2.1-13 7692-7.2.2-2 7692-7.2.2-3
#[test]
fn both_receive_what_both_send_on_connections_that_go_from_thread_to_thread() {
    for agreement in with_takeover() {
        let (to_second, second) = mpsc::channel::<Vec<Pair>>();
        let (to_first, first) = mpsc::channel::<Vec<Pair>>();
        let worker = move |inbox: mpsc::Receiver<Vec<Pair>>, outbox: mpsc::Sender<Vec<Pair>>| {
            // Of those that stay there are few enough that all keep their states, and more.
            let mut staying: Vec<Pair> = (0..5).map(|_| Pair::new(&agreement)).collect();
            for round in 0..60 {
                let mut travelling = inbox.recv().expect("the other thread is there");
                let count = if round % 2 == 0 { 1 } else { staying.len() };
                for (number, pair) in staying[..count].iter_mut().enumerate() {
                    pair.exchange(100 + number as u64);
                }
                // Some rounds a pair passes through untouched: what it left here has grown old elsewhere.
                for (number, pair) in travelling.iter_mut().enumerate() {
                    if !(round + number).is_multiple_of(3) {
                        pair.exchange(number as u64);
                    }
                }
                if outbox.send(travelling).is_err() {
                    return;
                }
            }
        };
        let pairs = |count: usize| (0..count).map(|_| Pair::new(&agreement)).collect::<Vec<_>>();
        // Some go the one way while others go the other.
        to_first.send(pairs(3)).expect("the receiver is here");
        to_second.send(pairs(1)).expect("the receiver is here");
        thread::scope(|scope| {
            scope.spawn(move || worker(first, to_second));
            scope.spawn(move || worker(second, to_first));
        });
    }
}

// A state that a thread has kept belongs to a message long ago: it must not be taken up again.
// 7692-7.2.1-13 7692-7.2.2-2 7692-7.2.2-3
#[test]
fn both_receive_what_both_send_when_only_one_end_was_elsewhere_in_between() {
    let agreements = [
        unlimited(),
        Agreement::new(DeflateConfig::default()).with_server(window(10)).with_client(window(15)),
    ];
    for agreement in agreements {
        let mut pair = Pair::new(&agreement);
        for number in 0..20 {
            pair.exchange(number % 2);
            let Pair { mut client, mut server, sent } = pair;
            // The client's message is made there and received here, or the other way round.
            let text = letters(number % 2, 400);
            let send_there = |mut from: Connection| {
                let text = text.clone();
                thread::spawn(move || {
                    from.send(OutgoingMessage::from(text.as_str()).compression(Compression::Always))
                        .expect("it is open");
                    let wire = drain(&mut from);
                    (from, wire)
                })
                .join()
                .expect("it has sent")
            };
            let (wire, to) = if number % 3 == 0 {
                let (from, wire) = send_there(server);
                server = from;
                (wire, &mut client)
            } else {
                let (from, wire) = send_there(client);
                client = from;
                (wire, &mut server)
            };
            let mut wire = wire;
            let received = to.receive(&mut wire).expect("it is right");
            let located = received.event.expect("it is whole");
            assert_eq!(Event::from(to.event(located, &wire)), Event::text(&text));
            pair = Pair { client, server, sent };
        }
    }
}
