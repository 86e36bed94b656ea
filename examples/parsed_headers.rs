//! A WebSocket from a request that somebody else has read: here a hyper 1 server, without the feature `hyper`.
//!
//! `cargo run --example parsed_headers --features http [-- PORT]`, then
//! `cargo run --example client -- ws://127.0.0.1:9002/echo`.
//!
//! The same three steps fit any HTTP server that lets go of its connection:
//!
//! 1. the headers it has parsed go to `handshake::accept`, which reads nothing and sends nothing;
//! 2. the response that comes back is sent by the HTTP server, as it sends any other;
//! 3. the connection, and the bytes that were read behind the request, go to `WebSocket::negotiated`.

use std::convert::Infallible;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use sansocket::handshake::{self, Negotiated, Refusal, ServerOptions};
use sansocket::stream::WebSocket;
use sansocket::{Config, Role};
use tokio::net::{TcpListener, TcpStream};

type AnyError = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), AnyError> {
    let port = std::env::args().nth(1).map_or(Ok(9002), |port| port.parse())?;
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    println!("listening on ws://{}/echo", listener.local_addr()?);
    loop {
        let (tcp, peer) = listener.accept().await?;
        tokio::spawn(async move {
            // Without `with_upgrades` hyper would close the connection behind the 101.
            let connection = http1::Builder::new().serve_connection(TokioIo::new(tcp), service_fn(answer));
            if let Err(error) = connection.with_upgrades().await {
                eprintln!("{peer}: {error}");
            }
        });
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<String>, Infallible> {
    Ok(open(request).unwrap_or_else(|refusal| {
        let body = refusal.body();
        refusal.into_response().map(|()| body.to_owned())
    }))
}

fn open(mut request: Request<Incoming>) -> Result<Response<String>, Refusal> {
    if request.uri().path() != "/echo" {
        return Err(Refusal::new(404));
    }
    // Step 1. Nothing has been sent yet: who may connect, from which page, with which subprotocol, belongs here.
    let acceptance = handshake::accept(&(&request).into(), &ServerOptions::new())?;
    // Step 3 happens elsewhere: hyper lets go of its connection when the response below has been sent.
    let upgrade = hyper::upgrade::on(&mut request);
    let negotiated = acceptance.negotiated();
    tokio::spawn(async move {
        if let Err(error) = echo(upgrade, negotiated).await {
            eprintln!("{error}");
        }
    });
    // Step 2.
    Ok(acceptance.into_response().map(|()| String::new()))
}

async fn echo(upgrade: OnUpgrade, negotiated: Negotiated) -> Result<(), AnyError> {
    // A client may send frames in one piece with its request: then hyper has read them already.
    let parts =
        upgrade.await?.downcast::<TokioIo<TcpStream>>().map_err(|_| "not the transport that was served")?;
    let (tcp, unread) = (parts.io.into_inner(), parts.read_buf);
    let mut socket = WebSocket::negotiated(tcp, Role::Server, negotiated, &Config::default(), unread);
    while let Some((message, mut outgoing)) = socket.receive_ref().await? {
        outgoing.feed(message)?;
    }
    Ok(())
}
