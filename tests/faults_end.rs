//! Transports that end or fail, in the middle of anything: what is delivered, what is reported, what is left (RFC 6455
//! §7.1.5, §7.2.2).
#![cfg(all(feature = "test-util", feature = "tokio"))]
#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests")]

mod fault_support;

use std::io::ErrorKind;

use fault_support::{FACES, Face, ROLES, Socket, ends, io_kind, open};
use sansocket::stream::Error;
use sansocket::test_util::{Cut, Frame};
use sansocket::{Failure, Message, MessageKind, Role};

/// A message, one in fragments with a Ping between them, and one longer than a read.
fn conversation() -> Vec<(Frame, Option<Message>)> {
    let long = vec![7; 300];
    vec![
        (Frame::text("one"), Some(Message::text("one"))),
        (Frame::binary("ab").not_final(), None),
        (Frame::ping("between"), None),
        (Frame::continuation("").not_final(), None),
        (Frame::continuation("cd"), Some(Message::binary("abcd"))),
        (Frame::binary(long.clone()), Some(Message::binary(long))),
    ]
}

/// What is delivered of the first `octets` that a peer of this role sends, and what is cut off: of which kind, how much.
fn expected(sender: Role, octets: usize) -> (Vec<Message>, Option<(MessageKind, u64)>) {
    let (mut left, mut delivered, mut cut_off) = (octets, Vec::new(), None);
    for (frame, message) in conversation() {
        let len = frame.octets(sender).len();
        let came = left.min(len).checked_sub(len - frame.payload.len());
        // Below a whole header there is no frame.
        if let Some(came) = came.filter(|_| frame.opcode < 8) {
            let (kind, before) = cut_off.unwrap_or(match frame.opcode {
                1 => (MessageKind::Text, 0),
                _ => (MessageKind::Binary, 0),
            });
            cut_off = Some((kind, before + came as u64));
        }
        if left < len {
            break;
        }
        left -= len;
        if let Some(message) = message {
            delivered.push(message);
            cut_off = None;
        }
    }
    (delivered, cut_off)
}

async fn receive_to_the_end(socket: &mut Socket) -> (Vec<Message>, Error) {
    let mut messages = Vec::new();
    loop {
        match socket.receive().await {
            Ok(Some(message)) => messages.push(message),
            Ok(None) => panic!("the end of the transport is no success"),
            Err(error) => return (messages, error),
        }
    }
}

// 6455-7.1.5-3, CM-43, CM-15
#[tokio::test(start_paused = true)]
async fn both_receive_the_end_of_the_stream_at_every_octet() {
    for (role, face) in ends(&FACES) {
        let octets: Vec<u8> =
            conversation().iter().flat_map(|(frame, _)| frame.octets(role.peer())).collect();
        for cut in 0..=octets.len() {
            let (mut socket, mut peer) = open(role, face);
            peer.send(&octets);
            peer.outgoing().cut_after(cut, Cut::End);
            let (delivered, error) = receive_to_the_end(&mut socket).await;
            let (expected, cut_off) = expected(role.peer(), cut);
            let when = format!("{role:?}, {face:?}, after {cut} octets");
            assert_eq!(delivered, expected, "{when}");
            assert!(matches!(error, Error::EndOfStream), "{when}: {error}");
            let report = socket.close_report().unwrap();
            assert_eq!(report.received.number(), 1006);
            assert_eq!((report.clean, report.failure), (false, Some(Failure::EndOfStream)));
            assert_eq!(report.cut_off.map(|it| (it.kind, it.octets)), cut_off, "{when}");
            // The same for ever, and the transport is gone: what the peer still gets is what was owed to it.
            assert!(matches!(socket.receive().await, Err(Error::EndOfStream)));
            assert!(matches!(socket.send("late").await, Err(Error::EndOfStream)), "{when}");
            assert!(peer.outgoing().is_abandoned(), "{when}");
            while let Some(frame) = peer.next_frame().await.unwrap() {
                assert_eq!(frame, Frame::pong("between"));
            }
        }
    }
}

// 6455-7.1.5-3
#[tokio::test(start_paused = true)]
async fn both_receive_a_reset_at_every_octet() {
    for (role, face) in ends(&FACES) {
        let octets: Vec<u8> =
            conversation().iter().flat_map(|(frame, _)| frame.octets(role.peer())).collect();
        for cut in 0..=octets.len() {
            let (mut socket, peer) = open(role, face);
            peer.send(&octets);
            peer.outgoing().cut_after(cut, Cut::Fails(ErrorKind::ConnectionReset));
            let (delivered, error) = receive_to_the_end(&mut socket).await;
            let (expected, cut_off) = expected(role.peer(), cut);
            let when = format!("{role:?}, {face:?}, after {cut} octets");
            assert_eq!(delivered, expected, "{when}");
            assert_eq!(io_kind(&error), Some(ErrorKind::ConnectionReset), "{when}: {error}");
            let report = socket.close_report().unwrap();
            assert_eq!(report.received.number(), 1006);
            assert_eq!((report.clean, report.failure), (false, Some(Failure::Transport)));
            assert_eq!(report.cut_off.map(|it| (it.kind, it.octets)), cut_off, "{when}");
            assert_eq!(io_kind(&socket.receive().await.unwrap_err()), Some(ErrorKind::ConnectionReset));
            assert!(peer.outgoing().is_abandoned() && peer.incoming().has_ended());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn both_send_into_a_reset_and_both_directions_say_so() {
    for (role, face) in ends(&FACES) {
        let (mut socket, peer) = open(role, face);
        socket.send("before").await.unwrap();
        peer.reset();
        for _ in 0..2 {
            let error = socket.send("after").await.unwrap_err();
            assert_eq!(io_kind(&error), Some(ErrorKind::ConnectionReset), "{role:?}, {face:?}: {error}");
        }
        let error = socket.receive().await.unwrap_err();
        assert_eq!(io_kind(&error), Some(ErrorKind::ConnectionReset), "{role:?}, {face:?}: {error}");
        assert!(!socket.close_report().unwrap().clean);
    }
}

// 6455-7.1.4-1
#[tokio::test(start_paused = true)]
async fn both_receive_what_has_come_when_writing_fails_and_then_its_error() {
    for (role, face) in ends(&FACES) {
        let (mut socket, peer) = open(role, face);
        peer.incoming().fail_writes(ErrorKind::BrokenPipe);
        peer.send_frames(&[Frame::text("one"), Frame::ping("unanswered"), Frame::text("two")]);
        let error = socket.send("lost").await.unwrap_err();
        assert_eq!(io_kind(&error), Some(ErrorKind::BrokenPipe), "{role:?}, {face:?}: {error}");
        for message in ["one", "two"] {
            assert_eq!(socket.receive().await.unwrap(), Some(Message::text(message)), "{role:?}, {face:?}");
        }
        for _ in 0..2 {
            let error = socket.receive().await.unwrap_err();
            assert_eq!(io_kind(&error), Some(ErrorKind::BrokenPipe), "{role:?}, {face:?}: {error}");
        }
        assert!(peer.outgoing().is_abandoned());
    }
}

// 6455-7.1.5-1, 6455-7.1.4-1
#[tokio::test(start_paused = true)]
async fn both_report_the_close_they_received_when_its_answer_cannot_be_written() {
    for (role, face) in ends(&FACES) {
        let (mut socket, peer) = open(role, face);
        peer.incoming().fail_writes(ErrorKind::BrokenPipe);
        peer.send_frames(&[Frame::text("last"), Frame::close(4000, "why")]);
        let (delivered, error) = receive_to_the_end(&mut socket).await;
        assert_eq!(delivered, [Message::text("last")]);
        assert_eq!(io_kind(&error), Some(ErrorKind::BrokenPipe), "{role:?}, {face:?}: {error}");
        let report = socket.close_report().unwrap();
        assert_eq!((report.received.number(), &*report.received_reason, report.clean), (4000, "why", false));
    }
}

/// Halves in different tasks: each learns of the failure that the other met.
#[tokio::test(start_paused = true)]
async fn both_halves_learn_of_a_failure_in_the_task_that_did_not_meet_it() {
    for role in ROLES {
        let (socket, peer) = open(role, Face::Halves);
        let Socket::Halves(mut receiver, sender) = socket else { unreachable!() };
        peer.incoming().capacity(0);
        let waiting = tokio::spawn({
            let sender = sender.clone();
            async move { sender.send("never taken").await }
        });
        let receiving = tokio::spawn(async move { receiver.receive().await });
        tokio::task::yield_now().await;
        peer.reset();
        for outcome in [waiting.await.unwrap(), receiving.await.unwrap().map(drop)] {
            assert_eq!(io_kind(&outcome.unwrap_err()), Some(ErrorKind::ConnectionReset), "{role:?}");
        }
        assert!(sender.send("late").await.is_err());
    }
}
