//! A network that does what a test says, and a peer that does: feature `test-util`.
//!
//! [`pair`] joins two transports in memory, for tokio and for blocking code. The [`Direction`]s between them read in
//! pieces, stall, are late, fill up, are cut, or fail to be written. [`Peer`] is one end of a connection in the hands of
//! a test: it sends octets and [`Frame`]s, right or wrong, and states what it expects.
//!
//! ```
//! use sansocket::blocking::{Error, WebSocket};
//! use sansocket::test_util::{Frame, Peer, block_on};
//! use sansocket::{Config, Role};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (transport, mut client) = Peer::new(Role::Client);
//! let mut server = WebSocket::server(transport.nonblocking(), &Config::default(), Vec::new());
//!
//! // The client vanishes in the middle of a frame.
//! let frame = Frame::text("hello").octets(Role::Client);
//! client.send(&frame[..8]);
//! client.end();
//! assert!(matches!(server.receive(), Err(Error::EndOfStream)));
//! block_on(client.expect_end())?;
//! # Ok(())
//! # }
//! ```
//!
//! Enable the feature for your tests only:
//!
//! ```toml
//! [dev-dependencies]
//! sansocket = { version = "0.1", features = ["test-util"] }
//! ```
//!
//! It is public API like all else here, and follows semantic versioning; what a network can do, and what a peer can
//! expect, may grow in any minor version. The code is not tuned, and octets are copied freely.

mod flow;
mod frame;
mod peer;
mod transport;

use std::{fmt, io};

pub use frame::{Frame, MASKING_KEY};
pub use peer::{Peer, block_on};
pub use transport::{Direction, Transport, pair};

/// How a [`Direction`] is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cut {
    /// The end of the stream.
    End,
    /// Reading fails: [`ConnectionReset`](io::ErrorKind::ConnectionReset) is what a TCP reset looks like.
    Fails(io::ErrorKind),
}

/// Something came that a [`Peer`] did not expect. Printed either way it says both.
#[derive(Clone, PartialEq, Eq)]
pub struct Unexpected {
    expected: String,
    found: String,
}

impl Unexpected {
    fn new(expected: impl fmt::Display, found: impl fmt::Display) -> Self {
        Self { expected: expected.to_string(), found: found.to_string() }
    }
}

impl fmt::Display for Unexpected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {}, and got {}", self.expected, self.found)
    }
}

/// Tests unwrap it.
impl fmt::Debug for Unexpected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Unexpected {}
