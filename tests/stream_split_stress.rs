//! Many senders on many threads, with a strict peer: messages stay whole and in order, and nobody waits for ever.
#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests")]
#![cfg(feature = "tokio")]

mod stream_support;

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use sansocket::stream::{Error, Sender, WebSocket};
use sansocket::{CloseCode, Config, Message, Role};
use stream_support::*;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, duplex};
use tokio::time::timeout;

const SENDERS: u8 = 8;
const EACH: u16 = 100;

fn config() -> Config {
    Config::default().fragment_len(Some(50)).high_water_mark(2000)
}

fn message(sender: u8, number: u16) -> Vec<u8> {
    let len = usize::from(number) * 7 % 400;
    let mut message = vec![sender];
    message.extend(number.to_be_bytes());
    message.resize(3 + len, sender);
    message
}

/// Which messages of each sender there are, checked to be whole and in their order.
fn by_sender(messages: &[Vec<u8>]) -> Vec<Vec<u16>> {
    let mut numbers = vec![Vec::new(); usize::from(SENDERS)];
    for octets in messages {
        let number = u16::from_be_bytes([octets[1], octets[2]]);
        assert_eq!(octets, &message(octets[0], number));
        let of_sender = &mut numbers[usize::from(octets[0])];
        assert!(of_sender.last() < Some(&number), "out of order");
        of_sender.push(number);
    }
    numbers
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(20), future).await.expect("nobody is woken any more")
}

/// The peer without a library: pings while it reads, closes when all messages but those given up have come.
async fn strict_peer(role: Role, io: DuplexStream, pings: u8) -> Vec<u8> {
    let (mut read, mut write) = tokio::io::split(io);
    let writing = tokio::spawn(async move {
        for i in 0..pings {
            write.write_all(&to(role, PING, &[i])).await.unwrap();
            write.write_all(&to(role, TEXT, b"between")).await.unwrap();
        }
        write
    });
    let mut octets = Vec::new();
    let mut buffer = [0; 700];
    loop {
        let len = read.read(&mut buffer).await.unwrap();
        assert!(len > 0, "no end without a Close");
        octets.extend(&buffer[..len]);
        let (frames, rest) = whole_frames(role, &octets);
        if let Some(close) = frames.iter().position(|Frame(first, _)| *first == CLOSE) {
            // What was a Ping before this end's Close is answered all the same.
            assert!(frames[close + 1..].iter().all(|Frame(first, _)| *first == PONG));
            assert!(rest.first().is_none_or(|first| *first == PONG));
            octets.truncate(octets.len() - rest.len());
            break;
        }
    }
    let mut write = writing.await.unwrap();
    write.write_all(&to(role, CLOSE, b"")).await.unwrap();
    write.shutdown().await.unwrap();
    // Pongs may still be on their way: who no longer reads would break the transport.
    while read.read(&mut buffer).await.unwrap() > 0 {}
    octets
}

// CM-24, 6455-5.4-7, 6455-5.5.2-2
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn both_send_whole_messages_from_many_threads() {
    for role in ROLES {
        let (near, far) = duplex(300);
        let peer = tokio::spawn(strict_peer(role, far, 100));
        let (mut receiver, sender) = over(role, near, &config()).split();
        let receive = tokio::spawn(async move {
            let mut received = 0;
            while let Some(message) = receiver.receive().await.unwrap() {
                assert_eq!(message, Message::text("between"));
                received += 1;
            }
            received
        });
        let senders: Vec<_> = (0..SENDERS)
            .map(|id| {
                let sender = sender.clone();
                tokio::spawn(async move {
                    for number in 0..EACH {
                        match number % 3 {
                            0 => sender.feed(message(id, number)).await.unwrap(),
                            _ => sender.send(message(id, number)).await.unwrap(),
                        }
                    }
                    sender.flush().await.unwrap();
                })
            })
            .collect();
        let report = within(async {
            for sender in senders {
                sender.await.unwrap();
            }
            sender.close(CloseCode::NORMAL, "").await.unwrap()
        })
        .await;
        assert!(report.clean);
        assert_eq!(within(receive).await.unwrap(), 100);
        let sent = frames(role, &within(peer).await.unwrap());
        let all: Vec<_> = (0..EACH).collect();
        assert!(by_sender(&messages(&sent)).iter().all(|numbers| *numbers == all));
        let mut pongs: Vec<_> =
            sent.iter().filter(|Frame(first, _)| *first == PONG).map(|frame| frame.1[0]).collect();
        pongs.sort_unstable();
        assert_eq!(pongs, (0..100).collect::<Vec<_>>(), "each Ping once");
    }
}

/// Polls a future so often, and gives it up.
async fn give_up_after<T>(polls: u16, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    let mut polled = 0;
    poll_fn(|cx| {
        if polled == polls {
            return Poll::Ready(None);
        }
        polled += 1;
        future.as_mut().poll(cx).map(Some)
    })
    .await
}

// CM-23, CM-24, 6455-5.4-7
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn both_send_whole_messages_from_senders_that_give_up() {
    for role in ROLES {
        let (near, far) = duplex(300);
        let peer = tokio::spawn(strict_peer(role, far, 50));
        let (mut receiver, sender) = over(role, near, &config()).split();
        let receive = tokio::spawn(async move {
            loop {
                // The receiver gives up as well, again and again.
                match give_up_after(1, receiver.receive()).await {
                    Some(Ok(None)) => return,
                    Some(Err(error)) => panic!("{error}"),
                    Some(Ok(Some(_))) => {}
                    None => tokio::task::yield_now().await,
                }
            }
        });
        let senders: Vec<_> = (0..SENDERS)
            .map(|id| {
                let sender = sender.clone();
                tokio::spawn(async move {
                    let mut sent = Vec::new();
                    for number in 0..EACH {
                        if give_up_after(number % 4, sender.send(message(id, number))).await.is_some() {
                            sent.push(number);
                        }
                        tokio::task::yield_now().await;
                    }
                    sent
                })
            })
            .collect();
        let mut sent = Vec::new();
        for sender in senders {
            sent.push(within(sender).await.unwrap());
        }
        within(sender.close(CloseCode::NORMAL, "")).await.unwrap();
        within(receive).await.unwrap();
        let came = by_sender(&messages(&frames(role, &within(peer).await.unwrap())));
        for (sent, came) in sent.iter().zip(came) {
            assert!(sent.iter().all(|number| came.contains(number)), "what was sent has come");
        }
    }
}

/// Numbers that look random, the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

/// Does this and that with a sender, and closes the connection: which messages have been taken to be sent.
async fn work(sender: Sender<DuplexStream>, id: u8, mut random: Random) -> Vec<u16> {
    let (mut taken, mut clones) = (Vec::new(), Vec::new());
    for number in 0..EACH {
        let message = message(id, number);
        let mut is_taken = true;
        let done = match random.below(9) {
            0 => sender.flush().await.map(|()| is_taken = false),
            1 => sender.ping(&[]).await.map(|()| is_taken = false),
            2 => {
                clones.push(sender.clone());
                clones[0].send(message).await
            }
            3 => {
                clones.pop();
                sender.feed(message).await
            }
            4 => match give_up_after(random.below(3) as u16, sender.send(message)).await {
                Some(sent) => sent,
                None => continue,
            },
            5 | 6 => sender.feed(message).await,
            _ => sender.send(message).await,
        };
        match done {
            Ok(()) if is_taken => taken.push(number),
            Ok(()) => {}
            Err(Error::Send(_)) => break,
            Err(error) => panic!("{error}"),
        }
    }
    assert!(sender.close(CloseCode::NORMAL, "").await.unwrap().clean);
    taken
}

// CM-24, 6455-5.4-7, 6455-5.5.1-6
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn both_close_once_whatever_their_tasks_do_and_whenever_they_go() {
    for (role, seed) in ROLES.into_iter().flat_map(|role| (1..=20).map(move |seed| (role, seed))) {
        let (near, far) = duplex(300);
        let peer = tokio::spawn(strict_peer(role, far, 40));
        let (mut receiver, sender) = over(role, near, &config()).split();
        let mut random = Random(seed << 32 | 1);
        let last = random.below(60);
        let receive = tokio::spawn(async move {
            for _ in 0..last {
                if receiver.receive().await.unwrap().is_none() {
                    return;
                }
            }
            // Dropped, it begins to close as well.
        });
        let senders: Vec<_> = (0..SENDERS)
            .map(|id| tokio::spawn(work(sender.clone(), id, Random(random.below(1 << 40) | 1))))
            .collect();
        drop(sender);
        let mut taken = Vec::new();
        for sender in senders {
            taken.push(within(sender).await.unwrap());
        }
        within(receive).await.unwrap();
        let sent = frames(role, &within(peer).await.unwrap());
        assert_eq!(sent.iter().filter(|Frame(first, _)| *first == CLOSE).count(), 1);
        for (taken, came) in taken.iter().zip(by_sender(&messages(&sent))) {
            assert!(taken.iter().all(|number| came.contains(number)), "what was taken has come");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn both_flood_each_other_through_a_narrow_pipe_and_close() {
    let (near, far) = duplex(1000);
    let run = |socket: WebSocket<DuplexStream>| async move {
        let (mut receiver, sender) = socket.split();
        let receive = tokio::spawn(async move {
            let mut received = Vec::new();
            while received.len() < usize::from(SENDERS) * usize::from(EACH) {
                received.push(receiver.receive().await.unwrap().unwrap().payload().to_vec());
            }
            (receiver, received)
        });
        let senders = (0..SENDERS).map(|id| {
            let sender = sender.clone();
            tokio::spawn(async move {
                for number in 0..EACH {
                    sender.send(message(id, number)).await.unwrap();
                }
            })
        });
        for sender in senders.collect::<Vec<_>>() {
            sender.await.unwrap();
        }
        let (receiver, received) = receive.await.unwrap();
        by_sender(&received);
        drop(receiver);
        sender.close(None, "").await.unwrap()
    };
    let client = tokio::spawn(run(over(Role::Client, near, &config())));
    let server = tokio::spawn(run(over(Role::Server, far, &config())));
    assert!(within(client).await.unwrap().clean);
    assert!(within(server).await.unwrap().clean);
}

// Nothing is flushed: each message leaves because its feed has woken the receiver, or found it at work.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn both_feed_from_many_threads_what_the_receiver_writes_at_once() {
    // One alone has nobody whose traffic would hide that it was forgotten.
    for (role, count) in ROLES.into_iter().flat_map(|role| [(role, 1), (role, SENDERS)]) {
        let peer_role = if role == Role::Server { Role::Client } else { Role::Server };
        let (near, far) = duplex(5000);
        let peer = tokio::spawn(async move {
            let mut peer = over(peer_role, far, &Config::default());
            let mut echoed = 0;
            while let Some(message) = peer.receive().await.unwrap() {
                peer.send(message).await.unwrap();
                echoed += 1;
            }
            echoed
        });
        let (mut receiver, sender) = over(role, near, &Config::default()).split();
        let (answered, mut answers): (Vec<_>, Vec<_>) =
            (0..count).map(|_| tokio::sync::mpsc::unbounded_channel()).unzip();
        let receive = tokio::spawn(async move {
            while let Some(message) = receiver.receive().await.unwrap() {
                answered[usize::from(message.payload()[0])].send(message).unwrap();
            }
        });
        let senders: Vec<_> = (0..count)
            .map(|id| {
                let (sender, mut answer) = (sender.clone(), answers.remove(0));
                tokio::spawn(async move {
                    for number in 0..20 * EACH {
                        let fed = message(id, number);
                        sender.feed(fed.clone()).await.unwrap();
                        assert_eq!(answer.recv().await.unwrap(), Message::binary(fed));
                    }
                })
            })
            .collect();
        for sender in senders {
            within(sender).await.unwrap();
        }
        within(sender.close(CloseCode::NORMAL, "")).await.unwrap();
        within(receive).await.unwrap();
        assert_eq!(within(peer).await.unwrap(), usize::from(count) * usize::from(20 * EACH));
    }
}

/// Takes every octet at once, and never has any.
struct Drain(Arc<AtomicUsize>);

impl AsyncRead for Drain {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

impl AsyncWrite for Drain {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        self.0.fetch_add(octets.len(), Ordering::Release);
        Poll::Ready(Ok(octets.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

// The next message is fed just when the receiver has written the last one, and is about to park.
#[test]
fn receiver_that_parks_while_a_message_is_fed_writes_it() {
    let written = Arc::new(AtomicUsize::new(0));
    let (mut receiver, sender) = over(Role::Server, Drain(Arc::clone(&written)), &quiet()).split();
    let receive = thread::spawn(move || {
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let mut receive = pin!(receiver.receive());
        while poll_with(receive.as_mut(), &waker).is_pending() {
            thread::park();
        }
    });
    for fed in 1..=60_000 {
        let began = Instant::now();
        now(sender.feed("m")).unwrap();
        while written.load(Ordering::Acquire) < 3 * fed {
            match began.elapsed().as_millis() {
                // A thread that yields would come too late.
                0 => std::hint::spin_loop(),
                1..20_000 => thread::yield_now(),
                _ => panic!("message {fed} was forgotten"),
            }
        }
    }
    sender.abort();
    receive.join().unwrap();
}
