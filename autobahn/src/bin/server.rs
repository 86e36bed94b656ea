//! The server under test: echoes on any path until it is killed, compressed where the client offers that.
//!
//! `autobahn-server --port N` listens on the loopback address, on any free port for 0, and prints
//! `listening on 127.0.0.1:PORT`.

use std::process::ExitCode;

use lexopt::prelude::*;
use sansocket::Config;
use sansocket::deflate::DeflateConfig;
use sansocket::handshake::ServerOptions;
use sansocket::stream::{AcceptError, Acceptor, Error};
use tokio::net::{TcpListener, TcpStream};

#[tokio::main]
async fn main() -> ExitCode {
    let port = match port() {
        Ok(port) => port,
        Err(error) => {
            eprintln!("autobahn-server: {error}\nusage: autobahn-server --port N");
            return ExitCode::from(2);
        }
    };
    match serve(port).await {
        Ok(never) => match never {},
        Err(error) => {
            eprintln!("autobahn-server: {error}");
            ExitCode::FAILURE
        }
    }
}

fn port() -> Result<u16, lexopt::Error> {
    let mut port = 9001;
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("port") => port = arguments.value()?.parse()?,
            other => return Err(other.unexpected()),
        }
    }
    Ok(port)
}

async fn serve(port: u16) -> std::io::Result<std::convert::Infallible> {
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    println!("listening on {}", listener.local_addr()?);
    loop {
        let (tcp, peer) = listener.accept().await?;
        tokio::spawn(async move {
            match echo(tcp).await {
                Ok(()) => {}
                Err(Failure::Accept(error)) => eprintln!("{peer}: {error}"),
                // Most of the suite's cases end in one: it is the suite that judges whether it was the right one.
                Err(Failure::Connection(error)) => eprintln!("{peer}: {error}"),
            }
        });
    }
}

enum Failure {
    Accept(AcceptError),
    Connection(Error),
}

async fn echo(tcp: TcpStream) -> Result<(), Failure> {
    tcp.set_nodelay(true).map_err(|error| Failure::Accept(error.into()))?;
    let options = ServerOptions::new().deflate(DeflateConfig::default());
    // The suite takes note of Pings that nobody asked for.
    let acceptor = Acceptor::default().options(options).config(Config::default().ping_interval(None));
    let mut socket = acceptor.accept(tcp).await.map_err(Failure::Accept)?;
    while let Some((message, mut outgoing)) = socket.receive_ref().await.map_err(Failure::Connection)? {
        outgoing.feed(message).map_err(|error| Failure::Connection(error.into()))?;
    }
    Ok(())
}
