//! The neutral echo: no crate, but one thread with epoll that unmasks what it reads and sends it back.
//!
//! It reads whether or not it can write, so no client can lock up with it, however much it sends before it reads.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::thread;

use peers::cpus;
use peers::frame_header::Header;
use rustix::buffer::spare_capacity;
use rustix::event::epoll;

/// Starts it, on a CPU of its own, for as long as the program runs; returns its port.
pub(crate) fn start() -> io::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = listener.local_addr()?.port();
    thread::spawn(move || serve(&listener).expect("epoll works"));
    Ok(port)
}

fn serve(listener: &TcpListener) -> io::Result<()> {
    cpus::pin_counterpart()?;
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    epoll::add(&epoll, listener, epoll::EventData::new_u64(LISTENER), epoll::EventFlags::IN)?;
    let mut connections: Vec<Option<Connection>> = Vec::new();
    let mut buffer = vec![0; 256 << 10];
    let mut events = Vec::with_capacity(256);
    loop {
        events.clear();
        epoll::wait(&epoll, spare_capacity(&mut events), None)?;
        for event in &events {
            if event.data.u64() == LISTENER {
                accept(listener, &epoll, &mut connections)?;
                continue;
            }
            let connection = &mut connections[event.data.u64() as usize];
            // Where a client has gone there is nobody to tell.
            if connection.as_mut().is_some_and(|connection| connection.echo(&mut buffer).is_err()) {
                *connection = None;
            }
        }
    }
}

const LISTENER: u64 = u64::MAX;

fn accept(
    listener: &TcpListener,
    epoll: &OwnedFd,
    connections: &mut Vec<Option<Connection>>,
) -> io::Result<()> {
    let (stream, _) = listener.accept()?;
    stream.set_nodelay(true)?;
    stream.set_nonblocking(true)?;
    let flags = epoll::EventFlags::IN | epoll::EventFlags::OUT | epoll::EventFlags::ET;
    epoll::add(epoll, &stream, epoll::EventData::new_u64(connections.len() as u64), flags)?;
    connections.push(Some(Connection {
        stream,
        frame: None,
        head: Vec::new(),
        output: Vec::new(),
        written: 0,
    }));
    Ok(())
}

struct Connection {
    stream: TcpStream,
    /// The frame whose payload is under way.
    frame: Option<Header>,
    /// The beginning of a header.
    head: Vec<u8>,
    output: Vec<u8>,
    written: usize,
}

impl Connection {
    /// Reads until nothing is there, and writes after each read.
    fn echo(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        loop {
            self.write()?;
            match self.stream.read(buffer) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => self.take(&mut buffer[..read])?,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    fn write(&mut self) -> io::Result<()> {
        while self.written < self.output.len() {
            match self.stream.write(&self.output[self.written..]) {
                Ok(written) => self.written += written,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        self.output.clear();
        self.written = 0;
        Ok(())
    }

    /// Turns octets of masked frames into octets of replies, however they are cut.
    fn take(&mut self, mut octets: &mut [u8]) -> io::Result<()> {
        while !octets.is_empty() {
            let Some(frame) = &mut self.frame else {
                let before = self.head.len();
                self.head.extend_from_slice(&octets[..octets.len().min(LONGEST_HEADER - before)]);
                let Some(frame) = Header::parse(&self.head)? else { return Ok(()) };
                self.head.clear();
                octets = &mut octets[frame.len - before..];
                let (header, len) = frame.reply();
                self.output.extend_from_slice(&header[..len]);
                self.frame = (frame.payload_len > 0).then_some(frame);
                continue;
            };
            let (payload, behind) = octets.split_at_mut(octets.len().min(frame.payload_len - frame.there));
            frame.unmask(payload, frame.there);
            self.output.extend_from_slice(payload);
            frame.there += payload.len();
            if frame.there == frame.payload_len {
                self.frame = None;
            }
            octets = behind;
        }
        Ok(())
    }
}

/// Of a masked frame.
const LONGEST_HEADER: usize = 14;

#[cfg(test)]
mod tests {
    use super::*;
    use peers::frames::{Frames, Payload, Verify};

    #[test]
    fn replies_are_right_however_frames_are_cut() {
        let payload = Payload { len: 300, is_text: false };
        let frames = Frames::new(payload, 3, false);
        let sent = &frames.sent[..frames.period];
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        for piece in 1..sent.len() {
            let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let mut connection =
                Connection { stream, frame: None, head: Vec::new(), output: Vec::new(), written: 0 };
            for octets in sent.chunks(piece) {
                connection.take(&mut octets.to_vec()).unwrap();
            }
            assert!(connection.output.len() == 3 * frames.reply_len());
            frames.verify(0, &connection.output, Verify::Contents);
            drop(listener.accept().unwrap());
        }
    }
}
