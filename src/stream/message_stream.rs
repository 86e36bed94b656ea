//! `Stream` and `Sink` of messages, as thin covers over the poll functions.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::stream::{FusedStream, Stream};
use futures_sink::Sink;
use tokio::io::{AsyncRead, AsyncWrite};

use super::Error;
use super::tasks::Side;
use super::{Receiving, Usual, WebSocket, start_close};
use crate::close_code::CloseCode;
use crate::connection::Message;
use crate::error::SendError;

/// Messages until the closing handshake is done. A failure is yielded once, and then `None`.
///
/// The `Stream` and the `Sink` may be polled by two tasks, as what splits them generically does: each is woken for what it
/// waits for, and sometimes for what the other one does. From then on each pass over the transport costs a lock: the halves
/// of [`split`](WebSocket::split) are faster.
impl<S: AsyncRead + AsyncWrite + Unpin> Stream for WebSocket<S> {
    type Item = Result<Message, Error>;

    #[inline(always)]
    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let socket = self.get_mut();
        if socket.transport.failure_yielded {
            return Poll::Ready(None);
        }
        match socket.poll_usual(cx, Receiving::Owned) {
            Usual::Message(kind) => Poll::Ready(Some(Ok(socket.receive.take(kind)))),
            Usual::Pending => Poll::Pending,
            Usual::Other => {
                let received = ready!(socket.poll_receive_any(cx));
                socket.transport.failure_yielded = received.is_err();
                Poll::Ready(received.transpose())
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> FusedStream for WebSocket<S> {
    fn is_terminated(&self) -> bool {
        let ended_well = self.close_report().is_some_and(|report| report.failure.is_none());
        self.transport.failure_yielded || ended_well
    }
}

/// `poll_close` sends Close 1000 and flushes; the closing handshake ends in the `Stream`.
impl<S: AsyncRead + AsyncWrite + Unpin> Sink<Message> for WebSocket<S> {
    type Error = Error;

    #[inline(always)]
    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let socket = self.get_mut();
        if !socket.outbox.is_full() {
            return Poll::Ready(Ok(()));
        }
        socket.poll_room(cx)
    }

    #[inline(always)]
    fn start_send(self: Pin<&mut Self>, message: Message) -> Result<(), Error> {
        let socket = self.get_mut();
        socket.queue(message.into()).map_err(|error| socket.transport.refused(error, &socket.outbox))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let socket = self.get_mut();
        let until = socket.outbox.output.appended();
        socket.poll_written(cx, until)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let socket = self.get_mut();
        match start_close(&mut socket.outbox, Some(CloseCode::NORMAL), "") {
            // Whoever receives in another task keeps the time of the closing handshake.
            Ok(()) => socket.tasks.wake(Side::Receive, cx.waker()),
            Err(SendError::SendAfterClose | SendError::Closed) => {}
            Err(error) => return Poll::Ready(Err(error.into())),
        }
        let until = socket.outbox.output.appended();
        socket.poll_written(cx, until)
    }
}
