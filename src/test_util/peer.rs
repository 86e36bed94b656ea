//! A peer that does what a test says, right or wrong, and states what it expects.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use super::flow::{Ask, Wait};
use super::frame::Shown;
use super::{Direction, Frame, Transport, Unexpected, pair};
use crate::role::Role;

/// The other end of a WebSocket, in the hands of a test.
///
/// What it sends is on the way at once, whatever the [capacity](Direction::capacity) of the direction; what it expects it
/// waits for, and takes. It answers nothing by itself: no Ping, no Close.
///
/// Its expectations are futures that need no runtime: await them, or give them to [`block_on`] where the socket is in
/// another thread. None of them has a deadline; `tokio::time::timeout` gives them one.
///
#[cfg_attr(feature = "tokio", doc = "```")]
#[cfg_attr(not(feature = "tokio"), doc = "```ignore")]
/// use sansocket::stream::{Error, WebSocket};
/// use sansocket::test_util::{Frame, Peer};
/// use sansocket::{Config, ProtocolError, Role};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (transport, mut client) = Peer::new(Role::Client);
/// let server = tokio::spawn(async move {
///     let mut socket = WebSocket::server(transport, &Config::default(), Vec::new());
///     while let Some(message) = socket.receive().await? {
///         socket.send(message).await?;
///     }
///     Ok::<_, Error>(())
/// });
///
/// client.send_frame(&Frame::text("hello"));
/// client.expect_frame(Frame::text("hello")).await?;
///
/// // A frame without a mask, which no client may send.
/// client.send(Frame::text("hello").unmasked());
/// client.expect_close(1002).await?;
/// client.expect_end().await?;
/// drop(client);
/// assert!(matches!(server.await?, Err(Error::Protocol(ProtocolError::UnmaskedFrame))));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Peer {
    io: Transport,
    role: Role,
    /// What has come, and how much of it was taken.
    received: Vec<u8>,
    taken: usize,
    /// How the stream has ended, if it has.
    ended: Option<Result<(), io::ErrorKind>>,
}

impl Peer {
    /// A peer of this role, and the transport to it: for the other role.
    #[must_use]
    pub fn new(role: Role) -> (Transport, Self) {
        let (near, far) = pair();
        (near, Self::over(far, role))
    }

    /// A peer of this role at this end of a transport.
    #[must_use]
    pub fn over(io: Transport, role: Role) -> Self {
        Self { io, role, received: Vec::new(), taken: 0, ended: None }
    }

    /// Which role it plays.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role
    }

    /// What it sends: how the network treats that.
    #[must_use]
    pub fn outgoing(&self) -> Direction {
        self.io.outgoing()
    }

    /// What it receives: how the network treats that.
    #[must_use]
    pub fn incoming(&self) -> Direction {
        self.io.incoming()
    }

    /// Sends octets as they are.
    pub fn send(&self, octets: impl AsRef<[u8]>) {
        self.io.outgoing.change(|state| state.put(octets.as_ref()));
    }

    /// Sends a frame, masked as its role has to: see [`Frame`] for those that are wrong.
    pub fn send_frame(&self, frame: &Frame) {
        self.send(frame.octets(self.role));
    }

    /// Sends frames, one after the other.
    pub fn send_frames<'a>(&self, frames: impl IntoIterator<Item = &'a Frame>) {
        frames.into_iter().for_each(|frame| self.send_frame(frame));
    }

    /// Ends the stream behind what was sent: a FIN, and no Close frame.
    pub fn end(&self) {
        self.io.shut_down();
    }

    /// Resets the connection, as an RST does: what is on the way is lost, and the other end can neither read nor write.
    pub fn reset(&self) {
        self.io.outgoing.change(|state| state.reset(io::ErrorKind::ConnectionReset));
        self.io.incoming.change(|state| state.reset(io::ErrorKind::ConnectionReset));
    }

    /// The next frame, or `None` at the end of the stream.
    ///
    /// # Errors
    ///
    /// [`Unexpected`] if the stream ends inside a frame, or the frame is not one that the other role may send at all.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: call again.
    pub async fn next_frame(&mut self) -> Result<Option<Frame>, Unexpected> {
        loop {
            if let Some((frame, len)) = Frame::decode(self.role.peer(), self.rest())? {
                self.take(len);
                return Ok(Some(frame));
            }
            if !self.read_more().await {
                if self.rest().is_empty() {
                    return Ok(None);
                }
                return Err(Unexpected::new("a whole frame", self.what_came()));
            }
        }
    }

    /// Expects this frame next, and exactly this.
    ///
    /// # Errors
    ///
    /// [`Unexpected`] with what came instead.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: call again.
    pub async fn expect_frame(&mut self, expected: Frame) -> Result<(), Unexpected> {
        match self.next_frame().await {
            Ok(Some(frame)) if frame == expected => Ok(()),
            Ok(Some(frame)) => Err(Unexpected::new(expected, frame)),
            Ok(None) => Err(Unexpected::new(expected, self.how_it_ended())),
            Err(Unexpected { found, .. }) => Err(Unexpected::new(expected, found)),
        }
    }

    /// Expects a Close frame next, with this status code, or with `None` an empty one. Returns its reason.
    ///
    /// # Errors
    ///
    /// [`Unexpected`] with what came instead.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: call again.
    pub async fn expect_close(&mut self, code: impl Into<Option<u16>>) -> Result<String, Unexpected> {
        let code = code.into();
        let expected = match code {
            Some(code) => format!("close frame {code}"),
            None => "close frame without a status code".to_owned(),
        };
        match self.next_frame().await {
            Ok(Some(frame)) => {
                let is_close = Frame { payload: Vec::new(), ..frame.clone() } == Frame::empty_close();
                let reason = frame.payload.get(2..).unwrap_or_default().to_vec();
                match String::from_utf8(reason) {
                    Ok(reason)
                        if is_close
                            && frame.close_code() == code
                            && (code.is_some() || frame.payload.is_empty()) =>
                    {
                        Ok(reason)
                    }
                    _ => Err(Unexpected::new(expected, frame)),
                }
            }
            Ok(None) => Err(Unexpected::new(expected, self.how_it_ended())),
            Err(Unexpected { found, .. }) => Err(Unexpected::new(expected, found)),
        }
    }

    /// Expects exactly these octets next, whatever follows them.
    ///
    /// # Errors
    ///
    /// [`Unexpected`] with what came instead: at the first octet that differs, or at the end of the stream.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: call again.
    pub async fn expect_octets(&mut self, expected: impl AsRef<[u8]>) -> Result<(), Unexpected> {
        let expected = expected.as_ref();
        loop {
            let known = expected.len().min(self.rest().len());
            let differs = expected[..known] != self.rest()[..known];
            if !differs && known == expected.len() {
                self.take(known);
                return Ok(());
            }
            if differs || !self.read_more().await {
                return Err(Unexpected::new(Shown(expected), self.what_came()));
            }
        }
    }

    /// Reads up to and including these octets, such as the blank line behind the head of an HTTP message.
    ///
    /// # Errors
    ///
    /// [`Unexpected`] if they do not come.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: call again.
    pub async fn receive_until(&mut self, octets: impl AsRef<[u8]>) -> Result<Vec<u8>, Unexpected> {
        let octets = octets.as_ref();
        loop {
            let found = self.rest().windows(octets.len().max(1)).position(|window| window == octets);
            if let Some(at) = found {
                return Ok(self.take(at + octets.len()));
            }
            if !self.read_more().await {
                return Err(Unexpected::new(
                    format_args!("something that ends with {}", Shown(octets)),
                    self.what_came(),
                ));
            }
        }
    }

    /// All that still comes, up to the end of the stream or a reset.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: call again.
    pub async fn receive_to_end(&mut self) -> Vec<u8> {
        while self.read_more().await {}
        self.take(self.rest().len())
    }

    /// Expects the end of the stream next: a FIN, and not a reset.
    ///
    /// # Errors
    ///
    /// [`Unexpected`] with what came instead.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: call again.
    pub async fn expect_end(&mut self) -> Result<(), Unexpected> {
        while self.rest().is_empty() && self.read_more().await {}
        if self.rest().is_empty() && self.ended == Some(Ok(())) {
            return Ok(());
        }
        Err(Unexpected::new("the end of the stream", self.what_came()))
    }

    /// Expects that nothing has come by now that was not taken: neither octets nor the end of the stream. Does not wait.
    ///
    /// # Errors
    ///
    /// [`Unexpected`] with what came.
    pub fn expect_nothing(&mut self) -> Result<(), Unexpected> {
        let came = pin!(self.read_more()).poll(&mut Context::from_waker(Waker::noop())).is_ready();
        if came || !self.rest().is_empty() {
            return Err(Unexpected::new("nothing yet", self.what_came()));
        }
        Ok(())
    }

    /// What has come and was not taken yet.
    fn rest(&self) -> &[u8] {
        &self.received[self.taken..]
    }

    fn take(&mut self, len: usize) -> Vec<u8> {
        let taken = self.rest()[..len].to_vec();
        self.taken += len;
        // Now and then, so that many small frames do not move what is behind them each time.
        if self.taken * 2 > self.received.len() {
            self.received.drain(..self.taken);
            self.taken = 0;
        }
        taken
    }

    /// Takes in what has come; `false` at the end of the stream.
    async fn read_more(&mut self) -> bool {
        #[cfg(feature = "tokio")]
        let mut sleep = pin!(None);
        poll_fn(|cx| {
            loop {
                if self.ended.is_some() {
                    return Poll::Ready(false);
                }
                let received = &mut self.received;
                let read = self.io.incoming.ask(Ask::Read, |state| {
                    state.read(usize::MAX, |octets| received.extend_from_slice(octets), Some(cx.waker()))
                });
                match read {
                    Ok(0) => self.ended = Some(Ok(())),
                    Ok(_) => return Poll::Ready(true),
                    Err(Wait::Failed(error)) => self.ended = Some(Err(error.kind())),
                    Err(Wait::Again) => {
                        cx.waker().wake_by_ref();
                        return Poll::Pending;
                    }
                    Err(Wait::Change) => return Poll::Pending,
                    #[cfg(feature = "tokio")]
                    Err(Wait::Until(arrival)) => {
                        sleep.set(Some(tokio::time::sleep_until(arrival)));
                        if let Some(sleep) = sleep.as_mut().as_pin_mut() {
                            std::task::ready!(sleep.poll(cx));
                        }
                    }
                }
            }
        })
        .await
    }

    fn what_came(&self) -> String {
        match Frame::decode(self.role.peer(), self.rest()) {
            Ok(Some((frame, _))) => frame.to_string(),
            _ if self.rest().is_empty() => self.how_it_ended().to_owned(),
            _ if self.ended.is_some() => format!("{} and {}", Shown(self.rest()), self.how_it_ended()),
            _ => Shown(self.rest()).to_string(),
        }
    }

    fn how_it_ended(&self) -> &'static str {
        match self.ended {
            Some(Ok(())) => "the end of the stream",
            Some(Err(_)) => "a reset",
            None => "nothing",
        }
    }
}

/// Runs a future in this thread until it is done, without a runtime: for a [`Peer`] whose socket is in another thread.
///
/// ```
/// use sansocket::blocking::WebSocket;
/// use sansocket::test_util::{Frame, Peer, block_on};
/// use sansocket::{Config, Role};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (transport, mut server) = Peer::new(Role::Server);
/// let client = std::thread::spawn(move || {
///     let mut socket = WebSocket::client(transport, &Config::default(), Vec::new());
///     socket.send("hello")?;
///     socket.receive()
/// });
/// block_on(server.expect_frame(Frame::text("hello")))?;
/// server.send_frame(&Frame::text("hello yourself"));
/// assert_eq!(client.join().unwrap()?, Some("hello yourself".into()));
/// # Ok(())
/// # }
/// ```
pub fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        thread::park();
    }
}
