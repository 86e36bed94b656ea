//! What a client's connection runs over: TCP, or TLS over it.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// The transport of a connection made by [`connect`](super::connect): TCP, or TLS for `wss`.
#[derive(Debug)]
pub struct ClientTransport(Kind);

#[derive(Debug)]
enum Kind {
    Plain(TcpStream),
    #[cfg(feature = "rustls")]
    Tls(Box<tokio_rustls::client::TlsStream<TcpStream>>),
}

/// What protects a connection, known before there is one.
pub(super) enum Security {
    Plain,
    #[cfg(feature = "rustls")]
    Tls(tokio_rustls::TlsConnector, tokio_rustls::rustls::pki_types::ServerName<'static>),
}

impl Security {
    /// TLS with the host as server name; `None` when no certificate could be for such a host.
    #[cfg(feature = "rustls")]
    pub(super) fn tls(
        host: &str,
        config: std::sync::Arc<tokio_rustls::rustls::ClientConfig>,
    ) -> Option<Self> {
        Some(Self::Tls(config.into(), host.to_owned().try_into().ok()?))
    }

    /// Does the TLS handshake, if there is to be one.
    pub(super) async fn establish(self, tcp: TcpStream) -> io::Result<ClientTransport> {
        Ok(ClientTransport(match self {
            Self::Plain => Kind::Plain(tcp),
            #[cfg(feature = "rustls")]
            Self::Tls(connector, name) => Kind::Tls(Box::new(connector.connect(name, tcp).await?)),
        }))
    }
}

impl ClientTransport {
    /// Whether the connection is encrypted.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        !matches!(self.0, Kind::Plain(_))
    }

    /// The TCP connection, under TLS if there is any.
    #[must_use]
    pub fn tcp(&self) -> &TcpStream {
        match &self.0 {
            Kind::Plain(tcp) => tcp,
            #[cfg(feature = "rustls")]
            Kind::Tls(tls) => tls.get_ref().0,
        }
    }
}

/// Calls the same method of whichever transport it is.
macro_rules! delegate {
    ($self:expr, $io:ident => $call:expr) => {
        match $self {
            Kind::Plain($io) => $call,
            #[cfg(feature = "rustls")]
            Kind::Tls($io) => $call,
        }
    };
}

impl AsyncRead for ClientTransport {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        delegate!(&mut self.get_mut().0, io => Pin::new(io).poll_read(cx, buffer))
    }
}

impl AsyncWrite for ClientTransport {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        delegate!(&mut self.get_mut().0, io => Pin::new(io).poll_write(cx, octets))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        delegate!(&mut self.get_mut().0, io => Pin::new(io).poll_write_vectored(cx, slices))
    }

    fn is_write_vectored(&self) -> bool {
        delegate!(&self.0, io => io.is_write_vectored())
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        delegate!(&mut self.get_mut().0, io => Pin::new(io).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        delegate!(&mut self.get_mut().0, io => Pin::new(io).poll_shutdown(cx))
    }
}

/// TLS 1.2 and 1.3, and the certificate authorities of Mozilla's programme; made once.
#[cfg(feature = "rustls")]
pub(super) fn default_tls() -> std::sync::Arc<tokio_rustls::rustls::ClientConfig> {
    use std::sync::{Arc, OnceLock};

    use tokio_rustls::rustls::crypto::ring;
    use tokio_rustls::rustls::{ClientConfig, RootCertStore};

    static CONFIG: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    let config = CONFIG.get_or_init(|| {
        let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            // INVARIANT: this provider has cipher suites for both versions.
            .expect("the provider supports the default versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Arc::new(config)
    });
    Arc::clone(config)
}
