//! What a connection holds on to: nothing while it is idle, nothing for a claim.
#![cfg(feature = "tokio")]
#![expect(unsafe_code, reason = "an allocator that counts")]

#[path = "support/spared.rs"]
mod spared;
mod stream_support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use sansocket::stream::WebSocket;
use sansocket::{Limits, Message, Role};
use spared::fill_spare;
use stream_support::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
    static ALLOCATED: Cell<usize> = const { Cell::new(0) };
}

/// Counts what each thread holds.
struct Counting;

fn count(octets: isize) {
    let _ = HELD.try_with(|held| {
        held.set(held.get() + octets);
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(held.get())));
    });
}

// SAFETY: every call is handed to the system's allocator as it came; the counters are plain cells.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        let _ = ALLOCATED.try_with(|allocated| allocated.set(allocated.get() + layout.size()));
        // SAFETY: the caller's promises are those that `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: the caller's promises are those that `System` asks for.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn held() -> isize {
    HELD.get()
}

/// How much more is held after this, once its result is dropped or kept.
fn holds<T>(run: impl FnOnce() -> T) -> (isize, T) {
    let before = held();
    let result = run();
    (held() - before, result)
}

fn idle_pair() -> (WebSocket<DuplexStream>, WebSocket<DuplexStream>) {
    pair(2 << 20)
}

const MANY: usize = 20;
const LENGTHS: [usize; 3] = [16, 16 << 10, 1 << 20];

/// A kibioctet each.
const IDLE: isize = 1024;

/// Fills the pools of this thread, which are no connection's.
fn warm_up() {
    let mut busy: Vec<_> = (0..MANY).map(|_| connect(Role::Client)).collect();
    for (socket, script) in &mut busy {
        script.peer_sends(to(Role::Client, TEXT, b"m"));
        // Until it waits for more it owns the buffer.
        let _ = now(socket.receive_ref()).expect("a message has come");
    }
    for (socket, _) in &mut busy {
        waits(socket.receive());
    }
    fill_spare();
}

#[test]
fn both_hold_no_buffer_while_idle() {
    warm_up();
    for len in LENGTHS {
        let mut pairs: Vec<_> = (0..MANY).map(|_| idle_pair()).collect();
        for (client, server) in &mut pairs {
            waits(client.receive());
            waits(server.receive());
        }
        let (grown, ()) = holds(|| {
            for (client, server) in &mut pairs {
                let message = Message::binary(pattern(len));
                now(client.send(&message)).unwrap();
                now(server.receive()).unwrap();
                now(server.send(&message)).unwrap();
                now(client.receive()).unwrap();
                waits(server.receive());
                waits(client.receive());
            }
        });
        // The pipes keep the buffers that they grew.
        let pipes = isize::try_from(2 * MANY * (len + 14)).unwrap() * 2;
        let each = (grown - pipes).max(0) / (2 * MANY as isize);
        assert!(each <= IDLE, "{each} octets each after a message of {len}");
    }
}

#[test]
fn both_hold_no_buffer_after_a_message_over_a_transport_of_their_own() {
    warm_up();
    for role in ROLES {
        for split in [false, true] {
            for len in LENGTHS {
                let message = Message::binary(pattern(len));
                let frame = to(role, BINARY, message.payload());
                let (mut socket, script) = connect(role);
                waits(socket.receive());
                script.take_ops();
                let (grown, _kept) = holds(|| {
                    script.peer_sends(&frame);
                    if split {
                        let (mut receiver, sender) = socket.split();
                        now(receiver.receive()).unwrap();
                        waits(receiver.receive());
                        now(sender.send(&message)).unwrap();
                        drop((script.take_written(), script.take_ops()));
                        (None, Some((receiver, sender)))
                    } else {
                        now(socket.receive()).unwrap();
                        now(socket.send(&message)).unwrap();
                        waits(socket.receive());
                        // What is sent last is not followed by a receive.
                        now(socket.send("last")).unwrap();
                        drop((script.take_written(), script.take_ops()));
                        (Some(socket), None)
                    }
                });
                assert!(grown <= 2 * IDLE, "{grown} octets after {len}, {role:?}, split: {split}");
            }
        }
    }
}

// 6455-10.4-2
#[test]
fn both_hold_no_buffer_while_they_only_send() {
    warm_up();
    for role in ROLES {
        let (held, sockets) = holds(|| {
            let mut sockets: Vec<_> = (0..MANY).map(|_| connect(role)).collect();
            for (socket, script) in &mut sockets {
                script.peer_sends(to(role, TEXT, b"subscribe"));
                now(socket.receive()).expect("a message has come");
                for _ in 0..3 {
                    now(socket.send("news")).expect("it is sent");
                }
                script.take_written();
                script.take_ops();
            }
            sockets
        });
        assert!(held < MANY as isize * 4 * IDLE, "{held} octets for {} sockets", sockets.len());
    }
}

#[test]
fn both_hold_no_buffer_while_a_message_has_only_begun() {
    warm_up();
    for role in ROLES {
        let (mut socket, script) = connect(role);
        waits(socket.receive());
        script.take_ops();
        let (grown, ()) = holds(|| {
            script.peer_sends(&to(role, BINARY, &[0; 200])[..100]);
            waits(socket.receive());
            drop(script.take_ops());
        });
        assert!(grown <= IDLE, "{grown} octets");
    }
}

#[test]
fn both_allocate_nothing_for_a_claimed_length() {
    warm_up();
    let config = quiet().limits(Limits::default().max_frame_len(1 << 40).max_message_len(1 << 40));
    for role in ROLES {
        let (mut socket, script) = connect_with(role, &config);
        waits(socket.receive());
        let mask: &[u8] = if role == Role::Server { &KEY } else { &[] };
        let claim = if role == Role::Server { 0xff } else { 0x7f };
        let head = [&[BINARY, claim], &(1_u64 << 39).to_be_bytes()[..], mask, &[1; 100]].concat();
        script.take_ops();
        PEAK.set(held());
        let before = held();
        script.peer_sends(head);
        waits(socket.receive());
        let peak = PEAK.get() - before;
        // At most the pooled buffer that the octets were read into, if the pool had none.
        assert!(peak < (300 << 10), "{peak} octets at the peak");
        drop(script.take_ops());
        assert!(held() - before <= IDLE, "{} octets held", held() - before);
    }
}

#[test]
fn both_receive_an_owned_message_as_one_exact_allocation() {
    warm_up();
    for role in ROLES {
        for len in [1, 125, 1000, 16 << 10, 48 << 10, 64 << 10, 100_000] {
            for assembled in [false, true] {
                let (mut socket, script) = connect(role);
                let frame = if assembled {
                    let (begin, end) = (&pattern(len)[..len / 2], &pattern(len)[len / 2..]);
                    [to(role, 0x02, begin), to(role, LAST, end)].concat()
                } else {
                    to(role, BINARY, &pattern(len))
                };
                for _ in 0..100 {
                    script.peer_sends(&frame);
                }
                let mut kept = Vec::with_capacity(100);
                for _ in 0..100 {
                    kept.push(now(socket.receive()).unwrap().unwrap());
                }
                waits(socket.receive());
                let (freed, ()) = holds(|| drop(kept));
                let vec = (100 * size_of::<Message>()) as isize;
                let each = (-freed - vec) / 100;
                let most = len as isize + if assembled { len as isize / 8 + 64 } else { 0 };
                assert!(
                    (len as isize..=most).contains(&each),
                    "{each} octets for {len}, assembled: {assembled}"
                );
            }
        }
    }
}

#[test]
fn both_allocate_only_the_message_when_a_half_is_woken() {
    warm_up();
    for role in ROLES {
        let (near, mut far) = duplex(1000);
        let (mut receiver, sender) = over(role, near, &quiet()).split();
        let frame = to(role, BINARY, &pattern(16));
        let mut echoed = [0; 100];
        let mut echo = || {
            waits(receiver.receive());
            now(far.write_all(&frame)).unwrap();
            let message = now(receiver.receive()).unwrap().unwrap();
            now(sender.feed(message)).unwrap();
            waits(receiver.receive());
            assert!(now(far.read(&mut echoed)).unwrap() > 16);
        };
        echo();
        let before = ALLOCATED.get();
        for _ in 0..100 {
            echo();
        }
        assert_eq!(ALLOCATED.get() - before, 100 * 16);
    }
}

// CM-27
#[test]
fn both_hold_no_more_than_the_high_water_mark_for_a_peer_that_reads_nothing() {
    warm_up();
    for role in ROLES {
        let (mut socket, script) = connect(role);
        script.window(0);
        let flood = to(role, BINARY, &[1; 100]).repeat(1000);
        let (grown, ()) = holds(|| {
            for _ in 0..20 {
                script.peer_sends(&flood);
                while let Some(message) = cut_off(socket.receive_ref()) {
                    let (message, mut outgoing) = message.unwrap().unwrap();
                    outgoing.feed(&message).unwrap();
                }
            }
        });
        assert!(socket.queued() <= (256 << 10) + 200);
        let own = grown - script.unread() as isize;
        // The queue, and one read buffer, each grown in steps.
        assert!(own <= (1100 << 10), "{own} octets");
    }
}
