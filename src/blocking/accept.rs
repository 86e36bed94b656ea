//! The server's opening handshake over a raw transport: RFC 6455 §4.2.
//!
//! Only for transports whose request nobody has read. Behind an HTTP server use [`handshake`](crate::handshake) on the
//! headers that it has parsed, and [`WebSocket::server`] with what it read behind them.

use std::time::Duration;
use std::{fmt, io};

use super::WebSocket;
use super::bounded::{Bounded, Patience};
use super::opening::{HANDSHAKE_TIMEOUT, Interruption, in_time, read_more, write_all};
use super::transport::Transport;
use crate::config::{Config, DRAIN_LEN, DRAIN_TIMEOUT};
use crate::handshake::{
    Acceptance, HandshakeError, HeadLimits, HeadReader, Refusal, RequestHead, ServerOptions, accept as judge,
};
use crate::role::Role;
use crate::transport_error::AcceptError;

/// Accepts a WebSocket over a raw transport, on any path, with the defaults: see [`Acceptor`] for everything else.
///
/// # Errors
///
/// See [`Acceptor::accept`].
pub fn accept<S: Transport>(io: S) -> Result<WebSocket<S>, AcceptError> {
    Acceptor::default().accept(io)
}

/// How a server accepts WebSockets over raw transports.
///
/// ```no_run
/// use sansocket::blocking::Acceptor;
/// use sansocket::handshake::{OriginPolicy, Refusal, ServerOptions};
///
/// # fn serve(io: std::net::TcpStream) -> Result<(), Box<dyn std::error::Error>> {
/// let acceptor = Acceptor::default().options(
///     ServerOptions::new().origins(OriginPolicy::allow_list(["https://app.example"])?),
/// );
/// let incoming = acceptor.receive_request(io)?;
/// // Nothing has been answered yet: here is the place to look at the path, the cookies, the database.
/// let socket = match incoming.request().resource() {
///     "/chat" => incoming.accept()?,
///     _ => return Ok(incoming.refuse(Refusal::new(404))?),
/// };
/// # drop(socket);
/// # Ok(())
/// # }
/// ```
///
/// The transport has to block. Timeouts that were set on it are its own again once the handshake is done.
#[derive(Debug, Clone)]
pub struct Acceptor {
    options: ServerOptions,
    config: Config,
    head_limits: HeadLimits,
    handshake_timeout: Duration,
}

impl Default for Acceptor {
    fn default() -> Self {
        Self {
            options: ServerOptions::new(),
            config: Config::default(),
            head_limits: HeadLimits::default(),
            handshake_timeout: HANDSHAKE_TIMEOUT,
        }
    }
}

impl Acceptor {
    /// What is accepted: subprotocols, origins, headers of the answer.
    #[must_use]
    pub fn options(self, options: ServerOptions) -> Self {
        Self { options, ..self }
    }

    /// How the connections behave.
    #[must_use]
    pub fn config(self, config: Config) -> Self {
        Self { config, ..self }
    }

    /// The longest head. Default: 32 KiB, 100 headers; past it the request is refused with 431.
    #[must_use]
    pub fn head_limits(self, limits: HeadLimits) -> Self {
        Self { head_limits: limits, ..self }
    }

    /// How long the request may take to come, from the call, and as long again the client to take the answer. Default:
    /// 10 s; a request that takes longer is refused with 408.
    #[must_use]
    pub fn handshake_timeout(self, timeout: Duration) -> Self {
        Self { handshake_timeout: timeout, ..self }
    }

    /// Reads the request, judges it and answers: with 101 and a WebSocket, or with an HTTP error.
    ///
    /// # Errors
    ///
    /// [`AcceptError::Refused`] when the request was bad: it has been answered, and the transport is closed.
    pub fn accept<S: Transport>(&self, io: S) -> Result<WebSocket<S>, AcceptError> {
        self.receive_request(io)?.accept()
    }

    /// Reads the head of the request and no answer is given yet: the place to authenticate, route and choose.
    ///
    /// # Errors
    ///
    /// [`AcceptError::Refused`] when it is no HTTP request, too long or too late: it has been answered, and the
    /// transport is closed.
    pub fn receive_request<S: Transport>(&self, io: S) -> Result<Incoming<S>, AcceptError> {
        let mut io = Bounded::new(io);
        let mut buffer = Vec::new();
        let patience = Patience::new(self.handshake_timeout);
        match self.read_head(&mut io, patience, &mut buffer) {
            Ok(head_len) => Ok(Incoming { io, buffer, head_len, acceptor: self.clone() }),
            Err(AcceptError::Refused(refusal)) => Err(refused(io, refusal, self.handshake_timeout)),
            Err(AcceptError::Timeout) => {
                Err(refused(io, HandshakeError::Timeout.into(), self.handshake_timeout))
            }
            Err(error) => Err(error),
        }
    }

    fn read_head<S: Transport>(
        &self,
        io: &mut Bounded<S>,
        patience: Patience,
        buffer: &mut Vec<u8>,
    ) -> Result<usize, AcceptError> {
        let mut reader = HeadReader::new(self.head_limits);
        loop {
            match reader.request(buffer) {
                Ok(Some((_, head_len))) => return Ok(head_len),
                Ok(None) => {}
                Err(error) => return Err(AcceptError::Refused(error.into())),
            }
            if read_more(io, patience, buffer)? == 0 {
                return Err(AcceptError::EndOfStream);
            }
        }
    }
}

/// A request that has been read and not answered: no 101 has been sent, and no socket exists until it is.
pub struct Incoming<S> {
    io: Bounded<S>,
    /// The head, and what came behind it.
    buffer: Vec<u8>,
    head_len: usize,
    acceptor: Acceptor,
}

/// Headers may hold credentials: only the length is printed.
impl<S> fmt::Debug for Incoming<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming").field("head_len", &self.head_len).finish_non_exhaustive()
    }
}

impl<S> Incoming<S> {
    /// The request.
    #[must_use]
    #[allow(clippy::missing_panics_doc, reason = "the head has been read from these very octets before")]
    pub fn request(&self) -> RequestHead<'_> {
        // INVARIANT: an `Incoming` is only made once its head has been read from these octets, with these limits.
        let (head, _) = HeadReader::new(self.acceptor.head_limits)
            .request(&self.buffer)
            .ok()
            .flatten()
            .expect("the head has been read before");
        head
    }

    /// Judges the request by the acceptor's options; nothing is sent. The plan can be changed before
    /// [`accept_as`](Self::accept_as) carries it out.
    ///
    /// # Errors
    ///
    /// The refusal that the request deserves; [`refuse`](Self::refuse) sends it.
    pub fn judge(&self) -> Result<Acceptance, Refusal> {
        judge(&self.request().as_request(), &self.acceptor.options)
    }
}

impl<S: Transport> Incoming<S> {
    /// Judges the request and answers it.
    ///
    /// # Errors
    ///
    /// [`AcceptError::Refused`] when the request was bad: it has been answered, and the transport is closed.
    pub fn accept(self) -> Result<WebSocket<S>, AcceptError> {
        match self.judge() {
            Ok(acceptance) => self.accept_as(acceptance),
            Err(refusal) => Err(refused(self.io, refusal, self.acceptor.handshake_timeout)),
        }
    }

    /// Sends the 101 of a plan from [`judge`](Self::judge), and flushes it.
    ///
    /// # Errors
    ///
    /// When the transport fails, or does not take the response within the handshake timeout.
    pub fn accept_as(mut self, acceptance: Acceptance) -> Result<WebSocket<S>, AcceptError> {
        let patience = Patience::new(self.acceptor.handshake_timeout);
        let mut response = if self.request().expects_continue() { CONTINUE.to_vec() } else { Vec::new() };
        response.extend_from_slice(&acceptance.to_bytes());
        write_all(&mut self.io, patience, &response)?;
        // What came behind the head are the client's first frames.
        let unread = self.buffer.split_off(self.head_len);
        let io = self.io.into_inner();
        let config = &self.acceptor.config;
        Ok(WebSocket::negotiated(io, Role::Server, acceptance.negotiated(), config, unread))
    }

    /// Sends an HTTP error instead of a 101, and closes the transport.
    ///
    /// # Errors
    ///
    /// When the transport fails.
    pub fn refuse(self, refusal: Refusal) -> io::Result<()> {
        let refusal = if self.request().method() == "HEAD" { refusal.without_body() } else { refusal };
        Ok(send_and_close(self.io, &refusal.to_bytes(), self.acceptor.handshake_timeout)?)
    }

    /// The transport, and everything that was read from it, for whoever wants to answer as an HTTP server.
    #[must_use]
    pub fn into_parts(self) -> (S, Vec<u8>) {
        (self.io.into_inner(), self.buffer)
    }
}

/// Sends the refusal; that it could not be sent is no other error for the caller than that there is no WebSocket.
fn refused<S: Transport>(io: Bounded<S>, refusal: Refusal, patience: Duration) -> AcceptError {
    let _ = send_and_close(io, &refusal.to_bytes(), patience);
    AcceptError::Refused(refusal)
}

/// Sends, shuts down the writing side and discards what still comes, so that no reset destroys the answer.
fn send_and_close<S: Transport>(
    mut io: Bounded<S>,
    response: &[u8],
    patience: Duration,
) -> Result<(), Interruption> {
    let patience = Patience::new(patience);
    write_all(&mut io, patience, response)?;
    if in_time(&mut io, patience, Bounded::shutdown_write).is_err() {
        // Then the end of the transport is the end of the answer.
        return Ok(());
    }
    let patience = Patience::new(DRAIN_TIMEOUT);
    let mut scratch = Vec::new();
    let mut discarded = 0;
    while discarded < DRAIN_LEN
        && let Ok(read @ 1..) = read_more(&mut io, patience, &mut scratch)
    {
        discarded += read as u64;
        scratch.clear();
    }
    Ok(())
}

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
