//! The server's opening handshake over a raw transport: RFC 6455 §4.2.
//!
//! Only for transports whose request nobody has read. Behind an HTTP server use [`handshake`](crate::handshake) on the
//! headers that it has parsed, and [`WebSocket::server`] with what it read behind them.

use std::time::Duration;
use std::{fmt, io};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout, timeout_at};

use super::{AcceptError, WebSocket};
use crate::config::{Config, DRAIN_LEN, DRAIN_TIMEOUT};
use crate::handshake::{
    Acceptance, HandshakeError, HeadLimits, HeadReader, Refusal, RequestHead, ServerOptions, accept as judge,
};
use crate::role::Role;

/// Accepts a WebSocket over a raw transport, on any path, with the defaults: see [`Acceptor`] for everything else.
///
/// # Errors
///
/// See [`Acceptor::accept`].
///
/// # Cancel safety
///
/// None: the transport goes with the future.
pub async fn accept<S: AsyncRead + AsyncWrite + Unpin>(io: S) -> Result<WebSocket<S>, AcceptError> {
    Acceptor::default().accept(io).await
}

/// How a server accepts WebSockets over raw transports.
///
/// ```no_run
/// use sansocket::handshake::{OriginPolicy, Refusal, ServerOptions};
/// use sansocket::stream::Acceptor;
///
/// # async fn serve(io: tokio::net::TcpStream) -> Result<(), Box<dyn std::error::Error>> {
/// let acceptor = Acceptor::default().options(
///     ServerOptions::new().origins(OriginPolicy::allow_list(["https://app.example"])?),
/// );
/// let incoming = acceptor.receive_request(io).await?;
/// // Nothing has been answered yet: here is the place to look at the path, the cookies, the database.
/// let socket = match incoming.request().resource() {
///     "/chat" => incoming.accept().await?,
///     _ => return Ok(incoming.refuse(Refusal::new(404)).await?),
/// };
/// # drop(socket);
/// # Ok(())
/// # }
/// ```
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
    ///
    /// # Cancel safety
    ///
    /// None: the transport goes with the future.
    pub async fn accept<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        io: S,
    ) -> Result<WebSocket<S>, AcceptError> {
        self.receive_request(io).await?.accept().await
    }

    /// Reads the head of the request and no answer is given yet: the place to authenticate, route and choose.
    ///
    /// # Errors
    ///
    /// [`AcceptError::Refused`] when it is no HTTP request, too long or too late: it has been answered, and the
    /// transport is closed.
    ///
    /// # Cancel safety
    ///
    /// None: the transport goes with the future.
    pub async fn receive_request<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        mut io: S,
    ) -> Result<Incoming<S>, AcceptError> {
        let mut reader = HeadReader::new(self.head_limits);
        let mut buffer = Vec::new();
        let reading = async {
            loop {
                match reader.request(&buffer) {
                    Ok(Some((_, head_len))) => return Ok(head_len),
                    Ok(None) => {}
                    Err(error) => return Err(AcceptError::Refused(error.into())),
                }
                buffer.reserve(READ_LEN);
                // A read that the limit cuts would only be asked for again: what is behind the head are frames.
                if io.read_buf(&mut buffer).await? == 0 {
                    return Err(AcceptError::EndOfStream);
                }
            }
        };
        let head_len = match timeout(self.handshake_timeout, reading).await {
            Ok(Ok(head_len)) => head_len,
            Ok(Err(AcceptError::Refused(refusal))) => {
                return Err(refused(io, refusal, self.handshake_timeout).await);
            }
            Ok(Err(error)) => return Err(error),
            Err(_) => {
                return Err(refused(io, HandshakeError::Timeout.into(), self.handshake_timeout).await);
            }
        };
        Ok(Incoming { io, buffer, head_len, acceptor: self.clone() })
    }
}

/// A request that has been read and not answered: no 101 has been sent, and no socket exists until it is.
pub struct Incoming<S> {
    io: S,
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

    /// The transport, and everything that was read from it, for whoever wants to answer as an HTTP server.
    #[must_use]
    pub fn into_parts(self) -> (S, Vec<u8>) {
        (self.io, self.buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Incoming<S> {
    /// Judges the request and answers it.
    ///
    /// # Errors
    ///
    /// [`AcceptError::Refused`] when the request was bad: it has been answered, and the transport is closed.
    ///
    /// # Cancel safety
    ///
    /// None: the transport goes with the future.
    pub async fn accept(self) -> Result<WebSocket<S>, AcceptError> {
        match self.judge() {
            Ok(acceptance) => self.accept_as(acceptance).await,
            Err(refusal) => Err(refused(self.io, refusal, self.acceptor.handshake_timeout).await),
        }
    }

    /// Sends the 101 of a plan from [`judge`](Self::judge), and flushes it.
    ///
    /// # Errors
    ///
    /// When the transport fails, or does not take the response within the handshake timeout.
    ///
    /// # Cancel safety
    ///
    /// None: the transport goes with the future.
    pub async fn accept_as(mut self, acceptance: Acceptance) -> Result<WebSocket<S>, AcceptError> {
        let mut response = if self.request().expects_continue() { CONTINUE.to_vec() } else { Vec::new() };
        response.extend_from_slice(&acceptance.to_bytes());
        let io = &mut self.io;
        let writing = async {
            io.write_all(&response).await?;
            io.flush().await
        };
        timeout(self.acceptor.handshake_timeout, writing).await.map_err(|_| AcceptError::Timeout)??;
        // What came behind the head are the client's first frames.
        let unread = self.buffer.split_off(self.head_len);
        let config = &self.acceptor.config;
        Ok(WebSocket::negotiated(self.io, Role::Server, acceptance.negotiated(), config, unread))
    }

    /// Sends an HTTP error instead of a 101, and closes the transport.
    ///
    /// # Errors
    ///
    /// When the transport fails.
    ///
    /// # Cancel safety
    ///
    /// None: the transport goes with the future.
    pub async fn refuse(self, refusal: Refusal) -> io::Result<()> {
        let refusal = if self.request().method() == "HEAD" { refusal.without_body() } else { refusal };
        send_and_close(self.io, &refusal.to_bytes(), self.acceptor.handshake_timeout).await
    }
}

/// Sends the refusal; that it could not be sent is no other error for the caller than that there is no WebSocket.
async fn refused<S: AsyncRead + AsyncWrite + Unpin>(
    io: S,
    refusal: Refusal,
    patience: Duration,
) -> AcceptError {
    let _ = send_and_close(io, &refusal.to_bytes(), patience).await;
    AcceptError::Refused(refusal)
}

/// Sends, shuts down the writing side and discards what still comes, so that no reset destroys the answer.
async fn send_and_close<S: AsyncRead + AsyncWrite + Unpin>(
    mut io: S,
    response: &[u8],
    patience: Duration,
) -> io::Result<()> {
    let sending = async {
        io.write_all(response).await?;
        io.flush().await?;
        io.shutdown().await
    };
    timeout(patience, sending).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    let until = Instant::now() + DRAIN_TIMEOUT;
    let mut input = io.take(DRAIN_LEN);
    let mut scratch = vec![0; READ_LEN];
    while let Ok(Ok(1..)) = timeout_at(until, input.read(&mut scratch)).await {}
    Ok(())
}

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// How long a handshake may take, when nobody says otherwise.
pub(super) const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// How much of a handshake is read at once.
pub(super) const READ_LEN: usize = 4 << 10;
