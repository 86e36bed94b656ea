//! The server's opening handshake behind a hyper 1 server, which has read the request: RFC 6455 §4.2.
//!
//! [`upgrade`] judges the request and makes the response; hyper sends it, and then hands its connection over to
//! [`Upgrade::complete`]. Nothing is read here before the 101, and what hyper has read behind the request comes first
//! out of the transport: the head is never read again, and no frame is lost.
//!
//! The connection must be served `with_upgrades`, else hyper closes it behind the 101.
//!
//! ```
//! use std::convert::Infallible;
//!
//! use hyper::body::Incoming;
//! use hyper::server::conn::http1;
//! use hyper::service::service_fn;
//! use hyper::{Request, Response};
//! use hyper_util::rt::TokioIo;
//! use sansocket::Config;
//! use sansocket::handshake::{ClientRequest, ServerOptions};
//! use sansocket::stream::{Connector, hyper::upgrade};
//!
//! async fn handle(mut request: Request<Incoming>) -> Result<Response<String>, Infallible> {
//!     Ok(match upgrade(&mut request, &ServerOptions::new()) {
//!         Ok((response, upgrade)) => {
//!             // The socket is there once hyper has sent the response, so somebody else has to wait for it.
//!             tokio::spawn(async move {
//!                 let mut socket = upgrade.complete(&Config::default()).await?;
//!                 while let Some((message, mut outgoing)) = socket.receive_ref().await? {
//!                     outgoing.feed(message)?;
//!                 }
//!                 Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
//!             });
//!             response.map(|()| String::new())
//!         }
//!         Err(refusal) => {
//!             let body = refusal.body();
//!             refusal.into_response().map(|()| body.to_owned())
//!         }
//!     })
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let (near, far) = tokio::io::duplex(1024);
//! tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(far), service_fn(handle)).with_upgrades());
//!
//! let request = ClientRequest::new("ws://localhost/echo")?;
//! let (mut socket, _) = Connector::default().connect_over(near, &request).await?;
//! socket.send("hello").await?;
//! assert_eq!(socket.receive().await?, Some("hello".into()));
//! assert!(socket.close(None, "").await?.clean);
//! # Ok(())
//! # }
//! ```

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use ::hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::WebSocket;
use crate::config::Config;
use crate::handshake::{Acceptance, Negotiated, Refusal, Request, ServerOptions, accept};
use crate::role::Role;

/// Judges a request that hyper has read, and makes the response that hyper is to send.
///
/// Return the response from the service, and wait for [`Upgrade::complete`] in a task of its own: see the
/// [example](self).
///
/// # Errors
///
/// The [`Refusal`] to return from the service instead, [as a response](Refusal::into_response). The connection stays
/// hyper's and goes on with HTTP.
pub fn upgrade<B>(
    request: &mut ::http::Request<B>,
    options: &ServerOptions,
) -> Result<(::http::Response<()>, Upgrade), Refusal> {
    let acceptance = accept(&Request::from(&*request), options)?;
    Ok(upgrade_as(request, acceptance))
}

/// As [`upgrade`], for a plan from [`accept`] that the application has looked at or changed: another subprotocol, a
/// header more, a user who is known.
///
/// ```
/// # use hyper::body::Incoming;
/// use sansocket::handshake::{Refusal, Request, ServerOptions, accept};
/// use sansocket::stream::hyper::{Upgrade, upgrade_as};
///
/// # fn authenticate(request: &hyper::Request<Incoming>) -> bool { true }
/// fn judge(
///     mut request: hyper::Request<Incoming>,
///     options: &ServerOptions,
/// ) -> Result<(hyper::Response<()>, Upgrade), Refusal> {
///     let mut acceptance = accept(&Request::from(&request), options)?;
///     if acceptance.offered_subprotocols().any(|offered| offered == "chat.v2") {
///         acceptance.select_subprotocol("chat.v2")?;
///     }
///     // No 101 has been sent, and there is no socket: nobody gets in before this has said yes.
///     if !authenticate(&request) {
///         return Err(Refusal::new(401));
///     }
///     Ok(upgrade_as(&mut request, acceptance))
/// }
/// ```
pub fn upgrade_as<B>(
    request: &mut ::http::Request<B>,
    acceptance: Acceptance,
) -> (::http::Response<()>, Upgrade) {
    let upgrade = Upgrade { transport: ::hyper::upgrade::on(request), negotiated: acceptance.negotiated() };
    (acceptance.into_response(), upgrade)
}

/// A WebSocket that is there as soon as hyper has sent the 101.
///
/// Dropped, it leaves the client with a 101 and a connection that hyper closes.
#[derive(Debug)]
#[must_use = "without `complete` there is no WebSocket"]
pub struct Upgrade {
    transport: OnUpgrade,
    negotiated: Negotiated,
}

impl Upgrade {
    /// Waits until hyper has sent the response and let go of its connection.
    ///
    /// Do not wait for it in the service: hyper sends nothing before the service has returned.
    ///
    /// # Errors
    ///
    /// Hyper's, when there will be no WebSocket: the client went away, another response was sent, the connection was
    /// not served `with_upgrades`, or the request was taken apart and put together without its extensions.
    ///
    /// # Cancel safety
    ///
    /// None: the transport goes with the future.
    pub async fn complete(self, config: &Config) -> Result<WebSocket<UpgradedTransport>, ::hyper::Error> {
        let transport = UpgradedTransport(TokioIo::new(self.transport.await?));
        // What hyper has read behind the request is the first that the transport yields: nothing is unread.
        Ok(WebSocket::negotiated(transport, Role::Server, self.negotiated, config, Vec::new()))
    }
}

/// The transport of a connection that was hyper's. First it yields what hyper has read behind the request.
#[derive(Debug)]
pub struct UpgradedTransport(TokioIo<Upgraded>);

impl UpgradedTransport {
    /// Hyper's connection.
    #[must_use]
    pub fn get_ref(&self) -> &Upgraded {
        self.0.inner()
    }
}

impl AsyncRead for UpgradedTransport {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for UpgradedTransport {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().0).poll_write(cx, octets)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().0).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_shutdown(cx)
    }
}
