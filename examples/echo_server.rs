//! An echo server, and a page to try it with: `cargo run --example echo_server [-- --port N]`.
//!
//! One port, four paths:
//!
//! - `/` asked for by plain HTTP is the page in `echo_server.html`;
//! - `/echo` sends every message back;
//! - `/ping` measures the round trip: the server pings every two seconds, and when the Pong is back sends a text message
//!   with the time in microseconds. It is the server that measures, since a page can neither send a Ping nor see a Pong,
//!   and a path of its own keeps these numbers out of the echoes;
//! - `/close?code=N` is closed by the server with that status code.
//!
//! The head of each request is read once: whoever answers, page or WebSocket, gets what has been read.

use std::error::Error;
use std::time::{Duration, Instant};

use sansocket::connection::{CloseReport, Event};
use sansocket::handshake::{Headers, OriginPolicy, Refusal, RequestHead, ServerOptions};
use sansocket::stream::{self, AcceptError, Acceptor, Incoming, WebSocket};
use sansocket::{CloseCode, Config};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::ctrl_c;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{interval, sleep, timeout};

type AnyError = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), AnyError> {
    let listener = TcpListener::bind(("127.0.0.1", port()?)).await?;
    let port = listener.local_addr()?.port();
    let acceptor = acceptor(port)?;
    println!("listening on http://127.0.0.1:{port}");

    let (shut_down, shutdown) = watch::channel(());
    let mut connections = JoinSet::new();
    let mut interrupt = std::pin::pin!(ctrl_c());
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((tcp, peer)) => {
                    let (acceptor, shutdown) = (acceptor.clone(), shutdown.clone());
                    connections.spawn(async move {
                        if let Err(error) = serve(tcp, acceptor, shutdown).await {
                            eprintln!("{peer}: {error}");
                        }
                    });
                }
                // Too many open files, for example: others may go away, so this is no reason to end.
                Err(error) => {
                    eprintln!("cannot accept: {error}");
                    sleep(Duration::from_millis(100)).await;
                }
            },
            Some(_) = connections.join_next() => {}
            _ = &mut interrupt => break,
        }
    }

    // Every connection says goodbye with 1001; who does not answer in time is left.
    drop(listener);
    println!("shutting down, {} connections open", connections.len());
    shut_down.send_replace(());
    let goodbyes = async { while connections.join_next().await.is_some() {} };
    if timeout(SHUTDOWN_TIMEOUT, goodbyes).await.is_err() {
        eprintln!("not all of them answered");
    }
    Ok(())
}

fn port() -> Result<u16, AnyError> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => Ok(9001),
        ["--port", port] => Ok(port.parse()?),
        _ => Err("usage: echo_server [--port N]".into()),
    }
}

/// Browsers let any page open a WebSocket to any server, with the user's cookies: no CORS stands in between. So the
/// server says which pages may, here only its own. Programs that are no browsers send no `Origin`, and are let in.
fn acceptor(port: u16) -> Result<Acceptor, AnyError> {
    let own = ["127.0.0.1", "localhost"].map(|host| format!("http://{host}:{port}"));
    let origins = OriginPolicy::allow_list(own.iter().map(String::as_str))?;
    Ok(Acceptor::default()
        .options(ServerOptions::new().origins(origins))
        .config(Config::default().close_timeout(CLOSE_TIMEOUT)))
}

/// What a request asks for.
#[derive(Clone, Copy)]
enum Route {
    Page,
    Socket(Service),
}

/// What a WebSocket is for.
#[derive(Clone, Copy)]
enum Service {
    Echo,
    Ping,
    Close(CloseCode),
}

/// Everything that can be refused is refused here, before the 101: a page learns nothing from an HTTP error, but a
/// connection that was never opened needs no closing.
fn route(request: &RequestHead<'_>) -> Result<Route, Refusal> {
    let (path, query) = request.resource().split_once('?').unwrap_or((request.resource(), ""));
    match path {
        "/" if request.values_of("upgrade").next().is_none() => match request.method() {
            "GET" => Ok(Route::Page),
            _ => Err(Refusal::new(405)),
        },
        "/echo" => Ok(Route::Socket(Service::Echo)),
        "/ping" => Ok(Route::Socket(Service::Ping)),
        "/close" => query
            .strip_prefix("code=")
            .and_then(|code| CloseCode::new(code.parse().ok()?))
            // 1010 is for clients only.
            .filter(|code| *code != CloseCode::MANDATORY_EXTENSION)
            .map(|code| Route::Socket(Service::Close(code)))
            .ok_or_else(|| Refusal::new(400)),
        _ => Err(Refusal::new(404)),
    }
}

async fn serve(
    tcp: TcpStream,
    acceptor: Acceptor,
    mut shutdown: watch::Receiver<()>,
) -> Result<(), AnyError> {
    tcp.set_nodelay(true)?;
    let incoming = tokio::select! {
        incoming = acceptor.receive_request(tcp) => match incoming {
            // Browsers open connections in advance, and close those that they had no need for.
            Err(AcceptError::EndOfStream) => return Ok(()),
            incoming => incoming?,
        },
        _ = shutdown.changed() => return Ok(()),
    };
    let service = match route(&incoming.request()) {
        Ok(Route::Page) => return send_page(incoming).await,
        Ok(Route::Socket(service)) => service,
        Err(refusal) => return Ok(incoming.refuse(refusal).await?),
    };

    // Answers 426 to who asked without `Upgrade`, and 403 to a page from elsewhere.
    let mut socket = incoming.accept().await?;
    tokio::select! {
        ended = converse(&mut socket, service) => ended?,
        // Futures of a WebSocket can be dropped at any await: the socket is as good as before.
        _ = shutdown.changed() => {
            socket.close(CloseCode::GOING_AWAY, "server is shutting down").await?;
        }
    }
    if let Some(CloseReport { closed_by, received, received_reason: reason, clean, .. }) =
        socket.close_report()
    {
        println!("closed by {closed_by:?}, received {} {reason:?}, clean: {clean}", received.number());
    }
    Ok(())
}

/// The request was plain HTTP: the transport goes to who speaks that.
async fn send_page(incoming: Incoming<TcpStream>) -> Result<(), AnyError> {
    let (mut tcp, _request) = incoming.into_parts();
    let response = format!(
        "HTTP/1.1 200 OK\r\n\
         Content-Type: text/html; charset=utf-8\r\n\
         Content-Length: {}\r\n\
         Cache-Control: no-store\r\n\
         Connection: close\r\n\r\n\
         {PAGE}",
        PAGE.len()
    );
    tcp.write_all(response.as_bytes()).await?;
    Ok(tcp.shutdown().await?)
}

async fn converse(socket: &mut WebSocket<TcpStream>, service: Service) -> Result<(), stream::Error> {
    match service {
        Service::Echo => echo(socket).await,
        Service::Ping => ping(socket).await,
        Service::Close(code) => socket.close(code, "as you asked").await.map(drop),
    }
}

/// What is fed leaves before the next wait for input, so a burst of messages is answered in one write.
async fn echo(socket: &mut WebSocket<TcpStream>) -> Result<(), stream::Error> {
    while let Some((message, mut outgoing)) = socket.receive_ref().await? {
        outgoing.feed(message)?;
    }
    Ok(())
}

async fn ping(socket: &mut WebSocket<TcpStream>) -> Result<(), stream::Error> {
    let mut ticks = interval(PING_INTERVAL);
    let (mut number, mut sent) = (0_u64, Instant::now());
    loop {
        tokio::select! {
            event = socket.receive_event() => match event? {
                // A Pong may also be late, or one that nobody asked for.
                Some((Event::Pong(payload), mut outgoing)) if payload == number.to_be_bytes() => {
                    outgoing.feed(sent.elapsed().as_micros().to_string())?;
                }
                Some(_) => {}
                None => return Ok(()),
            },
            _ = ticks.tick() => {
                (number, sent) = (number + 1, Instant::now());
                socket.ping(&number.to_be_bytes()).await?;
            }
        }
    }
}

const PAGE: &str = include_str!("echo_server.html");

const PING_INTERVAL: Duration = Duration::from_secs(2);

/// How long a peer has for its side of the closing handshake …
const CLOSE_TIMEOUT: Duration = Duration::from_secs(3);

/// … and how long all of them have when the server shuts down.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);
