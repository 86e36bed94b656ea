//! The server's end of a connection, as each crate offers it.

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};

use crate::transport::Transport;
use crate::zlib::{Compressor, Decompressor, LONGEST_MESSAGE};

/// One connection.
pub(crate) trait Endpoint {
    /// Receives a message and shows it; waits for ever when none arrives.
    async fn receive(&mut self, show: impl FnOnce(&[u8]));

    /// Sends a message and has it written.
    async fn send(&mut self, message: &Bytes, is_text: bool);
}

impl Endpoint for sansocket::stream::WebSocket<Transport> {
    async fn receive(&mut self, show: impl FnOnce(&[u8])) {
        show(self.receive().await.expect("an open connection").expect("a message").payload());
    }

    async fn send(&mut self, message: &Bytes, is_text: bool) {
        let sent = if is_text {
            let text = std::str::from_utf8(message).expect("text");
            self.send(text).await
        } else {
            self.send(message).await
        };
        sent.expect("it is sent");
    }
}

impl Endpoint for yawc::WebSocket<Transport> {
    async fn receive(&mut self, show: impl FnOnce(&[u8])) {
        show(self.next_frame().await.expect("a message").payload());
    }

    async fn send(&mut self, message: &Bytes, is_text: bool) {
        let frame = if is_text { yawc::Frame::text } else { yawc::Frame::binary };
        SinkExt::send(self, frame(message.clone())).await.expect("it is sent");
    }
}

impl Endpoint for sockudo_ws::CompressedWebSocketStream<Transport> {
    async fn receive(&mut self, show: impl FnOnce(&[u8])) {
        match self.next().await.expect("an open connection").expect("a message") {
            sockudo_ws::Message::Text(payload) | sockudo_ws::Message::Binary(payload) => show(&payload),
            other => panic!("no message: {other:?}"),
        }
    }

    async fn send(&mut self, message: &Bytes, is_text: bool) {
        let of = if is_text { sockudo_ws::Message::Text } else { sockudo_ws::Message::Binary };
        SinkExt::send(self, of(message.clone())).await.expect("it is sent");
    }
}

/// No WebSocket: the two states of zlib-rs, over the same transport, without masks and without headers that are read. The
/// least that the work costs with states of its own.
pub(crate) struct Bound {
    pub(crate) transport: Transport,
    pub(crate) compressor: Compressor,
    pub(crate) decompressor: Decompressor,
    pub(crate) read: Vec<u8>,
    pub(crate) buffer: Vec<u8>,
}

impl Endpoint for Bound {
    async fn receive(&mut self, show: impl FnOnce(&[u8])) {
        use tokio::io::AsyncReadExt;
        self.read.resize(LONGEST_MESSAGE, 0);
        let read = self.transport.read(&mut self.read).await.expect("a transport in memory");
        self.buffer.resize(LONGEST_MESSAGE, 0);
        let len = self.decompressor.decompress(&self.read[..read], &mut self.buffer);
        show(&self.buffer[..len]);
    }

    async fn send(&mut self, message: &Bytes, _: bool) {
        use tokio::io::AsyncWriteExt;
        self.compressor.compress(message, &mut self.buffer);
        self.transport.write_all(&self.buffer).await.expect("a transport in memory");
    }
}
