//! The clients, which come again when their connection has ended, and the server.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sansocket::deflate::DeflateConfig;
use sansocket::handshake::{ClientRequest, Key, ServerOptions};
use sansocket::stream::{Acceptor, Connector};
use sansocket::{Config, Role};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::AnyError;
use crate::blocking;
use crate::conversation::End;
use crate::faces::converse;
use crate::ledger::{Ended, Ledger, Record};
use crate::plan::{BrokenHandshake, Face, Fault, Plan, Random, index};
use crate::raw::misbehave;
use crate::wire::{Wire, arm};

/// What both sides know.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub(crate) seed: u64,
    pub(crate) port: u16,
    pub(crate) config: Config,
    /// For how long an end of a connection may be slow in all, well below any timeout.
    pub(crate) patience: Duration,
    /// No connection takes longer: not one with a peer that never reads, either.
    pub(crate) longest: Duration,
    pub(crate) ledger: Arc<Ledger>,
    /// The time is up.
    pub(crate) stop: Arc<AtomicBool>,
}

/// One client: a connection after the other, each with a number of its own.
pub(crate) async fn client(run: Run, number: u64) {
    // Not all in the same moment.
    sleep(Random::new(&[run.seed, number]).millis(0, 1000)).await;
    for session in 0.. {
        if run.stop.load(Ordering::Relaxed) {
            return;
        }
        run.ledger.add(&run.ledger.reconnects, u64::from(session > 0));
        let plan = Plan::new(run.seed, number << 32 | session);
        let is_blocking = number.is_multiple_of(BLOCKING);
        let record = run.ledger.begin(if is_blocking { plan.over_the_blocking_layer() } else { plan });
        let both = async {
            let ended = match connect(&run, &record).await {
                Ok(ended) => ended,
                Err(error) => {
                    run.ledger.violation(&record, format_args!("cannot connect: {error}"));
                    Ended::NoHandshake
                }
            };
            record.end(Role::Client, ended);
            if let Fault::Handshake(_) = record.plan.fault {
                // The server never learns which connection it was.
                record.end(Role::Server, Ended::NoHandshake);
            }
            record.ended(Role::Server).await;
        };
        // A connection that is left open is none of those that can be judged.
        let _ = timeout(run.longest, both).await;
        run.ledger.settle(&record);
    }
}

async fn connect(run: &Run, record: &Arc<Record>) -> Result<Ended, AnyError> {
    let plan = &record.plan;
    if plan.faces[index(Role::Client)] == Face::Blocking {
        let (run, end) = (run.clone(), End::new(Role::Client, record, run));
        let talking = tokio::task::spawn_blocking(move || blocking::client(&run, &end));
        return talking.await.unwrap_or(Ok(Ended::Panicked));
    }
    let uri = format!("ws://127.0.0.1:{}/{}", run.port, plan.id);
    let tcp = TcpStream::connect(("127.0.0.1", run.port)).await?;
    tcp.set_nodelay(true)?;
    let mut request = ClientRequest::new(&uri)?;
    match plan.fault {
        Fault::Handshake(broken) => return break_handshake(tcp, &request, broken, record).await,
        Fault::Raw(Role::Client, ..) => return raw_client(tcp, &request, record).await,
        _ => {}
    }
    if plan.deflate {
        request = request.deflate(DeflateConfig::default());
    }
    let config = run.config.clone().fragment_len(plan.fragment_len);
    let connector = Connector::default().config(config);
    let (io, trigger) = Wire::new(tcp);
    let (socket, _response) = connector.connect_over(io, &request).await?;
    arm(&trigger, record, Role::Client);
    let end = End::new(Role::Client, record, run);
    Ok(converse(socket, &end).await)
}

/// Opens the connection by hand.
async fn raw_client(
    mut tcp: TcpStream,
    request: &ClientRequest,
    record: &Arc<Record>,
) -> Result<Ended, AnyError> {
    tcp.write_all(&request.encode(&Key::generate()?)).await?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(tcp.read_u8().await?);
    }
    if !head.starts_with(b"HTTP/1.1 101 ") {
        return Err("not accepted".into());
    }
    Ok(misbehave(tcp, Role::Client, record).await)
}

async fn break_handshake(
    mut tcp: TcpStream,
    request: &ClientRequest,
    broken: BrokenHandshake,
    record: &Record,
) -> Result<Ended, AnyError> {
    record.fault_fires();
    let mut random = Random::new(&[record.plan.seed, record.plan.id, 98]);
    let request = request.encode(&Key::generate()?);
    let part = &request[..1 + random.below(request.len() as u64 - 1) as usize];
    match broken {
        BrokenHandshake::Garbage => {
            let garbage: Vec<u8> = (0..1 + random.below(3000)).map(|_| random.next() as u8 | 0x80).collect();
            tcp.write_all(&garbage).await?;
            tcp.shutdown().await?;
        }
        BrokenHandshake::Cut => {
            tcp.write_all(part).await?;
            tcp.shutdown().await?;
        }
        BrokenHandshake::Reset => {
            tcp.write_all(part).await?;
            tcp.set_zero_linger()?;
            return Ok(Ended::NoHandshake);
        }
        BrokenHandshake::Silence => tcp.write_all(part).await?,
    }
    // Whatever it is answered, the server is done with it.
    let mut answer = Vec::new();
    let end = tcp.read_to_end(&mut answer).await;
    record.note(format_args!("answered {} octets: {end:?}", answer.len()));
    Ok(Ended::NoHandshake)
}

/// Accepts until the time is up, and then waits for those that are open.
pub(crate) async fn serve(run: Run, listener: TcpListener) -> io::Result<()> {
    let acceptors = FRAGMENT_LENS.map(|len| {
        Acceptor::default()
            .options(ServerOptions::new().deflate(DeflateConfig::default()))
            .config(run.config.clone().fragment_len(len))
    });
    let mut connections = JoinSet::new();
    let mut number = 0;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(ended) = connections.join_next() => {
                if let Err(error) = ended {
                    run.ledger.add(&run.ledger.violations, 1);
                    eprintln!("VIOLATION: a task of the server: {error}");
                }
                continue;
            }
            () = sleep(Duration::from_millis(100)) => {
                if run.stop.load(Ordering::Relaxed) && connections.is_empty() {
                    return Ok(());
                }
                continue;
            }
        };
        let (tcp, _) = accepted?;
        number += 1;
        let acceptor = acceptors[number % acceptors.len()].clone();
        let open = Open::new(&run.ledger);
        let run = run.clone();
        connections.spawn(async move {
            let _open = open;
            accept(&run, &acceptor, tcp).await;
        });
    }
}

/// Entered in the table of open connections for as long as it lives.
struct Open(Arc<Ledger>);

impl Open {
    fn new(ledger: &Arc<Ledger>) -> Self {
        ledger.open.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(ledger))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::AcqRel);
    }
}

async fn accept(run: &Run, acceptor: &Acceptor, tcp: TcpStream) {
    let (io, trigger) = Wire::new(tcp);
    // Only those whose plan is to break the handshake, which the client knows, break it.
    let Ok(incoming) = acceptor.receive_request(io).await else { return };
    let id = incoming.request().resource().trim_start_matches('/').parse().ok();
    let Some(record) = id.and_then(|id| run.ledger.find(id)) else { return };
    let role = Role::Server;
    let ended = if record.plan.raw() == Some(role) {
        match raw_server(incoming, &record).await {
            Ok(ended) => ended,
            Err(error) => {
                run.ledger.violation(&record, format_args!("cannot accept: {error}"));
                Ended::NoHandshake
            }
        }
    } else {
        match incoming.accept().await {
            Ok(socket) => {
                arm(&trigger, &record, role);
                let end = End::new(role, &record, run);
                // A task of its own, so that a panic is told with the connection's history.
                let conversation = tokio::spawn(async move { converse(socket, &end).await });
                conversation.await.unwrap_or(Ended::Panicked)
            }
            Err(error) => {
                run.ledger.violation(&record, format_args!("cannot accept: {error}"));
                Ended::NoHandshake
            }
        }
    };
    record.end(role, ended);
}

/// Accepts, and takes the transport away from the library.
async fn raw_server(
    incoming: sansocket::stream::Incoming<Wire>,
    record: &Arc<Record>,
) -> Result<Ended, AnyError> {
    let acceptance = incoming.judge().map_err(|refusal| refusal.to_string())?;
    let (io, _request) = incoming.into_parts();
    let mut tcp = io.into_tcp().ok_or("the transport is gone")?;
    tcp.write_all(&acceptance.to_bytes()).await?;
    Ok(misbehave(tcp, Role::Server, record).await)
}

/// One client of so many is a thread of the blocking layer.
const BLOCKING: u64 = 20;

const FRAGMENT_LENS: [Option<usize>; 4] = [None, None, Some(1000), Some(70_000)];
