//! Deadlines of an open blocking connection, by the timeouts of its socket: RFC 6455 §5.5.2.
#![cfg(feature = "std")]
#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests")]

#[path = "support/blocking.rs"]
mod support;

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use sansocket::blocking::{Error, Timeouts, Transport, WebSocket};
use sansocket::connection::Event;
use sansocket::{CloseCode, Config, Failure, Message, Role};
use support::{BOTH_ROLES, Script, from_peer, name};

const PING: u8 = 0x89;
const PONG: u8 = 0x8a;
const TEXT: u8 = 0x81;
const CLOSE: u8 = 0x88;

fn millis(millis: u64) -> Option<Duration> {
    Some(Duration::from_millis(millis))
}

/// No deadline at all, to begin with.
fn quiet() -> Config {
    Config::default().ping_interval(None).write_timeout(None)
}

fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (far, _) = listener.accept().unwrap();
    // A test that waits for what never comes fails instead.
    far.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    (near, far)
}

fn socket<S>(role: Role, io: S, config: &Config) -> WebSocket<S> {
    WebSocket::negotiated(io, role, Default::default(), config, Vec::new())
}

/// The next frame that `role` sends, unmasked.
fn next_frame(role: Role, peer: &mut TcpStream) -> (u8, Vec<u8>) {
    let mut head = [0; 2];
    peer.read_exact(&mut head).unwrap();
    let mut rest = vec![0; usize::from(head[1] & 0x7f) + if role == Role::Client { 4 } else { 0 }];
    peer.read_exact(&mut rest).unwrap();
    support::frames(&[&head[..], &rest].concat()).remove(0)
}

// 6455-5.5.2-3
#[test]
fn both_send_pings_while_a_receive_blocks() {
    for role in BOTH_ROLES {
        let (near, mut far) = tcp_pair();
        let config = quiet().ping_interval(millis(20));
        let mut near = socket(role, near, &config);
        let peer = thread::spawn(move || {
            for _ in 0..5 {
                assert_eq!(next_frame(role, &mut far), (PING, b"keepalive".to_vec()));
                far.write_all(&from_peer(role, PONG, b"keepalive")).unwrap();
            }
            far.write_all(&from_peer(role, TEXT, b"enough")).unwrap();
            far
        });
        assert_eq!(near.receive().unwrap(), Some(Message::text("enough")));
        peer.join().unwrap();
    }
}

// (d) row 16, CM-52
#[test]
fn both_fail_when_the_peer_is_gone() {
    for role in BOTH_ROLES {
        let (near, mut far) = tcp_pair();
        let config = quiet().ping_interval(millis(20)).dead_peer_timeout(millis(30));
        let mut near = socket(role, near, &config);
        assert_eq!(name(&near.receive().unwrap_err()), "dead peer");
        assert_eq!(near.close_report().unwrap().failure, Some(Failure::DeadPeer));
        assert!(near.get_ref().is_none());
        assert_eq!(next_frame(role, &mut far).0, PING);
        assert_eq!(next_frame(role, &mut far), (CLOSE, 1011_u16.to_be_bytes().to_vec()));
        assert_eq!(far.read(&mut [0]).unwrap(), 0, "the end, and no reset");
        assert!(matches!(near.receive(), Err(Error::DeadPeer)), "for ever");
        assert!(matches!(near.send("more"), Err(Error::DeadPeer)));
    }
}

// CM-25
#[test]
fn both_keep_a_peer_that_answered_while_the_application_was_away() {
    for role in BOTH_ROLES {
        let (near, mut far) = tcp_pair();
        let config = quiet().ping_interval(millis(20)).dead_peer_timeout(millis(200));
        near.set_read_timeout(millis(25)).unwrap();
        let mut near = socket(role, near, &config);
        while near.queued() == 0 && far.set_nonblocking(true).is_ok() && far.peek(&mut [0]).is_err() {
            assert!(matches!(near.receive(), Err(Error::WouldBlock)));
        }
        far.set_nonblocking(false).unwrap();
        assert_eq!(next_frame(role, &mut far).0, PING);
        far.write_all(&from_peer(role, PONG, b"keepalive")).unwrap();
        // Longer than any deadline.
        thread::sleep(Duration::from_millis(500));
        let (event, _) = near.receive_event().unwrap().unwrap();
        assert_eq!(event, Event::Pong(b"keepalive"));
    }
}

// (d) row 17, CM-27
#[test]
fn both_fail_when_the_peer_reads_nothing() {
    for role in BOTH_ROLES {
        for ping in [None, millis(20)] {
            let (near, far) = tcp_pair();
            let config = quiet().ping_interval(ping).dead_peer_timeout(None).write_timeout(millis(50));
            let mut near = socket(role, near, &config);
            let error = near.send(vec![0; 64 << 20]).unwrap_err();
            assert_eq!(name(&error), "write timeout");
            assert!(near.get_ref().is_none());
            assert_eq!(near.close_report().unwrap().failure, Some(Failure::WriteTimeout));
            drop(far);
        }
    }
}

#[test]
fn both_report_a_write_that_is_too_late_at_once() {
    for role in BOTH_ROLES {
        let script = Script::new([]).max_write(0);
        let config = quiet().write_timeout(millis(20));
        let mut near = socket(role, script, &config);
        let mut result = near.send("nobody takes this");
        while let Err(Error::WouldBlock) = result {
            assert_eq!(near.close_report(), None, "{role:?}: it has failed");
            thread::sleep(Duration::from_millis(5));
            result = near.flush();
        }
        assert_eq!(name(&result.unwrap_err()), "write timeout");
    }
}

#[test]
fn both_close_an_idle_connection() {
    for role in BOTH_ROLES {
        let (near, mut far) = tcp_pair();
        let mut near = socket(role, near, &quiet().idle_timeout(millis(40)));
        let peer = thread::spawn(move || {
            let (first, payload) = next_frame(role, &mut far);
            assert_eq!((first, &payload[..]), (CLOSE, &1001_u16.to_be_bytes()[..]));
            far.write_all(&from_peer(role, CLOSE, &payload)).unwrap();
            far
        });
        let far = thread::spawn(move || peer.join().unwrap());
        // A client waits for the server to end the transport.
        let closing = thread::spawn(move || (near.receive().unwrap(), near.close_report().unwrap()));
        drop(far.join().unwrap());
        let (received, report) = closing.join().unwrap();
        assert_eq!(received, None);
        assert!(report.clean, "{report:?}");
        assert_eq!(report.sent, Some(Some(CloseCode::GOING_AWAY)));
    }
}

#[test]
fn both_fail_when_a_message_is_not_finished() {
    for role in BOTH_ROLES {
        let (near, mut far) = tcp_pair();
        let mut near = socket(role, near, &quiet().message_timeout(millis(40)));
        far.write_all(&from_peer(role, 0x01, b"begun")).unwrap();
        let peer = thread::spawn(move || {
            let closed = next_frame(role, &mut far);
            drop(far);
            closed
        });
        assert_eq!(name(&near.receive().unwrap_err()), "protocol");
        assert_eq!(peer.join().unwrap(), (CLOSE, 1008_u16.to_be_bytes().to_vec()));
    }
}

#[test]
fn both_fail_when_the_octets_of_a_message_drip() {
    for role in BOTH_ROLES {
        let (near, mut far) = tcp_pair();
        let mut near = socket(role, near, &quiet().message_timeout(millis(40)));
        let mut dripping = far.try_clone().unwrap();
        far.write_all(&from_peer(role, 0x01, b"begun")).unwrap();
        // Each comes before a wait of the whole time would end.
        let dripping = thread::spawn(move || {
            let octet = from_peer(role, 0x00, b"a");
            while dripping.write_all(&octet).is_ok() {
                thread::sleep(Duration::from_millis(10));
            }
        });
        let receiving = thread::spawn(move || near.receive().unwrap_err());
        assert_eq!(next_frame(role, &mut far), (CLOSE, 1008_u16.to_be_bytes().to_vec()));
        far.shutdown(std::net::Shutdown::Both).unwrap();
        assert_eq!(name(&receiving.join().unwrap()), "protocol");
        dripping.join().unwrap();
    }
}

/// A peer that is always there to be read, and counts how often it is told how long to wait.
struct Flood {
    frame: Vec<u8>,
    at: usize,
    pause: Duration,
    timeouts: Timeouts,
    told: usize,
    reads: usize,
    write_error: Option<ErrorKind>,
}

impl Flood {
    fn new(frame: Vec<u8>, pause: Duration) -> Self {
        Self { frame, at: 0, pause, timeouts: Timeouts::default(), told: 0, reads: 0, write_error: None }
    }
}

impl Read for Flood {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        thread::sleep(self.pause);
        self.reads += 1;
        let len = buffer.len().min(self.frame.len() - self.at);
        buffer[..len].copy_from_slice(&self.frame[self.at..self.at + len]);
        self.at = (self.at + len) % self.frame.len();
        Ok(len)
    }
}

impl Write for Flood {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(octets)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self.write_error {
            Some(error) => Err(error.into()),
            None => Ok(slices.iter().map(|slice| slice.len()).sum()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Transport for Flood {
    fn shutdown_write(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn timeouts(&self) -> io::Result<Timeouts> {
        Ok(self.timeouts)
    }

    fn set_timeouts(&mut self, timeouts: Timeouts) -> io::Result<()> {
        self.timeouts = timeouts;
        self.told += 1;
        Ok(())
    }
}

#[test]
fn both_fail_when_the_peer_floods_and_never_finishes_its_message() {
    for role in BOTH_ROLES {
        let mut flood = Flood::new(from_peer(role, PONG, b"p"), Duration::from_micros(10));
        flood.frame.splice(0..0, from_peer(role, 0x01, b"a"));
        // Only once: from then on Pongs.
        let pongs_from = flood.frame.len() / 2;
        let mut near = socket(role, Once { flood, pongs_from }, &quiet().message_timeout(millis(20)));
        assert_eq!(name(&near.receive().unwrap_err()), "protocol");
    }
}

// What failed has nothing left that could be late, however long there is something to receive.
#[test]
fn both_receive_on_after_a_write_that_failed() {
    for role in BOTH_ROLES {
        let mut flood = Flood::new(from_peer(role, TEXT, b"hello"), Duration::from_micros(10));
        flood.write_error = Some(ErrorKind::BrokenPipe);
        let mut near = socket(role, flood, &quiet().write_timeout(millis(2)));
        assert_eq!(name(&near.send("lost").unwrap_err()), "io");
        for _ in 0..1000 {
            assert_eq!(near.receive().unwrap(), Some(Message::text("hello")));
        }
        assert_eq!(name(&near.send("refused").unwrap_err()), "io");
    }
}

/// The first frame is not repeated.
struct Once {
    flood: Flood,
    pongs_from: usize,
}

impl Read for Once {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = self.flood.read(buffer)?;
        if self.flood.at == 0 {
            self.flood.frame.drain(..std::mem::take(&mut self.pongs_from));
        }
        Ok(len)
    }
}

impl Write for Once {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.flood.write(octets)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Transport for Once {
    fn shutdown_write(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn timeouts(&self) -> io::Result<Timeouts> {
        self.flood.timeouts()
    }

    fn set_timeouts(&mut self, timeouts: Timeouts) -> io::Result<()> {
        self.flood.set_timeouts(timeouts)
    }
}

#[test]
fn both_set_no_timeouts_for_each_read() {
    for role in BOTH_ROLES {
        let flood = Flood::new(from_peer(role, TEXT, b"hello"), Duration::ZERO);
        let mut near = socket(role, flood, &Config::default());
        for _ in 0..1000 {
            assert_eq!(near.receive().unwrap(), Some(Message::text("hello")));
            near.send("hello yourself").unwrap();
        }
        let flood = near.get_ref().unwrap();
        assert_eq!(flood.reads, 1000);
        assert!(flood.told <= 2, "told {} times how long to wait", flood.told);
        // Half the interval of 20 s, and no time that a caller might set.
        assert_eq!(flood.timeouts.read, millis(10_037).filter(|_| flood.told > 0));
    }
}

#[test]
fn both_give_the_transport_no_timeouts_when_nothing_is_armed() {
    for role in BOTH_ROLES {
        let flood = Flood::new(from_peer(role, TEXT, b"hello"), Duration::ZERO);
        let mut near = socket(role, flood, &quiet());
        near.receive().unwrap();
        near.send("hello").unwrap();
        assert_eq!(near.get_ref().unwrap().told, 0);
    }
}

#[test]
fn both_keep_a_timeout_that_the_caller_sets_later() {
    for role in BOTH_ROLES {
        let (near, _far) = tcp_pair();
        let mut near = socket(role, near, &quiet().ping_interval(millis(20)).dead_peer_timeout(None));
        near.get_ref().unwrap().set_read_timeout(millis(30)).unwrap();
        for _ in 0..3 {
            assert!(matches!(near.receive(), Err(Error::WouldBlock)));
        }
        // Ours are set by now, and the caller's are others.
        near.get_ref().unwrap().set_read_timeout(millis(50)).unwrap();
        for _ in 0..3 {
            assert!(matches!(near.receive(), Err(Error::WouldBlock)));
        }
    }
}

// (d) row 16: a peer that is gone is found whatever the caller does to the timeouts of the socket.
#[test]
fn both_fail_when_the_peer_is_gone_after_the_caller_took_its_timeout_back() {
    for role in BOTH_ROLES {
        let (near, far) = tcp_pair();
        let config = quiet().ping_interval(millis(200)).dead_peer_timeout(millis(200));
        let mut near = socket(role, near, &config);
        near.get_ref().unwrap().set_read_timeout(millis(5)).unwrap();
        // Deadlines are armed, and the transport's timeouts set for them.
        for _ in 0..3 {
            assert!(matches!(near.receive(), Err(Error::WouldBlock)));
        }
        near.get_ref().unwrap().set_read_timeout(None).unwrap();
        let (done, received) = mpsc::channel();
        let waiting = thread::spawn(move || done.send(near.receive()));
        let received = received.recv_timeout(Duration::from_secs(10));
        // A receive that waits for ever ends with the transport.
        drop(far);
        assert!(matches!(received, Ok(Err(Error::DeadPeer))), "{role:?}: {received:?}");
        waiting.join().unwrap().unwrap();
    }
}

// Whatever is set for a deadline, no timeout of the caller's is taken for it.
#[test]
fn both_keep_a_timeout_that_the_caller_sets_later_to_the_time_of_a_deadline() {
    for role in BOTH_ROLES {
        for (interval, own) in [(20, 10), (40, 20), (500, 250)] {
            let (near, mut far) = tcp_pair();
            let config = quiet().ping_interval(millis(interval)).dead_peer_timeout(None);
            let mut near = socket(role, near, &config);
            near.send("begins the first half").unwrap();
            near.get_ref().unwrap().set_read_timeout(millis(own)).unwrap();
            let message = from_peer(role, TEXT, b"for one who waits for ever");
            let (interrupted, waiting) = mpsc::channel();
            let late = thread::spawn(move || {
                if waiting.recv_timeout(Duration::from_secs(10)).is_err() {
                    far.write_all(&message).unwrap();
                }
            });
            let received = near.receive();
            let _ = interrupted.send(());
            assert!(matches!(received, Err(Error::WouldBlock)), "{role:?} {own} ms: {received:?}");
            late.join().unwrap();
        }
    }
}

#[test]
fn both_would_block_at_once_over_a_transport_that_does_not_block() {
    for role in BOTH_ROLES {
        let script = Script::new([]);
        let mut near = support::socket(role, &script, &Config::default());
        for _ in 0..100 {
            assert!(matches!(near.receive(), Err(Error::WouldBlock)));
        }
        assert!(script.did().len() <= 200, "{}", script.did().len());
        assert_eq!(script.written(), b"");
    }
}

// The caller's own timeout ends each wait, and not what a tick in between has left of the last one.
#[test]
fn both_wait_as_long_as_the_caller_said_each_time() {
    for role in BOTH_ROLES {
        let (near, mut far) = tcp_pair();
        near.set_read_timeout(millis(120)).unwrap();
        let mut near = socket(role, near, &quiet().ping_interval(millis(160)).dead_peer_timeout(None));
        for turn in 0..4 {
            if turn == 2 {
                far.write_all(&from_peer(role, TEXT, b"in between")).unwrap();
                assert_eq!(near.receive().unwrap(), Some(Message::text("in between")));
            }
            let begun = Instant::now();
            assert!(matches!(near.receive(), Err(Error::WouldBlock)));
            // Kernels round.
            assert!(begun.elapsed() >= Duration::from_millis(110), "{turn}: {:?}", begun.elapsed());
        }
    }
}

#[test]
fn both_receive_many_messages_after_they_have_begun_to_close() {
    for role in BOTH_ROLES {
        let messages = from_peer(role, TEXT, b"hello").repeat(400);
        let mut near = socket(role, Script::reading(messages).max_read(3), &Config::default());
        near.start_close(CloseCode::NORMAL, "").unwrap();
        for _ in 0..400 {
            assert_eq!(near.receive().unwrap(), Some(Message::text("hello")));
        }
    }
}
