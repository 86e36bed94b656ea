//! The client's opening handshake over a raw transport, and how to get one: RFC 6455 §4.1.

use std::io;
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use super::WebSocket;
use super::bounded::{Bounded, Patience};
use super::opening::{HANDSHAKE_TIMEOUT, read_more, write_all};
use super::transport::Transport;
use crate::config::Config;
use crate::handshake::{ClientRequest, HeadLimits, HeadReader, Key, ReceivedResponse, ResponseHead};
use crate::role::Role;
use crate::transport_error::ConnectError;

/// Connects to a `ws` URI, with the defaults: see [`Connector`] for everything else.
///
/// ```no_run
/// # fn talk() -> Result<(), Box<dyn std::error::Error>> {
/// let mut socket = sansocket::blocking::connect("ws://localhost:9001/echo")?;
/// socket.send("hello")?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// See [`Connector::connect`].
pub fn connect(uri: &str) -> Result<WebSocket<TcpStream>, ConnectError> {
    let (socket, _) = Connector::default().connect(&ClientRequest::new(uri)?)?;
    Ok(socket)
}

/// How a client connects.
///
/// There is no TLS here: for a `wss` URI make the TLS stream, as a [`Transport`], and use
/// [`connect_over`](Self::connect_over). Nor is there a proxy, or a gate that lets one attempt at a time go to one
/// address (RFC 6455 §4.1): both are in the layer over tokio.
#[derive(Debug, Clone)]
pub struct Connector {
    config: Config,
    head_limits: HeadLimits,
    handshake_timeout: Duration,
}

impl Default for Connector {
    fn default() -> Self {
        Self {
            config: Config::default(),
            head_limits: HeadLimits::default(),
            handshake_timeout: HANDSHAKE_TIMEOUT,
        }
    }
}

impl Connector {
    /// How the connections behave.
    #[must_use]
    pub fn config(self, config: Config) -> Self {
        Self { config, ..self }
    }

    /// The longest head of a response. Default: 32 KiB, 100 headers.
    #[must_use]
    pub fn head_limits(self, limits: HeadLimits) -> Self {
        Self { head_limits: limits, ..self }
    }

    /// How long it may take from the call to the open WebSocket. Default: 10 s. Finding the addresses of the host is
    /// the operating system's and takes the time it takes.
    #[must_use]
    pub fn handshake_timeout(self, timeout: Duration) -> Self {
        Self { handshake_timeout: timeout, ..self }
    }

    /// Connects over TCP and does the opening handshake.
    ///
    /// The response is there for its headers, such as `Set-Cookie`.
    ///
    /// # Errors
    ///
    /// Nothing but the handshake was sent, and the transport is closed. [`ConnectError::Handshake`] has the response,
    /// when there was one. [`ConnectError::TlsNotEnabled`] for a `wss` URI, before anything is opened.
    pub fn connect(
        &self,
        request: &ClientRequest,
    ) -> Result<(WebSocket<TcpStream>, ReceivedResponse), ConnectError> {
        if request.secure() {
            return Err(ConnectError::TlsNotEnabled);
        }
        let patience = Patience::new(self.handshake_timeout);
        let tcp = connect_tcp(request, patience)?;
        // A small frame waits for nothing: what is worth waiting for is queued by this crate.
        tcp.set_nodelay(true)?;
        self.handshake(tcp, request, patience)
    }

    /// Does the opening handshake over a transport that is there, secured if the URI is `wss`. It has to block; timeouts
    /// that were set on it are its own again once the handshake is done.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    pub fn connect_over<S: Transport>(
        &self,
        io: S,
        request: &ClientRequest,
    ) -> Result<(WebSocket<S>, ReceivedResponse), ConnectError> {
        self.handshake(io, request, Patience::new(self.handshake_timeout))
    }

    fn handshake<S: Transport>(
        &self,
        io: S,
        request: &ClientRequest,
        patience: Patience,
    ) -> Result<(WebSocket<S>, ReceivedResponse), ConnectError> {
        let mut io = Bounded::new(io);
        let key = Key::generate()?;
        write_all(&mut io, patience, &request.encode(&key))?;

        let mut reader = HeadReader::new(self.head_limits);
        let mut buffer = Vec::new();
        loop {
            let found = reader.response(&buffer).map_err(|error| ConnectError::Handshake(error, None))?;
            if let Some((head, head_len)) = found {
                let negotiated = match request.check(&key, &head.as_response()) {
                    Ok(negotiated) => negotiated,
                    Err(error) => {
                        let patience = patience.left().unwrap_or_default().min(BODY_PREFIX_PATIENCE);
                        let patience = Patience::new(patience);
                        let response = with_body_prefix(&mut io, &head, &buffer[head_len..], patience);
                        return Err(ConnectError::Handshake(error, Some(Box::new(response))));
                    }
                };
                let response = head.to_received(&[]);
                // What came behind the head are the server's first frames.
                let unread = buffer.split_off(head_len);
                let io = io.into_inner();
                let socket = WebSocket::negotiated(io, Role::Client, negotiated, &self.config, unread);
                return Ok((socket, response));
            }
            if read_more(&mut io, patience, &mut buffer)? == 0 {
                return Err(ConnectError::EndOfStream);
            }
        }
    }
}

/// A TCP connection to one of the host's addresses.
fn connect_tcp(request: &ClientRequest, patience: Patience) -> Result<TcpStream, ConnectError> {
    let mut last_error = io::Error::from(io::ErrorKind::NotFound);
    for address in (request.host(), request.port()).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, patience.left().ok_or(ConnectError::Timeout)?) {
            Ok(tcp) => return Ok(tcp),
            Err(error) => last_error = error,
        }
    }
    if patience.left().is_none() { Err(ConnectError::Timeout) } else { Err(last_error.into()) }
}

/// The response with the beginning of what the server says instead of opening a WebSocket; whatever of it comes soon.
fn with_body_prefix<S: Transport>(
    io: &mut Bounded<S>,
    head: &ResponseHead<'_>,
    received: &[u8],
    patience: Patience,
) -> ReceivedResponse {
    let wanted = BODY_PREFIX_LEN.min(head.body_len().unwrap_or(BODY_PREFIX_LEN));
    let mut body = received.to_vec();
    // That the rest of an error page does not come is no other error.
    while body.len() < wanted && matches!(read_more(io, patience, &mut body), Ok(1..)) {}
    body.truncate(wanted);
    head.to_received(&body)
}

/// How much of the body of a response that is no 101 is kept …
const BODY_PREFIX_LEN: usize = 4 << 10;
/// … and how long it is waited for.
const BODY_PREFIX_PATIENCE: Duration = Duration::from_secs(1);
