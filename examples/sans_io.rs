//! The core without any of the layers above it: an echo server and a client over `std::net`.
//!
//! ```text
//! cargo run --example sans_io                  # both ends in one process
//! cargo run --example sans_io -- --port 9001   # the server alone, for a browser or any other client
//! ```
//!
//! [`Connection`] does no I/O, has no clock and knows no runtime. Whoever wants it over something that this crate has
//! no layer for writes a driver, and this file is one, for blocking sockets. A driver has four duties, and decides
//! nothing:
//!
//! 1. **Read** octets and offer them to `receive`, until it has no more events in them.
//! 2. **Write** what `slices` gives, and say with `advance` how much of it was taken.
//! 3. **Tell the time** with `handle_timeout`, when `next_deadline` has come and there is nothing to read.
//! 4. Do with the transport what `phase` says. This is the whole of a WebSocket's end: Close frames, who shuts down
//!    first, and how long to wait are decided in the core.
//!
//! For programs there is `sansocket::blocking`, which is this with all its corners.

use std::error::Error;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::mem;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use sansocket::connection::{CloseReport, Connection, Event, KeySource, Timestamp, TransportPhase};
use sansocket::frame::CloseFrame;
use sansocket::handshake::{ClientRequest, HeadLimits, HeadReader, Key, Refusal, ServerOptions, accept};
use sansocket::{CloseCode, Config, Message};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => demonstrate(),
        ["--port", port] => {
            let listener = TcpListener::bind(("127.0.0.1", port.parse()?))?;
            println!("echoing at ws://{}/", listener.local_addr()?);
            for tcp in listener.incoming() {
                let tcp = tcp?;
                // A connection that ends badly is its own affair.
                thread::spawn(move || serve(tcp).map_err(|error| eprintln!("{error}")));
            }
            Ok(())
        }
        _ => Err("usage: sans_io [--port PORT]".into()),
    }
}

/// A server for one connection, and a client that says a few things to it.
fn demonstrate() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let uri = format!("ws://{}/echo", listener.local_addr()?);
    let server = thread::spawn(move || serve(listener.accept()?.0));

    let mut client = connect(&uri)?;
    for message in
        [Message::text("hello"), Message::binary(vec![1, 2, 3]), Message::text("x".repeat(100_000))]
    {
        client.connection.send(&message)?;
        // Nothing has been written yet: `receive` writes before it reads.
        match client.receive()? {
            Some(echo) if echo == message => println!("echoed: {} octets", echo.payload().len()),
            other => return Err(format!("not an echo: {other:?}").into()),
        }
    }
    // The Pong is no message; `receive` prints it on the way to the next one.
    client.connection.ping(b"are you there?")?;
    client.connection.close(&CloseFrame::new(CloseCode::NORMAL, "that is all")?)?;
    while client.receive()?.is_some() {}

    println!("client: {:#?}", client.report()?);
    println!("server: {:#?}", server.join().map_err(|_| "the server panicked")??);
    Ok(())
}

/// Accepts a WebSocket and echoes what it receives.
fn serve(mut tcp: TcpStream) -> Result<CloseReport> {
    let unread = answer_handshake(&mut tcp)?;
    let mut driver = Driver::new(tcp, Connection::server(&Config::default()), unread);
    while let Some(message) = driver.receive()? {
        // Queues only. The echoes of all messages that came with one read leave with one write.
        driver.connection.send(message)?;
    }
    driver.report()
}

/// The server's half of the opening handshake. Returns what was read behind the request: the client's first frames.
///
/// The handshake is a pure function too, of headers that some HTTP server has parsed, and here `HeadReader` has. A
/// program for the open internet also needs a deadline here: a client may send an octet a minute.
fn answer_handshake(tcp: &mut TcpStream) -> Result<Vec<u8>> {
    let mut reader = HeadReader::new(HeadLimits::default());
    let mut buffer = Vec::new();
    let judged = loop {
        match reader.request(&buffer) {
            Ok(Some((head, len))) => {
                break accept(&head.as_request(), &ServerOptions::new()).map(|acceptance| (acceptance, len));
            }
            Ok(None) => read_more(tcp, &mut buffer)?,
            Err(error) => break Err(Refusal::from(error)),
        }
    };
    match judged {
        Ok((acceptance, len)) => {
            tcp.write_all(&acceptance.to_bytes())?;
            Ok(buffer.split_off(len))
        }
        Err(refusal) => {
            tcp.write_all(&refusal.to_bytes())?;
            Err(refusal.into())
        }
    }
}

/// Connects and does the client's half of the opening handshake.
fn connect(uri: &str) -> Result<Driver> {
    let request = ClientRequest::new(uri)?;
    let mut tcp = TcpStream::connect((request.host(), request.port()))?;
    let key = Key::generate()?;
    tcp.write_all(&request.encode(&key))?;

    let mut reader = HeadReader::new(HeadLimits::default());
    let mut buffer = Vec::new();
    let len = loop {
        if let Some((head, len)) = reader.response(&buffer)? {
            request.check(&key, &head.as_response())?;
            break len;
        }
        read_more(&mut tcp, &mut buffer)?;
    };
    // A client masks what it sends with unpredictable keys. The core has no randomness either: it is given some.
    let connection = Connection::client(&Config::default(), KeySource::operating_system());
    Ok(Driver::new(tcp, connection, buffer.split_off(len)))
}

fn read_more(tcp: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<()> {
    let mut octets = [0; 1024];
    match tcp.read(&mut octets)? {
        0 => Err("the peer went away in the opening handshake".into()),
        len => {
            buffer.extend_from_slice(&octets[..len]);
            Ok(())
        }
    }
}

/// A connection, and all that it does not have itself: a transport, a read buffer and a clock.
struct Driver {
    connection: Connection,
    tcp: TcpStream,
    /// What was read, and where in it the octets lie that `connection` has not consumed.
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// `Timestamp`s count from here. Any moment will do that stays the same.
    origin: Instant,
    /// The last read ended without anything.
    was_dry: bool,
    /// Why the transport failed: the core only hears that it did.
    error: Option<io::Error>,
}

impl Driver {
    /// `unread` is what came behind the handshake. It is input like any other, and must not be lost.
    fn new(tcp: TcpStream, connection: Connection, unread: Vec<u8>) -> Self {
        let end = unread.len();
        let origin = Instant::now();
        Self { connection, tcp, buffer: unread, start: 0, end, origin, was_dry: false, error: None }
    }

    /// The next message; `None` when the closing handshake is done.
    ///
    /// Every turn of the loop asks the core where it stands. Nothing is remembered here about the protocol.
    fn receive(&mut self) -> Result<Option<Message>> {
        loop {
            // Deadlines first: a peer that always has something to read must not keep them from being looked at.
            self.tell_the_time()?;
            match self.connection.phase() {
                TransportPhase::ReadWrite => {
                    if let Some(message) = self.next_message() {
                        return Ok(Some(message));
                    }
                    // Before every read: what the peer waits for may be in the queue.
                    let was_full = self.connection.is_full();
                    self.write();
                    // Not if input was left alone: it comes first. Nor if the peer's Close was in it.
                    if !was_full && self.connection.phase() == TransportPhase::ReadWrite {
                        self.read();
                    }
                }
                // The last frames, a Close among them, have to leave. A driver that can wait for both also reads, and
                // discards, so that a peer that is itself writing comes to read; here the close timeout ends such a wait.
                TransportPhase::Flush => self.write(),
                TransportPhase::ShutDown => {
                    let ended = self.tcp.shutdown(Shutdown::Write);
                    match ended {
                        Ok(()) => self.connection.write_side_shut_down(),
                        Err(error) => self.fail(error),
                    }
                }
                // A transport that is dropped with octets unread resets, and a reset can destroy what the peer has not
                // read yet, such as our Close. So what still comes is read, within limits that the core keeps.
                TransportPhase::Discard => self.read(),
                TransportPhase::Drop => {
                    return match self.connection.failure() {
                        None => Ok(None),
                        Some(failure) => Err(self.error.take().map_or(failure.into(), Into::into)),
                    };
                }
            }
        }
    }

    /// Offers the input to the core until there is a message; `None` when it takes more to get one.
    ///
    /// Above the high-water mark input is left alone until output has left: a peer that sends and never reads fills no
    /// memory.
    fn next_message(&mut self) -> Option<Message> {
        while !self.connection.is_full() {
            let input = &mut self.buffer[self.start..self.end];
            // An error is the failure of the connection. Its Close frame is queued, and the phase is another: go on with
            // that and return the error at the end, when the peer has been told.
            let received = self.connection.receive(input).ok()?;
            self.start += received.consumed;
            let located = received.event?;
            // Pings are answered already, and a Close too: the answers are in the queue.
            if let Event::Pong(payload) = self.connection.event(located, input) {
                println!("Pong: {}", String::from_utf8_lossy(payload));
            }
            // The location is good for the input that was given to `receive`. This makes a message with a payload of its
            // own; a driver that lends messages uses `event` instead, and copies nothing.
            if let Some(message) = self.connection.take(located, input) {
                return Some(message);
            }
        }
        None
    }

    /// Reads once. Also in the phase `Discard`, in which octets are counted and not looked at.
    fn read(&mut self) {
        // At most 13 octets are left, the beginning of a header. Payloads never wait here to become whole: the core takes
        // what there is of them, so this buffer bounds no message.
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        self.buffer.resize(BUFFER_LEN.max(self.end + 1), 0);
        match self.tcp.read(&mut self.buffer[self.end..]) {
            // In the middle of a frame or between two: what it means is the core's to say.
            Ok(0) => self.connection.end_of_stream(),
            Ok(len) if self.connection.phase() == TransportPhase::Discard => self.connection.discarded(len),
            Ok(len) => self.end += len,
            Err(error) => {
                self.was_dry = true;
                self.fail(error);
            }
        }
    }

    /// Writes what is queued. A transport may take less than it is offered: the rest is offered again.
    fn write(&mut self) {
        while self.connection.queued() > 0 {
            // Large payloads stay where they are, so there can be several slices: one system call takes them all.
            let mut slices = [&[][..]; 16];
            let filled = self.connection.slices(&mut slices);
            let slices = slices.map(IoSlice::new);
            match self.tcp.write_vectored(&slices[..filled]) {
                Ok(0) => return self.fail(ErrorKind::WriteZero.into()),
                Ok(len) => self.connection.advance(len),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return self.fail(error),
            }
        }
    }

    /// Does what is due, and makes the next read or write return when something is.
    fn tell_the_time(&mut self) -> io::Result<()> {
        let was_dry = mem::take(&mut self.was_dry);
        while let Some(deadline) = self.connection.next_deadline() {
            let now = self.origin.elapsed();
            match deadline.since_origin().checked_sub(now) {
                // A deadline in the past, or the origin, which means at once: the core has begun to wait for something and
                // wants to know since when. It judges the peer by what has been read, and so has to know whether that is
                // all: a program that was busy for a minute may find the Pong that it missed.
                None | Some(Duration::ZERO) => {
                    let now = Timestamp::from_origin(now);
                    if was_dry {
                        self.connection.handle_timeout(now);
                    } else {
                        self.connection.handle_timeout_while_busy(now);
                    }
                }
                Some(left) => {
                    self.tcp.set_read_timeout(Some(left))?;
                    return self.tcp.set_write_timeout(Some(left));
                }
            }
        }
        Ok(())
    }

    fn fail(&mut self, error: io::Error) {
        match error.kind() {
            // A deadline has come, or a signal: no failure. The loop looks at the clock and tries again.
            ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted => {}
            _ => {
                self.connection.transport_failed();
                self.error = Some(error);
            }
        }
    }

    fn report(&self) -> Result<CloseReport> {
        self.connection.close_report().ok_or_else(|| "the connection has not ended".into())
    }
}

const BUFFER_LEN: usize = 16 << 10;
