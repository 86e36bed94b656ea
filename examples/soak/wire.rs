//! A TCP connection to which something happens after so many octets.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

use crate::ledger::Record;
use crate::plan::{Fault, WireFault};

/// What is to happen, set once the opening handshake is done.
pub(crate) type Trigger = Arc<OnceLock<Armed>>;

#[derive(Debug)]
pub(crate) struct Armed {
    fault: WireFault,
    after: u64,
    record: Arc<Record>,
}

/// Arms the transport of this end, if the plan has a fault for it.
pub(crate) fn arm(trigger: &Trigger, record: &Arc<Record>, role: sansocket::Role) {
    if let Fault::Wire(of, fault, after) = record.plan.fault
        && of == role
    {
        // It is armed once.
        let _ = trigger.set(Armed { fault, after, record: Arc::clone(record) });
    }
}

#[derive(Debug)]
pub(crate) struct Wire {
    /// `None` once it is cut.
    tcp: Option<TcpStream>,
    trigger: Trigger,
    /// Octets since it was armed, in both directions.
    passed: u64,
    state: State,
}

#[derive(Debug)]
enum State {
    Good,
    Stalled(Pin<Box<Sleep>>),
    /// The stall is over, and there is no other.
    Recovered,
    HalfOpen,
    Cut(io::ErrorKind),
}

impl Wire {
    pub(crate) fn new(tcp: TcpStream) -> (Self, Trigger) {
        let trigger = Trigger::default();
        (Self { tcp: Some(tcp), trigger: Arc::clone(&trigger), passed: 0, state: State::Good }, trigger)
    }

    pub(crate) fn into_tcp(self) -> Option<TcpStream> {
        self.tcp
    }

    /// The connection, and how many octets may pass before something happens; or what has happened.
    fn poll_good(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(Pin<&mut TcpStream>, usize)>> {
        let mut left = u64::MAX;
        if let (State::Good, Some(armed)) = (&self.state, self.trigger.get()) {
            left = armed.after.saturating_sub(self.passed);
            if left == 0 {
                armed.record.fault_fires();
                self.state = match armed.fault {
                    WireFault::Stall(time) => State::Stalled(Box::pin(sleep(time))),
                    WireFault::HalfOpen => State::HalfOpen,
                    WireFault::End => State::Cut(io::ErrorKind::BrokenPipe),
                    WireFault::Reset => State::Cut(io::ErrorKind::ConnectionReset),
                };
                left = u64::MAX;
            }
        }
        match &mut self.state {
            State::Good | State::Recovered => {}
            State::Stalled(time) => {
                ready!(time.as_mut().poll(cx));
                self.state = State::Recovered;
            }
            // Nobody is woken, ever.
            State::HalfOpen => return Poll::Pending,
            State::Cut(kind) => {
                if let Some(tcp) = self.tcp.take()
                    && *kind == io::ErrorKind::ConnectionReset
                {
                    tcp.set_zero_linger()?;
                }
                return Poll::Ready(Err((*kind).into()));
            }
        }
        let tcp = self.tcp.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        Poll::Ready(Ok((Pin::new(tcp), usize::try_from(left).unwrap_or(usize::MAX))))
    }

    fn count(&mut self, octets: usize) {
        if self.trigger.get().is_some() {
            self.passed += octets as u64;
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let wire = self.get_mut();
        let before = buffer.filled().len();
        match ready!(wire.poll_good(cx)) {
            Ok((tcp, _)) => ready!(tcp.poll_read(cx, buffer))?,
            // The end of the stream, as who reads sees it.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Poll::Ready(Ok(())),
            Err(error) => return Poll::Ready(Err(error)),
        }
        wire.count(buffer.filled().len() - before);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        let wire = self.get_mut();
        let (tcp, left) = ready!(wire.poll_good(cx))?;
        let written = ready!(tcp.poll_write(cx, &octets[..octets.len().min(left)]))?;
        wire.count(written);
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wire = self.get_mut();
        let (tcp, left) = ready!(wire.poll_good(cx))?;
        let written = if slices.iter().map(|slice| slice.len()).sum::<usize>() <= left {
            ready!(tcp.poll_write_vectored(cx, slices))?
        } else {
            // The last octets before something happens, exactly.
            let first = slices.iter().find(|slice| !slice.is_empty()).map_or(&[][..], |slice| slice);
            ready!(tcp.poll_write(cx, &first[..first.len().min(left)]))?
        };
        wire.count(written);
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let (tcp, _) = ready!(self.get_mut().poll_good(cx))?;
        tcp.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let (tcp, _) = ready!(self.get_mut().poll_good(cx))?;
        tcp.poll_shutdown(cx)
    }
}
