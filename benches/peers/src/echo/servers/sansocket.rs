//! sansocket, in each way that it offers.

use peers::streams::echo_ready;
use sansocket::Config;
use sansocket::stream::WebSocket;

use super::Ended;
use crate::transport::Any;

fn socket<S>(stream: S) -> WebSocket<S> {
    // The others send no Pings, and the load generator answers none.
    WebSocket::server(stream, &Config::default().ping_interval(None), Vec::new())
}

/// The fastest way by its documentation, and the echo of its example.
pub(super) fn lending<S: Any>(stream: S) -> impl Future<Output = Ended> {
    let mut socket = socket(stream);
    async move {
        while let Some((message, mut outgoing)) = socket.receive_ref().await? {
            outgoing.feed(message)?;
        }
        Ok(())
    }
}

pub(super) fn owned<S: Any>(stream: S) -> impl Future<Output = Ended> {
    let mut socket = socket(stream);
    async move {
        while let Some(message) = socket.receive().await? {
            socket.feed(message).await?;
        }
        Ok(())
    }
}

pub(super) fn stream<S: Any>(stream: S) -> impl Future<Output = Ended> {
    echo_ready(socket(stream), Some)
}

pub(super) fn split<S: Any>(stream: S) -> impl Future<Output = Ended> {
    let (mut receiver, sender) = socket(stream).split();
    async move {
        while let Some(message) = receiver.receive().await? {
            sender.feed(message).await?;
        }
        Ok(())
    }
}
