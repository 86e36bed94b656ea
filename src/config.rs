//! Every limit and every knob, with its default and what it costs.

use core::time::Duration;

#[cfg(feature = "std")]
use crate::budget::Budget;

/// What protects this end from its peer (RFC 6455 §10.4).
///
/// All limits are inclusive, and are checked before anything is allocated: a frame that claims more is refused from
/// its header alone.
///
/// ```
/// use sansocket::Limits;
///
/// let limits = Limits::default().max_message_len(1 << 20).max_frame_len(1 << 20);
/// assert_eq!(Limits::default().message_len(), 16 << 20);
/// assert_eq!(limits.message_len(), 1 << 20);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    max_message_len: usize,
    max_frame_len: usize,
    max_empty_fragments: u32,
}

impl Limits {
    /// The largest message that is received, in octets of payload. Default: 16 MiB.
    ///
    /// A message that is not delivered from the read buffer costs up to this much memory, charged as its octets
    /// arrive. Past it the connection is failed with 1009. Of a compressed message this is what it turns into, which
    /// is looked at as it does; its compressed octets may be eight times as many, and 64 KiB, so that a sender may flush
    /// after every octet. They are not kept.
    #[must_use]
    pub const fn max_message_len(self, octets: usize) -> Self {
        Self { max_message_len: octets, ..self }
    }

    /// The largest frame that is received, in octets of payload as they are on the wire. Default: 16 MiB.
    ///
    /// Past it the connection is failed with 1009.
    #[must_use]
    pub const fn max_frame_len(self, octets: usize) -> Self {
        Self { max_frame_len: octets, ..self }
    }

    /// How many fragments without payload may follow each other in a message. Default: 100,000.
    ///
    /// They cost time and no memory. Past it the connection is failed with 1008.
    #[must_use]
    pub const fn max_empty_fragments(self, fragments: u32) -> Self {
        Self { max_empty_fragments: fragments, ..self }
    }

    /// The largest message that is received, in octets.
    #[must_use]
    pub const fn message_len(&self) -> usize {
        self.max_message_len
    }

    /// How many compressed octets a message may have. What they turn into has a limit of its own: this one is for those that
    /// turn into nothing, and would keep a message open for ever. An octet that is flushed by itself takes eight.
    #[cfg(feature = "deflate")]
    pub(crate) const fn compressed_len(&self) -> usize {
        self.max_message_len.saturating_mul(8).saturating_add(64 << 10)
    }

    /// The largest frame that is received, in octets.
    #[must_use]
    pub const fn frame_len(&self) -> usize {
        self.max_frame_len
    }

    /// How many fragments without payload may follow each other.
    #[must_use]
    pub const fn empty_fragments(&self) -> u32 {
        self.max_empty_fragments
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_message_len: 16 << 20, max_frame_len: 16 << 20, max_empty_fragments: 100_000 }
    }
}

/// How this end behaves: limits, times and sizes.
///
/// Times are kept in milliseconds, rounded up; 49 days and more are for ever.
///
/// ```
/// use core::time::Duration;
/// use sansocket::{Config, Limits};
///
/// let config = Config::default()
///     .limits(Limits::default().max_message_len(64 << 10))
///     .close_timeout(Duration::from_secs(3));
/// # let _ = config;
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    pub(crate) limits: Limits,
    pub(crate) fragment_len: Option<usize>,
    pub(crate) high_water_mark: usize,
    pub(crate) close_timeout: Duration,
    pub(crate) ping_interval: Option<Duration>,
    pub(crate) dead_peer_timeout: Option<Duration>,
    pub(crate) write_timeout: Option<Duration>,
    pub(crate) idle_timeout: Option<Duration>,
    pub(crate) message_timeout: Option<Duration>,
    #[cfg(feature = "std")]
    pub(crate) budget: Option<Budget>,
}

impl Config {
    /// What protects this end from its peer.
    #[must_use]
    pub const fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Splits messages with more payload than this, in octets, into fragments of it. Default: `None`, one frame per
    /// message.
    ///
    /// Fragments let a Pong leave in the middle of a large message (RFC 6455 §5.4). Off by default because some peers
    /// cannot put fragments together. Zero is taken as one.
    #[must_use]
    pub const fn fragment_len(mut self, octets: Option<usize>) -> Self {
        self.fragment_len = octets;
        self
    }

    /// How much output may be queued before senders wait, in octets of frames. Default: 256 KiB, the replies to one full
    /// read.
    ///
    /// The queue never holds more than this, one message above it, and 16 KiB of Pongs. A sender that queues without
    /// waiting gets [`SendError::QueueFull`](crate::SendError::QueueFull). No message is lent above it, since the reply beside a lent
    /// one never waits: then input is left alone, in the core and in `blocking` whatever receives. Zero is taken as one.
    #[must_use]
    pub const fn high_water_mark(mut self, octets: usize) -> Self {
        self.high_water_mark = octets;
        self
    }

    /// How long the closing handshake may take, from the moment this end queues its Close frame. Default: 10 s.
    ///
    /// Past it the transport is dropped. A client waits as long again for a server that has answered with its Close
    /// to close the transport (RFC 6455 §7.1.1).
    #[must_use]
    pub const fn close_timeout(mut self, timeout: Duration) -> Self {
        self.close_timeout = timeout;
        self
    }

    /// How long the peer may be silent before a Ping asks whether it is there (RFC 6455 §5.5.2). Default: 20 s; `None` sends
    /// none, and finds no dead peer.
    ///
    /// ```
    /// # use sansocket::Config;
    /// let quiet = Config::default().ping_interval(None);
    /// # let _ = quiet;
    /// ```
    ///
    /// It leaves when not one octet has come for that long, or up to half as much again: silence is
    /// counted in halves, so that what comes costs no look at the clock. It also keeps relays from taking the connection
    /// for idle. Its payload is [`KEEPALIVE_PAYLOAD`](crate::connection::KEEPALIVE_PAYLOAD), and its Pong is an event like
    /// any other.
    ///
    /// Cost, with the timeouts that are on by default: one timer that comes every half interval, and less than 250 octets
    /// for a connection. In `stream` that timer is tokio's, and so by default the first wait panics on a runtime without
    /// `enable_time`, and outside of any: with this and the [write timeout](Self::write_timeout) set to `None`, and no other
    /// timeout on, no runtime is needed. A time below 2 ms is taken as 2 ms, here and in all timeouts of an open connection.
    #[must_use]
    pub const fn ping_interval(mut self, interval: Option<Duration>) -> Self {
        self.ping_interval = interval;
        self
    }

    /// How long the peer may be silent once [that Ping](Self::ping_interval) was handed to the transport as a whole. Default:
    /// 20 s; `None` waits for ever.
    ///
    /// Any octet shows that it is there, not only the Pong (RFC 6455 §5.5.3). Past it a Close frame with 1011 is
    /// given a second to leave, and the transport is dropped:
    /// [`Failure::DeadPeer`](crate::Failure::DeadPeer). So a peer that is gone is found within one and a half intervals
    /// and this timeout. One that was not read from is not called dead: not while the application is away, nor while
    /// input is left alone above the [high-water mark](Self::high_water_mark).
    ///
    /// Beware of slow links. What was handed to the transport may still lie in the system's send buffer, which can hold
    /// megabytes, and the Ping behind it: at 100 kB/s a Ping behind 4 MB takes 40 s to arrive. A peer that only listens, and
    /// says nothing meanwhile, is then called dead. Where large messages go over such links, set a time in
    /// which a full send buffer arrives, or limit the buffer (`SO_SNDBUF`).
    #[must_use]
    pub const fn dead_peer_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.dead_peer_timeout = timeout;
        self
    }

    /// How long queued octets may wait without the transport taking a single one. Default: 60 s; `None` waits for ever.
    ///
    /// Past it, by up to half as much again, the transport is dropped without a Close frame, which could not
    /// leave either: [`Failure::WriteTimeout`](crate::Failure::WriteTimeout). A slow peer is not meant: any progress
    /// begins the time anew.
    ///
    /// What can be seen is what the transport takes, not what the peer does. A flush that waits counts as nothing taken: how
    /// far it has come nobody can tell, and a peer that reads nothing must not hold the connection by what its transport
    /// keeps. So one that keeps what it takes, as TLS does (rustls up to 64 KiB), has to pass all of it on within the time;
    /// and a system may say that there is room only when a good part of its send buffer is free, which can be megabytes. For
    /// links that take longer than that, set a longer time.
    #[must_use]
    pub const fn write_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.write_timeout = timeout;
        self
    }

    /// How long no message may be received before this end closes the connection with 1001. Default: `None`, for ever.
    ///
    /// Messages count, not octets: Pings and Pongs do not, nor does what this end sends. The closing handshake begins
    /// when none has come for that long, or up to half as much again. The
    /// [report](crate::connection::CloseReport) then says that this end closed, with 1001. Off by default because many applications
    /// have nothing to say for hours. While messages wait to be received, or input is left alone, the time stands still. Where one
    /// may wait to be read, since the peer always has something to read, it takes up to twice as long.
    #[must_use]
    pub const fn idle_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.idle_timeout = timeout;
        self
    }

    /// How long one message may take, from its first header to its last octet. Default: `None`, for ever.
    ///
    /// Past it the connection is failed with 1008:
    /// [`ProtocolError::MessageTimeout`](crate::ProtocolError::MessageTimeout). Off by default because slow links are
    /// legitimate and what an unfinished message costs is bounded by
    /// [`Limits::max_message_len`](Limits::max_message_len); a peer that falls silent in the middle is found by
    /// [`ping_interval`](Self::ping_interval). Set it to no less than what the largest message takes over the slowest link. A
    /// message whose end may wait to be read, since this end reads no faster, gets up to twice the time.
    #[must_use]
    pub const fn message_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.message_timeout = timeout;
        self
    }

    /// What this connection and all others with the same [`Budget`] may hold together. Default: none, each is bounded by
    /// itself alone.
    ///
    /// Counted is the memory of what is not over at once, as octets arrive, never what a header claims: a message that is
    /// put together or decompressed, until it is taken or the next is received; a state that decompresses one that is not
    /// whole; input that was read and is left alone, from the first frame that is whole; messages that a driver has read ahead;
    /// and output, beyond a lent buffer or else 16 KiB; in `stream` that buffer as well, while the transport does not take what
    /// is in it and more than 16 KiB are. A [`Bytes`](bytes::Bytes) that is sent to many connections is counted in full by each.
    /// A message that lies whole in the input, or fits the output buffer, costs no look at the budget, unless this end goes on
    /// to wait for its output with the message not yet received.
    ///
    /// Not counted are the connection itself, with what it keeps when it is idle; a state that compresses, of about 175 KiB,
    /// which a connection has while it compresses a message or its fragments, or always with `States::Dedicated`; and what is
    /// the thread's: spare memory, and buffers that it lends.
    ///
    /// It is leased 16 KiB at a time. Each direction of a connection, and what was read ahead, has no more than that leased
    /// beyond what it holds. All is given back when nothing is held and the connection
    /// [waits for input](crate::connection::Connection::release_buffers), when it fails and when it is dropped.
    ///
    /// Nobody waits for a budget. When nothing is left, who asks fails: to what was received
    /// [`ProtocolError::BudgetExhausted`](crate::ProtocolError::BudgetExhausted), a Close frame with 1013 from a server
    /// and with 1009 from a client; to what is sent
    /// [`SendError::BudgetExhausted`](crate::SendError::BudgetExhausted), with nothing queued and the connection as it was. What a
    /// peer does not take fails the connection too. In `stream` a connection that has failed so, for what it received or for
    /// what it sent, keeps no more for a peer that takes nothing than the frame that has begun to leave, and the Close frame:
    /// all else that was queued is dropped.
    ///
    /// At worst connections hold 17 KiB each beyond the budget, of output: up to 16 KiB are free, and Pongs, Pings of the keepalive
    /// and Close frames always leave. For as long as it takes to move a message to a larger place, both places are there.
    ///
    /// Beside that, in `stream`, a connection has one or two lent buffers of 292 KiB each while it is at work, and keeps them if the
    /// application goes away in the middle of it: with an owned message while another that was read with it has not been received,
    /// with a message that was lent by `receive_ref`, or with fed messages that were not flushed. A program
    /// that may be away for long flushes first, which parks what has not been received and counts it, and takes messages owned; with
    /// the last one of a read its buffer goes back. In `blocking` each connection that has received anything keeps a read buffer of
    /// 64 KiB.
    #[cfg(feature = "std")]
    #[must_use]
    pub fn budget(mut self, budget: Budget) -> Self {
        self.budget = Some(budget);
        self
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            fragment_len: None,
            high_water_mark: 256 << 10,
            close_timeout: Duration::from_secs(10),
            ping_interval: Some(Duration::from_secs(20)),
            dead_peer_timeout: Some(Duration::from_secs(20)),
            write_timeout: Some(Duration::from_secs(60)),
            idle_timeout: None,
            message_timeout: None,
            #[cfg(feature = "std")]
            budget: None,
        }
    }
}

/// After this end has shut down its writing side it discards at most this many octets …
pub(crate) const DRAIN_LEN: u64 = 4 << 20;
/// … for at most this long, and then drops the transport.
pub(crate) const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);
/// What is queued for a peer that seems to be dead is given this long to leave.
pub(crate) const LAST_WORD_TIMEOUT: Duration = Duration::from_secs(1);
/// While less output than this is queued every Ping is answered, in order; above it only the newest waits.
pub(crate) const PONGS_IN_ORDER: usize = 16 << 10;
/// Shared payloads up to this length are copied into the output, larger ones are queued as they are: gathering
/// small ones would cost more than the copy.
pub(crate) const COPY_UP_TO: usize = 16 << 10;
