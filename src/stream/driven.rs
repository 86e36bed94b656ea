//! The future that keeps a split connection alive while the application is away, and reads ahead for it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::coop;

use super::ahead::{Ahead, Room};
use super::receive_side::ReceiveSide;
use super::shared::Output;
use super::split::{Beside, OutputSide, Receiver, State};
use super::sync::{Mutex, lock};
use super::transport::Progress;
use super::waiters::{Party, Wakeups};
use super::{Error, Sender, WebSocket};
use crate::connection::{CloseReport, Reading};

/// The future of [`WebSocket::split_driven`], to be spawned: ready when the connection has ended, and how.
///
/// Dropped, or not polled any more, it leaves the connection as [`split`](WebSocket::split) makes it; what it has read ahead
/// is still received.
#[must_use = "futures do nothing unless polled"]
pub struct Driver<S> {
    state: Arc<State<S>>,
    ahead: Arc<Mutex<Ahead>>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> WebSocket<S> {
    /// Splits the socket as [`split`](Self::split) does, with a third part that keeps the connection alive while the
    /// application does something else: spawn it.
    ///
    /// All that a connection does by itself it does while one of its methods is polled. So with the other faces an
    /// application that works on one message for minutes answers no Ping and may be taken for dead, and what it
    /// [feeds](Sender::feed) does not leave. The driver answers and sends Pings, writes, keeps the time and goes on with
    /// the closing handshake for as long as it is polled.
    ///
    /// To do so it has to read ahead: until the messages that wait for the [`Receiver`] have `queue_bytes` octets, with
    /// 128 for each beside its payload. One message may go beyond; zero is taken so that one is read ahead. Then it stops,
    /// but for one read buffer of 292 KiB in which it looks for Pings, and the peer has to wait. A peer that is not read
    /// from is not called [dead](crate::Config::dead_peer_timeout), and is sent Pings all the same.
    ///
    /// Prefer [`split`](Self::split), or an unsplit socket, where the application is soon back to receive: what is read
    /// ahead passes through a queue, and mostly through another task.
    ///
    /// # Work that blocks
    ///
    /// The driver needs a thread that is not blocked: a runtime with several, and work that blocks in
    /// `tokio::task::block_in_place` or `spawn_blocking`. Elsewhere it may be next on just the thread
    /// that is blocked.
    ///
    /// ```
    /// use sansocket::stream::WebSocket;
    /// use sansocket::{CloseCode, Config, Message};
    ///
    /// # #[tokio::main(flavor = "multi_thread", worker_threads = 2)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (near, far) = tokio::io::duplex(1024);
    /// # let socket = WebSocket::server(near, &Config::default(), Vec::new());
    /// # let mut client = WebSocket::client(far, &Config::default(), Vec::new());
    /// # let client = tokio::spawn(async move {
    /// #     client.send("work").await?;
    /// #     let answer = client.receive().await?;
    /// #     client.close(CloseCode::NORMAL, "").await?;
    /// #     Ok::<_, sansocket::stream::Error>(answer)
    /// # });
    /// # let work = |message: &Message| assert_eq!(message.payload(), b"work");
    /// let (mut receiver, sender, driver) = socket.split_driven(1 << 20);
    /// let driver = tokio::spawn(driver);
    /// while let Some(message) = receiver.receive().await? {
    ///     // However long this takes, the peer's Pings are answered.
    ///     tokio::task::block_in_place(|| work(&message));
    ///     sender.feed(message).await?;
    /// }
    /// assert!(driver.await??.clean);
    /// # assert_eq!(client.await??, Some(Message::text("work")));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # The end
    ///
    /// The end of the connection, good or bad, is received behind all messages that were read ahead; the driver and
    /// [`close_report`](Receiver::close_report) tell it when it comes. Dropping the
    /// [`Receiver`] begins the closing handshake, which the driver drives to its end; what waits and what still arrives is
    /// thrown away, and counted in the report.
    pub fn split_driven(self, queue_bytes: usize) -> (Receiver<S>, Sender<S>, Driver<S>) {
        let account = self.receive.path.another_account();
        let ahead = Arc::new(Mutex::new(Ahead::new(queue_bytes, account)));
        let (mut receiver, sender) = self.split();
        receiver.driven = true;
        let negotiated = receiver.beside.take().map(|beside| beside.negotiated).unwrap_or_default();
        receiver.beside = Some(Box::new(Beside { negotiated, ahead: Some(Arc::clone(&ahead)) }));
        let driver = Driver { state: Arc::clone(&sender.state), ahead };
        (receiver, sender, driver)
    }
}

/// How the connection has ended, as from [`Sender::close`]: an error if it has failed.
impl<S: AsyncRead + AsyncWrite + Unpin> Future for Driver<S> {
    type Output = Result<CloseReport, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let waiters = self.state.waiters();
        waiters.park_driver(cx.waker());
        let ended = ready!(self.poll_driven(cx));
        drop(waiters.unpark_driver());
        Poll::Ready(ended)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Driver<S> {
    fn poll_driven(&self, cx: &mut Context<'_>) -> Poll<Result<CloseReport, Error>> {
        let state = &self.state;
        let wakeups = Wakeups::default();
        let mut receive = state.lock_receive();
        loop {
            // One unit of the scheduler's budget per message, as where messages are received.
            let Poll::Ready(budget) = coop::poll_proceed(cx) else {
                let mut output = state.lock_output_by(Party::Driver, &wakeups);
                // What it changes is found in the next turn.
                let _ = output.poll_timer(state.waker(), &mut receive, Reading::Busy);
                return Poll::Pending;
            };
            let receiver_gone = state.receiver_gone();
            if !receiver_gone && self.read_ahead(&mut receive, &wakeups) {
                budget.made_progress();
                continue;
            }
            let room = lock(&self.ahead).room();
            if room != Room::All {
                // As long as messages wait nobody is idle.
                receive.note_message();
            }
            let mut output = state.lock_output_by(Party::Driver, &wakeups);
            if receiver_gone {
                output.throw_away(&mut receive);
            }
            let progress = if room == Room::None && output.parses_input() {
                output.poll_held(state.waker(), &mut receive)
            } else {
                output.poll(state.waker(), &mut receive)
            };
            if let Progress::Ended = ready!(progress) {
                return Poll::Ready(output.report());
            }
            budget.made_progress();
        }
    }

    /// Takes the next message or control frame from the input; `false` if there is none, or no room for it.
    fn read_ahead(&self, receive: &mut ReceiveSide, wakeups: &Wakeups) -> bool {
        let state = &self.state;
        if !state.parses_input() || lock(&self.ahead).room() == Room::None {
            return false;
        }
        let failure = match receive.next() {
            Ok(None) => return false,
            Ok(Some(kind)) => match kind.message() {
                None => {
                    receive.react(&mut state.lock_output_by(Party::Driver, wakeups).outbox);
                    return true;
                }
                Some(kind) => {
                    let pushed = lock(&self.ahead).push(receive.take(kind));
                    state.waiters().take_receiver(Party::Driver, wakeups);
                    pushed.err()
                }
            },
            Err(error) => Some(error),
        };
        if let Some(error) = failure {
            state.lock_output_by(Party::Driver, wakeups).outbox.fail(error);
        }
        true
    }
}

impl<S> OutputSide<S> {
    /// Throws away what was read ahead for a receiver that is gone.
    pub(super) fn throw_away_ahead(&mut self, ahead: &mut Ahead) {
        for message in ahead.take() {
            self.outbox.closing.count_thrown_away(message.payload().len());
        }
    }
}

impl<S> Drop for Driver<S> {
    fn drop(&mut self) {
        drop(self.state.waiters().unpark_driver());
    }
}

impl<S> fmt::Debug for Driver<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").finish_non_exhaustive()
    }
}
