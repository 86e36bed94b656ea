//! A connection on which no message comes: closed with 1001, RFC 6455 §7.4.1.

#[path = "support/waiting.rs"]
mod waiting;
#[path = "support/wire.rs"]
mod wire;

use std::time::Duration;

use sansocket::connection::{ClosedBy, TransportPhase};
use sansocket::{CloseCode, Config, Failure};
use waiting::{Waiting, quiet};
use wire::{ROLES, from_peer_of, seconds};

fn idle() -> Config {
    quiet().idle_timeout(Some(Duration::from_secs(100)))
}

/// Waits for the Close 1001: when it came.
fn closed_at(waiting: &mut Waiting, by: u64) -> Option<u64> {
    waiting.until(by);
    let close = waiting.sent.iter().find(|(_, frame)| frame == "close 1001");
    close.map(|(at, _)| *at)
}

#[test]
fn each_role_closes_with_1001_when_no_message_comes() {
    for role in ROLES {
        let mut waiting = Waiting::new(role, &idle());
        assert_eq!(closed_at(&mut waiting, 99_999), None);
        assert_eq!(closed_at(&mut waiting, 100_000), Some(100_000));
        assert_eq!(waiting.end.phase(), TransportPhase::ReadWrite);
        // A message that was under way is still received.
        waiting.reads(b"\x81\x04late\x88\x02\x03\xe9");
        waiting.end.finish();
        assert_eq!(waiting.end.events, ["text late", "close 1001"]);
        let report = waiting.end.close_report().expect("it has ended");
        assert!(report.clean, "{report:?}");
        assert_eq!((report.closed_by, report.sent), (ClosedBy::Local, Some(Some(CloseCode::GOING_AWAY))));
    }
}

#[test]
fn each_role_closes_between_one_and_one_and_a_half_times_after_the_last_message() {
    for role in ROLES {
        for last in [0, 1, 30_000, 49_999, 50_000, 50_001, 99_999] {
            for message in [&b"\x81\x02hi"[..], b"\x82\x00", b"\x01\x01h\x80\x01i"] {
                let mut waiting = Waiting::new(role, &idle());
                waiting.until(last);
                waiting.reads(message);
                let closed = closed_at(&mut waiting, last + 200_000).expect("it is idle") - last;
                assert!((100_000..=150_000).contains(&closed), "{role:?}: {closed} after {last}");
            }
        }
    }
}

#[test]
fn each_role_stays_open_as_long_as_messages_come() {
    for role in ROLES {
        let mut waiting = Waiting::new(role, &idle());
        // In pieces, so that each is put together.
        let message = from_peer_of(role, b"\x81\x05hello");
        for turn in 1..20 {
            waiting.until(turn * 99_999);
            waiting.reads_octets(&message[..4]);
            waiting.reads_octets(&message[4..]);
        }
        assert_eq!(waiting.sent, []);
        assert_eq!(waiting.end.events.len(), 19);
    }
}

#[test]
fn each_role_counts_no_control_frames_and_nothing_that_it_sends() {
    for role in ROLES {
        let mut waiting = Waiting::new(role, &idle());
        for turn in 1..=100 {
            waiting.until(turn * 1_000 - 1);
            waiting.reads(b"\x89\x01p\x8a\x01q\x01\x01a");
            waiting.reads(b"\x80\x00");
            waiting.end.events.clear();
            if turn == 1 {
                break;
            }
        }
        for turn in 2..150 {
            waiting.until(turn * 1_000);
            waiting.reads(b"\x89\x01p\x8a\x01q");
            if waiting.end.send("news").is_err() {
                break;
            }
        }
        let closed = closed_at(&mut waiting, 150_000).expect("none of that is a message received");
        assert!((100_000..151_000).contains(&closed), "{closed}");
    }
}

#[test]
fn each_role_waits_while_messages_are_left_alone() {
    for role in ROLES {
        let mut waiting = Waiting::new(role, &idle().high_water_mark(100));
        waiting.until(70_000);
        waiting.takes_output = false;
        waiting.end.send(&[1; 200][..]).unwrap();
        waiting.until(1_000_000);
        assert_eq!(waiting.end.phase(), TransportPhase::ReadWrite);
        waiting.takes_output = true;
        let closed = closed_at(&mut waiting, 1_200_000).expect("it is idle");
        assert!((1_050_000..=1_150_000).contains(&closed), "{closed}");
    }
}

// What is next to be read may be a message, but not for ever.
#[test]
fn each_role_takes_twice_the_time_while_there_may_be_more_to_read() {
    for role in ROLES {
        for message_at in [None, Some(160)] {
            let mut waiting = Waiting::new(role, &idle());
            let closed = (1..500).find(|second| {
                if message_at == Some(*second) {
                    waiting.end.read_frames(b"\x81\x02hi");
                }
                waiting.end.handle_timeout_while_busy(seconds(*second));
                waiting.end.queued() > 0
            });
            // From the last look at which there was one.
            let expected = if message_at.is_some() { 400 } else { 200 };
            assert_eq!(closed, Some(expected), "{role:?}, {message_at:?}");
        }
        // One look at which everything was read is enough.
        let mut waiting = Waiting::new(role, &idle());
        waiting.end.handle_timeout_while_busy(seconds(50));
        waiting.end.handle_timeout_while_busy(seconds(100));
        assert_eq!(closed_at(&mut waiting, 149_999), None);
        waiting.end.handle_timeout_while_busy(seconds(150));
        assert_eq!(closed_at(&mut waiting, 200_000), Some(200_000));
    }
}

#[test]
fn each_role_fails_when_the_peer_does_not_answer_the_close_of_an_idle_connection() {
    for role in ROLES {
        let mut waiting = Waiting::new(role, &idle());
        waiting.until(109_999);
        assert_eq!(waiting.end.phase(), TransportPhase::ReadWrite);
        waiting.until(110_000);
        assert_eq!(waiting.end.failure(), Some(Failure::CloseTimeout));
    }
}

// 6455-7.1.7-6
#[test]
fn each_role_stays_open_by_default() {
    for role in ROLES {
        let mut waiting = Waiting::new(role, &Config::default());
        for turn in 1..1000 {
            waiting.until(turn * 15_000);
            waiting.reads(b"\x8a\x00");
        }
        assert_eq!(waiting.sent, []);
        assert_eq!(waiting.end.phase(), TransportPhase::ReadWrite);
    }
}
