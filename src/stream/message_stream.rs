//! `Stream` and `Sink` of messages, as thin covers over the poll functions.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::stream::{FusedStream, Stream};
use futures_sink::Sink;
use tokio::io::{AsyncRead, AsyncWrite};

use super::Error;
use super::WebSocket;
use crate::close_code::CloseCode;
use crate::connection::Message;
use crate::error::SendError;

/// Messages until the closing handshake is done. A failure is yielded once, and then `None`.
impl<S: AsyncRead + AsyncWrite + Unpin> Stream for WebSocket<S> {
    type Item = Result<Message, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let socket = self.get_mut();
        if socket.failure_yielded {
            return Poll::Ready(None);
        }
        Poll::Ready(match ready!(socket.poll_message(cx)) {
            Ok(Some(kind)) => Some(Ok(socket.receive.take(kind))),
            Ok(None) => None,
            Err(error) => {
                socket.failure_yielded = true;
                Some(Err(error))
            }
        })
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> FusedStream for WebSocket<S> {
    fn is_terminated(&self) -> bool {
        let ended_well = self.close_report().is_some_and(|report| report.failure.is_none());
        self.failure_yielded || ended_well
    }
}

/// `poll_close` sends Close 1000 and flushes; the closing handshake ends in the `Stream`.
impl<S: AsyncRead + AsyncWrite + Unpin> Sink<Message> for WebSocket<S> {
    type Error = Error;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.get_mut().poll_room(cx)
    }

    fn start_send(self: Pin<&mut Self>, message: Message) -> Result<(), Error> {
        self.get_mut().queue(message.into())
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let socket = self.get_mut();
        let until = socket.outbox.output.appended();
        socket.poll_written(cx, until)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let socket = self.get_mut();
        match socket.start_close(CloseCode::NORMAL, "") {
            Ok(()) | Err(Error::Send(SendError::SendAfterClose | SendError::Closed)) => {}
            Err(error) => return Poll::Ready(Err(error)),
        }
        let until = socket.outbox.output.appended();
        socket.poll_written(cx, until)
    }
}
