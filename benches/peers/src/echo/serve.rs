//! The process of one server: accepts connections, hands each to the crate, and answers questions about itself on stdin.

use std::io::{self, BufRead, Write};
use std::net::Ipv4Addr;
use std::thread;

use rustix::process::{Resource, getrlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket};
use tokio::runtime::{Builder, Runtime};

use crate::allocations;
use crate::process::Start;
use crate::servers::{self, Server};
use crate::transport::{self, Counted};
use peers::cpus;

/// Serves until stdin ends.
///
/// With `count`, calls on the transport and allocations are counted: another type of transport, so that nothing of it
/// is in the way otherwise.
pub(crate) fn serve(server: Server, start: Start) -> io::Result<()> {
    let Start { threads, count, is_pinned } = start;
    raise_file_limit();
    // It has inherited what holds for the load generator.
    if is_pinned { cpus::pin_measured() } else { cpus::unpin() }?;
    // As its documentation recommends: it takes a while, once.
    sockudo_ws::init_clock();
    thread::spawn(answer_questions);
    runtime(threads)?.block_on(async {
        let listener = listen()?;
        println!("{}", listener.local_addr()?.port());
        if count {
            allocations::count();
        }
        loop {
            let (mut stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            // One handshake after the other, so that the task of a connection begins behind it and never holds any of it.
            if accept(&mut stream).await.is_ok() {
                if count { server.spawn(Counted(stream)) } else { server.spawn(stream) }
            }
        }
    })
}

fn runtime(threads: usize) -> io::Result<Runtime> {
    match threads {
        1 => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    }
    .worker_threads(threads)
    .enable_all()
    .build()
}

fn listen() -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
    socket.listen(4096)
}

/// The same handshake for all: what it costs is not the question here. Every crate takes a transport on which it has
/// passed; the load generator waits for the answer, so nothing is read behind the request.
async fn accept(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut head).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    stream.write_all(RESPONSE.as_bytes()).await
}

/// What the load generator asks for.
pub(crate) const REQUEST: &str = "GET / HTTP/1.1\r\n\
    Host: localhost\r\n\
    Upgrade: websocket\r\n\
    Connection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";

/// What it gets: the accept value belongs to that key (RFC 6455 §1.3).
pub(crate) const RESPONSE: &str = "HTTP/1.1 101 Switching Protocols\r\n\
    Upgrade: websocket\r\n\
    Connection: Upgrade\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// A line with what was used so far for each line read: processor time of the whole process in nanoseconds,
/// allocations, reads, reads that had to wait, writes, and the size of a connection's future.
fn answer_questions() {
    for _ in io::stdin().lock().lines() {
        let time = clock_gettime(ClockId::ProcessCPUTime);
        let nanoseconds = time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64;
        let calls = transport::calls();
        println!(
            "{nanoseconds} {} {} {} {} {}",
            allocations::counted(),
            calls.reads,
            calls.waits,
            calls.writes,
            servers::future_len()
        );
        let _ = io::stdout().flush();
    }
    std::process::exit(0);
}

/// Ten thousand connections need as many files.
pub(crate) fn raise_file_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    let _ = setrlimit(Resource::Nofile, limit);
}
