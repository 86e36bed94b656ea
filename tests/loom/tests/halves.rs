//! The halves themselves, over a transport that forgets who polled it before, in every interleaving of small scripts.
//! A half that is forgotten waits for ever, which loom calls a deadlock.

mod every_interleaving;

use std::future::poll_fn;
use std::io;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use every_interleaving::with_interruptions;
use loom::future::block_on;
use loom::sync::Mutex;
use loom::thread::{Builder, JoinHandle};
use sansocket::connection::{Connection, Event, KeySource};
use sansocket::deflate::{Agreement, DeflateConfig};
use sansocket::handshake::Negotiated;
use sansocket::stream::{Receiver, Sender, WebSocket};
use sansocket::{Config, Message, Role};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// One end of a connection that the script holds the other end of.
#[derive(Clone)]
struct Wire(Arc<Mutex<Ends>>);

#[derive(Default)]
struct Ends {
    input: Vec<u8>,
    ended: bool,
    written: Vec<u8>,
    /// How many octets may still be written.
    window: usize,
    /// One waker for each direction, as tokio's transports remember it.
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Wire {
    fn new(window: usize) -> Self {
        Self(Arc::new(Mutex::new(Ends { window, ..Ends::default() })))
    }

    fn peer_sends(&self, octets: &[u8]) {
        let mut ends = self.0.lock().unwrap();
        ends.input.extend_from_slice(octets);
        let reader = ends.reader.take();
        drop(ends);
        reader.into_iter().for_each(Waker::wake);
    }

    fn peer_ends(&self) {
        let mut ends = self.0.lock().unwrap();
        ends.ended = true;
        let reader = ends.reader.take();
        drop(ends);
        reader.into_iter().for_each(Waker::wake);
    }

    fn peer_reads(&self, octets: usize) {
        let mut ends = self.0.lock().unwrap();
        ends.window += octets;
        let writer = ends.writer.take();
        drop(ends);
        writer.into_iter().for_each(Waker::wake);
    }

    fn written(&self) -> Vec<u8> {
        self.0.lock().unwrap().written.clone()
    }
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut ends = self.0.lock().unwrap();
        if ends.input.is_empty() && !ends.ended {
            let old = ends.reader.replace(cx.waker().clone());
            drop((ends, old));
            return Poll::Pending;
        }
        to.put_slice(&mem::take(&mut ends.input));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        let mut ends = self.0.lock().unwrap();
        let len = octets.len().min(ends.window);
        if len == 0 {
            let old = ends.writer.replace(cx.waker().clone());
            drop((ends, old));
            return Poll::Pending;
        }
        ends.window -= len;
        ends.written.extend_from_slice(&octets[..len]);
        Poll::Ready(Ok(len))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

fn split(wire: &Wire, high_water_mark: usize) -> (Receiver<Wire>, Sender<Wire>) {
    let config = Config::default().high_water_mark(high_water_mark);
    WebSocket::server(wire.clone(), &config, Vec::new()).split()
}

/// A thread with room for what a debug build puts on its stack.
fn spawn<T: Send + 'static>(task: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    Builder::new().stack_size(32 << 10).spawn(task).unwrap()
}

/// Timers of the closing handshake are made, and never come.
fn with_timers(at_most: usize, model: impl Fn() + Send + Sync + 'static) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let _entered = runtime.enter();
    with_interruptions(at_most, model);
}

const TEXT_M: &[u8] = b"\x81\x81\x00\x00\x00\x00m";
const CLOSE: &[u8] = b"\x88\x80\x00\x00\x00\x00";

#[test]
fn message_that_is_fed_is_written_by_the_receiver() {
    with_timers(3, || {
        let wire = Wire::new(usize::MAX);
        let (mut receiver, sender) = split(&wire, 1000);
        let receive = spawn(move || {
            block_on(poll_fn(|cx| {
                let received = receiver.poll_receive(cx);
                assert!(received.is_pending());
                if wire.written() == b"\x81\x01m" { Poll::Ready(()) } else { Poll::Pending }
            }));
        });
        let feed = spawn(move || block_on(sender.feed("m")).unwrap());
        feed.join().unwrap();
        receive.join().unwrap();
    });
}

#[test]
fn receiver_gets_what_comes_while_a_sender_waits() {
    with_timers(2, || {
        let wire = Wire::new(0);
        let (mut receiver, sender) = split(&wire, 1000);
        let receive = spawn(move || {
            let received = block_on(receiver.receive()).unwrap();
            // Dropping it would begin to close.
            (received, receiver)
        });
        let send = spawn(move || block_on(sender.send("m")).unwrap());
        wire.peer_sends(TEXT_M);
        wire.peer_reads(usize::MAX);
        let (received, _receiver) = receive.join().unwrap();
        assert_eq!(received, Some(Message::text("m")));
        send.join().unwrap();
        assert_eq!(wire.written(), b"\x81\x01m");
    });
}

#[test]
fn senders_that_share_a_narrow_window_all_get_their_turn() {
    with_timers(2, || {
        let wire = Wire::new(0);
        let (_receiver, sender) = split(&wire, 1);
        let other = sender.clone();
        let one = spawn(move || block_on(sender.send("1")).unwrap());
        let two = spawn(move || block_on(other.send("2")).unwrap());
        wire.peer_reads(4);
        wire.peer_reads(2);
        one.join().unwrap();
        two.join().unwrap();
        let written = wire.written();
        assert!(written == b"\x81\x011\x81\x012" || written == b"\x81\x012\x81\x011", "{written:?}");
    });
}

#[test]
fn sender_that_gives_up_forgets_nobody() {
    with_timers(2, || {
        let wire = Wire::new(0);
        let (_receiver, sender) = split(&wire, 1000);
        let other = sender.clone();
        let gives_up = spawn(move || {
            let mut send = Box::pin(sender.send("1"));
            let _ = send.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        });
        let stays = spawn(move || block_on(other.send("2")).unwrap());
        wire.peer_reads(6);
        gives_up.join().unwrap();
        stays.join().unwrap();
        assert!(wire.written().windows(3).any(|frame| frame == b"\x81\x012"));
    });
}

#[test]
fn receiver_gets_what_has_come_while_the_output_of_a_sender_is_full() {
    with_timers(2, || {
        let wire = Wire::new(0);
        wire.peer_sends(TEXT_M);
        let (mut receiver, sender) = split(&wire, 1);
        block_on(sender.feed("full")).unwrap();
        let receive = spawn(move || block_on(receiver.receive()).unwrap());
        let flush = spawn({
            let sender = sender.clone();
            move || block_on(sender.flush()).unwrap()
        });
        assert_eq!(receive.join().unwrap(), Some(Message::text("m")));
        wire.peer_reads(usize::MAX);
        flush.join().unwrap();
    });
}

#[test]
fn closing_sender_goes_on_when_the_receiver_is_dropped() {
    with_timers(3, || {
        let wire = Wire::new(usize::MAX);
        wire.peer_sends(&[TEXT_M, CLOSE].concat());
        wire.peer_ends();
        let (receiver, sender) = split(&wire, 1000);
        let close = spawn(move || block_on(sender.close(None, "")).unwrap());
        let goes = spawn(move || drop(receiver));
        goes.join().unwrap();
        let report = close.join().unwrap();
        assert!(report.clean);
        assert_eq!(report.messages_thrown_away, 1);
    });
}

#[test]
fn closing_sender_and_receiver_both_see_the_end() {
    with_timers(2, || {
        let wire = Wire::new(usize::MAX);
        let (mut receiver, sender) = split(&wire, 1000);
        let receive = spawn(move || block_on(receiver.receive()).unwrap());
        let close = spawn(move || block_on(sender.close(None, "")).unwrap());
        wire.peer_sends(CLOSE);
        wire.peer_ends();
        assert_eq!(receive.join().unwrap(), None);
        assert!(close.join().unwrap().clean);
    });
}

#[test]
fn everybody_sees_that_the_connection_is_aborted() {
    with_timers(2, || {
        let wire = Wire::new(0);
        let (mut receiver, sender) = split(&wire, 1000);
        let (sends, aborts) = (sender.clone(), sender);
        let receive = spawn(move || block_on(receiver.receive()).is_err());
        let send = spawn(move || block_on(sends.send("m")).is_err());
        aborts.abort();
        assert!(receive.join().unwrap());
        assert!(send.join().unwrap());
    });
}

#[test]
fn receiver_gets_what_a_driver_reads_ahead_and_the_end_behind_it() {
    with_timers(2, || {
        let wire = Wire::new(usize::MAX);
        let socket = WebSocket::server(wire.clone(), &Config::default(), Vec::new());
        // There is room for one message.
        let (mut receiver, _sender, driver) = socket.split_driven(0);
        let driver = spawn(move || block_on(driver).unwrap());
        let receive = spawn(move || {
            for _ in 0..2 {
                assert_eq!(block_on(receiver.receive()).unwrap(), Some(Message::text("m")));
            }
            assert_eq!(block_on(receiver.receive()).unwrap(), None);
        });
        wire.peer_sends(&[TEXT_M, TEXT_M, CLOSE].concat());
        wire.peer_ends();
        assert!(driver.join().unwrap().clean);
        receive.join().unwrap();
    });
}

#[test]
fn driver_writes_what_is_fed_while_nobody_receives() {
    with_timers(3, || {
        let wire = Wire::new(usize::MAX);
        let socket = WebSocket::server(wire.clone(), &Config::default(), Vec::new());
        let (_receiver, sender, mut driver) = socket.split_driven(0);
        let drive = spawn(move || {
            block_on(poll_fn(|cx| {
                assert!(Pin::new(&mut driver).poll(cx).is_pending());
                if wire.written() == b"\x81\x01m" { Poll::Ready(()) } else { Poll::Pending }
            }));
        });
        let feed = spawn(move || block_on(sender.feed("m")).unwrap());
        feed.join().unwrap();
        drive.join().unwrap();
    });
}

#[test]
fn driver_closes_when_the_receiver_is_dropped_and_counts_what_waited() {
    with_timers(2, || {
        let wire = Wire::new(usize::MAX);
        wire.peer_sends(&[TEXT_M, TEXT_M, TEXT_M].concat());
        let socket = WebSocket::server(wire.clone(), &Config::default(), Vec::new());
        let (receiver, _sender, driver) = socket.split_driven(0);
        let driver = spawn(move || block_on(driver).unwrap());
        let goes = spawn(move || drop(receiver));
        goes.join().unwrap();
        wire.peer_sends(CLOSE);
        wire.peer_ends();
        let report = driver.join().unwrap();
        assert!(report.clean);
        assert_eq!(report.messages_thrown_away, 3);
    });
}

const COMPRESSIBLE: &str =
    "message after message, message after message, message after message, message after message";

/// While one compresses nothing is locked, and the other waits as futures do.
#[test]
fn senders_that_compress_all_get_their_turn() {
    with_timers(3, || {
        let wire = Wire::new(usize::MAX);
        let agreement = Agreement::new(DeflateConfig::default());
        let negotiated = Negotiated::default().with_deflate(&agreement);
        let config = Config::default();
        let socket = WebSocket::negotiated(wire.clone(), Role::Server, negotiated, &config, Vec::new());
        let (receiver, sender) = socket.split();
        let other = sender.clone();
        let one = spawn(move || block_on(sender.send(COMPRESSIBLE)).unwrap());
        let two = spawn(move || block_on(other.send(COMPRESSIBLE)).unwrap());
        one.join().unwrap();
        two.join().unwrap();
        drop(receiver);

        let mut octets = wire.written();
        assert_eq!(octets[0], 0xc1, "compressed");
        let mut peer = Connection::client(&config, KeySource::operating_system()).with_deflate(&agreement);
        let mut at = 0;
        for _ in 0..2 {
            let received = peer.receive(&mut octets[at..]).unwrap();
            let event = peer.event(received.event.expect("a whole message"), &octets[at..]);
            assert_eq!(event, Event::Text(COMPRESSIBLE));
            at += received.consumed;
        }
        assert_eq!(at, octets.len());
    });
}
