//! Upgrades of requests that a hyper 1 server has read: RFC 6455 §4.2, feature `hyper`.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests: a panic is how they fail")]

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use std::{future, io};

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use sansocket::handshake::{ClientRequest, OriginPolicy, Refusal, ServerOptions, accept};
use sansocket::stream::hyper::{Upgrade, UpgradedTransport, upgrade, upgrade_as};
use sansocket::stream::{Connector, Error, WebSocket};
use sansocket::{CloseCode, Config};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;

const REQUEST: &str = "GET /chat HTTP/1.1\r\n\
    Host: server.example.com\r\n\
    Upgrade: websocket\r\n\
    Connection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\
    Origin: http://example.com\r\n\
    Sec-WebSocket-Protocol: chat, superchat\r\n\r\n";

/// RFC 6455 §5.7: a masked text message, "Hello".
const MASKED_HELLO: [u8; 11] = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
/// RFC 6455 §5.7: the same from the server.
const HELLO: [u8; 7] = [0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f];

/// What the service under test does with a request.
type Judge = fn(&mut Request<Incoming>) -> Result<(Response<()>, Upgrade), Refusal>;

/// Serves one connection, and tells of every WebSocket that came of it and how its echo ended.
async fn serve<S>(io: S, judge: Judge, opened: mpsc::UnboundedSender<Result<(), Error>>)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let service = service_fn(move |mut request: Request<Incoming>| {
        let opened = opened.clone();
        let answer = match judge(&mut request) {
            Ok((response, upgrade)) => {
                tokio::spawn(async move {
                    let socket = upgrade.complete(&Config::default()).await.expect("hyper lets go");
                    let _ = opened.send(Ok(()));
                    let _ = opened.send(echo(socket).await);
                });
                response.map(|()| String::new())
            }
            Err(refusal) => {
                let body = refusal.body();
                refusal.into_response().map(|()| body.to_owned())
            }
        };
        future::ready(Ok::<_, Infallible>(answer))
    });
    let connection = http1::Builder::new().serve_connection(TokioIo::new(io), service);
    // A test may go away in the middle of a request.
    let _ = connection.with_upgrades().await;
}

async fn echo(mut socket: WebSocket<UpgradedTransport>) -> Result<(), Error> {
    while let Some((message, mut outgoing)) = socket.receive_ref().await? {
        outgoing.feed(&message)?;
    }
    Ok(())
}

/// A connection over loopback to a server with this service, and what comes of it.
async fn connect(judge: Judge) -> (TcpStream, mpsc::UnboundedReceiver<Result<(), Error>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    client.set_nodelay(true).unwrap();
    let (tcp, _) = listener.accept().await.unwrap();
    let (opened, events) = mpsc::unbounded_channel();
    tokio::spawn(serve(tcp, judge, opened));
    (client, events)
}

/// A response as far as its blank line, in lower case, within a second.
async fn head<S: AsyncRead + Unpin>(io: &mut S) -> String {
    let mut head = Vec::new();
    let reading = async {
        while !head.ends_with(b"\r\n\r\n") {
            head.push(io.read_u8().await.unwrap());
        }
    };
    timeout(Duration::from_secs(1), reading).await.expect("the answer comes within a second");
    String::from_utf8(head).unwrap().to_ascii_lowercase()
}

async fn octets<S: AsyncRead + Unpin, const N: usize>(io: &mut S) -> [u8; N] {
    let mut octets = [0; N];
    timeout(Duration::from_secs(1), io.read_exact(&mut octets)).await.expect("in time").unwrap();
    octets
}

fn any(request: &mut Request<Incoming>) -> Result<(Response<()>, Upgrade), Refusal> {
    upgrade(request, &ServerOptions::new())
}

fn strict(request: &mut Request<Incoming>) -> Result<(Response<()>, Upgrade), Refusal> {
    let origins = OriginPolicy::allow_list(["http://example.com"]).unwrap();
    upgrade(request, &ServerOptions::new().origins(origins))
}

#[tokio::test]
async fn server_sends_101_within_a_second_of_a_request_that_hyper_has_read() {
    // CM-1
    let (mut client, mut events) = connect(any).await;
    client.write_all(REQUEST.as_bytes()).await.unwrap();
    let head = head(&mut client).await;
    assert!(head.starts_with("http/1.1 101 switching protocols\r\n"), "{head}");
    assert!(head.contains("\r\nupgrade: websocket\r\n"), "{head}");
    assert!(head.contains("\r\nconnection: upgrade\r\n"), "{head}");
    assert!(head.contains("\r\nsec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=\r\n"), "{head}");
    assert!(!head.contains("sec-websocket-protocol"), "{head}");
    assert!(!head.contains("content-length") && !head.contains("transfer-encoding"), "{head}");
    events.recv().await.unwrap().unwrap();
    client.write_all(&MASKED_HELLO).await.unwrap();
    assert_eq!(octets(&mut client).await, HELLO);
}

#[tokio::test]
async fn server_receives_frames_in_one_segment_with_the_request() {
    // CM-2
    let (mut client, _events) = connect(any).await;
    let segment = [REQUEST.as_bytes(), &MASKED_HELLO, &MASKED_HELLO[..6]].concat();
    client.write_all(&segment).await.unwrap();
    assert!(head(&mut client).await.starts_with("http/1.1 101 "));
    assert_eq!(octets(&mut client).await, HELLO);
    // The frame that was cut in the middle goes on where hyper stopped reading.
    client.write_all(&MASKED_HELLO[6..]).await.unwrap();
    assert_eq!(octets(&mut client).await, HELLO);
}

#[tokio::test]
async fn server_receives_request_and_frames_cut_at_every_octet() {
    // CM-2
    let stream = [REQUEST.as_bytes(), &MASKED_HELLO].concat();
    for at in 1..stream.len() {
        let (mut client, far) = tokio::io::duplex(1024);
        tokio::spawn(serve(far, any, mpsc::unbounded_channel().0));
        client.write_all(&stream[..at]).await.unwrap();
        tokio::task::yield_now().await;
        client.write_all(&stream[at..]).await.unwrap();
        assert!(head(&mut client).await.starts_with("http/1.1 101 "), "cut at {at}");
        assert_eq!(octets(&mut client).await, HELLO, "cut at {at}");
    }
}

#[tokio::test]
async fn server_opens_only_when_the_whole_101_has_been_taken() {
    // CM-3
    let (mut client, far) = tokio::io::duplex(16);
    let (opened, mut events) = mpsc::unbounded_channel();
    let server = tokio::spawn(serve(far, any, opened));
    client.write_all(REQUEST.as_bytes()).await.unwrap();
    let early: [u8; 32] = octets(&mut client).await;
    assert!(early.starts_with(b"HTTP/1.1 101 "));
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(events.try_recv().is_err(), "no socket while the 101 is on its way");
    head(&mut client).await;
    events.recv().await.unwrap().unwrap();
    server.await.unwrap();
    client.write_all(&MASKED_HELLO).await.unwrap();
    assert_eq!(octets(&mut client).await, HELLO);
}

/// A transport that counts the octets that were read from it.
struct Counted<S> {
    io: S,
    read: Arc<AtomicUsize>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let poll = Pin::new(&mut self.io).poll_read(cx, buffer);
        self.read.fetch_add(buffer.filled().len() - before, Ordering::Relaxed);
        poll
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, octets)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[tokio::test]
async fn server_reads_nothing_but_the_request_before_the_101() {
    // CM-1: the client sends its request and not one octet more until it has the 101.
    let (mut client, far) = tokio::io::duplex(1024);
    let read = Arc::new(AtomicUsize::new(0));
    let (opened, mut events) = mpsc::unbounded_channel();
    tokio::spawn(serve(Counted { io: far, read: Arc::clone(&read) }, any, opened));
    client.write_all(REQUEST.as_bytes()).await.unwrap();
    head(&mut client).await;
    events.recv().await.unwrap().unwrap();
    assert_eq!(read.load(Ordering::Relaxed), REQUEST.len(), "the head was read once");
    client.write_all(&MASKED_HELLO).await.unwrap();
    assert_eq!(octets(&mut client).await, HELLO);
    assert_eq!(read.load(Ordering::Relaxed), REQUEST.len() + MASKED_HELLO.len());
}

#[tokio::test]
async fn server_refuses_with_the_status_of_the_handshake_and_opens_nothing() {
    // CM-9 CM-10 CM-11 WS-14
    let table = [
        ("Upgrade: websocket\r\n", "", 426, "upgrade: websocket"),
        ("Connection: Upgrade\r\n", "Connection: keep-alive\r\n", 400, ""),
        ("Sec-WebSocket-Version: 13", "Sec-WebSocket-Version: 8", 426, "sec-websocket-version: 13"),
        ("dGhlIHNhbXBsZSBub25jZQ==", "c2hvcnQ=", 400, ""),
        ("GET /chat", "POST /chat", 405, "allow: get"),
        ("http://example.com", "http://example.com.evil.example", 403, ""),
        ("http://example.com", "null", 403, ""),
        ("HTTP/1.1", "HTTP/1.0", 400, ""),
    ];
    for (from, to, status, field) in table {
        let (mut client, mut events) = connect(strict).await;
        let request = REQUEST.replace(from, to);
        assert_ne!(request, REQUEST, "{from}");
        client.write_all(request.as_bytes()).await.unwrap();
        let head = head(&mut client).await;
        let (_, rest) = head.split_once(' ').unwrap();
        assert!(rest.starts_with(&status.to_string()), "{from} → {to}: {head}");
        assert!(head.contains(field), "{from} → {to}: {head}");
        drop(client);
        assert!(events.recv().await.is_none(), "{from} → {to}: no socket");
    }
}

#[tokio::test]
async fn server_that_refused_goes_on_with_http_on_the_same_connection() {
    // CM-11: a request whose upgrade a proxy has stripped is answered at once, and the next one can do better.
    let (mut client, mut events) = connect(any).await;
    let stripped = REQUEST.replace("Upgrade: websocket\r\nConnection: Upgrade\r\n", "");
    client.write_all(stripped.as_bytes()).await.unwrap();
    assert!(head(&mut client).await.starts_with("http/1.1 426 "));
    assert_eq!(&octets::<_, 17>(&mut client).await, b"Upgrade Required\n");
    client.write_all(REQUEST.as_bytes()).await.unwrap();
    assert!(head(&mut client).await.starts_with("http/1.1 101 "));
    events.recv().await.unwrap().unwrap();
}

#[tokio::test]
async fn server_sends_what_the_application_made_of_the_plan() {
    fn judge(request: &mut Request<Incoming>) -> Result<(Response<()>, Upgrade), Refusal> {
        let mut acceptance = accept(&(&*request).into(), &ServerOptions::new())?;
        acceptance.select_subprotocol("superchat")?;
        acceptance.add_header("Set-Cookie", "a=b").map_err(|_| Refusal::new(500))?;
        Ok(upgrade_as(request, acceptance))
    }
    let (client, mut events) = connect(judge).await;
    let request =
        ClientRequest::new("ws://localhost/chat").unwrap().subprotocols(["chat", "superchat"]).unwrap();
    let (mut socket, response) = Connector::default().connect_over(client, &request).await.unwrap();
    assert_eq!(socket.subprotocol(), Some("superchat"));
    assert!(response.headers.iter().any(|(name, value)| name == "set-cookie" && value == b"a=b"));
    events.recv().await.unwrap().unwrap();
    // Larger than any buffer on the way.
    let large = vec![0x5a; 1 << 20];
    socket.send(&large).await.unwrap();
    assert_eq!(socket.receive().await.unwrap(), Some(large.into()));
    let report = socket.close(CloseCode::NORMAL, "bye").await.unwrap();
    assert!(report.clean);
    assert!(events.recv().await.unwrap().is_ok(), "the server's end is clean too");
}

#[tokio::test]
async fn upgrade_fails_when_the_connection_is_served_without_upgrades() {
    let (mut client, far) = tokio::io::duplex(1024);
    let (failed, mut failures) = mpsc::unbounded_channel();
    let service = service_fn(move |mut request: Request<Incoming>| {
        let failed = failed.clone();
        let (response, upgrade) = any(&mut request).unwrap();
        tokio::spawn(async move {
            let _ = failed.send(upgrade.complete(&Config::default()).await.is_err());
        });
        future::ready(Ok::<_, Infallible>(response.map(|()| String::new())))
    });
    tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(far), service));
    client.write_all(REQUEST.as_bytes()).await.unwrap();
    let failed = timeout(Duration::from_secs(1), failures.recv()).await.expect("no wait without an end");
    assert_eq!(failed, Some(true));
}

#[tokio::test]
async fn upgrade_fails_when_the_client_goes_away_before_the_101() {
    let (mut client, far) = tokio::io::duplex(16);
    let (opened, mut failures) = mpsc::unbounded_channel();
    let service = service_fn(move |mut request: Request<Incoming>| {
        let opened = opened.clone();
        let (response, upgrade) = any(&mut request).unwrap();
        tokio::spawn(async move {
            let _ = opened.send(upgrade.complete(&Config::default()).await.is_err());
        });
        future::ready(Ok::<_, Infallible>(response.map(|()| String::new())))
    });
    tokio::spawn(async move {
        let connection = http1::Builder::new().serve_connection(TokioIo::new(far), service);
        let _ = connection.with_upgrades().await;
    });
    client.write_all(REQUEST.as_bytes()).await.unwrap();
    drop(client);
    let failed = timeout(Duration::from_secs(1), failures.recv()).await.expect("no wait without an end");
    assert_eq!(failed, Some(true));
}
