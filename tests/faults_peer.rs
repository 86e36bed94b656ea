//! Peers that are there and do nothing: they never answer, never read, never finish (RFC 6455 §7.1.1, §10.4).
#![cfg(all(feature = "test-util", feature = "tokio"))]
#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests")]

mod fault_support;

use fault_support::{ASYNC_FACES, Face, ROLES, Socket, ends, open, seconds};
use sansocket::stream::Error;
use sansocket::test_util::Frame;
use sansocket::{Failure, Message, MessageKind};
use tokio::time::{Instant, timeout};

// CM-49
#[tokio::test(start_paused = true)]
async fn both_close_and_give_up_a_peer_that_never_answers() {
    for (role, face) in ends(&ASYNC_FACES) {
        let (mut socket, mut peer) = open(role, face);
        let begin = Instant::now();
        let error = socket.close().await.unwrap_err();
        assert!(matches!(error, Error::CloseTimeout), "{role:?}, {face:?}: {error}");
        assert_eq!(begin.elapsed().as_secs(), 10);
        let report = socket.close_report().unwrap();
        assert_eq!((report.clean, report.failure), (false, Some(Failure::CloseTimeout)));
        assert_eq!(report.received.number(), 1006);
        peer.expect_close(1000).await.unwrap();
        peer.expect_end().await.unwrap();
        assert!(peer.outgoing().is_abandoned());
    }
}

// CM-49
#[tokio::test(start_paused = true)]
async fn both_close_and_give_up_a_peer_that_never_reads() {
    for (role, face) in ends(&ASYNC_FACES) {
        let (mut socket, peer) = open(role, face);
        peer.incoming().capacity(1);
        let begin = Instant::now();
        let error = socket.close().await.unwrap_err();
        assert!(matches!(error, Error::CloseTimeout), "{role:?}, {face:?}: {error}");
        assert_eq!(begin.elapsed().as_secs(), 10, "{role:?}, {face:?}");
        assert!(peer.outgoing().is_abandoned());
    }
}

// CM-49
#[tokio::test(start_paused = true)]
async fn both_close_and_give_up_a_peer_that_never_stops_sending() {
    for (role, face) in ends(&ASYNC_FACES) {
        let (mut socket, peer) = open(role, face);
        let frame = Frame::binary(vec![1; 1000]).octets(role.peer());
        let flooding = tokio::spawn(async move {
            while !peer.outgoing().is_abandoned() {
                if peer.outgoing().unread() < 100_000 {
                    peer.send(&frame);
                }
                tokio::time::sleep(seconds(1) / 100).await;
            }
        });
        let begin = Instant::now();
        let error = socket.close().await.unwrap_err();
        assert!(matches!(error, Error::CloseTimeout), "{role:?}, {face:?}: {error}");
        assert_eq!(begin.elapsed().as_secs(), 10);
        flooding.await.unwrap();
    }
}

/// A half-open connection: everything is taken, and nothing ever comes.
#[tokio::test(start_paused = true)]
async fn both_send_to_a_half_open_peer_and_end_when_they_are_told_to() {
    for (role, face) in ends(&ASYNC_FACES) {
        let (mut socket, peer) = open(role, face);
        peer.outgoing().stall();
        socket.send("into the dark").await.unwrap();
        assert!(timeout(seconds(5), socket.receive()).await.is_err(), "there is nothing to receive");
        let error = socket.close().await.unwrap_err();
        assert!(matches!(error, Error::CloseTimeout), "{role:?}, {face:?}: {error}");
        assert!(peer.outgoing().is_abandoned());
    }
}

// CM-27
#[tokio::test(start_paused = true)]
async fn both_receive_while_a_peer_that_never_reads_holds_their_output() {
    for (role, face) in ends(&ASYNC_FACES) {
        let (mut socket, peer) = open(role, face);
        peer.incoming().capacity(3);
        assert!(timeout(seconds(1), socket.send("stuck")).await.is_err(), "{role:?}, {face:?}");
        peer.send_frames(&[Frame::text("one"), Frame::ping("p"), Frame::text("two")]);
        for message in ["one", "two"] {
            let received = timeout(seconds(1), socket.receive()).await.expect("it has come").unwrap();
            assert_eq!(received, Some(Message::text(message)), "{role:?}, {face:?}");
        }
    }
}

// CM-22, CM-23
#[tokio::test(start_paused = true)]
async fn both_send_everything_once_when_a_peer_reads_again() {
    for (role, face) in ends(&ASYNC_FACES) {
        let (mut socket, mut peer) = open(role, face);
        peer.incoming().capacity(3);
        assert!(timeout(seconds(1), socket.send("given up")).await.is_err());
        let sending = tokio::spawn(async move { socket.send("and after it").await.map(|()| socket) });
        peer.expect_frame(Frame::text("given up")).await.unwrap();
        peer.expect_frame(Frame::text("and after it")).await.unwrap();
        let _open = sending.await.unwrap().unwrap();
        peer.expect_nothing().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn both_report_the_message_that_a_peer_never_finished() {
    for (role, face) in ends(&ASYNC_FACES) {
        let (mut socket, peer) = open(role, face);
        peer.send_frame(&Frame::text("to be contin").not_final());
        let last = Frame::continuation("ued").octets(role.peer());
        peer.send(&last[..last.len() - 1]);
        let error = socket.close().await.unwrap_err();
        assert!(matches!(error, Error::CloseTimeout), "{role:?}, {face:?}: {error}");
        let cut_off = socket.close_report().unwrap().cut_off.unwrap();
        assert_eq!((cut_off.kind, cut_off.octets), (MessageKind::Text, 14), "{role:?}, {face:?}");
    }
}

// (d) row 17
#[tokio::test(start_paused = true)]
async fn both_report_the_message_that_was_unfinished_when_a_send_failed() {
    for (role, face) in ends(&ASYNC_FACES) {
        let (mut socket, peer) = open(role, face);
        peer.send_frame(&Frame::text("to be continued").not_final());
        assert!(timeout(seconds(1), socket.receive()).await.is_err(), "it is not whole");
        peer.incoming().capacity(1);
        let error = socket.send("stuck").await.unwrap_err();
        assert!(matches!(error, Error::WriteTimeout), "{role:?}, {face:?}: {error}");
        let cut_off = socket.close_report().unwrap().cut_off.unwrap();
        assert_eq!((cut_off.kind, cut_off.octets), (MessageKind::Text, 15), "{role:?}, {face:?}");
    }
}

/// The other half's task still drives the closing handshake, to its timeout.
#[tokio::test(start_paused = true)]
async fn both_halves_end_in_time_when_the_peer_never_answers_the_close_of_a_dropped_receiver() {
    for role in ROLES {
        let (socket, _peer) = open(role, Face::Halves);
        let Socket::Halves(receiver, sender) = socket else { unreachable!() };
        drop(receiver);
        let begin = Instant::now();
        let error = sender.close(None, "").await.unwrap_err();
        assert!(matches!(error, Error::CloseTimeout), "{role:?}: {error}");
        assert_eq!(begin.elapsed().as_secs(), 10);
    }
}
