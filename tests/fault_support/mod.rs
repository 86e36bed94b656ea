//! One face for every way to use a WebSocket, over a transport that fails as a test says.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::io::ErrorKind;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use sansocket::connection::CloseReport;
use sansocket::stream::{Error, Receiver, Sender, WebSocket};
use sansocket::test_util::{Peer, Transport};
use sansocket::{CloseCode, Config, Message, Role, blocking};

pub(crate) const ROLES: [Role; 2] = [Role::Client, Role::Server];

/// How a program uses its WebSocket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Face {
    Whole,
    Halves,
    StreamAndSink,
    Blocking,
}

pub(crate) const FACES: [Face; 4] = [Face::Whole, Face::Halves, Face::StreamAndSink, Face::Blocking];

/// Those whose time is the runtime's, which can stand still.
pub(crate) const ASYNC_FACES: [Face; 3] = [Face::Whole, Face::Halves, Face::StreamAndSink];

/// Every role by every face.
pub(crate) fn ends(faces: &[Face]) -> impl Iterator<Item = (Role, Face)> + '_ {
    ROLES.into_iter().flat_map(move |role| faces.iter().map(move |face| (role, *face)))
}

#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "a test has one or two of them")]
pub(crate) enum Socket {
    Whole(WebSocket<Transport>),
    Halves(Receiver<Transport>, Sender<Transport>),
    StreamAndSink(WebSocket<Transport>, Option<Error>),
    Blocking(Box<blocking::WebSocket<Transport>>),
}

/// A socket of this role, and its peer.
pub(crate) fn open(role: Role, face: Face) -> (Socket, Peer) {
    let (transport, peer) = Peer::new(role.peer());
    (over(transport, role, face), peer)
}

pub(crate) fn over(transport: Transport, role: Role, face: Face) -> Socket {
    match face {
        Face::Whole => Socket::Whole(whole(transport, role)),
        Face::Halves => {
            let (receiver, sender) = whole(transport, role).split();
            Socket::Halves(receiver, sender)
        }
        Face::StreamAndSink => Socket::StreamAndSink(whole(transport, role), None),
        Face::Blocking => {
            let (transport, config) = (transport.nonblocking(), Config::default());
            Socket::Blocking(Box::new(match role {
                Role::Client => blocking::WebSocket::client(transport, &config, Vec::new()),
                Role::Server => blocking::WebSocket::server(transport, &config, Vec::new()),
            }))
        }
    }
}

pub(crate) fn whole(transport: Transport, role: Role) -> WebSocket<Transport> {
    match role {
        Role::Client => WebSocket::client(transport, &Config::default(), Vec::new()),
        Role::Server => WebSocket::server(transport, &Config::default(), Vec::new()),
    }
}

impl Socket {
    pub(crate) async fn receive(&mut self) -> Result<Option<Message>, Error> {
        match self {
            Self::Whole(socket) => socket.receive().await,
            Self::Halves(receiver, _) => receiver.receive().await,
            // It yields an error once, and here it is asked for again.
            Self::StreamAndSink(socket, failed) => match (socket.next().await, &failed) {
                (Some(Err(error)), _) => {
                    *failed = Some(error.clone());
                    Err(error)
                }
                (None, Some(error)) => Err(error.clone()),
                (message, _) => message.transpose(),
            },
            Self::Blocking(socket) => again(|| socket.receive()).await,
        }
    }

    pub(crate) async fn send(&mut self, message: &str) -> Result<(), Error> {
        match self {
            Self::Whole(socket) => socket.send(message).await,
            Self::Halves(_, sender) => sender.send(message).await,
            Self::StreamAndSink(socket, _) => SinkExt::send(socket, Message::text(message)).await,
            Self::Blocking(socket) => match socket.send(message) {
                // It is queued.
                Err(Error::WouldBlock) => again(|| socket.flush()).await,
                sent => sent,
            },
        }
    }

    /// Closes, and waits for the end: `Stream` and `Sink` do so in two steps.
    pub(crate) async fn close(&mut self) -> Result<CloseReport, Error> {
        match self {
            Self::Whole(socket) => socket.close(CloseCode::NORMAL, "").await,
            Self::Halves(receiver, sender) => {
                sender.start_close(CloseCode::NORMAL, "")?;
                while receiver.receive().await?.is_some() {}
                Ok(receiver.close_report().expect("it has ended"))
            }
            Self::StreamAndSink(socket, _) => {
                SinkExt::close(socket).await?;
                while socket.next().await.transpose()?.is_some() {}
                Ok(socket.close_report().expect("it has ended"))
            }
            Self::Blocking(socket) => again(|| socket.close(CloseCode::NORMAL, "")).await,
        }
    }

    pub(crate) fn close_report(&self) -> Option<CloseReport> {
        match self {
            Self::Whole(socket) | Self::StreamAndSink(socket, _) => socket.close_report(),
            Self::Halves(receiver, _) => receiver.close_report(),
            Self::Blocking(socket) => socket.close_report(),
        }
    }
}

/// A transport that never blocks is asked again when something may have come.
async fn again<T>(mut call: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
    for _ in 0..10_000 {
        match call() {
            Err(Error::WouldBlock) => tokio::task::yield_now().await,
            done => return done,
        }
    }
    panic!("it never gets anywhere");
}

/// What kind of I/O error it is, if it is one.
pub(crate) fn io_kind(error: &Error) -> Option<ErrorKind> {
    match error {
        Error::Io(error) => Some(error.kind()),
        _ => None,
    }
}

pub(crate) const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
