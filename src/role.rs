//! Which end of the connection this is, and what RFC 6455 makes depend on it.

/// One of the two ends of a WebSocket connection.
///
/// The protocol is the same for both but for who masks and who closes the transport first, so everything in
/// this crate that depends on the end asks one of these methods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// The end that sent the opening handshake.
    Client,
    /// The end that answered it.
    Server,
}

impl Role {
    /// Whether every frame this end sends carries a masking-key (RFC 6455 §5.1).
    #[must_use]
    pub const fn masks_outgoing(self) -> bool {
        matches!(self, Role::Client)
    }

    /// Whether every frame this end receives must carry a masking-key (RFC 6455 §5.1).
    #[must_use]
    pub const fn expects_masked(self) -> bool {
        matches!(self, Role::Server)
    }

    /// Whether this end closes the transport first once both Close frames have passed, so that it is the one
    /// to hold `TIME_WAIT` (RFC 6455 §7.1.1).
    #[must_use]
    pub const fn closes_transport_first(self) -> bool {
        matches!(self, Role::Server)
    }

    /// The other end.
    #[must_use]
    pub const fn peer(self) -> Self {
        match self {
            Role::Client => Role::Server,
            Role::Server => Role::Client,
        }
    }
}
