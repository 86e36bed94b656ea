//! A driver keeps a connection alive while the application is away, and reads ahead up to a bound.
#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests")]
#![cfg(feature = "tokio")]

mod stream_support;

use std::io;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use sansocket::connection::{ClosedBy, Event, KEEPALIVE_PAYLOAD as KEEPALIVE};
use sansocket::stream::{Driver, Error, Receiver, Sender, WebSocket};
use sansocket::{Budget, CloseCode, Config, Message, ProtocolError, Role};
use stream_support::*;
use tokio::io::DuplexStream;
use tokio::time::{sleep, timeout};

const fn sends<T: Send>() {}

const _: () = sends::<Driver<DuplexStream>>();

fn split_with(
    role: Role,
    config: &Config,
    queue_bytes: usize,
) -> (Receiver<Mock>, Sender<Mock>, Driver<Mock>, Script) {
    let (socket, script) = connect_with(role, config);
    let (receiver, sender, driver) = socket.split_driven(queue_bytes);
    (receiver, sender, driver, script)
}

fn split(role: Role, queue_bytes: usize) -> (Receiver<Mock>, Sender<Mock>, Driver<Mock>, Script) {
    split_with(role, &quiet(), queue_bytes)
}

/// The default deadlines: a Ping after 20 seconds of silence, a dead peer after 20 more.
fn keepalive() -> Config {
    Config::default()
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn number(i: u8) -> Vec<u8> {
    vec![i; 10_000]
}

// CM-25
#[tokio::test(start_paused = true)]
async fn both_answer_and_send_pings_while_the_application_is_away() {
    const QUEUE: usize = 100_000;
    for role in ROLES {
        let (mut receiver, _sender, driver, script) = split_with(role, &keepalive(), QUEUE);
        let driver = tokio::spawn(driver);
        // More than is read ahead and what fits a read buffer.
        for i in 0..80 {
            script.peer_sends(to(role, BINARY, &number(i)));
            if i % 20 == 5 {
                script.peer_sends(to(role, PING, &[i]));
            }
        }
        sleep(seconds(600)).await;
        let read = 80 * to(role, BINARY, &number(0)).len() - script.unread();
        println!("{role:?}: {read} octets read ahead");
        // What waits, one message, one read and one read buffer.
        assert!(read <= QUEUE + 10_000 + 2 * (256 + 36) * 1024, "{read} octets were read");
        let sent = frames(role, &script.take_written());
        let pongs: Vec<_> = sent.iter().filter(|frame| frame.0 == PONG).collect();
        assert!(
            pongs.contains(&&Frame(PONG, vec![5])) && pongs.contains(&&Frame(PONG, vec![25])),
            "{pongs:?}"
        );
        let pings = sent.iter().filter(|frame| **frame == Frame(PING, KEEPALIVE.to_vec())).count();
        assert!((19..=30).contains(&pings), "{pings} Pings in ten minutes");
        assert_eq!(receiver.close_report(), None, "a peer that is not read from is not dead");

        for i in 0..80 {
            assert_eq!(receiver.receive().await.unwrap(), Some(Message::binary(number(i))));
        }
        // Once more it is asked, and has its time to answer.
        assert!(timeout(seconds(15), receiver.receive()).await.is_err());
        script.peer_sends(to(role, PONG, KEEPALIVE));
        assert!(timeout(seconds(15), receiver.receive()).await.is_err());
        script.peer_sends([to(role, TEXT, b"last"), to(role, CLOSE, b"")].concat());
        script.peer_ends();
        assert_eq!(receiver.receive().await.unwrap(), Some(Message::text("last")));
        assert_eq!(receiver.receive().await.unwrap(), None);
        assert!(driver.await.unwrap().unwrap().clean);
    }
}

#[tokio::test(start_paused = true)]
async fn both_fail_when_the_peer_is_gone_while_the_driver_reads() {
    for role in ROLES {
        let (mut receiver, sender, driver, script) = split_with(role, &keepalive(), 1000);
        script.peer_sends(to(role, TEXT, b"the last"));
        let error = timeout(seconds(51), driver).await.expect("the peer is dead by then").unwrap_err();
        assert!(matches!(error, Error::DeadPeer), "{error}");
        assert!(sender.send("m").await.is_err());
        assert_eq!(receiver.receive().await.unwrap(), Some(Message::text("the last")), "and then the error");
        for _ in 0..2 {
            assert!(matches!(receiver.receive().await, Err(Error::DeadPeer)));
        }
    }
}

// What fits the read buffer beside the queue has come, and so it is received before its sender is called dead.
#[tokio::test(start_paused = true)]
async fn both_fail_when_the_peer_is_gone_behind_all_that_it_sent() {
    for (role, sends) in ROLES.into_iter().flat_map(|role| [(role, false), (role, true)]) {
        let config = keepalive().write_timeout(None);
        let (mut receiver, sender, driver, script) = split_with(role, &config, 0);
        let driver = tokio::spawn(driver);
        for payload in [b"a", b"b", b"c"] {
            script.peer_sends(to(role, TEXT, payload));
        }
        // A Ping is out, and output waits, for which a sender keeps the time too.
        sleep(seconds(31)).await;
        script.window(if sends { 0 } else { usize::MAX });
        let sending = tokio::spawn(async move { sender.send("m").await });
        sleep(seconds(600)).await;
        assert_eq!(receiver.close_report(), None);
        assert_eq!(sending.is_finished(), !sends);
        for text in ["a", "b", "c"] {
            assert_eq!(receiver.receive().await.unwrap(), Some(Message::text(text)));
        }
        script.window(usize::MAX);
        let error = timeout(seconds(51), receiver.receive()).await.expect("the peer is dead by then");
        assert!(matches!(error, Err(Error::DeadPeer)), "{error:?}");
        assert!(matches!(driver.await.unwrap(), Err(Error::DeadPeer)));
    }
}

#[tokio::test(start_paused = true)]
async fn both_receive_all_that_comes_behind_a_write_that_fails_while_the_application_is_away() {
    for role in ROLES {
        let (mut receiver, sender, driver, script) = split_with(role, &keepalive(), 1);
        let driver = tokio::spawn(driver);
        script.peer_sends(to(role, TEXT, b"a"));
        // A Ping is out, and nothing has answered it.
        sleep(seconds(31)).await;
        assert!(frames(role, &script.take_written()).contains(&Frame(PING, KEEPALIVE.to_vec())));
        script.write_fails(io::ErrorKind::BrokenPipe);
        assert!(matches!(sender.send("m").await, Err(Error::Io(_))));
        for payload in [b"b", b"c"] {
            script.peer_sends(to(role, TEXT, payload));
        }
        sleep(seconds(600)).await;
        for text in ["a", "b", "c"] {
            assert_eq!(receiver.receive().await.unwrap(), Some(Message::text(text)), "{role:?}");
        }
        let error = receiver.receive().await.unwrap_err();
        assert!(matches!(&error, Error::Io(error) if error.kind() == io::ErrorKind::BrokenPipe), "{error:?}");
        assert!(matches!(driver.await.unwrap(), Err(Error::Io(_))));
    }
}

#[tokio::test(start_paused = true)]
async fn both_stay_open_without_messages_as_long_as_some_wait_to_be_received() {
    let config = quiet().idle_timeout(Some(seconds(10)));
    for role in ROLES {
        for queue_bytes in [0, 10_000] {
            let (mut receiver, _sender, driver, script) = split_with(role, &config, queue_bytes);
            let driver = tokio::spawn(driver);
            script.peer_sends(to(role, TEXT, b"m").repeat(2));
            sleep(seconds(100)).await;
            assert!(script.written().is_empty());
            for _ in 0..2 {
                assert_eq!(receiver.receive().await.unwrap(), Some(Message::text("m")));
            }
            sleep(seconds(16)).await;
            assert_eq!(frames(role, &script.written()), [Frame(CLOSE, close_payload(1001, ""))]);
            driver.abort();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn server_answers_pings_while_the_application_blocks_a_thread() {
    let (near, far) = tokio::io::duplex(1000);
    let (mut receiver, sender, driver) =
        WebSocket::server(near, &Config::default(), Vec::new()).split_driven(1000);
    let mut client = WebSocket::client(far, &Config::default(), Vec::new());
    let (answered, is_answered) = std::sync::mpsc::channel::<()>();
    let driver = tokio::spawn(driver);
    let application = tokio::spawn(async move {
        let message = receiver.receive().await.unwrap().unwrap();
        tokio::task::block_in_place(|| is_answered.recv().unwrap());
        sender.feed(message).await.unwrap();
        assert_eq!(receiver.receive().await.unwrap(), None);
    });
    client.send("work").await.unwrap();
    client.ping(b"still there?").await.unwrap();
    let (event, _) = client.receive_event().await.unwrap().unwrap();
    assert_eq!(event, Event::Pong(b"still there?"));
    answered.send(()).unwrap();
    // Nothing is flushed but by the driver.
    assert_eq!(client.receive().await.unwrap(), Some(Message::text("work")));
    assert!(client.close(CloseCode::NORMAL, "").await.unwrap().clean);
    assert!(driver.await.unwrap().unwrap().clean);
    application.await.unwrap();
}

#[test]
fn both_write_what_was_fed_while_the_application_is_away() {
    for role in ROLES {
        let (mut receiver, sender, driver, script) = split(role, 1000);
        let mut driver = pin!(driver);
        waits(receiver.receive());
        let (woken, waker) = Wakes::new();
        assert!(poll_with(driver.as_mut(), &waker).is_pending());
        now(sender.feed("m")).unwrap();
        assert_eq!(woken.count(), 1);
        assert!(poll_with(driver.as_mut(), &waker).is_pending());
        assert_eq!(messages(&frames(role, &script.written())), [b"m"]);
    }
}

#[test]
fn receiver_is_woken_by_what_the_driver_reads_and_the_driver_by_room() {
    for role in ROLES {
        let (mut receiver, _sender, driver, script) = split(role, 0);
        let mut driver = pin!(driver);
        let (received, receiver_waker) = Wakes::new();
        let mut receive = Box::pin(receiver.receive());
        assert!(poll_with(receive.as_mut(), &receiver_waker).is_pending());
        let (driven, waker) = Wakes::new();
        assert!(poll_with(driver.as_mut(), &waker).is_pending());
        script.peer_sends(to(role, TEXT, b"one"));
        assert_eq!((received.count(), driven.count()), (1, 1));
        assert!(poll_with(driver.as_mut(), &waker).is_pending());
        assert_eq!(now(receive).unwrap(), Some(Message::text("one")));
        assert_eq!(driven.count(), 2, "there is room again");

        let mut receive = Box::pin(receiver.receive());
        assert!(poll_with(receive.as_mut(), &receiver_waker).is_pending());
        let before = received.count();
        script.peer_sends(to(role, TEXT, b"two").repeat(3));
        assert_eq!(received.count(), before + 1);
        assert!(poll_with(driver.as_mut(), &waker).is_pending());
        assert_eq!(now(receive).unwrap(), Some(Message::text("two")));
        // It parses by itself what the driver has not.
        assert_eq!(now(receiver.receive()).unwrap(), Some(Message::text("two")));
        assert_eq!(now(receiver.receive()).unwrap(), Some(Message::text("two")));
        waits(receiver.receive());
    }
}

#[test]
fn both_receive_in_order_whoever_of_receiver_and_driver_is_polled() {
    for role in ROLES {
        // Each of the 2^10 orders in which ten messages come and one of the two is polled for it.
        for order in 0..1 << 10 {
            let (mut receiver, _sender, driver, script) = split(role, 150);
            let mut driver = pin!(driver);
            let mut expected = 0..;
            for i in 0..10u8 {
                script.peer_sends([to(role, BINARY, &[2 * i]), to(role, BINARY, &[2 * i + 1])].concat());
                if order >> i & 1 == 0 {
                    assert!(poll_once(driver.as_mut()).is_pending());
                } else {
                    let next = expected.next().unwrap();
                    assert_eq!(now(receiver.receive()).unwrap(), Some(Message::binary(vec![next])));
                }
            }
            for next in expected.take_while(|next| *next < 20) {
                assert_eq!(now(receiver.receive()).unwrap(), Some(Message::binary(vec![next])));
            }
            waits(receiver.receive());
        }
    }
}

// 6455-5.5.1-3
#[tokio::test(start_paused = true)]
async fn both_receive_what_was_read_ahead_before_the_end() {
    for role in ROLES {
        for queue_bytes in [0, 300, 10_000] {
            for (end, clean) in [(to(role, CLOSE, &close_payload(1000, "done")), true), (Vec::new(), false)] {
                let (mut receiver, sender, driver, script) = split(role, queue_bytes);
                let driver = tokio::spawn(driver);
                script.peer_sends([to(role, TEXT, b"m").repeat(10), end].concat());
                script.peer_ends();
                sleep(seconds(1)).await;
                let early = sender.close_report();
                assert_eq!(early.is_some(), queue_bytes == 10_000, "with room for all it has ended");
                assert!(!futures_core::stream::FusedStream::is_terminated(&receiver));
                for _ in 0..10 {
                    assert_eq!(receiver.receive().await.unwrap(), Some(Message::text("m")));
                }
                let ended = receiver.receive().await;
                if clean {
                    assert_eq!(ended.unwrap(), None);
                    let report = driver.await.unwrap().unwrap();
                    assert_eq!((report.clean, report.closed_by), (true, ClosedBy::Remote));
                    assert!(futures_core::stream::FusedStream::is_terminated(&receiver));
                } else {
                    assert!(matches!(ended, Err(Error::EndOfStream)));
                    assert!(matches!(driver.await.unwrap(), Err(Error::EndOfStream)));
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn both_drive_the_closing_handshake_of_a_dropped_receiver_and_count_what_waits() {
    for role in ROLES {
        for queue_bytes in [0, 10_000] {
            let (receiver, _sender, driver, script) = split(role, queue_bytes);
            let driver = tokio::spawn(driver);
            script.peer_sends(to(role, TEXT, b"four").repeat(5));
            sleep(seconds(1)).await;
            drop(receiver);
            sleep(seconds(1)).await;
            assert_eq!(frames(role, &script.written()).last().unwrap().0, CLOSE);
            script.peer_sends([to(role, TEXT, b"late"), to(role, CLOSE, b"")].concat());
            script.peer_ends();
            let report = driver.await.unwrap().unwrap();
            assert!(report.clean);
            assert_eq!((report.messages_thrown_away, report.octets_thrown_away), (6, 24));
        }
    }
}

// CM-22
#[test]
fn both_receive_every_message_when_the_future_is_dropped_at_every_await() {
    for role in ROLES {
        let (mut receiver, _sender, driver, script) = split(role, 200);
        let mut driver = pin!(driver);
        script.drip();
        script.peer_sends((0..20u8).flat_map(|i| to(role, BINARY, &[i; 300])).collect::<Vec<_>>());
        for i in 0..20 {
            let message = by_cut_offs(|| {
                assert!(poll_once(driver.as_mut()).is_pending());
                cut_off(receiver.receive())
            });
            assert_eq!(message.unwrap(), Some(Message::binary(vec![i; 300])));
        }
    }
}

// 6455-10.4-1
#[test]
fn both_read_no_more_than_the_bound_ahead_of_empty_messages() {
    const QUEUE: usize = 128_000;
    for role in ROLES {
        let (mut receiver, _sender, driver, script) = split(role, QUEUE);
        let flood = to(role, TEXT, b"").repeat(500_000);
        script.peer_sends(&flood);
        let mut driver = pin!(driver);
        for _ in 0..10_000 {
            assert!(poll_once(driver.as_mut()).is_pending());
        }
        let read = flood.len() - script.unread();
        println!("{role:?}: {read} octets of empty messages read ahead");
        assert!(read <= 2 * (256 + 36) * 1024, "{read} octets were read");
        for _ in 0..500_000 {
            assert_eq!(now(receiver.receive()).unwrap(), Some(Message::text("")));
        }
        waits(receiver.receive());
    }
}

#[tokio::test]
async fn driver_of_a_flood_lets_other_tasks_run() {
    for role in ROLES {
        let (receiver, _sender, driver, script) = split(role, usize::MAX);
        script.peer_sends(to(role, TEXT, b"").repeat(20_000));
        script.peer_sends(to(role, PING, b"").repeat(20_000));
        let driver = tokio::spawn(driver);
        let mut turns = 0;
        while script.written().is_empty() {
            tokio::task::yield_now().await;
            turns += 1;
        }
        // One message, one unit of the scheduler's budget.
        assert!(turns >= 20_000 / 256, "only {turns} turns beside 20,000 messages");
        drop(receiver);
        driver.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn both_send_messages_of_1_mb_at_once_with_drivers_through_a_pipe_of_64_kib() {
    async fn run(socket: WebSocket<DuplexStream>) {
        let (mut receiver, sender, driver) = socket.split_driven(10_000);
        let driver = tokio::spawn(driver);
        let sending = tokio::spawn(async move {
            for _ in 0..20 {
                sender.send(pattern(1_000_000)).await.unwrap();
            }
            sender.close(CloseCode::NORMAL, "").await
        });
        for _ in 0..20 {
            assert_eq!(receiver.receive().await.unwrap().unwrap().payload(), pattern(1_000_000));
        }
        assert_eq!(receiver.receive().await.unwrap(), None);
        assert!(driver.await.unwrap().unwrap().clean);
        assert!(sending.await.unwrap().unwrap().clean);
    }
    let (client, server) = pair(64 << 10);
    let both = async { tokio::join!(run(client), run(server)) };
    timeout(seconds(60), both).await.expect("neither waits for the other");
}

#[tokio::test(start_paused = true)]
async fn both_go_on_as_halves_when_the_driver_is_dropped() {
    for role in ROLES {
        let (mut receiver, sender, driver, script) = split(role, 10_000);
        let mut driver = Box::pin(driver);
        script.peer_sends(to(role, TEXT, b"ahead").repeat(3));
        let (woken, waker) = Wakes::new();
        assert!(poll_with(driver.as_mut(), &waker).is_pending());
        drop(driver);
        script.peer_sends([to(role, TEXT, b"later"), to(role, PING, b"p")].concat());
        assert_eq!(woken.count(), 0, "who is gone is not woken");
        for text in ["ahead", "ahead", "ahead", "later"] {
            assert_eq!(receiver.receive().await.unwrap(), Some(Message::text(text)));
        }
        waits(receiver.receive());
        assert_eq!(frames(role, &script.written()), [Frame(PONG, b"p".to_vec())]);
        script.peer_sends(to(role, CLOSE, b""));
        script.peer_ends();
        let (received, closed) = tokio::join!(receiver.receive(), sender.close(None, ""));
        assert_eq!(received.unwrap(), None);
        assert!(closed.unwrap().clean);
    }
}

#[tokio::test(start_paused = true)]
async fn all_three_are_dropped_in_every_order_and_let_go_of_the_transport() {
    for role in ROLES {
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let (receiver, sender, driver, script) = split(role, 100);
            let mut driver = Box::pin(driver);
            script.peer_sends(to(role, TEXT, b"m").repeat(3));
            assert!(poll_once(driver.as_mut()).is_pending());
            let (mut receiver, mut sender, mut driver) = (Some(receiver), Some(sender), Some(driver));
            for part in order {
                assert!(!script.is_dropped());
                match part {
                    0 => drop(receiver.take()),
                    1 => drop(sender.take()),
                    _ => drop(driver.take()),
                }
                // Whoever is left is polled, and may wait.
                if let Some(driver) = &mut driver {
                    assert!(poll_once(driver.as_mut()).is_pending());
                }
                if let Some(receiver) = &mut receiver {
                    let _ = cut_off(receiver.receive());
                }
                if let Some(sender) = &mut sender {
                    let _ = cut_off(sender.send("m"));
                }
            }
            assert!(script.is_dropped(), "{order:?}");
        }
    }
}

// 6455-10.4-1
#[tokio::test(start_paused = true)]
async fn both_pay_for_what_is_read_ahead_and_fail_when_nothing_is_left() {
    const KIB: usize = 1024;
    for role in ROLES {
        let budget = Budget::new(100 * KIB);
        let config = quiet().budget(budget.clone());
        let (mut receiver, _sender, driver, script) = split_with(role, &config, 1 << 20);
        let mut driver = Box::pin(driver);
        for _ in 0..6 {
            script.peer_sends(to(role, BINARY, &pattern(8 * KIB)));
        }
        assert!(poll_once(driver.as_mut()).is_pending());
        assert!((48 * KIB..=80 * KIB).contains(&budget.in_use()), "{} in use", budget.in_use());
        for _ in 0..6 {
            assert_eq!(receiver.receive().await.unwrap(), Some(Message::binary(pattern(8 * KIB))));
        }
        waits(receiver.receive());
        assert_eq!(budget.in_use(), 0);

        for _ in 0..20 {
            script.peer_sends(to(role, BINARY, &pattern(8 * KIB)));
        }
        script.peer_ends();
        let expected = ProtocolError::BudgetExhausted(role);
        let error = driver.as_mut().await.unwrap_err();
        assert!(matches!(error, Error::Protocol(error) if error == expected), "{error}");
        let code = if role == Role::Server { 1013 } else { 1009 };
        assert_eq!(frames(role, &script.written()), [Frame(CLOSE, close_payload(code, ""))]);
        assert!(budget.in_use() <= 100 * KIB);
        let mut received = 0;
        let error = loop {
            match receiver.receive().await {
                Ok(message) => assert_eq!(message, Some(Message::binary(pattern(8 * KIB)))),
                Err(error) => break error,
            }
            received += 1;
        };
        assert!((11..=13).contains(&received), "{received} were received, and the error behind them");
        assert!(matches!(error, Error::Protocol(error) if error == expected), "{error}");
        assert_eq!(budget.in_use(), 0);
    }
}

#[test]
fn receiver_knows_what_was_negotiated_beside_a_driver() {
    let (near, _far) = tokio::io::duplex(100);
    let socket = WebSocket::server(near, &quiet(), Vec::new());
    let (receiver, _sender, driver) = socket.split_driven(0);
    assert_eq!(receiver.subprotocol(), None);
    assert_eq!(format!("{receiver:?} {driver:?}"), "Receiver { .. } Driver { .. }");
    assert!(matches!(poll_once(pin!(driver)), Poll::Pending));
}

// Real tasks on real threads: nobody who waits is forgotten, and nothing is lost or changes places.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn both_flood_each_other_with_drivers_through_a_narrow_pipe_and_close() {
    const EACH: u32 = 2000;
    async fn run(socket: WebSocket<DuplexStream>, queue_bytes: usize) {
        let (mut receiver, sender, driver) = socket.split_driven(queue_bytes);
        let driver = tokio::spawn(driver);
        let sending: Vec<_> = (0..2u8)
            .map(|id| {
                let sender = sender.clone();
                tokio::spawn(async move {
                    for number in 0..EACH {
                        let message = [&[id][..], &number.to_be_bytes()].concat();
                        match number % 3 {
                            0 => sender.send(message).await.unwrap(),
                            _ => sender.feed(message).await.unwrap(),
                        }
                    }
                })
            })
            .collect();
        let mut next = [0; 2];
        while next != [EACH; 2] {
            let message = receiver.receive().await.unwrap().unwrap();
            let (id, number) = message.payload().split_first().unwrap();
            let expected = &mut next[usize::from(*id)];
            assert_eq!(*number, expected.to_be_bytes());
            *expected += 1;
            if *expected % 100 == 0 {
                tokio::task::yield_now().await;
            }
        }
        for sending in sending {
            sending.await.unwrap();
        }
        let closing = tokio::spawn(async move { sender.close(CloseCode::NORMAL, "").await });
        assert_eq!(receiver.receive().await.unwrap(), None);
        assert!(driver.await.unwrap().unwrap().clean);
        assert!(closing.await.unwrap().unwrap().clean);
    }
    for (pipe, queue_bytes) in [(100, 0), (1000, 500), (64 << 10, 100_000)] {
        let (client, server) = pair(pipe);
        let client = tokio::spawn(run(client, queue_bytes));
        let server = tokio::spawn(run(server, queue_bytes));
        let both = async { (client.await.unwrap(), server.await.unwrap()) };
        timeout(seconds(120), both).await.expect("somebody was forgotten");
    }
}
