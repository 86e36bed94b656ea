//! What an idle connection holds over TCP on loopback, its task and socket included.
//!
//! `cargo test --test idle_memory -- --nocapture` prints the figures.
#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests")]
#![cfg(all(feature = "tokio", target_os = "linux", target_pointer_width = "64"))]

#[path = "support/frames.rs"]
#[allow(dead_code, reason = "only a client's frames are used")]
mod frames;
#[path = "support/heap.rs"]
#[allow(dead_code, reason = "only what is held is asked for")]
mod heap;

use std::future::Future;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream as Peer};

use frames::{client_frame, server_frame};
use futures_util::{SinkExt, StreamExt};
use heap::held_by;
use sansocket::Config;
use sansocket::stream::{Error, WebSocket};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;

#[global_allocator]
static ALLOCATOR: heap::Heap = heap::Heap;

/// Each is a connection at both ends, and so two open files of the process.
const MANY: usize = 100;

const LENGTHS: [usize; 3] = [16, 16 << 10, 1 << 20];

fn socket(transport: TcpStream, config: Config) -> WebSocket<TcpStream> {
    WebSocket::server(transport, &config, Vec::new())
}

/// An echo server for one connection, which the future captures: an `async fn` has room for its arguments twice.
fn lending(transport: TcpStream, config: Config) -> impl Future<Output = Result<(), Error>> {
    let mut socket = socket(transport, config);
    async move {
        while let Some((message, mut outgoing)) = socket.receive_ref().await? {
            outgoing.feed(message)?;
        }
        Ok(())
    }
}

fn owned(transport: TcpStream, config: Config) -> impl Future<Output = Result<(), Error>> {
    let mut socket = socket(transport, config);
    async move {
        while let Some(message) = socket.receive().await? {
            socket.feed(message).await?;
        }
        Ok(())
    }
}

fn sending(transport: TcpStream, config: Config) -> impl Future<Output = Result<(), Error>> {
    let mut socket = socket(transport, config);
    async move {
        while let Some(message) = socket.receive().await? {
            socket.send(message).await?;
        }
        Ok(())
    }
}

fn stream(transport: TcpStream, config: Config) -> impl Future<Output = Result<(), Error>> {
    let mut socket = socket(transport, config);
    async move {
        while let Some(message) = socket.next().await {
            SinkExt::send(&mut socket, message?).await?;
        }
        Ok(())
    }
}

fn split(transport: TcpStream, config: Config) -> impl Future<Output = Result<(), Error>> {
    let (mut receiver, sender) = socket(transport, config).split();
    async move {
        while let Some(message) = receiver.receive().await? {
            sender.feed(message).await?;
        }
        Ok(())
    }
}

/// What is held for each of many connections, after each has echoed a message of this length.
fn held_by_each<F>(serve: fn(TcpStream, Config) -> F, config: Config, len: usize) -> usize
where
    F: Future<Output = Result<(), Error>> + Send + 'static,
{
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    // The first fill what the thread and its runtime keep.
    let _first = runtime.block_on(echo_one_each(&listener, |io| serve(io, config.clone()), len, 2));
    let (held, _peers) =
        held_by(|| runtime.block_on(echo_one_each(&listener, |io| serve(io, config.clone()), len, MANY)));
    held / MANY
}

/// Opens connections, of which each echoes a message and then is idle. Returns their peers, which belong to other threads and
/// are not counted.
async fn echo_one_each<F>(
    listener: &TcpListener,
    serve: impl Fn(TcpStream) -> F,
    len: usize,
    connections: usize,
) -> Vec<Peer>
where
    F: Future<Output = Result<(), Error>> + Send + 'static,
{
    let address = listener.local_addr().unwrap();
    let peers =
        tokio::task::spawn_blocking(move || (0..connections).map(|_| answered_peer(address, len)).collect());
    for _ in 0..connections {
        let (socket, _) = listener.accept().await.unwrap();
        tokio::spawn(serve(socket));
    }
    peers.await.unwrap()
}

/// Connects, and has a message echoed.
fn answered_peer(address: SocketAddr, len: usize) -> Peer {
    let payload = vec![7; len];
    let mut peer = Peer::connect(address).unwrap();
    let mut writing = peer.try_clone().unwrap();
    let frame = client_frame(0x82, &payload);
    let written = std::thread::spawn(move || writing.write_all(&frame).unwrap());
    let expected = server_frame(0x82, &payload);
    let mut answer = vec![0; expected.len()];
    peer.read_exact(&mut answer).unwrap();
    assert!(answer == expected, "the echo is another message");
    written.join().unwrap();
    peer
}

#[test]
fn server_holds_little_for_an_idle_connection() {
    fn held<F>(name: &str, serve: fn(TcpStream, Config) -> F, bound: usize)
    where
        F: Future<Output = Result<(), Error>> + Send + 'static,
    {
        let quiet = Config::default().ping_interval(None).write_timeout(None);
        for len in LENGTHS {
            let each = held_by_each(serve, quiet.clone(), len);
            let alive = held_by_each(serve, Config::default(), len);
            println!(
                "{name}: {each} octets for each idle connection after a message of {len}, {alive} with keepalive"
            );
            assert!(each <= bound, "{name}: {each} octets each after a message of {len}");
            assert!(alive <= each + KEEPALIVE, "{name}: {alive} octets each after a message of {len}");
        }
    }
    held("lending", lending, 760);
    held("owned", owned, 888);
    held("send", sending, 888);
    held("Stream", stream, 888);
    held("split", split, 1104);
}

#[test]
fn server_is_small_before_it_is_a_task() {
    fn len<F>(name: &str, _: fn(TcpStream, Config) -> F) -> usize {
        println!("{name}: a future of {} octets", size_of::<F>());
        size_of::<F>()
    }
    let own = size_of::<WebSocket<TcpStream>>() - size_of::<TcpStream>();
    println!("a WebSocket: {own} octets besides the transport's");
    assert!(own <= OWN, "{own} octets");
    assert!(len("lending", lending) <= OWN + size_of::<TcpStream>() + 16);
    assert!(len("owned", owned) <= OWN + size_of::<TcpStream>() + 112);
    assert!(len("send", sending) <= OWN + size_of::<TcpStream>() + 160);
    assert!(len("Stream", stream) <= OWN + size_of::<TcpStream>() + 160);
    assert!(len("split", split) <= 208);
}

#[test]
fn server_is_twice_in_an_async_fn_that_takes_it() {
    async fn taken(mut socket: WebSocket<TcpStream>) -> Result<(), Error> {
        while let Some((message, mut outgoing)) = socket.receive_ref().await? {
            outgoing.feed(message)?;
        }
        Ok(())
    }
    fn len<T, F>(_: fn(T) -> F) -> usize {
        size_of::<F>()
    }
    fn captured<F>(_: fn(TcpStream, Config) -> F) -> usize {
        size_of::<F>()
    }
    let own = size_of::<WebSocket<TcpStream>>();
    // As the documentation says. Should the compiler learn better, it is to be told there.
    assert!(len(taken) >= 2 * own);
    assert!(captured(lending) < own + 64);
}

/// What a WebSocket adds to its transport, at most.
const OWN: usize = 192;

/// What the deadlines that are on by default add to a connection, at most.
const KEEPALIVE: usize = 250;
