//! What blocking connections that share a budget hold together: RFC 6455 §10.4.
#![cfg(feature = "std")]
#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests")]

#[path = "support/allocations.rs"]
mod allocations;
#[path = "support/blocking.rs"]
mod support;

use allocations::{Counting, allocated_by};
use sansocket::blocking::{Error, WebSocket};
use sansocket::{Budget, Config, Message, ProtocolError, Role, SendError};
use support::{BOTH_ROLES, Script, Step, from_peer};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const KIB: usize = 1 << 10;

fn sharing(role: Role, script: &Script, budget: &Budget) -> WebSocket<Script> {
    let config = Config::default().ping_interval(None).write_timeout(None).budget(budget.clone());
    WebSocket::negotiated(script.clone(), role, Default::default(), &config, Vec::new())
}

// 6455-10.4-1
#[test]
fn both_fail_when_a_message_needs_more_than_is_left() {
    for role in BOTH_ROLES {
        let budget = Budget::new(128 * KIB);
        let payload = vec![7; 100 * KIB];
        let script = Script::new([
            Step::Octets(from_peer(role, 0x82, &payload)),
            Step::Octets(from_peer(role, 0x82, &[7; 140 * KIB])),
            Step::End,
        ]);
        let mut socket = sharing(role, &script, &budget);
        assert_eq!(socket.receive().unwrap(), Some(Message::binary(payload)));
        let error = socket.receive().unwrap_err();
        assert!(matches!(error, Error::Protocol(e) if e == ProtocolError::BudgetExhausted(role)), "{error}");
        let code: u16 = if role == Role::Server { 1013 } else { 1009 };
        let sent = support::frames(&script.written());
        assert_eq!(sent, [(0x88, code.to_be_bytes().to_vec())]);
        assert_eq!(budget.in_use(), 0);
    }
}

// 6455-10.4-1
#[test]
fn both_hold_nothing_of_the_budget_while_they_wait() {
    for role in BOTH_ROLES {
        let budget = Budget::new(1 << 20);
        let payload = vec![7; 200 * KIB];
        let script = Script::new([Step::Octets(from_peer(role, 0x82, &payload))]);
        let mut socket = sharing(role, &script, &budget);
        let (message, mut outgoing) = socket.receive_ref().unwrap().expect("a message");
        outgoing.feed(&message).expect("there is room for a copy");
        assert!(budget.in_use() >= 200 * KIB, "{}", budget.in_use());
        assert!(matches!(socket.receive(), Err(Error::WouldBlock)));
        assert_eq!(budget.in_use(), 0, "what was received is free, and what was sent");
        let refused = socket.send(vec![7; 2 << 20]);
        assert!(matches!(refused, Err(Error::Send(SendError::BudgetExhausted))), "{refused:?}");
        assert_eq!(socket.queued(), 0);
    }
}

#[test]
fn both_receive_lent_messages_without_a_budget_into_the_memory_of_the_one_before() {
    for role in BOTH_ROLES {
        let payload = vec![7; 200 * KIB];
        let script = Script::new((0..40).map(|_| Step::Octets(from_peer(role, 0x82, &payload))));
        let config = Config::default().ping_interval(None).write_timeout(None);
        let mut socket = WebSocket::negotiated(script, role, Default::default(), &config, Vec::new());
        assert_eq!(socket.receive_ref().unwrap().unwrap().0.payload(), payload);
        let (allocated, ()) = allocated_by(|| {
            for _ in 1..40 {
                assert_eq!(socket.receive_ref().unwrap().unwrap().0.payload(), payload);
            }
        });
        println!("{role:?}: {allocated} octets allocated for 39 lent messages of 200 KiB");
        assert!(allocated < 100 * KIB, "{allocated}");
    }
}
