//! The usual message, and the futures that are ready at once when there is one.

use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::coop::RestoreOnPending;

use super::{Error, WebSocket};
use crate::connection::{Message, MessageKind};
use crate::error::SendError;

/// Whether the usual message was next.
pub(super) enum Usual {
    Message(MessageKind),
    Other,
    Pending,
}

/// The future of [`WebSocket::receive`].
pub(super) struct Receive<'a, S> {
    pub(super) socket: &'a mut WebSocket<S>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Future for Receive<'_, S> {
    type Output = Result<Option<Message>, Error>;

    #[inline(always)]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.get_mut().socket.poll_receive(cx)
    }
}

/// The future of [`WebSocket::feed`]: back-pressure.
pub(super) struct Feed<'a, S> {
    pub(super) socket: &'a mut WebSocket<S>,
    /// Why the message was not queued.
    pub(super) refused: Option<SendError>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Future for Feed<'_, S> {
    type Output = Result<(), Error>;

    #[inline(always)]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { socket, refused } = self.get_mut();
        if let Some(error) = refused.take() {
            return Poll::Ready(Err(socket.transport.refused(error, &socket.outbox)));
        }
        if !socket.outbox.is_full() {
            return Poll::Ready(Ok(()));
        }
        socket.poll_room(cx)
    }
}

/// Spends a unit of the scheduler's budget.
#[inline]
pub(super) fn spend(budget: RestoreOnPending) {
    budget.made_progress();
    // Nothing is left for it to do, and to say so costs a call.
    mem::forget(budget);
}
