//! A scripted transport, frames as a peer would send them, and futures polled by hand.
#![allow(dead_code, unused_imports, reason = "each test file uses a part of it")]

mod frames;
mod polling;
mod transport;

pub(crate) use frames::*;
pub(crate) use polling::*;
pub(crate) use transport::*;

use sansocket::stream::WebSocket;
use sansocket::{Config, Role};

pub(crate) const ROLES: [Role; 2] = [Role::Client, Role::Server];

/// No deadline as long as the connection is open: for futures that are polled by hand, without a runtime's timer.
pub(crate) fn quiet() -> Config {
    Config::default().ping_interval(None).write_timeout(None)
}

/// One end over a scripted transport, whose other end is the test.
pub(crate) fn connect(role: Role) -> (WebSocket<Mock>, Script) {
    connect_with(role, &quiet())
}

pub(crate) fn connect_with(role: Role, config: &Config) -> (WebSocket<Mock>, Script) {
    let (mock, script) = mock();
    (over(role, mock, config), script)
}

pub(crate) fn over<S>(role: Role, io: S, config: &Config) -> WebSocket<S> {
    match role {
        Role::Client => WebSocket::client(io, config, Vec::new()),
        Role::Server => WebSocket::server(io, config, Vec::new()),
    }
}

/// A client and a server over a pipe that holds this many octets in each direction.
pub(crate) fn pair(
    octets: usize,
) -> (WebSocket<tokio::io::DuplexStream>, WebSocket<tokio::io::DuplexStream>) {
    let (near, far) = tokio::io::duplex(octets);
    let config = quiet();
    (WebSocket::client(near, &config, Vec::new()), WebSocket::server(far, &config, Vec::new()))
}
