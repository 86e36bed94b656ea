//! Echoes that speak no WebSocket: what the runtime and the kernel cost, and no more than that.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

use super::Ended;

/// As anybody would write it.
pub(super) fn own(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> impl Future<Output = Ended> {
    let mut buffer = vec![0; 64 << 10];
    async move {
        loop {
            let read = stream.read(&mut buffer).await?;
            if read == 0 {
                return Ok(());
            }
            stream.write_all(&buffer[..read]).await?;
        }
    }
}

/// The limit: nothing is looked at, and all connections of the thread use the same buffer, which the caches hold.
pub(super) fn shared(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> impl Future<Output = Ended> {
    let mut rest = Vec::new();
    async move {
        while poll_fn(|cx| poll_echo(&mut stream, cx, &mut rest)).await? {
            stream.write_all(&rest).await?;
            rest = Vec::new();
        }
        Ok(())
    }
}

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; BUFFER_LEN]);
}

const BUFFER_LEN: usize = 256 << 10;

/// Writes what it has read until something is left that the transport does not take, or, with `false`, the end has come.
fn poll_echo(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    cx: &mut Context<'_>,
    rest: &mut Vec<u8>,
) -> Poll<io::Result<bool>> {
    BUFFER.with_borrow_mut(|buffer| {
        loop {
            let mut read = ReadBuf::new(buffer);
            ready!(Pin::new(&mut *stream).poll_read(cx, &mut read))?;
            let mut left = read.filled();
            if left.is_empty() {
                return Poll::Ready(Ok(false));
            }
            while !left.is_empty() {
                match Pin::new(&mut *stream).poll_write(cx, left)? {
                    Poll::Ready(written) => left = &left[written..],
                    Poll::Pending => {
                        rest.extend_from_slice(left);
                        return Poll::Ready(Ok(true));
                    }
                }
            }
        }
    })
}
