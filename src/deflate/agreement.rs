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
    /// The window as a power of two, 8 to 15. Less is taken as 8, more as 15. With 8 the end that is bound by it sends
    /// its messages as they are, since zlib cannot compress with so small a window.
    pub max_window_bits: u8,
    /// Whether a message may refer to the messages before it.
    pub context_takeover: bool,
}

impl Direction {
    /// Without parameters in the handshake: a window of 32 KiB, kept from message to message.
    pub const UNLIMITED: Self = Self { max_window_bits: MAX_WINDOW_BITS, context_takeover: true };
}

impl Agreement {
    /// What a handshake without parameters agrees on, if this crate has not made it. `config` says how this end
    /// compresses.
    #[must_use]
    pub const fn new(config: DeflateConfig) -> Self {
        Self { server: Direction::UNLIMITED, client: Direction::UNLIMITED, config }
    }

    /// With this for what the server sends.
    #[must_use]
    pub const fn with_server(self, server: Direction) -> Self {
        Self { server, ..self }
    }

    /// With this for what the client sends.
    #[must_use]
    pub const fn with_client(self, client: Direction) -> Self {
        Self { client, ..self }
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
