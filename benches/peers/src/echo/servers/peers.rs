//! Other crates, each as its own documentation recommends for throughput; what was chosen stands beside each.

use futures_util::StreamExt;
use peers::streams::{echo_batches, echo_ready};
use tokio::io::BufReader;
use tokio::task::unconstrained;
use tokio_util::compat::TokioAsyncReadCompatExt;

use super::Ended;
use crate::transport::Any;

/// `Config::write_coalescing` is on by default and `feed` is documented for batches. Pings and the idle timeout are off:
/// the others have none in this comparison.
pub(super) fn sockudo_ws<S: Any>(stream: S) -> impl Future<Output = Ended> {
    use sockudo_ws::{Config, Message, WebSocketStream};
    let config = Config::builder().auto_ping(false).idle_timeout(0).build();
    echo_ready(WebSocketStream::server(stream, config), |message| match message {
        Message::Text(_) | Message::Binary(_) => Some(message),
        _ => None,
    })
}

/// Frame size and limits as in its echo example. It flushes by itself past `flush_threshold`, by default 8 KiB: raised to
/// what others write at once. Its example is unconstrained, which is not taken over: it would starve other connections,
/// and the budget costs nothing that can be measured here.
pub(super) fn tokio_websockets<S: Any>(stream: S) -> impl Future<Output = Ended> {
    use tokio_websockets::{Config, Limits, Message, ServerBuilder};
    let socket = ServerBuilder::new()
        .config(Config::default().frame_size(usize::MAX).flush_threshold(256 << 10))
        .limits(Limits::unlimited())
        .serve(stream);
    let reply = |message: Message| (message.is_text() || message.is_binary()).then_some(message);
    echo_batches(socket, reply, |message| message.as_payload().len())
}

/// The options of its own benchmark: a read buffer of 128 KiB, backpressure from 64 KiB on. UTF-8 is checked only when
/// asked for.
pub(super) fn yawc<S: Any>(stream: S) -> impl Future<Output = Ended> {
    use yawc::{Frame, OpCode, Options, Role, WebSocket};
    let options = Options::default()
        .without_compression()
        .with_utf8()
        .with_limits(16 << 20, 16 << 20)
        .with_read_buffer_capacity(128 << 10)
        .with_backpressure_boundary(64 << 10);
    let socket = WebSocket::from_stream(stream, Role::Server, options).expect("these options are right");
    let frames = socket.map(Ok::<_, std::convert::Infallible>);
    echo_ready(frames, |frame: Frame| {
        matches!(frame.opcode(), OpCode::Text | OpCode::Binary).then_some(frame)
    })
}

/// Its documentation advises a read buffer of 128 KiB, the default, for a high load. All of it is filled with zeros before
/// each read, so there is a row with 16 KiB too, which is faster for small messages.
pub(super) async fn tokio_tungstenite<S: Any>(stream: S, read_buffer_len: usize) -> Ended {
    use tokio_tungstenite::WebSocketStream;
    use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
    let config = WebSocketConfig::default().read_buffer_size(read_buffer_len).write_buffer_size(128 << 10);
    let socket = WebSocketStream::from_raw_socket(stream, Role::Server, Some(config)).await;
    echo_ready(socket, |message| (message.is_text() || message.is_binary()).then_some(message)).await
}

/// Its example: messages put together, the task unconstrained. There is no way to put off a write, and reading is not
/// cancel-safe, so bursts cannot be seen.
pub(super) fn fastwebsockets<S: Any>(stream: S) -> impl Future<Output = Ended> {
    use fastwebsockets::{FragmentCollector, OpCode, Role, WebSocket};
    let mut socket = WebSocket::after_handshake(stream, Role::Server);
    socket.set_writev(true);
    socket.set_auto_close(true);
    socket.set_auto_pong(true);
    let mut socket = FragmentCollector::new(socket);
    unconstrained(async move {
        loop {
            let frame = socket.read_frame().await?;
            match frame.opcode {
                OpCode::Close => return Ok(()),
                OpCode::Text | OpCode::Binary => socket.write_frame(frame).await?,
                _ => {}
            }
        }
    })
}

/// It reads two octets at a time, so it wants a `BufReader`; a write takes header and payload at once. It leaves UTF-8 to
/// the application.
pub(super) fn web_socket<S: Any>(stream: S) -> impl Future<Output = Ended> {
    use web_socket::{CloseCode, DataType, Event, MessageType, WebSocket};
    let mut socket = WebSocket::server(BufReader::with_capacity(64 << 10, stream));
    async move {
        loop {
            match socket.recv().await? {
                Event::Data { ty: DataType::Complete(MessageType::Binary), data } => {
                    socket.send(&*data).await?
                }
                Event::Data { ty: DataType::Complete(MessageType::Text), data } => {
                    socket.send(simdutf8::basic::from_utf8(&data)?).await?;
                }
                Event::Ping(payload) => socket.send_pong(payload).await?,
                Event::Pong(_) => {}
                Event::Close { .. } => return Ok(socket.close(()).await?),
                Event::Data { .. } | Event::Error(_) => {
                    return Ok(socket.close(CloseCode::ProtocolError).await?);
                }
            }
        }
    }
}

/// `Adaptive` lends the payload from the buffer that it was read into.
pub(crate) fn wtx<S: wtx::stream::Stream>(stream: S) -> impl Future<Output = Ended> {
    use wtx::collection::Vector;
    use wtx::rng::{Xorshift64, simple_seed};
    use wtx::web_socket::{Frame, OpCode, WebSocketBuffer, WebSocketOwned, WebSocketPayloadOrigin};
    let mut socket: WebSocketOwned<(), Xorshift64, S, false> =
        WebSocketOwned::new((), false, Xorshift64::from(simple_seed()), stream, WebSocketBuffer::new());
    let mut buffer = Vector::new();
    async move {
        loop {
            let (mut common, mut reader, mut writer) = socket.split_mut();
            let mut frame =
                reader.read_frame(&mut buffer, &mut common, WebSocketPayloadOrigin::Adaptive).await?;
            match frame.op_code() {
                OpCode::Binary | OpCode::Text => {
                    let mut reply = Frame::new_fin(frame.op_code(), frame.payload_mut());
                    writer.write_frame(&mut common, &mut reply).await?;
                }
                OpCode::Close => return Ok(()),
                _ => {}
            }
            buffer.clear();
        }
    }
}

/// Reading is not cancel-safe and says nothing about what is to come, so every message is flushed.
pub(super) fn soketto<S: Any>(stream: S) -> impl Future<Output = Ended> {
    use soketto::connection::Builder;
    use soketto::{Data, Mode};
    let (mut sender, mut receiver) = Builder::new(stream.compat(), Mode::Server).finish();
    let mut payload = Vec::new();
    async move {
        loop {
            payload.clear();
            match receiver.receive_data(&mut payload).await? {
                Data::Text(_) => sender.send_text(simdutf8::basic::from_utf8(&payload)?).await?,
                Data::Binary(_) => sender.send_binary_mut(&mut payload).await?,
            }
            sender.flush().await?;
        }
    }
}
