//! The same conversation by each way to receive and to send.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use sansocket::stream::{Error, Receiver, Sender, WebSocket};
use sansocket::{Message, Role};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::select;
use tokio::time::{Instant, sleep, sleep_until};

use crate::conversation::{End, Sent, Source, close_code, give_up};
use crate::ledger::Ended;
use crate::plan::{Face, Leave, Random};

pub(crate) trait Transport: AsyncRead + AsyncWrite + Unpin + Send + 'static {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Transport for S {}

/// One end of an open connection, from its first message to its end.
pub(crate) async fn converse<S: Transport>(socket: WebSocket<S>, end: &Arc<End>) -> Ended {
    match end.face() {
        Face::Split => {
            let (receiver, sender) = socket.split();
            halves(receiver, sender, end).await
        }
        Face::Driven => driven(socket, end).await,
        _ => unsplit(socket, end).await,
    }
}

async fn unsplit<S: Transport>(mut socket: WebSocket<S>, end: &Arc<End>) -> Ended {
    let mut source = Source::new(end);
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
                Some(Leave::Close) if end.plan().throws_away => {
                    break socket.close(close_code(end.role), "enough").await.err();
                }
                Some(Leave::Close) => {
                    (closing, source) = (true, None);
                    // Refused if the other end has begun before.
                    let _ = socket.start_close(close_code(end.role), "enough");
                }
                None => {}
            }
        }
        if let Some(from) = source.as_mut().filter(|source| source.is_due()) {
            if from.has_room(socket.queued()) {
                let (number, message) = from.next();
                let sent = send(&mut socket, end, &mut random, number, message).await;
                if !end.sent(number, sent) || from.is_done() {
                    source = None;
                }
                continue;
            }
            from.due = Instant::now() + Duration::from_millis(5);
        }
        if let Some(delay) = end.delay(&mut random) {
            sleep(delay).await;
        }
        if random.percent(5) {
            // Refused if there is no room, or a Close has been sent.
            let _ = socket.feed_ping(b"soak");
        }
        // Each time something is due the future that receives is dropped.
        let received = match &source {
            Some(source) => select! {
                received = receive(&mut socket, end, &mut random) => received,
                () = sleep_until(source.due) => continue,
            },
            None => receive(&mut socket, end, &mut random).await,
        };
        match received {
            Ok(Received::Done) => {}
            Ok(Received::ToEcho(number, message)) => {
                let sent = send(&mut socket, end, &mut random, number, message).await;
                end.sent(number, sent);
            }
            Ok(Received::End) => break None,
            Err(error) => break Some(error),
        }
    };
    Ended::Reported(socket.close_report(), error)
}

enum Received {
    Done,
    ToEcho(u64, Message),
    End,
}

/// Receives one message. Nothing is awaited once it is there.
async fn receive<S: Transport>(
    socket: &mut WebSocket<S>,
    end: &End,
    random: &mut Random,
) -> Result<Received, Error> {
    let message = match end.face() {
        Face::Lending => {
            let Some((message, mut outgoing)) = socket.receive_ref().await? else { return Ok(Received::End) };
            let number = end.received(message.kind(), message.payload());
            if end.echoes() {
                let fed = if random.percent(20) { outgoing.feed(&message) } else { outgoing.feed(message) };
                end.sent(number, fed.map_err(Error::Send).into());
            }
            return Ok(Received::Done);
        }
        Face::StreamAndSink => socket.next().await.transpose()?,
        Face::Owned | Face::Split | Face::Driven | Face::Blocking => socket.receive().await?,
    };
    let Some(message) = message else { return Ok(Received::End) };
    let number = end.received(message.kind(), message.payload());
    Ok(if end.echoes() { Received::ToEcho(number, message) } else { Received::Done })
}

async fn send<S: Transport>(
    socket: &mut WebSocket<S>,
    end: &End,
    random: &mut Random,
    number: u64,
    message: Message,
) -> Sent {
    let may_give_up = end.may_give_up(number);
    if end.face() == Face::StreamAndSink {
        return match random.below(10) {
            0..5 => SinkExt::feed(socket, message).await.into(),
            5..8 if may_give_up => give_up(random, SinkExt::send(socket, message)).await,
            _ => SinkExt::send(socket, message).await.into(),
        };
    }
    match random.below(10) {
        0..5 => socket.feed(message).await.into(),
        5 if may_give_up => {
            // Queued at the call, unless it was refused.
            let before = socket.queued();
            drop(socket.feed(message));
            if socket.queued() > before { Sent::Certain } else { Sent::Maybe }
        }
        6..8 if may_give_up => give_up(random, socket.send(message)).await,
        // What is lent is copied.
        8 => match &message {
            Message::Text(_) => socket.send(message.as_text().unwrap_or_default()).await.into(),
            Message::Binary(payload) => socket.send(&payload[..]).await.into(),
        },
        _ => socket.send(message).await.into(),
    }
}

/// Beside a driver, which has to come to its end by itself, whatever becomes of the halves.
async fn driven<S: Transport>(socket: WebSocket<S>, end: &Arc<End>) -> Ended {
    let read_ahead = [0, 5_000, 500_000][end.random(5).below(3) as usize];
    let (receiver, sender, driver) = socket.split_driven(read_ahead);
    let driver = tokio::spawn(driver);
    let ended = halves(receiver, sender, end).await;
    match driver.await {
        Err(error) if error.is_panic() => Ended::Panicked,
        _ => ended,
    }
}

async fn halves<S: Transport>(mut receiver: Receiver<S>, sender: Sender<S>, end: &Arc<End>) -> Ended {
    let sending = Source::new(end).map(|source| {
        let (sender, end) = (sender.clone(), Arc::clone(end));
        tokio::spawn(async move { send_all(sender, source, &end).await })
    });
    let ended = receive_all(&mut receiver, &sender, end).await;
    if let Some(sending) = sending {
        if matches!(ended, Ended::Left) {
            // Its task goes first, or last: both must do.
            if end.plan().id.is_multiple_of(2) {
                drop(receiver);
                drop(sender);
                sending.abort();
            } else {
                sending.abort();
            }
        }
        if sending.await.is_err_and(|error| error.is_panic()) {
            return Ended::Panicked;
        }
    }
    ended
}

async fn receive_all<S: Transport>(receiver: &mut Receiver<S>, sender: &Sender<S>, end: &End) -> Ended {
    let mut random = end.random(3);
    let mut closing = false;
    let error = loop {
        if !closing {
            match end.leaves() {
                Some(Leave::Drop) => return Ended::Left,
                Some(Leave::Abort) => {
                    sender.abort();
                    return Ended::Left;
                }
                Some(Leave::Close) => {
                    closing = true;
                    // Refused if the other end has begun before.
                    let _ = sender.start_close(close_code(end.role), "enough");
                }
                None => {}
            }
        }
        if let Some(delay) = end.delay(&mut random) {
            sleep(delay).await;
        }
        let received = select! {
            received = receiver.receive() => received,
            // The other half may have said all that there was to say.
            () = sleep(Duration::from_millis(500)), if !closing => continue,
        };
        match received {
            Ok(Some(message)) => {
                let number = end.received(message.kind(), message.payload());
                if end.echoes() {
                    let may_give_up = end.may_give_up(number);
                    let sent = send_by_half(sender, &mut random, may_give_up, message).await;
                    end.sent(number, sent);
                }
            }
            Ok(None) => break None,
            Err(error) => break Some(error),
        }
    };
    Ended::Reported(receiver.close_report(), error)
}

async fn send_all<S: Transport>(sender: Sender<S>, mut source: Source, end: &End) {
    let mut random = end.random(4);
    loop {
        sleep_until(source.due).await;
        let (number, message) = source.next();
        let clone = sender.clone();
        let sent = send_by_half(&clone, &mut random, end.may_give_up(number), message).await;
        if !end.sent(number, sent) || source.is_done() {
            return;
        }
        if random.percent(5) && sender.ping(b"soak").await.is_err() {
            return;
        }
        let stopped = end.stop.load(Ordering::Relaxed);
        if end.role == Role::Client && random.percent(5) && !stopped && sender.flush().await.is_err() {
            return;
        }
    }
}

async fn send_by_half<S: Transport>(
    sender: &Sender<S>,
    random: &mut Random,
    may_give_up: bool,
    message: Message,
) -> Sent {
    match random.below(10) {
        0..5 => sender.feed(message).await.into(),
        5 if may_give_up => give_up(random, sender.feed(message)).await,
        6..8 if may_give_up => give_up(random, sender.send(message)).await,
        _ => sender.send(message).await.into(),
    }
}
