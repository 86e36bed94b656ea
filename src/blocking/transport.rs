//! What a blocking transport has to do beside reading and writing.

use std::io::{self, IoSlice, Read, Write};
use std::net::{Shutdown, TcpStream};
#[cfg(unix)]
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// A transport that blocks: reads, writes, ends its writing side, and can be told how long to wait.
///
/// [`TcpStream`] and `UnixStream` are transports. Anything else that reads and writes becomes one inside
/// [`Plain`], without deadlines, or by an implementation of its own; a TLS stream's hands `shutdown_write` on to its
/// `close_notify` first and everything here to the socket under it.
pub trait Transport: Read + Write {
    /// Ends the writing side: the peer reads the end of the stream and can still write. Over TCP this sends FIN, over
    /// TLS `close_notify` before it.
    ///
    /// # Errors
    ///
    /// When that cannot be done: the transport is then dropped instead.
    fn shutdown_write(&mut self) -> io::Result<()>;

    /// How long one read and one write wait.
    ///
    /// # Errors
    ///
    /// When the transport cannot tell: then it is not told either, and deadlines do not end its waits.
    fn timeouts(&self) -> io::Result<Timeouts>;

    /// Says how long one read and one write wait, before they fail with [`WouldBlock`](io::ErrorKind::WouldBlock) or
    /// [`TimedOut`](io::ErrorKind::TimedOut).
    ///
    /// # Errors
    ///
    /// When the transport cannot do that.
    fn set_timeouts(&mut self, timeouts: Timeouts) -> io::Result<()>;
}

/// How long one read and one write of a transport wait; `None` is for as long as it takes. No wait is zero long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Timeouts {
    /// How long one read waits.
    pub read: Option<Duration>,
    /// How long one write waits.
    pub write: Option<Duration>,
}

macro_rules! socket_transport {
    ($socket:ty) => {
        impl Transport for $socket {
            fn shutdown_write(&mut self) -> io::Result<()> {
                self.shutdown(Shutdown::Write)
            }

            fn timeouts(&self) -> io::Result<Timeouts> {
                Ok(Timeouts { read: self.read_timeout()?, write: self.write_timeout()? })
            }

            fn set_timeouts(&mut self, timeouts: Timeouts) -> io::Result<()> {
                self.set_read_timeout(timeouts.read)?;
                self.set_write_timeout(timeouts.write)
            }
        }
    };
}

socket_transport!(TcpStream);
#[cfg(unix)]
socket_transport!(UnixStream);

impl<T: Transport + ?Sized> Transport for Box<T> {
    fn shutdown_write(&mut self) -> io::Result<()> {
        (**self).shutdown_write()
    }

    fn timeouts(&self) -> io::Result<Timeouts> {
        (**self).timeouts()
    }

    fn set_timeouts(&mut self, timeouts: Timeouts) -> io::Result<()> {
        (**self).set_timeouts(timeouts)
    }
}

/// Anything that reads and writes, as a transport that can do no more than that.
///
/// Its writing side ends when it is dropped, so a closing handshake ends with dropping it. Nothing bounds its waits: a
/// peer that falls silent holds the caller for ever, whatever [`Config::close_timeout`](crate::Config::close_timeout)
/// says, unless reads and writes time out by themselves.
#[derive(Debug, Clone, Copy, Default)]
pub struct Plain<S>(pub S);

impl<S: Read> Read for Plain<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl<S: Write> Write for Plain<S> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0.write(octets)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.write_vectored(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl<S: Read + Write> Transport for Plain<S> {
    fn shutdown_write(&mut self) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn timeouts(&self) -> io::Result<Timeouts> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn set_timeouts(&mut self, _: Timeouts) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
