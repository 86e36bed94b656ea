//! The servers that are compared, by name.

mod ideal;
mod peers;
mod raw;
mod sansocket;

use std::error::Error;

use crate::transport::Any;

type Ended = Result<(), Box<dyn Error + Send + Sync>>;

/// One row of the tables.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Server {
    RawShared,
    Raw,
    Ideal,
    SansocketLending,
    SansocketTaking,
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
    pub(crate) const ALL: [Self; 17] = [
        Self::RawShared,
        Self::Raw,
        Self::Ideal,
        Self::SansocketLending,
        Self::SansocketTaking,
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
            Self::SansocketTaking => "sansocket-taking",
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
            Self::SansocketLending => "`receive_ref`, `outgoing.feed(&message)`",
            Self::SansocketTaking => "the same, with payloads above 16 KiB taken: `message.into_message()`",
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

    /// Sends every message back until the connection ends.
    pub(crate) async fn echo<S: Any>(self, stream: S) -> Ended {
        // Each boxed: a task is as large as the largest of all, and no crate shall pay for another's size.
        match self {
            Self::RawShared => Box::pin(raw::shared(stream)).await,
            Self::Raw => Box::pin(raw::own(stream)).await,
            Self::Ideal => Box::pin(ideal::echo(stream)).await,
            Self::SansocketLending => Box::pin(sansocket::lending(stream)).await,
            Self::SansocketTaking => Box::pin(sansocket::taking(stream)).await,
            Self::SansocketOwned => Box::pin(sansocket::owned(stream)).await,
            Self::SansocketStream => Box::pin(sansocket::stream(stream)).await,
            Self::SansocketSplit => Box::pin(sansocket::split(stream)).await,
            Self::SockudoWs => Box::pin(peers::sockudo_ws(stream)).await,
            Self::TokioWebsockets => Box::pin(peers::tokio_websockets(stream)).await,
            Self::Yawc => Box::pin(peers::yawc(stream)).await,
            Self::TokioTungstenite => Box::pin(peers::tokio_tungstenite(stream, 128 << 10)).await,
            Self::TokioTungsteniteSmall => Box::pin(peers::tokio_tungstenite(stream, 16 << 10)).await,
            Self::Fastwebsockets => Box::pin(peers::fastwebsockets(stream)).await,
            Self::WebSocket => Box::pin(peers::web_socket(stream)).await,
            Self::Wtx => Box::pin(peers::wtx(stream)).await,
            Self::Soketto => Box::pin(peers::soketto(stream)).await,
        }
    }
}
