//! Messages that are not finished in time: RFC 6455 §10.4.

#[path = "support/waiting.rs"]
mod waiting;
#[path = "support/wire.rs"]
mod wire;

use std::time::Duration;

use sansocket::connection::TransportPhase;
use sansocket::{Config, Failure, ProtocolError};
use waiting::{Waiting, quiet};
use wire::{ROLES, described, from_peer_of, seconds};

const TOO_SLOW: Option<Failure> = Some(Failure::Protocol(ProtocolError::MessageTimeout));

fn ten_seconds() -> Config {
    quiet().message_timeout(Some(Duration::from_secs(10)))
}

#[test]
fn each_role_fails_with_1008_when_a_message_is_not_finished() {
    // In one frame, in fragments, between them, with nothing but its header.
    let begun: [&[u8]; 4] = [b"\x82\x05abc", b"\x01\x02hi\x80\x02y", b"\x01\x02hi", b"\x81\x05"];
    for role in ROLES {
        for begun in begun {
            let mut waiting = Waiting::new(role, &ten_seconds());
            waiting.until(3_000);
            waiting.reads(begun);
            waiting.until(12_999);
            assert_eq!(waiting.end.phase(), TransportPhase::ReadWrite);
            waiting.takes_output = false;
            waiting.until(13_000);
            assert_eq!((waiting.end.phase(), waiting.end.failure()), (TransportPhase::Flush, TOO_SLOW));
            assert_eq!(described(&waiting.end.write_frames()), ["close 1008"]);
            assert_eq!(waiting.end.phase(), TransportPhase::ShutDown);
        }
    }
}

#[test]
fn each_role_gives_a_message_two_milliseconds_at_least() {
    for role in ROLES {
        let mut waiting = Waiting::new(role, &quiet().message_timeout(Some(Duration::ZERO)));
        waiting.until(100);
        waiting.reads(b"\x02\x03abc");
        waiting.until(101);
        assert_eq!(waiting.end.failure(), None);
        waiting.reads(b"\x00\x02de");
        waiting.until(102);
        assert_eq!(waiting.end.failure(), TOO_SLOW);
    }
}

#[test]
fn each_role_fails_although_octets_come() {
    for role in ROLES {
        let mut waiting = Waiting::new(role, &ten_seconds());
        let mut turn = 0;
        waiting.reads(b"\x01\x00");
        while waiting.end.phase() == TransportPhase::ReadWrite && turn < 100 {
            turn += 1;
            waiting.until(turn * 100);
            waiting.reads(b"\x00\x01a\x89\x00");
        }
        assert_eq!(turn, 100, "neither fragments nor control frames give it more time");
        waiting.until(10_000);
        assert_eq!(waiting.end.failure(), TOO_SLOW);
    }
}

#[test]
fn each_role_gives_each_message_its_own_time() {
    for role in ROLES {
        let mut waiting = Waiting::new(role, &ten_seconds());
        let (begin, end) = (from_peer_of(role, b"\x82\x02ab"), 1);
        let (begin, end) = begin.split_at(begin.len() - end);
        waiting.reads_octets(begin);
        for turn in 1..20 {
            waiting.until(turn * 9_999);
            // The end of one and the beginning of the next, at once.
            waiting.reads_octets(&[end, begin].concat());
        }
        waiting.until(20 * 9_999);
        waiting.reads_octets(end);
        assert_eq!(waiting.end.events.len(), 20);
        waiting.until(1_000_000);
        assert_eq!(waiting.end.phase(), TransportPhase::ReadWrite);
        assert_eq!(waiting.end.next_deadline(), None);
    }
}

#[test]
fn each_role_takes_whole_messages_without_a_deadline() {
    for role in ROLES {
        let mut waiting = Waiting::new(role, &ten_seconds());
        waiting.reads(b"\x81\x02hi\x81\x02hi");
        assert_eq!(waiting.end.next_deadline(), None);
        waiting.until(100_000);
        assert_eq!(waiting.end.phase(), TransportPhase::ReadWrite);
    }
}

#[test]
fn each_role_waits_while_the_message_is_left_alone() {
    for role in ROLES {
        let mut waiting = Waiting::new(role, &ten_seconds().high_water_mark(100));
        waiting.reads(b"\x01\x01a");
        waiting.takes_output = false;
        waiting.end.send(&[1; 200][..]).unwrap();
        waiting.until(500_000);
        assert_eq!(waiting.end.phase(), TransportPhase::ReadWrite);
        waiting.takes_output = true;
        waiting.look();
        waiting.reads(b"\x80\x01b");
        assert_eq!(waiting.end.events, ["text ab"]);
    }
}

#[test]
fn each_role_waits_for_ever_by_default() {
    for role in ROLES {
        let mut waiting = Waiting::new(role, &Config::default());
        waiting.reads(b"\x01\x01a");
        for turn in 1..1000 {
            waiting.until(turn * 15_000);
            waiting.reads(b"\x8a\x00");
        }
        waiting.reads(b"\x80\x01b");
        assert!(waiting.end.events.ends_with(&["text ab".to_owned()]));
    }
}

#[test]
fn each_role_gives_a_message_twice_the_time_while_there_is_always_more_to_read() {
    for role in ROLES {
        let mut waiting = Waiting::new(role, &ten_seconds());
        waiting.reads(b"\x01\x01a");
        for second in 0..20 {
            waiting.end.handle_timeout_while_busy(seconds(second));
            assert_eq!(waiting.end.failure(), None, "after {second} s");
        }
        waiting.end.handle_timeout_while_busy(seconds(20));
        assert_eq!(waiting.end.failure(), TOO_SLOW);
    }
}
