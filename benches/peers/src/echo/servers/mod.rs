//! The servers that are compared, by name.

mod ideal;
mod peers;
mod raw;
mod sansocket;

use std::sync::atomic::{AtomicU64, Ordering};

pub(crate) use self::peers::wtx;
use ::peers::streams::Ended;

use crate::transport::Any;

/// One row of the tables.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Server {
    RawShared,
    Raw,
    Ideal,
    SansocketLending,
    SansocketOwned,
    SansocketStream,
    SansocketSplit,
    SockudoWs,
    TokioWebsockets,
    Yawc,
    TokioTungstenite,
    TokioTungsteniteSmall,
    Fastwebsockets,
    WebSocket,
    Wtx,
    Soketto,
}

impl Server {
    pub(crate) const ALL: [Self; 16] = [
        Self::RawShared,
        Self::Raw,
        Self::Ideal,
        Self::SansocketLending,
        Self::SansocketOwned,
        Self::SansocketStream,
        Self::SansocketSplit,
        Self::SockudoWs,
        Self::TokioWebsockets,
        Self::Yawc,
        Self::TokioTungstenite,
        Self::TokioTungsteniteSmall,
        Self::Fastwebsockets,
        Self::WebSocket,
        Self::Wtx,
        Self::Soketto,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::RawShared => "raw-shared",
            Self::Raw => "raw",
            Self::Ideal => "ideal",
            Self::SansocketLending => "sansocket-lending",
            Self::SansocketOwned => "sansocket-owned",
            Self::SansocketStream => "sansocket-stream",
            Self::SansocketSplit => "sansocket-split",
            Self::SockudoWs => "sockudo-ws",
            Self::TokioWebsockets => "tokio-websockets",
            Self::Yawc => "yawc",
            Self::TokioTungstenite => "tokio-tungstenite",
            Self::TokioTungsteniteSmall => "tokio-tungstenite-16k",
            Self::Fastwebsockets => "fastwebsockets",
            Self::WebSocket => "web-socket",
            Self::Wtx => "wtx",
            Self::Soketto => "soketto",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|server| server.name() == name)
    }

    /// What was chosen, for the table of settings.
    pub(crate) fn settings(self) -> &'static str {
        match self {
            Self::RawShared => "no WebSocket: one buffer of 256 KiB for the thread, octets sent back unseen",
            Self::Raw => "no WebSocket: a buffer of 64 KiB for each connection, octets sent back unseen",
            Self::Ideal => {
                "written by hand for this echo alone: one buffer for the thread, one write per read"
            }
            Self::SansocketLending => "`receive_ref`, `outgoing.feed(message)`",
            Self::SansocketOwned => "`receive`, `feed`",
            Self::SansocketStream => "`Stream` and `Sink`, flushed when nothing is ready",
            Self::SansocketSplit => "`split`, both halves in one task: `receive`, `sender.feed`",
            Self::SockudoWs => {
                "`Stream` and `Sink`, flushed when nothing is ready; no pings, no idle timeout"
            }
            Self::TokioWebsockets => {
                "`Stream` and `Sink`, what is ready taken before it is answered; `flush_threshold` 256 KiB, unlimited frame \
                 size"
            }
            Self::Yawc => {
                "`Stream` and `Sink`, flushed when nothing is ready; read buffer 128 KiB, backpressure boundary 64 KiB, \
                 UTF-8 checked"
            }
            Self::TokioTungstenite => {
                "`Stream` and `Sink`, flushed when nothing is ready; buffers of 128 KiB (its default)"
            }
            Self::TokioTungsteniteSmall => "the same, with a read buffer of 16 KiB",
            Self::Fastwebsockets => {
                "`FragmentCollector`, unconstrained, as in its example; a write per message"
            }
            Self::WebSocket => "over a `BufReader`; a write per message",
            Self::Wtx => "`WebSocketPayloadOrigin::Adaptive`; a write per message",
            Self::Soketto => "`receive_data`, `send_binary_mut`, a flush per message",
        }
    }

    /// No WebSocket is spoken: what comes back is what was sent, mask and all.
    pub(crate) fn is_raw(self) -> bool {
        matches!(self, Self::RawShared | Self::Raw)
    }

    pub(crate) fn is_ours(self) -> bool {
        self.name().starts_with("sansocket")
    }

    /// Another crate, to be compared with.
    pub(crate) fn is_peer(self) -> bool {
        !self.is_ours() && !self.is_raw() && self != Self::Ideal
    }

    /// A task that sends every message back until the connection ends, which some crates call an error.
    pub(crate) fn spawn<S: Any>(self, stream: S) {
        // Each a task of its own type: what it holds is what this server's future holds, and nothing of the others.
        match self {
            Self::RawShared => spawn(raw::shared(stream)),
            Self::Raw => spawn(raw::own(stream)),
            Self::Ideal => spawn(ideal::echo(stream)),
            Self::SansocketLending => spawn(sansocket::lending(stream)),
            Self::SansocketOwned => spawn(sansocket::owned(stream)),
            Self::SansocketStream => spawn(sansocket::stream(stream)),
            Self::SansocketSplit => spawn(sansocket::split(stream)),
            Self::SockudoWs => spawn(peers::sockudo_ws(stream)),
            Self::TokioWebsockets => spawn(peers::tokio_websockets(stream)),
            Self::Yawc => spawn(peers::yawc(stream)),
            Self::TokioTungstenite => spawn(peers::tokio_tungstenite(stream, 128 << 10)),
            Self::TokioTungsteniteSmall => spawn(peers::tokio_tungstenite(stream, 16 << 10)),
            Self::Fastwebsockets => spawn(peers::fastwebsockets(stream)),
            Self::WebSocket => spawn(peers::web_socket(stream)),
            Self::Wtx => stream.spawn_wtx(),
            Self::Soketto => spawn(peers::soketto(stream)),
        }
    }
}

pub(crate) fn spawn(future: impl Future<Output = Ended> + Send + 'static) {
    FUTURE_LEN.store(size_of_val(&future) as u64, Ordering::Relaxed);
    tokio::spawn(future);
}

/// The size of this process's futures: all are of one type.
static FUTURE_LEN: AtomicU64 = AtomicU64::new(0);

/// Octets of the future that each connection's task consists of, once there is one.
pub(crate) fn future_len() -> u64 {
    FUTURE_LEN.load(Ordering::Relaxed)
}
