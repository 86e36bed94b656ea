//! Reading and writing by a deadline, before there is a connection: RFC 6455 §4.

use std::io::{self, IoSlice};
use std::time::Duration;

use super::bounded::{Bounded, Patience, Stop};
use super::transport::Transport;
use crate::transport_error::{AcceptError, ConnectError};

/// Why a step of the opening handshake was not done.
#[derive(Debug)]
pub(super) enum Interruption {
    Timeout,
    Io(io::Error),
}

/// Takes a step, within what is left of the time: a peer that sends one octet at a time gets no more of it.
pub(super) fn in_time<S: Transport, T>(
    io: &mut Bounded<S>,
    patience: Patience,
    mut step: impl FnMut(&mut Bounded<S>) -> Result<T, Stop>,
) -> Result<T, Interruption> {
    loop {
        let left = patience.left().ok_or(Interruption::Timeout)?;
        // A transport that cannot be bounded waits as long as it will, and is looked at in between.
        let _ = io.wait_at_most(left);
        match step(io) {
            Ok(done) => return Ok(done),
            Err(Stop::Again) => {}
            Err(Stop::WouldBlock(error) | Stop::Failed(error)) => return Err(Interruption::Io(error)),
        }
    }
}

/// Reads once, behind what is in the buffer. Zero is the end of the stream.
pub(super) fn read_more<S: Transport>(
    io: &mut Bounded<S>,
    patience: Patience,
    buffer: &mut Vec<u8>,
) -> Result<usize, Interruption> {
    let mut octets = [0; READ_LEN];
    let len = in_time(io, patience, |io| io.read(&mut octets))?;
    buffer.extend_from_slice(&octets[..len]);
    Ok(len)
}

/// Writes everything, and flushes it.
pub(super) fn write_all<S: Transport>(
    io: &mut Bounded<S>,
    patience: Patience,
    octets: &[u8],
) -> Result<(), Interruption> {
    let mut rest = octets;
    while !rest.is_empty() {
        let written = in_time(io, patience, |io| io.write(&[IoSlice::new(rest)]))?;
        rest = &rest[written..];
    }
    in_time(io, patience, Bounded::flush)
}

impl From<Interruption> for AcceptError {
    fn from(interruption: Interruption) -> Self {
        match interruption {
            Interruption::Timeout => Self::Timeout,
            Interruption::Io(error) => Self::Io(error),
        }
    }
}

impl From<Interruption> for ConnectError {
    fn from(interruption: Interruption) -> Self {
        match interruption {
            Interruption::Timeout => Self::Timeout,
            Interruption::Io(error) => Self::Io(error),
        }
    }
}

impl From<Interruption> for io::Error {
    fn from(interruption: Interruption) -> Self {
        match interruption {
            Interruption::Timeout => io::ErrorKind::TimedOut.into(),
            Interruption::Io(error) => error,
        }
    }
}

/// How long a handshake may take, when nobody says otherwise.
pub(super) const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// How much of a handshake is read at once.
const READ_LEN: usize = 4 << 10;
