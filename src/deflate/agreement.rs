//! What the opening handshake agreed on, for each direction: RFC 7692 §7.1.

use super::config::{DeflateConfig, MAX_WINDOW_BITS};
use crate::role::Role;

/// What the two ends agreed on: a plain value to carry from the opening handshake to the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Agreement {
    server: Direction,
    client: Direction,
    config: DeflateConfig,
}

/// What binds one end when it compresses, and tells the other how much it has to remember.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Direction {
    /// The window as a power of two, 8 to 15. More is taken as 15.
    pub max_window_bits: u8,
    /// Whether a message may refer to the messages before it.
    pub context_takeover: bool,
}

impl Direction {
    /// Without parameters in the handshake: a window of 32 KiB, kept from message to message.
    pub const UNLIMITED: Self = Self { max_window_bits: MAX_WINDOW_BITS, context_takeover: true };
}

impl Agreement {
    /// What a handshake agreed on that this crate has not made: on what the server and what the client sends. `config`
    /// says how this end compresses.
    #[must_use]
    pub const fn new(config: DeflateConfig, server: Direction, client: Direction) -> Self {
        Self { server, client, config }
    }

    /// What the server keeps to: `server_max_window_bits`, `server_no_context_takeover`.
    #[must_use]
    pub const fn server(&self) -> Direction {
        self.server
    }

    /// What the client keeps to: `client_max_window_bits`, `client_no_context_takeover`.
    #[must_use]
    pub const fn client(&self) -> Direction {
        self.client
    }

    /// How this end compresses.
    #[must_use]
    pub const fn config(&self) -> DeflateConfig {
        self.config
    }

    /// What binds the end in this role when it compresses. The one place where roles turn into prefixes.
    pub(crate) const fn sent_by(&self, role: Role) -> Direction {
        match role {
            Role::Server => self.server,
            Role::Client => self.client,
        }
    }
}
