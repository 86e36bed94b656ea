//! The client's opening handshake over a raw transport, and how to get one: RFC 6455 §4.1.

use std::future::Future;
use std::net::Ipv6Addr;
#[cfg(feature = "rustls")]
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout_at};

use super::accept::{HANDSHAKE_TIMEOUT, READ_LEN};
use super::client_transport::{ClientTransport, Security};
use super::gate::{ConnectGate, GatePass, Place};
use super::{ConnectError, WebSocket};
use crate::config::Config;
use crate::handshake::{
    ClientRequest, HandshakeError, HeadLimits, HeadReader, InvalidUri, Key, ReceivedResponse, ResponseHead,
};
use crate::role::Role;

/// Connects to a `ws` URI, and to a `wss` URI with the feature `rustls`, with the defaults: see [`Connector`] for
/// everything else.
///
/// ```no_run
/// # async fn talk() -> Result<(), Box<dyn std::error::Error>> {
/// let mut socket = sansocket::stream::connect("ws://localhost:9001/echo").await?;
/// socket.send("hello").await?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// See [`Connector::connect`].
///
/// # Cancel safety
///
/// Dropping the future gives the attempt up.
pub async fn connect(uri: &str) -> Result<WebSocket<ClientTransport>, ConnectError> {
    let request = ClientRequest::new(uri)?;
    let (socket, _) = Connector::default().connect(&request).await?;
    Ok(socket)
}

/// How a client connects.
///
/// # Connecting again
///
/// Whether and when to try again is the application's to know, so nothing here does it. After an abnormal end, which is
/// every error and every report that is not clean, RFC 6455 §7.2.3 asks clients to wait, or all of them would come back
/// at once to a server that has just restarted: at first a random time of up to 5 s, then random times of up to twice
/// as long after each failure, no longer than a minute or so, and from the beginning once a connection has lasted.
#[derive(Debug, Clone)]
pub struct Connector {
    config: Config,
    head_limits: HeadLimits,
    handshake_timeout: Duration,
    proxy: Option<Proxy>,
    gate: Option<ConnectGate>,
    #[cfg(feature = "rustls")]
    tls: Option<Arc<tokio_rustls::rustls::ClientConfig>>,
}

/// An HTTP proxy that is asked for a tunnel.
#[derive(Clone)]
struct Proxy {
    host: String,
    port: u16,
    authorization: Option<String>,
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Credentials are no matter for a log.
        f.debug_struct("Proxy").field("host", &self.host).field("port", &self.port).finish_non_exhaustive()
    }
}

impl Default for Connector {
    fn default() -> Self {
        Self {
            config: Config::default(),
            head_limits: HeadLimits::default(),
            handshake_timeout: HANDSHAKE_TIMEOUT,
            proxy: None,
            gate: None,
            #[cfg(feature = "rustls")]
            tls: None,
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

    /// How long it may take from the call to the open WebSocket, waiting at the gate included. Default: 10 s.
    #[must_use]
    pub fn handshake_timeout(self, timeout: Duration) -> Self {
        Self { handshake_timeout: timeout, ..self }
    }

    /// Connects through an HTTP proxy, which is asked for a tunnel by `CONNECT` (RFC 6455 §4.1). Default: directly.
    ///
    /// `host` is a name or an address, and `authorization` is sent as `Proxy-Authorization`, such as `Basic …`. No proxy
    /// is taken from the environment, and auto-configuration scripts (PAC) are not supported: run one elsewhere and give
    /// its answer here.
    ///
    /// # Errors
    ///
    /// [`InvalidUri`] when host or authorization could not stand in the request.
    pub fn proxy(self, host: &str, port: u16, authorization: Option<&str>) -> Result<Self, InvalidUri> {
        let is_clean = |text: &str| text.bytes().all(|octet| (0x20..0x7f).contains(&octet));
        let is_bare_ipv6 = host.parse::<Ipv6Addr>().is_ok();
        // What may stand there is what may be the host of a URI.
        let uri = if is_bare_ipv6 { format!("ws://[{host}]:{port}") } else { format!("ws://{host}:{port}") };
        let parsed = ClientRequest::new(&uri)?;
        if parsed.resource() != "/" {
            return Err(InvalidUri::Host);
        }
        if !authorization.is_none_or(is_clean) {
            return Err(InvalidUri::Character);
        }
        let host = parsed.host().to_owned();
        let proxy = Proxy { host, port, authorization: authorization.map(str::to_owned) };
        Ok(Self { proxy: Some(proxy), ..self })
    }

    /// Lets only one attempt at a time go to one address (RFC 6455 §4.1). Default: off.
    ///
    /// Browsers must do this, so that a page cannot flood a server; a program that opens connections on purpose mostly
    /// does not want it. Give clones of one gate to all connectors that are to wait for each other.
    #[must_use]
    pub fn gate(self, gate: ConnectGate) -> Self {
        Self { gate: Some(gate), ..self }
    }

    /// The TLS configuration for `wss`. Default: TLS 1.2 and 1.3 with the certificate authorities of Mozilla's programme.
    #[cfg(feature = "rustls")]
    #[must_use]
    pub fn tls(self, config: Arc<tokio_rustls::rustls::ClientConfig>) -> Self {
        Self { tls: Some(config), ..self }
    }

    /// Connects, directly or through the proxy, with TLS if the URI is `wss`, and does the opening handshake.
    ///
    /// The response is there for its headers, such as `Set-Cookie`.
    ///
    /// # Errors
    ///
    /// Nothing but the handshake was sent, and the transport is closed. [`ConnectError::Handshake`] has the response,
    /// when there was one.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives the attempt up.
    pub async fn connect(
        &self,
        request: &ClientRequest,
    ) -> Result<(WebSocket<ClientTransport>, ReceivedResponse), ConnectError> {
        // What cannot succeed fails before anything is connected.
        let security = self.security(request)?;
        self.in_time(|deadline| async move {
            let (tcp, pass) = self.connect_tcp(request).await?;
            // RFC 6455 §4.1: TLS comes after the tunnel and before the first octet of the handshake.
            let io = security.establish(tcp).await.map_err(ConnectError::Tls)?;
            let connected = self.handshake(io, request, deadline).await;
            // Until here the attempt counted as one that is connecting.
            drop(pass);
            connected
        })
        .await
    }

    /// Does the opening handshake over a transport that is there, secured if the URI is `wss`.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives the attempt up.
    pub async fn connect_over<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        io: S,
        request: &ClientRequest,
    ) -> Result<(WebSocket<S>, ReceivedResponse), ConnectError> {
        self.in_time(|deadline| self.handshake(io, request, deadline)).await
    }

    async fn in_time<T, A: Future<Output = Result<T, ConnectError>>>(
        &self,
        attempt: impl FnOnce(Instant) -> A,
    ) -> Result<T, ConnectError> {
        let deadline = Instant::now() + self.handshake_timeout.min(LONGEST_TIMEOUT);
        timeout_at(deadline, attempt(deadline)).await.unwrap_or(Err(ConnectError::Timeout))
    }

    fn security(&self, request: &ClientRequest) -> Result<Security, ConnectError> {
        if !request.secure() {
            return Ok(Security::Plain);
        }
        #[cfg(feature = "rustls")]
        {
            let config = self.tls.clone().unwrap_or_else(super::client_transport::default_tls);
            Security::tls(request.host(), config).ok_or(ConnectError::Uri(InvalidUri::Host))
        }
        #[cfg(not(feature = "rustls"))]
        Err(ConnectError::TlsNotEnabled)
    }

    /// A TCP connection to the server, or through the proxy as if to the server.
    async fn connect_tcp(
        &self,
        request: &ClientRequest,
    ) -> Result<(TcpStream, Option<GatePass>), ConnectError> {
        if let Some(proxy) = &self.proxy {
            // RFC 6455 §4.1: who cannot know the address takes each host name for a host of its own.
            let place = Place::Name(request.host().to_ascii_lowercase(), request.port());
            let pass = self.pass(place).await?;
            let mut tcp = TcpStream::connect((proxy.host.as_str(), proxy.port)).await?;
            tcp.set_nodelay(true)?;
            self.open_tunnel(&mut tcp, proxy, request).await?;
            return Ok((tcp, pass));
        }
        let mut last_error = io::Error::from(io::ErrorKind::NotFound);
        for address in lookup_host((request.host(), request.port())).await? {
            let pass = self.pass(Place::Address(address)).await?;
            match TcpStream::connect(address).await {
                Ok(tcp) => {
                    // A small frame waits for nothing: what is worth waiting for is queued by this crate.
                    tcp.set_nodelay(true)?;
                    return Ok((tcp, pass));
                }
                Err(error) => last_error = error,
            }
        }
        Err(last_error.into())
    }

    async fn pass(&self, place: Place) -> Result<Option<GatePass>, ConnectError> {
        match &self.gate {
            None => Ok(None),
            Some(gate) => gate.enter(place).await.map(Some).ok_or(ConnectError::TooManyPending),
        }
    }

    /// Asks the proxy for a tunnel to the server (RFC 9110 §9.3.6).
    async fn open_tunnel(
        &self,
        tcp: &mut TcpStream,
        proxy: &Proxy,
        request: &ClientRequest,
    ) -> Result<(), ConnectError> {
        let host = match request.host() {
            host if host.contains(':') => format!("[{host}]"),
            host => host.to_owned(),
        };
        let target = format!("{host}:{}", request.port());
        let mut head = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n");
        if let Some(authorization) = &proxy.authorization {
            head.push_str("Proxy-Authorization: ");
            head.push_str(authorization);
            head.push_str("\r\n");
        }
        head.push_str("\r\n");
        tcp.write_all(head.as_bytes()).await?;
        tcp.flush().await?;

        let mut reader = HeadReader::new(self.head_limits);
        let mut buffer = Vec::new();
        loop {
            if let Some((head, len)) = reader.response(&buffer).map_err(ConnectError::ProxyHandshake)? {
                return match head.status() {
                    // A server speaks only when it is spoken to: what is behind this head is not from it.
                    200..=299 if len == buffer.len() => Ok(()),
                    200..=299 => Err(ConnectError::ProxyHandshake(HandshakeError::MalformedHead)),
                    status => Err(ConnectError::ProxyHandshake(HandshakeError::Status(status))),
                };
            }
            buffer.reserve(READ_LEN);
            if tcp.read_buf(&mut buffer).await? == 0 {
                return Err(ConnectError::EndOfStream);
            }
        }
    }

    async fn handshake<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        mut io: S,
        request: &ClientRequest,
        deadline: Instant,
    ) -> Result<(WebSocket<S>, ReceivedResponse), ConnectError> {
        let key = Key::generate()?;
        io.write_all(&request.encode(&key)).await?;
        io.flush().await?;

        let mut reader = HeadReader::new(self.head_limits);
        let mut buffer = Vec::new();
        loop {
            let found = reader.response(&buffer).map_err(|error| ConnectError::Handshake(error, None))?;
            if let Some((head, head_len)) = found {
                let negotiated = match request.check(&key, &head.as_response()) {
                    Ok(negotiated) => negotiated,
                    Err(error) => {
                        let until = deadline.min(Instant::now() + BODY_PREFIX_PATIENCE);
                        let response = read_body_prefix(&mut io, &head, &buffer[head_len..], until).await;
                        return Err(ConnectError::Handshake(error, Some(Box::new(response))));
                    }
                };
                let response = head.to_received(&[]);
                // What came behind the head are the server's first frames.
                let unread = buffer.split_off(head_len);
                let socket = WebSocket::negotiated(io, Role::Client, negotiated, &self.config, unread);
                return Ok((socket, response));
            }
            buffer.reserve(READ_LEN);
            if io.read_buf(&mut buffer).await? == 0 {
                return Err(ConnectError::EndOfStream);
            }
        }
    }
}

/// The beginning of what the server says instead of opening a WebSocket; whatever of it comes in time.
async fn read_body_prefix<S: AsyncRead + Unpin>(
    io: &mut S,
    head: &ResponseHead<'_>,
    received: &[u8],
    until: Instant,
) -> ReceivedResponse {
    let wanted = BODY_PREFIX_LEN.min(head.body_len().unwrap_or(BODY_PREFIX_LEN));
    let mut body = received[..received.len().min(wanted)].to_vec();
    let reading = async {
        while body.len() < wanted {
            let missing = wanted - body.len();
            match io.take(missing as u64).read_buf(&mut body).await {
                Ok(1..) => {}
                _ => break,
            }
        }
    };
    // That the rest of an error page does not come is no other error.
    let _ = timeout_at(until, reading).await;
    head.to_received(&body)
}

/// As good as no timeout; a longer one could overflow the clock.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(1 << 30);

/// How much of the body of a response that is no 101 is kept …
const BODY_PREFIX_LEN: usize = 4 << 10;
/// … and how long it is waited for.
const BODY_PREFIX_PATIENCE: Duration = Duration::from_secs(1);
