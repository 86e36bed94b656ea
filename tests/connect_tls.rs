//! WebSockets inside TLS: RFC 6455 §4.1, §10.6.
#![cfg(feature = "rustls")]
#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests")]

mod connect_support;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use connect_support::{REQUEST, Tap, Tapped, accepting, contains, read_head, read_rest};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use sansocket::handshake::{ClientRequest, InvalidUri, Refusal};
use sansocket::stream::{Acceptor, ClientTransport, ConnectError, Connector, WebSocket, accept};
use sansocket::{CloseCode, Message};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// A certificate authority that nobody else knows.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// A server with a certificate for this host, which has expired if it is to.
    fn server(&self, host: &str, expired: bool) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([host.to_owned()]).unwrap();
        if expired {
            params.not_after = date_time_ymd(2020, 1, 1);
        }
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.into()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
            .unwrap();
        Arc::new(config).into()
    }

    /// A client that trusts it, and nobody else.
    fn connector(&self) -> Connector {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Connector::default().tls(Arc::new(config))
    }
}

type Stream = TlsStream<Tapped<TcpStream>>;

/// The next client, once the TLS handshake is done, and what passes over its TCP.
async fn arrival(listener: &TcpListener, tls: &TlsAcceptor) -> (io::Result<Stream>, Tap) {
    let (tcp, tap) = Tapped::new(listener.accept().await.unwrap().0);
    (tls.accept(tcp).await, tap)
}

/// A client and a server with TLS between them.
async fn open() -> (WebSocket<ClientTransport>, Stream, Tap) {
    let authority = Authority::new();
    let (listener, tls) = (listen().await, authority.server("localhost", false));
    let request = request(&listener, "localhost");
    let connector = authority.connector();
    let server = async {
        let (tls, tap) = arrival(&listener, &tls).await;
        let mut tls = tls.unwrap();
        let request = read_head(&mut tls).await;
        tls.write_all(&accepting(&request, "")).await.unwrap();
        tls.flush().await.unwrap();
        (tls, tap)
    };
    let (connected, (tls, tap)) = tokio::join!(connector.connect(&request), server);
    (connected.unwrap().0, tls, tap)
}

async fn listen() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

fn request(listener: &TcpListener, host: &str) -> ClientRequest {
    let port = listener.local_addr().unwrap().port();
    ClientRequest::new(&format!("WSS://{host}:{port}/secret")).unwrap()
}

/// The lengths of the records of encrypted data, of which each begins with its type, its version and its length.
fn records(mut octets: &[u8]) -> Vec<usize> {
    let mut lengths = Vec::new();
    while let [23, 3, 3, high, low, rest @ ..] = octets {
        let len = usize::from(u16::from_be_bytes([*high, *low]));
        lengths.push(len);
        octets = &rest[len..];
    }
    assert_eq!(octets, b"");
    lengths
}

#[tokio::test]
async fn client_and_server_talk_inside_tls() {
    // 6455-10.6-1 6455-10.6-2 6455-3-1 6455-4.1-11 6455-4.1-13 6455-4.1-14 6455-4.2.2-2
    let authority = Authority::new();
    for (host, sni) in [("localhost", Some("localhost")), ("127.0.0.1", None)] {
        let (listener, tls) = (listen().await, authority.server(host, false));
        let request = request(&listener, host);
        let server = async {
            let (tls, tap) = arrival(&listener, &tls).await;
            let tls = tls.unwrap();
            assert_eq!(tls.get_ref().1.server_name(), sni);
            let mut socket = accept(tls).await.unwrap();
            while let Some(message) = socket.receive().await.unwrap() {
                socket.send(message).await.unwrap();
            }
            assert!(socket.close_report().unwrap().clean);
            tap
        };
        let connector = authority.connector();
        let client = async {
            let (mut socket, _) = connector.connect(&request).await.unwrap();
            let transport = socket.get_ref().unwrap();
            assert!(transport.is_secure() && transport.tcp().nodelay().unwrap());
            let large = Message::binary(vec![b'A'; 100_000]);
            for message in [Message::text("in confidence"), large] {
                socket.send(message.clone()).await.unwrap();
                assert_eq!(socket.receive().await.unwrap(), Some(message));
            }
            assert!(socket.close(CloseCode::NORMAL, "").await.unwrap().clean);
        };
        let (tap, ()) = tokio::join!(server, client);
        let record = tap.record();
        // A handshake record with a ClientHello, and nothing in the clear ever after.
        assert_eq!((record.read[..2].to_vec(), record.read[5]), (vec![22, 3], 1));
        for octets in [&record.read, &record.written] {
            for plain in [&b"GET "[..], b"HTTP/1.1", b"secret", b"in confidence", b"AAAAAAAA"] {
                assert!(!contains(octets, plain));
            }
        }
    }
}

#[tokio::test]
async fn client_receives_a_certificate_that_is_not_good() {
    // 6455-4.1-12: nothing of the handshake is sent, inside or outside.
    let (authority, other) = (Authority::new(), Authority::new());
    let table = [
        (authority.server("other.example", false), authority.connector(), "wrong host"),
        (authority.server("localhost", true), authority.connector(), "expired"),
        (other.server("localhost", false), authority.connector(), "unknown authority"),
        (authority.server("localhost", false), Connector::default(), "none of the usual authorities"),
    ];
    for (tls, connector, what) in table {
        let listener = listen().await;
        let request = request(&listener, "localhost");
        let (connected, (accepted, tap)) =
            tokio::join!(connector.connect(&request), arrival(&listener, &tls));
        assert!(matches!(connected, Err(ConnectError::Tls(_))), "{what}");
        assert!(accepted.is_err(), "{what}");
        assert!(!contains(&tap.record().read, b"GET "));
    }
}

#[tokio::test]
async fn client_receives_something_that_is_no_tls() {
    // 6455-4.1-12 6455-4.1-10
    for answer in [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], b""] {
        let listener = listen().await;
        let request = request(&listener, "localhost");
        let server = async {
            let (mut io, _) = listener.accept().await.unwrap();
            let mut hello = vec![0; 5];
            io.read_exact(&mut hello).await.unwrap();
            io.write_all(answer).await.unwrap();
            io.shutdown().await.unwrap();
            let mut rest = Vec::new();
            let _ = io.read_to_end(&mut rest).await;
            [hello, rest].concat()
        };
        let connector = Connector::default();
        let (connected, received) = tokio::join!(connector.connect(&request), server);
        assert!(matches!(connected, Err(ConnectError::Tls(_))));
        assert_eq!(received[0], 22);
        assert!(!contains(&received, b"GET "));
    }
}

#[tokio::test]
async fn client_connects_to_nothing_with_a_host_that_no_certificate_can_name() {
    // 6455-4.1-2
    let listener = listen().await;
    let port = listener.local_addr().unwrap().port();
    let connector = Connector::default().proxy("127.0.0.1", port, None).unwrap();
    for host in ["a!b", "a..b", "(localhost)"] {
        let request = ClientRequest::new(&format!("wss://{host}:{port}/")).unwrap();
        let connected = connector.connect(&request).await;
        assert!(matches!(connected, Err(ConnectError::Uri(InvalidUri::Host))), "{host}");
    }
    assert!(timeout(Duration::from_millis(20), listener.accept()).await.is_err(), "nobody has connected");
}

#[tokio::test]
async fn client_connects_with_tls_inside_the_tunnel_of_a_proxy() {
    // 6455-4.1-7 6455-4.1-11
    let authority = Authority::new();
    let (listener, tls) = (listen().await, authority.server("chat.invalid", false));
    let port = listener.local_addr().unwrap().port();
    let connector = authority.connector().proxy("127.0.0.1", port, None).unwrap();
    let request = ClientRequest::new("wss://chat.invalid/").unwrap();
    let server = async {
        let (mut tcp, tap) = Tapped::new(listener.accept().await.unwrap().0);
        let head = read_head(&mut tcp).await;
        assert_eq!(head, b"CONNECT chat.invalid:443 HTTP/1.1\r\nHost: chat.invalid:443\r\n\r\n");
        tcp.write_all(b"HTTP/1.1 200 \r\n\r\n").await.unwrap();
        let tls = tls.accept(tcp).await.unwrap();
        assert_eq!(tls.get_ref().1.server_name(), Some("chat.invalid"));
        accept(tls).await.unwrap().send("Hello").await.unwrap();
        assert_eq!(tap.record().read[head.len()..][..2], [22, 3]);
        assert!(!contains(&tap.record().read, b"GET "));
    };
    let client = async { connector.connect(&request).await.unwrap().0.receive().await.unwrap() };
    let (message, ()) = tokio::join!(client, server);
    assert_eq!(message, Some(Message::text("Hello")));
}

#[tokio::test]
async fn client_closes_tls_as_well() {
    // 6455-7.1.1-1: the server sees close_notify, without which its read would be an error.
    let (mut client, mut server, _) = open().await;
    let serving = async {
        let mut close = [0; 8];
        server.read_exact(&mut close).await.unwrap();
        assert_eq!(close[..2], [0x88, 0x82]);
        server.write_all(b"\x88\x02\x03\xe8").await.unwrap();
        server.shutdown().await.unwrap();
        read_rest(&mut server).await
    };
    let (closed, rest) = tokio::join!(client.close(CloseCode::NORMAL, ""), serving);
    assert!(closed.unwrap().clean);
    assert_eq!(rest, b"");
}

#[tokio::test]
async fn client_receives_the_end_of_tcp_without_the_end_of_tls() {
    // 6455-7.1.4-1 6455-7.1.5-3: behind both Close frames nothing can be cut off any more; before them it can.
    let (mut client, mut server, _) = open().await;
    let serving = async {
        let mut close = [0; 8];
        server.read_exact(&mut close).await.unwrap();
        server.write_all(b"\x88\x02\x03\xe8").await.unwrap();
        server.flush().await.unwrap();
        drop(server);
    };
    let (closed, ()) = tokio::join!(client.close(CloseCode::NORMAL, ""), serving);
    assert!(closed.unwrap().clean);

    let (mut client, server, _) = open().await;
    drop(server);
    assert!(client.receive().await.is_err());
    assert!(!client.close_report().unwrap().clean);
}

#[tokio::test]
async fn client_sends_header_and_payload_in_one_record() {
    let (mut client, mut server, tap) = open().await;
    for (len, expected) in [(1, 1), (1000, 1), (16 << 10, 2), (40_000, 3)] {
        let before = tap.record().read.len();
        let masked_len = len
            + if len < 126 {
                6
            } else if len < 1 << 16 {
                8
            } else {
                14
            };
        let mut frame = vec![0; masked_len];
        let sending = client.send(bytes::Bytes::from(vec![b'x'; len]));
        let (sent, read) = tokio::join!(sending, server.read_exact(&mut frame));
        assert!(sent.is_ok() && read.is_ok());
        let lengths = records(&tap.record().read[before..]);
        assert_eq!(lengths.len(), expected, "{len}: {lengths:?}");
    }
}

#[tokio::test]
async fn server_sends_header_and_payload_in_one_record() {
    // A payload that is shared and not copied, gathered with its header.
    let authority = Authority::new();
    let (listener, tls) = (listen().await, authority.server("localhost", false));
    let request = request(&listener, "localhost");
    let connector = authority.connector();
    let server = async {
        let (tls, tap) = arrival(&listener, &tls).await;
        (accept(tls.unwrap()).await.unwrap(), tap)
    };
    let (connected, (mut server, tap)) = tokio::join!(connector.connect(&request), server);
    let mut client = connected.unwrap().0;
    for (len, expected) in [(1, 1), (1000, 1), (16 << 10, 2), (40_000, 3)] {
        let before = tap.record().written.len();
        let sending = server.send(bytes::Bytes::from(vec![b'x'; len]));
        let (sent, received) = tokio::join!(sending, client.receive());
        sent.unwrap();
        assert_eq!(received.unwrap(), Some(Message::binary(vec![b'x'; len])));
        let lengths = records(&tap.record().written[before..]);
        assert_eq!(lengths.len(), expected, "{len}: {lengths:?}");
    }
}

#[tokio::test]
async fn server_receives_a_request_without_tls_where_there_is_to_be_tls() {
    // 6455-4.2.2-2: the TLS handshake fails, so there is nothing to give to the acceptor, and no HTTP answer.
    let (listener, tls) = (listen().await, Authority::new().server("localhost", false));
    let client = async {
        let mut io = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        io.write_all(REQUEST).await.unwrap();
        let mut answer = Vec::new();
        let _ = io.read_to_end(&mut answer).await;
        assert!(!contains(&answer, b"HTTP"));
    };
    let server = async { arrival(&listener, &tls).await.0.map(drop) };
    let (accepted, ()) = tokio::join!(server, client);
    assert!(accepted.is_err());
}

#[tokio::test]
async fn server_sends_a_refusal_inside_tls_and_closes_it() {
    // 6455-4.2.2-2 6455-7.1.1-1
    let authority = Authority::new();
    let (listener, tls) = (listen().await, authority.server("localhost", false));
    let request = request(&listener, "localhost");
    let server = async {
        let (tls, tap) = arrival(&listener, &tls).await;
        let acceptor = Acceptor::default();
        let incoming = acceptor.receive_request(tls.unwrap()).await.unwrap();
        incoming.refuse(Refusal::new(401)).await.unwrap();
        tap
    };
    let connector = authority.connector();
    let (connected, tap) = tokio::join!(connector.connect(&request), server);
    match connected {
        Err(ConnectError::Handshake(_, Some(response))) => {
            assert_eq!((response.status, &response.body_prefix[..]), (401, &b"Unauthorized\n"[..]));
        }
        other => panic!("{other:?}"),
    }
    assert!(!contains(&tap.record().written, b"HTTP"));
}
