//! What this end wants of permessage-deflate, with its cost: RFC 7692 §7.1, §7.3, §8.

/// How this end compresses, and what it asks of its peer. Given to the opening handshake: without it nothing is
/// offered and nothing is agreed to.
///
/// Compression is asked for, never on by itself: it costs time, and in one context with secrets it tells their length
/// to who can choose what stands beside them (RFC 7692 §8, CRIME). [`Compression`] chooses per message.
///
/// ```
/// use sansocket::deflate::DeflateConfig;
/// use sansocket::handshake::{ClientRequest, ServerOptions};
///
/// let server = ServerOptions::new().deflate(DeflateConfig::default());
/// let client = ClientRequest::new("ws://server.example.com/")?.deflate(DeflateConfig::default().level(1));
/// # Ok::<_, sansocket::handshake::InvalidUri>(())
/// ```
///
/// # What it costs
///
/// Compressing takes place in the call that sends, and is by far the most expensive thing that this crate does: for a
/// message of some hundred octets it takes as long as hundreds of messages that are sent as they are (`benches/deflate.rs`
/// measures it). For large messages that do not get smaller, such as pictures, say [`Compression::Never`].
///
/// An idle connection keeps the last window of each direction, 4 KiB and 4 KiB by default; 32 KiB of what the peer
/// sends when it did not let its window be limited; nothing for a direction without context takeover. The states that
/// compress and decompress, about 175 KiB and 47 KiB, belong to the thread, not to the connection, unless
/// [`States::Dedicated`] is chosen: see there what a thread keeps. While a compressed message is unfinished its connection
/// holds up to 4 KiB of it back, and owns a state that decompresses when more has come (when a thousand of the process do,
/// not before 48 KiB have).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeflateConfig {
    pub(crate) level: u8,
    pub(crate) memory_level: u8,
    pub(crate) send_window_bits: u8,
    pub(crate) receive_window_bits: u8,
    pub(crate) send_context_takeover: bool,
    pub(crate) receive_context_takeover: bool,
    pub(crate) answer_unasked: bool,
    pub(crate) fallback_offer: bool,
    pub(crate) threshold: usize,
    pub(crate) states: States,
}

impl DeflateConfig {
    /// How hard to look for repetitions: 1, fast, to 9, thorough. Default: 6. Zero is taken as one, more than 9 as 9.
    #[must_use]
    pub const fn level(self, level: u8) -> Self {
        Self { level: within(level, 1, 9), ..self }
    }

    /// How much memory a compressing state uses for its blocks: 1, the least, to 9. Default: 6. Zero is taken as one,
    /// more than 9 as 9. More helps messages of more than some ten thousand octets, a little, and slows small ones.
    #[must_use]
    pub const fn memory_level(self, level: u8) -> Self {
        Self { memory_level: within(level, 1, 9), ..self }
    }

    /// The window of what this end sends, as a power of two: 9 to 15. Default: 12, 4 KiB. Less is taken as 9, more
    /// as 15; the peer may limit it further.
    ///
    /// The peer needs not be told: its window is large enough for a smaller one (RFC 7692 §7.1.2.1).
    #[must_use]
    pub const fn send_window_bits(self, bits: u8) -> Self {
        Self { send_window_bits: within(bits, MIN_SEND_WINDOW_BITS, MAX_WINDOW_BITS), ..self }
    }

    /// The window that the peer is asked to keep to, as a power of two: 9 to 15. Default: 12, 4 KiB. Less is taken as
    /// 9, more as 15.
    ///
    /// This much is kept for each connection. A peer cannot be made to: a client that does not offer
    /// `client_max_window_bits` must not be asked, and then up to 32 KiB are kept.
    #[must_use]
    pub const fn receive_window_bits(self, bits: u8) -> Self {
        Self { receive_window_bits: within(bits, MIN_SEND_WINDOW_BITS, MAX_WINDOW_BITS), ..self }
    }

    /// Whether a message may refer to what this end sent before it. Default: `true`. Without, nothing is kept of it,
    /// and small messages compress far less.
    #[must_use]
    pub const fn send_context_takeover(self, takeover: bool) -> Self {
        Self { send_context_takeover: takeover, ..self }
    }

    /// Whether the peer's messages may refer to what it sent before them. Default: `true`. With `false` a client asks
    /// the server for `server_no_context_takeover`; a server answers `client_no_context_takeover` to clients that
    /// named it, and to others only with [`answer_unasked`](Self::answer_unasked).
    #[must_use]
    pub const fn receive_context_takeover(self, takeover: bool) -> Self {
        Self { receive_context_takeover: takeover, ..self }
    }

    /// Whether a server that does not want context takeover tells a client that did not name
    /// `client_no_context_takeover`. Default: `false`. RFC 7692 §7.1.1.2 allows it; some clients fail the connection.
    #[must_use]
    pub const fn answer_unasked(self, answer: bool) -> Self {
        Self { answer_unasked: answer, ..self }
    }

    /// Whether a client offers, behind what it wants, also plain `permessage-deflate; client_max_window_bits`, so that
    /// servers that know fewer parameters can agree. Default: `true`. Without, a server that does not grant what is
    /// asked declines, or the handshake fails.
    #[must_use]
    pub const fn fallback_offer(self, offer: bool) -> Self {
        Self { fallback_offer: offer, ..self }
    }

    /// Messages with less payload than this, in octets, are sent as they are, unless
    /// [`Compression::Always`](super::Compression::Always) asks otherwise. Default: 32.
    #[must_use]
    pub const fn threshold(self, octets: usize) -> Self {
        Self { threshold: octets, ..self }
    }

    /// Where the states that compress and decompress live. Default: [`States::Pooled`].
    #[must_use]
    pub const fn states(self, states: States) -> Self {
        Self { states, ..self }
    }
}

impl Default for DeflateConfig {
    fn default() -> Self {
        Self {
            level: 6,
            memory_level: 6,
            send_window_bits: 12,
            receive_window_bits: 12,
            send_context_takeover: true,
            receive_context_takeover: true,
            answer_unasked: false,
            fallback_offer: true,
            threshold: 32,
            states: States::Pooled,
        }
    }
}

/// Where the states that compress and decompress live between two messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum States {
    /// With the thread: a few of them serve all its connections, and a busy connection finds its own again.
    ///
    /// A thread that has compressed and decompressed keeps up to four states of each kind and 256 KiB of output, about
    /// 1.1 MiB with the defaults, until it ends. That is little for a thread that serves many connections; a server with a
    /// thread for each connection has no use for pools, and pays for a state of each kind with every one.
    #[default]
    Pooled,
    /// With the connection, from its first compressed message on: saves the time to prime a pooled one, about as long as
    /// compressing a small message takes, for about 220 KiB of memory; 335 KiB with
    /// [`send_window_bits`](DeflateConfig::send_window_bits) of 15.
    Dedicated,
}

/// Whether a message is compressed, if the peers have agreed on that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Compression {
    /// Unless it is below [`DeflateConfig::threshold`], or messages before it did not shrink. One that does not shrink
    /// is sent as it is.
    #[default]
    Auto,
    /// Yes, unless it is empty, or the agreed window is too small to compress with.
    Always,
    /// No: for secrets (RFC 7692 §8), and for what is compressed already.
    Never,
}

/// zlib cannot compress with a window of 2^8 octets (and some say 8 and use 9).
pub(crate) const MIN_SEND_WINDOW_BITS: u8 = 9;
/// The largest window that DEFLATE has.
pub(crate) const MAX_WINDOW_BITS: u8 = 15;

const fn within(value: u8, least: u8, most: u8) -> u8 {
    if value < least {
        least
    } else if value > most {
        most
    } else {
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_zlib_does_not_know_is_taken_as_the_nearest_that_it_does() {
        let config = DeflateConfig::default();
        let bits: [fn(DeflateConfig, u8) -> u8; 2] = [
            |config, bits| config.send_window_bits(bits).send_window_bits,
            |config, bits| config.receive_window_bits(bits).receive_window_bits,
        ];
        for bits in bits {
            assert_eq!(
                [0, 8, 9, 12, 15, 16, 255].map(|value| bits(config, value)),
                [9, 9, 9, 12, 15, 15, 15]
            );
        }
        let levels: [fn(DeflateConfig, u8) -> u8; 2] = [
            |config, level| config.level(level).level,
            |config, level| config.memory_level(level).memory_level,
        ];
        for level in levels {
            assert_eq!([0, 1, 6, 9, 10, 255].map(|value| level(config, value)), [1, 1, 6, 9, 9, 9]);
        }
    }
}
