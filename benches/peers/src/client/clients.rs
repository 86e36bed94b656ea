//! The clients that are compared, each as its documentation recommends for throughput. Each begins with so many messages
//! in flight, and sends another for every reply as long as [`turns::next`] says so.

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::ready;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use peers::frames::Frames;
use peers::streams::{Ended, echo_batches, echo_ready};
use sansocket::Config;
use sansocket::stream::WebSocket;
use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::task::unconstrained;

use crate::turns;

/// What each connection sends.
#[derive(Clone)]
pub(crate) struct Work {
    pub(crate) payload: Bytes,
    pub(crate) in_flight: usize,
    /// The same as prebuilt frames.
    pub(crate) frames: &'static Frames,
}

/// One row of the tables.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Client {
    Raw,
    SansocketLending,
    SansocketOwned,
    SockudoWs,
    TokioWebsockets,
    Yawc,
    TokioTungstenite,
    Fastwebsockets,
    Wtx,
}

impl Client {
    pub(crate) const ALL: [Self; 9] = [
        Self::Raw,
        Self::SansocketLending,
        Self::SansocketOwned,
        Self::SockudoWs,
        Self::TokioWebsockets,
        Self::Yawc,
        Self::TokioTungstenite,
        Self::Fastwebsockets,
        Self::Wtx,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::SansocketLending => "sansocket-lending",
            Self::SansocketOwned => "sansocket-owned",
            Self::SockudoWs => "sockudo-ws",
            Self::TokioWebsockets => "tokio-websockets",
            Self::Yawc => "yawc",
            Self::TokioTungstenite => "tokio-tungstenite",
            Self::Fastwebsockets => "fastwebsockets",
            Self::Wtx => "wtx",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|client| client.name() == name)
    }

    /// Where masking-keys come from, which have to be unpredictable (RFC 6455 §5.3), and what else was chosen.
    pub(crate) fn settings(self) -> [&'static str; 2] {
        match self {
            Self::Raw => ["none: the same frames again and again", "one buffer of 256 KiB for the thread"],
            Self::SansocketLending => [
                "the operating system, fetched for 256 keys at a time",
                "`receive_ref`, `outgoing.feed`: borrowed up to 16 KiB, `Bytes` above",
            ],
            Self::SansocketOwned => {
                ["the operating system, fetched for 256 keys at a time", "`receive`, `feed` of `Bytes`"]
            }
            Self::SockudoWs => [
                "**weak**: `fastrand`, its default, not cryptographic",
                "`Stream` and `Sink`, flushed when nothing is ready; no pings, no idle timeout",
            ],
            Self::TokioWebsockets => [
                "**weak**: `fastrand`, the first its README names (it has no default), not cryptographic",
                "`Stream` and `Sink`, what is ready taken before it is answered; `flush_threshold` 256 KiB, \
                 unlimited frame size",
            ],
            Self::Yawc => [
                "`rand`, ChaCha12 of the thread",
                "`Stream` and `Sink`, flushed when nothing is ready; read buffer 128 KiB, backpressure boundary 64 KiB",
            ],
            Self::TokioTungstenite => [
                "`rand`, ChaCha12 of the thread",
                "`Stream` and `Sink`, flushed when nothing is ready; a read buffer of 16 KiB, which is faster than its default",
            ],
            Self::Fastwebsockets => {
                ["`rand`, ChaCha12 of the thread", "`FragmentCollector`, unconstrained; a write per message"]
            }
            Self::Wtx => [
                "**weak**: `Xorshift64`, as in its examples, not cryptographic",
                "`WebSocketPayloadOrigin::Adaptive`; a write per message",
            ],
        }
    }

    /// A task on this connection; it goes on until it is dropped.
    pub(crate) fn spawn(self, stream: TcpStream, work: Work) {
        match self {
            Self::Raw => spawn(raw(stream, work)),
            Self::SansocketLending => spawn(sansocket_lending(stream, work)),
            Self::SansocketOwned => spawn(sansocket_owned(stream, work)),
            Self::SockudoWs => spawn(sockudo_ws(stream, work)),
            Self::TokioWebsockets => spawn(tokio_websockets(stream, work)),
            Self::Yawc => spawn(yawc(stream, work)),
            Self::TokioTungstenite => spawn(tokio_tungstenite(stream, work)),
            Self::Fastwebsockets => spawn(fastwebsockets(stream, work)),
            Self::Wtx => spawn(wtx(stream, work)),
        }
    }
}

/// # Panics
///
/// The task, if the connection ends by itself: the driver sees that its turns are not taken.
fn spawn(client: impl Future<Output = Ended> + Send + 'static) {
    tokio::spawn(async { panic!("a client ended: {:?}", client.await) });
}

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; 256 << 10]);
}

/// The limit: frames that were made before, and replies that are only counted.
async fn raw(mut stream: TcpStream, work: Work) -> Ended {
    let frames = work.frames;
    let (mut position, mut received) = (0, 0);
    let mut unsent = work.in_flight * frames.sent_len();
    loop {
        while unsent > 0 {
            let written = stream.write(frames.from(position, unsent)).await?;
            position = (position + written) % frames.period;
            unsent -= written;
        }
        let read = poll_fn(|cx| {
            BUFFER.with_borrow_mut(|buffer| {
                let mut read = ReadBuf::new(buffer);
                ready!(Pin::new(&mut stream).poll_read(cx, &mut read))?;
                std::task::Poll::Ready(Ok::<_, std::io::Error>(read.filled().len()))
            })
        });
        let before = received / frames.reply_len();
        received += read.await?;
        for _ in before..received / frames.reply_len() {
            if turns::next(work.payload.len()) {
                unsent += frames.sent_len();
            }
        }
    }
}

async fn sansocket_lending(stream: TcpStream, work: Work) -> Ended {
    let Work { payload, in_flight, .. } = work;
    let mut socket = WebSocket::client(stream, &Config::default().ping_interval(None), Vec::new());
    for _ in 0..in_flight {
        socket.feed(&payload[..]).await?;
    }
    while let Some((message, mut outgoing)) = socket.receive_ref().await? {
        if turns::next(message.payload().len()) {
            // What is large need not be copied.
            if payload.len() > 16 << 10 {
                outgoing.feed(payload.clone())?;
            } else {
                outgoing.feed(&payload[..])?;
            }
        }
    }
    Ok(())
}

async fn sansocket_owned(stream: TcpStream, work: Work) -> Ended {
    let Work { payload, in_flight, .. } = work;
    let mut socket = WebSocket::client(stream, &Config::default().ping_interval(None), Vec::new());
    for _ in 0..in_flight {
        socket.feed(payload.clone()).await?;
    }
    while let Some(message) = socket.receive().await? {
        if turns::next(message.payload().len()) {
            socket.feed(payload.clone()).await?;
        }
    }
    Ok(())
}

async fn sockudo_ws(stream: TcpStream, work: Work) -> Ended {
    use sockudo_ws::{Config, Message, WebSocketStream};
    let Work { payload, in_flight, .. } = work;
    let config = Config::builder().auto_ping(false).idle_timeout(0).build();
    let mut socket = WebSocketStream::client(stream, config);
    for _ in 0..in_flight {
        socket.feed(Message::Binary(payload.clone())).await?;
    }
    socket.flush().await?;
    let next = move |message| match message {
        Message::Binary(octets) => turns::next(octets.len()).then(|| Message::Binary(payload.clone())),
        _ => None,
    };
    echo_ready(socket, next).await
}

async fn tokio_websockets(stream: TcpStream, work: Work) -> Ended {
    use tokio_websockets::{ClientBuilder, Config, Limits, Message};
    let Work { payload, in_flight, .. } = work;
    let mut socket = ClientBuilder::new()
        .config(Config::default().frame_size(usize::MAX).flush_threshold(256 << 10))
        .limits(Limits::unlimited())
        .take_over(stream);
    for _ in 0..in_flight {
        socket.feed(Message::binary(payload.clone())).await?;
    }
    socket.flush().await?;
    let next = move |message: Message| {
        turns::next(message.as_payload().len()).then(|| Message::binary(payload.clone()))
    };
    echo_batches(socket, next, |message| message.as_payload().len()).await
}

async fn yawc(stream: TcpStream, work: Work) -> Ended {
    use yawc::{Frame, Options, Role, WebSocket};
    let Work { payload, in_flight, .. } = work;
    let options = Options::default()
        .without_compression()
        .with_utf8()
        .with_limits(16 << 20, 16 << 20)
        .with_read_buffer_capacity(128 << 10)
        .with_backpressure_boundary(64 << 10);
    let mut socket = WebSocket::from_stream(stream, Role::Client, options)?;
    for _ in 0..in_flight {
        socket.feed(Frame::binary(payload.clone())).await?;
    }
    socket.flush().await?;
    let frames = socket.map(Ok::<_, std::convert::Infallible>);
    let next = move |frame: Frame| turns::next(frame.payload().len()).then(|| Frame::binary(payload.clone()));
    echo_ready(frames, next).await
}

async fn tokio_tungstenite(stream: TcpStream, work: Work) -> Ended {
    use tokio_tungstenite::WebSocketStream;
    use tokio_tungstenite::tungstenite::Message;
    use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
    let Work { payload, in_flight, .. } = work;
    let config = WebSocketConfig::default().read_buffer_size(16 << 10).write_buffer_size(128 << 10);
    let mut socket = WebSocketStream::from_raw_socket(stream, Role::Client, Some(config)).await;
    for _ in 0..in_flight {
        socket.feed(Message::Binary(payload.clone())).await?;
    }
    socket.flush().await?;
    let next = move |message: Message| turns::next(message.len()).then(|| Message::Binary(payload.clone()));
    echo_ready(socket, next).await
}

async fn fastwebsockets(stream: TcpStream, work: Work) -> Ended {
    use fastwebsockets::{FragmentCollector, Frame, Payload, Role, WebSocket};
    let Work { payload, in_flight, .. } = work;
    let mut socket = WebSocket::after_handshake(stream, Role::Client);
    socket.set_writev(true);
    socket.set_auto_close(true);
    socket.set_auto_pong(true);
    let mut socket = FragmentCollector::new(socket);
    unconstrained(async move {
        for _ in 0..in_flight {
            socket.write_frame(Frame::binary(Payload::Borrowed(&payload))).await?;
        }
        loop {
            let frame = socket.read_frame().await?;
            if turns::next(frame.payload.len()) {
                socket.write_frame(Frame::binary(Payload::Borrowed(&payload))).await?;
            }
        }
    })
    .await
}

/// It masks the payload where it lies, so each message is a copy.
async fn wtx(stream: TcpStream, work: Work) -> Ended {
    use wtx::collection::Vector;
    use wtx::rng::{Xorshift64, simple_seed};
    use wtx::web_socket::{Frame, OpCode, WebSocketBuffer, WebSocketOwned, WebSocketPayloadOrigin};
    let Work { payload, in_flight, .. } = work;
    let mut socket: WebSocketOwned<(), Xorshift64, TcpStream, true> =
        WebSocketOwned::new((), false, Xorshift64::from(simple_seed()), stream, WebSocketBuffer::new());
    let mut buffer = Vector::new();
    let mut copy = payload.to_vec();
    let mut at_once = in_flight;
    loop {
        let (mut common, mut reader, mut writer) = socket.split_mut();
        for _ in 0..at_once {
            copy.copy_from_slice(&payload);
            let mut frame = Frame::new_fin(OpCode::Binary, &mut copy[..]);
            writer.write_frame(&mut common, &mut frame).await?;
        }
        let frame = reader.read_frame(&mut buffer, &mut common, WebSocketPayloadOrigin::Adaptive).await?;
        at_once = usize::from(turns::next(frame.payload().len()));
        buffer.clear();
    }
}
