//! A peer that always has something to say does not keep a thread from its other tasks.
#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests")]
#![cfg(feature = "tokio")]

mod stream_support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sansocket::Role;
use stream_support::*;

/// How many messages come in at once.
const FLOOD: usize = 20_000;

/// How many messages are received between two turns of another task, at the most.
const BETWEEN: usize = 256;

/// Runs a task that receives the flood beside one that counts its own turns; says how far apart those were.
async fn farthest_apart<F: Future<Output = ()> + Send + 'static>(
    received: Arc<AtomicUsize>,
    flooded: impl FnOnce(Arc<AtomicUsize>) -> F,
) -> usize {
    let flooded = tokio::spawn(flooded(Arc::clone(&received)));
    let mut last = 0;
    let mut farthest = 0;
    while !flooded.is_finished() {
        tokio::task::yield_now().await;
        let now = received.load(Ordering::SeqCst);
        farthest = farthest.max(now - last);
        last = now;
    }
    flooded.await.unwrap();
    farthest
}

fn flood(script: &Script, role: Role, first: u8) {
    script.peer_sends(to(role, first, b"").repeat(FLOOD));
}

#[tokio::test]
async fn server_receiving_a_flood_of_messages_lets_other_tasks_run() {
    let role = Role::Server;
    let (mut socket, script) = connect(role);
    flood(&script, role, TEXT);
    let farthest = farthest_apart(Arc::default(), |received| async move {
        for _ in 0..FLOOD {
            let (message, mut outgoing) = socket.receive_ref().await.unwrap().unwrap();
            outgoing.feed(&message).unwrap();
            received.fetch_add(1, Ordering::SeqCst);
        }
    });
    let farthest = farthest.await;
    assert!((1..=BETWEEN).contains(&farthest), "{farthest} messages without a turn");
}

#[tokio::test]
async fn receiver_of_a_flood_of_messages_lets_other_tasks_run() {
    let role = Role::Server;
    let (socket, script) = connect(role);
    let (mut receiver, _sender) = socket.split();
    flood(&script, role, TEXT);
    let farthest = farthest_apart(Arc::default(), |received| async move {
        for _ in 0..FLOOD {
            receiver.receive().await.unwrap().unwrap();
            received.fetch_add(1, Ordering::SeqCst);
        }
    });
    let farthest = farthest.await;
    assert!((1..=BETWEEN).contains(&farthest), "{farthest} messages without a turn");
}

/// Counts the turns of another task while this one receives one message behind a flood of Pings.
async fn turns_during<F: Future<Output = ()> + Send + 'static>(receive: F) -> usize {
    let receive = tokio::spawn(receive);
    let mut turns = 0;
    while !receive.is_finished() {
        tokio::task::yield_now().await;
        turns += 1;
    }
    receive.await.unwrap();
    turns
}

// CM-28
#[tokio::test]
async fn server_receiving_a_flood_of_pings_lets_other_tasks_run() {
    let role = Role::Server;
    for split in [false, true] {
        let (mut socket, script) = connect(role);
        flood(&script, role, PING);
        script.peer_sends(to(role, TEXT, b"m"));
        let turns = turns_during(async move {
            if split {
                socket.split().0.receive().await.unwrap().unwrap();
            } else {
                socket.receive().await.unwrap().unwrap();
            }
        });
        let turns = turns.await;
        assert!(turns >= FLOOD / BETWEEN, "{turns} turns during {FLOOD} Pings, split: {split}");
    }
}

#[tokio::test]
async fn server_discarding_what_a_peer_sends_after_its_close_lets_other_tasks_run() {
    let role = Role::Server;
    let (mut socket, script) = connect(role);
    script.peer_sends(to(role, CLOSE, b""));
    for _ in 0..10_000 {
        script.peer_sends([0]);
    }
    script.peer_ends();
    let turns = turns_during(async move { assert!(socket.receive().await.unwrap().is_none()) }).await;
    assert!(turns >= 10_000 / BETWEEN, "{turns} turns");
}
