//! One connection attempt at a time to one address: RFC 6455 §4.1.
#![cfg(feature = "tokio")]
#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests")]

mod connect_support;

use std::time::Duration;

use connect_support::{accepting, read_head};
use sansocket::handshake::ClientRequest;
use sansocket::stream::{ConnectError, ConnectGate, Connector};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, yield_now};
use tokio::time::timeout;

async fn listen() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

/// Starts an attempt, which is in the queue when this returns.
async fn start(
    connector: &Connector,
    listener: &TcpListener,
    path: &str,
) -> JoinHandle<Result<(), ConnectError>> {
    let uri = format!("ws://{}/{path}", listener.local_addr().unwrap());
    let (connector, request) = (connector.clone(), ClientRequest::new(&uri).unwrap());
    let attempt = tokio::spawn(async move { connector.connect(&request).await.map(|_| ()) });
    // An address needs no resolver, so a few turns bring the attempt as far as it can go.
    for _ in 0..5 {
        yield_now().await;
    }
    attempt
}

/// The next attempt that reaches the server: its transport and its request.
async fn arrival(listener: &TcpListener) -> (TcpStream, String) {
    let (mut io, _) = timeout(Duration::from_secs(5), listener.accept()).await.expect("an attempt").unwrap();
    let request = read_head(&mut io).await;
    (io, String::from_utf8(request).unwrap())
}

async fn nobody_arrives(listener: &TcpListener) -> bool {
    timeout(Duration::from_millis(20), listener.accept()).await.is_err()
}

async fn answer(io: &mut TcpStream, request: &str) {
    io.write_all(&accepting(request.as_bytes(), "")).await.unwrap();
}

#[tokio::test]
async fn client_connects_five_times_to_one_address_one_after_the_other() {
    // 6455-4.1-3 6455-4.1-4: the next one begins when the earlier one is established, in the order of the calls.
    let listener = listen().await;
    let connector = Connector::default().gate(ConnectGate::default());
    let mut attempts = Vec::new();
    for at in 0..5 {
        attempts.push(start(&connector, &listener, &at.to_string()).await);
    }
    for (at, attempt) in attempts.into_iter().enumerate() {
        let (mut io, request) = arrival(&listener).await;
        assert!(request.starts_with(&format!("GET /{at} ")), "{request}");
        assert!(nobody_arrives(&listener).await, "while attempt {at} is connecting");
        answer(&mut io, &request).await;
        attempt.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn client_connects_to_different_addresses_at_once() {
    // 6455-4.1-3: an address is host and port.
    let (one, other) = (listen().await, listen().await);
    let connector = Connector::default().gate(ConnectGate::default());
    let attempts = [start(&connector, &one, "").await, start(&connector, &other, "").await];
    let (mut first, mut second) = (arrival(&one).await, arrival(&other).await);
    answer(&mut first.0, &first.1).await;
    answer(&mut second.0, &second.1).await;
    for attempt in attempts {
        attempt.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn client_connects_at_once_without_a_gate_or_with_gates_of_its_own() {
    // 6455-4.1-3: off by default.
    let listener = listen().await;
    let gated = || Connector::default().gate(ConnectGate::default());
    let connectors = [Connector::default(), Connector::default(), gated(), gated()];
    let mut attempts = Vec::new();
    for connector in &connectors {
        attempts.push(start(connector, &listener, "").await);
    }
    let mut arrived = Vec::new();
    for _ in &connectors {
        arrived.push(arrival(&listener).await);
    }
    for (mut io, request) in arrived {
        answer(&mut io, &request).await;
    }
    for attempt in attempts {
        attempt.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn client_connects_after_an_attempt_that_was_given_up() {
    // 6455-4.1-3: whether the given-up one was connecting or waiting.
    let listener = listen().await;
    let connector = Connector::default().gate(ConnectGate::default());
    let connecting = start(&connector, &listener, "connecting").await;
    let waiting = start(&connector, &listener, "waiting").await;
    let last = start(&connector, &listener, "last").await;
    let (_io, request) = arrival(&listener).await;
    assert!(request.starts_with("GET /connecting "));
    waiting.abort();
    assert!(nobody_arrives(&listener).await);
    connecting.abort();
    let (mut io, request) = arrival(&listener).await;
    assert!(request.starts_with("GET /last "), "{request}");
    answer(&mut io, &request).await;
    last.await.unwrap().unwrap();
}

#[tokio::test]
async fn client_connects_after_an_attempt_that_was_given_up_when_its_turn_had_come() {
    // The turn must not be lost with an attempt that never took it.
    let listener = listen().await;
    let connector = Connector::default().gate(ConnectGate::default());
    let first = start(&connector, &listener, "").await;
    let second = start(&connector, &listener, "").await;
    let third = start(&connector, &listener, "third").await;
    let _arrived = arrival(&listener).await;
    // Both in one turn of the scheduler: the second has been woken, and is not polled.
    first.abort();
    second.abort();
    let (mut io, request) = arrival(&listener).await;
    assert!(request.starts_with("GET /third "), "{request}");
    answer(&mut io, &request).await;
    third.await.unwrap().unwrap();
}

#[tokio::test]
async fn client_connects_after_an_attempt_that_failed() {
    // 6455-4.1-3
    let listener = listen().await;
    let connector = Connector::default().gate(ConnectGate::default());
    let table: [&[u8]; 2] = [b"HTTP/1.1 404 \r\nContent-Length: 0\r\n\r\n", b""];
    for refusal in table {
        let first = start(&connector, &listener, "first").await;
        let second = start(&connector, &listener, "second").await;
        let (mut io, _) = arrival(&listener).await;
        assert!(nobody_arrives(&listener).await);
        io.write_all(refusal).await.unwrap();
        drop(io);
        assert!(first.await.unwrap().is_err());
        let (mut io, request) = arrival(&listener).await;
        answer(&mut io, &request).await;
        second.await.unwrap().unwrap();
    }
    // Nor does a port where nobody listens keep the place.
    let closed = listen().await;
    let uri = format!("ws://{}/", closed.local_addr().unwrap());
    drop(closed);
    for _ in 0..2 {
        let connected = connector.connect(&ClientRequest::new(&uri).unwrap()).await;
        assert!(matches!(connected, Err(ConnectError::Io(_))));
    }
}

#[tokio::test]
async fn client_connects_while_too_many_attempts_wait() {
    // 6455-4.1-6: counted over all addresses; one that does not have to wait is let through.
    let (one, other) = (listen().await, listen().await);
    let connector = Connector::default().gate(ConnectGate::new(1));
    let first = start(&connector, &one, "first").await;
    let waiting = start(&connector, &one, "waiting").await;
    let elsewhere = start(&connector, &other, "").await;
    for listener in [&one, &other] {
        let refused = start(&connector, listener, "").await.await.unwrap();
        assert!(matches!(refused, Err(ConnectError::TooManyPending)));
    }
    // Who is given up leaves its place to another.
    waiting.abort();
    let _ = waiting.await;
    let waiting = start(&connector, &other, "waiting").await;

    let (mut io, request) = arrival(&one).await;
    answer(&mut io, &request).await;
    first.await.unwrap().unwrap();
    for attempt in [elsewhere, waiting] {
        let (mut io, request) = arrival(&other).await;
        answer(&mut io, &request).await;
        attempt.await.unwrap().unwrap();
    }
    // Nothing is left behind.
    let alone = start(&connector, &one, "").await;
    let next = start(&connector, &one, "").await;
    for attempt in [alone, next] {
        let (mut io, request) = arrival(&one).await;
        answer(&mut io, &request).await;
        attempt.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn client_connects_with_a_gate_that_lets_nobody_wait() {
    // 6455-4.1-6
    let listener = listen().await;
    let connector = Connector::default().gate(ConnectGate::new(0));
    let first = start(&connector, &listener, "").await;
    let refused = start(&connector, &listener, "").await.await.unwrap();
    assert!(matches!(refused, Err(ConnectError::TooManyPending)));
    let (mut io, request) = arrival(&listener).await;
    answer(&mut io, &request).await;
    first.await.unwrap().unwrap();
}
