//! What is done with every crate that is a `Stream` and a `Sink`, be it as a server or as a client.

use std::error::Error;
use std::future::poll_fn;

use futures_util::{FutureExt, Sink, SinkExt, Stream, StreamExt};

/// How a connection ends.
pub type Ended = Result<(), Box<dyn Error + Send + Sync>>;

/// The echo for every crate that is a `Stream` and a `Sink`: messages are fed as long as more are ready, and flushed
/// before it waits. That is one write per burst, the most that these traits allow, and what the documentation of all of
/// them recommends for throughput (`feed` instead of `send`).
pub fn echo_ready<W, M, E>(mut socket: W, reply: impl Fn(M) -> Option<M>) -> impl Future<Output = Ended>
where
    W: Stream<Item = Result<M, E>> + Sink<M> + Unpin,
    E: Error + Send + Sync + 'static,
    <W as Sink<M>>::Error: Error + Send + Sync + 'static,
{
    let mut is_flushed = true;
    async move {
        loop {
            let received = poll_fn(|cx| {
                let received = socket.poll_next_unpin(cx);
                if received.is_pending() && !is_flushed && socket.poll_flush_unpin(cx)?.is_ready() {
                    is_flushed = true;
                }
                received.map(Ok::<_, <W as Sink<M>>::Error>)
            });
            let Some(message) = received.await? else { return Ok(()) };
            if let Some(message) = reply(message?) {
                socket.feed(message).await?;
                is_flushed = false;
            }
        }
    }
}

/// The same for a crate that flushes by itself before every message that it is asked for: what is ready is taken first,
/// up to 64 KiB of it, and only then answered.
pub fn echo_batches<W, M, E>(
    mut socket: W,
    reply: impl Fn(M) -> Option<M>,
    len: impl Fn(&M) -> usize,
) -> impl Future<Output = Ended>
where
    W: Stream<Item = Result<M, E>> + Sink<M> + Unpin,
    E: Error + Send + Sync + 'static,
    <W as Sink<M>>::Error: Error + Send + Sync + 'static,
{
    let mut batch = Vec::new();
    async move {
        while let Some(message) = socket.next().await {
            let mut message = Some(message?);
            let mut octets = 0;
            while let Some(received) = message {
                octets += len(&received);
                batch.extend(reply(received));
                message = match octets {
                    0..=0xffff => socket.next().now_or_never().flatten().transpose()?,
                    _ => None,
                };
            }
            for message in batch.drain(..) {
                socket.feed(message).await?;
            }
            socket.flush().await?;
            // A connection that waits shall not hold what was needed for a burst.
            batch = Vec::new();
        }
        Ok(())
    }
}
