//! The client's end of a conversation over the blocking layer, on a thread of its own.

use std::net::TcpStream;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use sansocket::Message;
use sansocket::blocking::{Connector, WebSocket};
use sansocket::deflate::DeflateConfig;
use sansocket::handshake::ClientRequest;
use sansocket::stream::Error;

use crate::AnyError;
use crate::conversation::{End, Sent, Source, close_code};
use crate::ends::Run;
use crate::ledger::Ended;
use crate::plan::{Leave, Random};

/// Connects, and talks until the connection has ended.
pub(crate) fn client(run: &Run, end: &Arc<End>) -> Result<Ended, AnyError> {
    let plan = end.plan();
    let mut request = ClientRequest::new(&format!("ws://127.0.0.1:{}/{}", run.port, plan.id))?;
    if plan.deflate {
        request = request.deflate(DeflateConfig::default());
    }
    let config = run.config.clone().fragment_len(plan.fragment_len);
    let connector = Connector::default().config(config);
    let (socket, _response) = connector.connect(&request)?;
    Ok(converse(socket, end))
}

fn converse(mut socket: WebSocket<TcpStream>, end: &Arc<End>) -> Ended {
    let mut source = Source::new(end);
    wait_at_most(&socket, source.as_ref().map(|_| TURN));
    let mut random = end.random(2);
    let mut closing = false;
    let error = loop {
        if !closing {
            match end.leaves() {
                Some(Leave::Drop) => return Ended::Left,
                Some(Leave::Abort) => {
                    socket.abort();
                    return Ended::Left;
                }
                Some(Leave::Close) => {
                    (closing, source) = (true, None);
                    wait_at_most(&socket, None);
                    if end.plan().throws_away {
                        break socket.close(close_code(end.role), "enough").err();
                    }
                    // Refused if the other end has begun before.
                    let _ = socket.start_close(close_code(end.role), "enough");
                }
                None => {}
            }
        }
        if let Some(from) = source.as_mut().filter(|source| source.is_due())
            && from.has_room(socket.queued())
        {
            let (number, message) = from.next();
            let sent = send(&mut socket, &mut random, message);
            if !end.sent(number, sent) || from.is_done() {
                source = None;
                wait_at_most(&socket, None);
            }
            continue;
        }
        if let Some(delay) = end.delay(&mut random) {
            thread::sleep(delay);
        }
        if random.percent(5) {
            // Refused if there is no room, or a Close has been sent.
            let _ = socket.feed_ping(b"soak");
        }
        match receive(&mut socket, end, &mut random) {
            // What was begun is done by the next call.
            Ok(true) | Err(Error::WouldBlock) => {}
            Ok(false) => break None,
            Err(error) => break Some(error),
        }
    };
    Ended::Reported(socket.close_report(), error)
}

/// Receives one message; false at the end.
fn receive(socket: &mut WebSocket<TcpStream>, end: &End, random: &mut Random) -> Result<bool, Error> {
    if random.percent(50) {
        let Some((message, _)) = socket.receive_ref()? else { return Ok(false) };
        end.received(message.kind(), message.payload());
    } else {
        let Some(message) = socket.receive()? else { return Ok(false) };
        end.received(message.kind(), message.payload());
    }
    Ok(true)
}

fn send(socket: &mut WebSocket<TcpStream>, random: &mut Random, message: Message) -> Sent {
    let sent = match random.below(10) {
        0..5 => socket.feed(message),
        // What is lent is copied.
        5..7 => match &message {
            Message::Text(_) => socket.send(message.as_text().unwrap_or_default()),
            Message::Binary(payload) => socket.send(&payload[..]),
        },
        _ => socket.send(message),
    };
    match sent {
        // Queued, whole.
        Err(Error::WouldBlock) => Sent::Certain,
        sent => sent.into(),
    }
}

/// Lets a receive wait no longer, so that there is a turn for sending.
fn wait_at_most(socket: &WebSocket<TcpStream>, time: Option<Duration>) {
    if let Some(tcp) = socket.get_ref() {
        // A socket that refuses is a dead one: its next read says so.
        let _ = tcp.set_read_timeout(time);
    }
}

/// How long the thread receives before it looks for something to send.
const TURN: Duration = Duration::from_millis(20);
