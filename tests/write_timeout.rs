//! Output that does not leave: a peer that never reads, RFC 6455 §7.2.1.

#[path = "support/waiting.rs"]
mod waiting;
#[path = "support/wire.rs"]
mod wire;

use std::time::Duration;

use sansocket::connection::{ClosedBy, ReceivedClose, TransportPhase};
use sansocket::{Config, Failure};
use waiting::{Waiting, quiet};
use wire::{End, ROLES, seconds};

/// 60 s, as by default, and nothing else that comes with time.
fn writing() -> Config {
    Config::default().ping_interval(None)
}

// (d) row 17, CM-27
#[test]
fn each_role_drops_the_transport_when_the_peer_reads_nothing() {
    for role in ROLES {
        let mut waiting = Waiting::new(role, &writing());
        waiting.takes_output = false;
        waiting.until(5_000);
        waiting.end.send("nobody reads this").unwrap();
        waiting.until(64_999);
        assert_eq!(waiting.end.phase(), TransportPhase::ReadWrite);
        waiting.until(65_000);
        assert_eq!((waiting.end.phase(), waiting.end.queued()), (TransportPhase::Drop, 0));
        let report = waiting.end.close_report().expect("it has ended");
        assert_eq!((report.clean, report.failure), (false, Some(Failure::WriteTimeout)));
        assert_eq!((report.closed_by, report.sent), (ClosedBy::Local, None));
        assert_eq!(report.received, ReceivedClose::Abnormal);
        assert_eq!(waiting.end.next_deadline(), None);
        assert_eq!(waiting.end.receive(&mut []), Err(Failure::WriteTimeout));
    }
}

// (d) row 17
#[test]
fn each_role_stays_open_as_long_as_the_peer_takes_an_octet_in_time() {
    for role in ROLES {
        let mut waiting = Waiting::new(role, &writing());
        waiting.takes_output = false;
        waiting.end.send(&[1; 200][..]).unwrap();
        for turn in 1..100 {
            waiting.until(turn * 59_999);
            assert_eq!(waiting.end.write(1).len(), 1, "{role:?} {turn}");
        }
        let lasted = waiting.lasts(1_000_000).expect("the rest does not leave");
        assert!((60_000..90_000).contains(&lasted), "{lasted}");
        assert_eq!(waiting.end.failure(), Some(Failure::WriteTimeout));
    }
}

#[test]
fn each_role_counts_from_when_output_began_to_wait() {
    for role in ROLES {
        for again in [0, 1, 29_999, 30_000, 30_001, 59_999, 60_001, 400_000] {
            let mut waiting = Waiting::new(role, &writing());
            waiting.takes_output = false;
            waiting.end.send("slow").unwrap();
            waiting.until(20_000);
            waiting.end.write_all();
            waiting.until(20_000 + again);
            waiting.end.send("never").unwrap();
            let lasted = waiting.lasts(1_000_000).expect("it does not leave");
            assert!((60_000..=90_000).contains(&lasted), "{lasted} after {again}");
            assert_eq!(waiting.end.failure(), Some(Failure::WriteTimeout));
        }
    }
}

#[test]
fn each_role_waits_for_ever_with_nothing_to_write() {
    for role in ROLES {
        let mut waiting = Waiting::new(role, &writing());
        assert_eq!(waiting.end.next_deadline(), None, "no timer as long as nothing waits");
        waiting.end.send("it leaves").unwrap();
        waiting.look();
        assert_eq!(waiting.sent.len(), 1);
        waiting.until(1_000_000);
        assert_eq!(waiting.end.next_deadline(), None);
        assert_eq!(waiting.end.phase(), TransportPhase::ReadWrite);
    }
}

#[test]
fn each_role_drops_a_peer_that_sends_and_does_not_read() {
    let config = Config::default().high_water_mark(100);
    for role in ROLES {
        let mut waiting = Waiting::new(role, &config);
        waiting.takes_output = false;
        let mut turn = 0;
        while waiting.end.phase() == TransportPhase::ReadWrite {
            assert!(turn < 100, "{role:?}: a flood of Pings keeps it open");
            turn += 1;
            waiting.reads(b"\x89\x01p");
            waiting.until(turn * 1_000);
        }
        assert!((60..=62).contains(&turn), "{turn}");
        assert_eq!(waiting.end.failure(), Some(Failure::WriteTimeout));
    }
}

#[test]
fn each_role_waits_for_ever_when_that_is_off() {
    for role in ROLES {
        let mut waiting = Waiting::new(role, &quiet());
        waiting.takes_output = false;
        waiting.end.send("nobody reads this").unwrap();
        waiting.until(Duration::from_secs(1_000_000).as_millis() as u64);
        assert_eq!(waiting.end.phase(), TransportPhase::ReadWrite);
        assert!(waiting.end.queued() > 0);
    }
}

#[test]
fn each_role_drops_the_transport_although_there_is_always_more_to_read() {
    for role in ROLES {
        let mut waiting = Waiting::new(role, &writing());
        waiting.end.send("nobody reads this").unwrap();
        for second in 0..60 {
            waiting.end.handle_timeout_while_busy(seconds(second));
            assert_eq!(waiting.end.failure(), None, "after {second} s");
        }
        waiting.end.handle_timeout_while_busy(seconds(60));
        assert_eq!(waiting.end.failure(), Some(Failure::WriteTimeout));
    }
}

// A driver as `Connection::handle_timeout` describes it, to which there always is something new to be armed.
#[test]
fn each_role_drops_a_peer_that_begins_another_message_at_every_look() {
    let config = writing().message_timeout(Some(Duration::from_secs(10)));
    for role in ROLES {
        let mut end = End::with(role, &config);
        end.send("nobody reads this").unwrap();
        end.read_frames(b"\x01\x00");
        for second in 0..=91 {
            end.read_frames(b"\x80\x00\x01\x00");
            let mut calls = 0;
            while end.next_deadline().is_some_and(|deadline| deadline <= seconds(second)) {
                end.handle_timeout(seconds(second));
                calls += 1;
                assert!(calls <= 3, "{role:?}: it comes to an end");
            }
        }
        assert_eq!(end.failure(), Some(Failure::WriteTimeout), "{role:?}");
    }
}
