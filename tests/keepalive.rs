//! Keepalive and the dead peer: RFC 6455 §5.5.2, §5.5.3.

#[path = "support/waiting.rs"]
mod waiting;
#[path = "support/wire.rs"]
mod wire;

use std::time::Duration;

use sansocket::connection::{
    ClosedBy, Connection, KEEPALIVE_PAYLOAD, ReceivedClose, Timestamp, TransportPhase,
};
use sansocket::frame::CloseFrame;
use sansocket::{CloseCode, Config, Failure, Role};
use waiting::{Waiting, quiet};
use wire::{ROLES, as_sent_by, described, frames, from_peer_of, seconds};

const SECOND: u64 = 1000;

/// 20 s until a Ping, and 20 s more until the peer is dead.
fn keepalive() -> Config {
    Config::default()
}

fn ping_at(millis: u64) -> (u64, String) {
    (millis, "ping keepalive".to_owned())
}

// 6455-5.5.2-3
#[test]
fn each_role_sends_a_ping_in_these_octets_after_silence() {
    let masked = b"\x89\x89\x37\xfa\x21\x3d\x5c\x9f\x44\x4d\x56\x96\x48\x4b\x52";
    for (role, octets) in [(Role::Server, &b"\x89\x09keepalive"[..]), (Role::Client, masked)] {
        let mut waiting = Waiting::new(role, &keepalive());
        waiting.takes_output = false;
        waiting.until(19_999);
        assert_eq!(waiting.end.queued(), 0);
        waiting.until(20_000);
        assert_eq!(waiting.end.write_all(), octets, "{role:?}");
        assert_eq!(octets.len() - KEEPALIVE_PAYLOAD.len(), as_sent_by(role, b"\x89\x00").len());
    }
}

// CM-52
#[test]
fn each_role_sends_a_ping_within_one_and_a_half_intervals_of_the_last_octet() {
    for role in ROLES {
        // Wherever in a half interval the last octet came.
        for last in [0, 1, 3000, 9_999, 10_000, 10_001, 14_321, 19_999, 20_000, 20_001, 29_999] {
            let mut waiting = Waiting::new(role, &keepalive().dead_peer_timeout(None));
            waiting.until(last);
            waiting.reads(b"\x81\x01a");
            waiting.sent.clear();
            waiting.until(last + 30 * SECOND);
            let &[(at, _)] = &waiting.sent[..] else { panic!("{role:?} after {last}: {:?}", waiting.sent) };
            assert!((20_000..=30_000).contains(&(at - last)), "{role:?}: {at} after {last}");
        }
    }
}

#[test]
fn each_role_sends_no_ping_while_octets_come() {
    let inputs: [&[u8]; 5] = [b"\x81\x01a", b"\x82\x00", b"\x89\x00", b"\x8a\x05other", b"\x01\x01a\x80\x00"];
    for role in ROLES {
        for input in inputs {
            let mut waiting = Waiting::new(role, &keepalive());
            for turn in 1..20 {
                waiting.until(turn * 19_999);
                waiting.reads(input);
            }
            let pings: Vec<_> = waiting.sent.iter().filter(|(_, frame)| frame.starts_with("ping")).collect();
            assert!(pings.is_empty(), "{role:?} {input:?}: {pings:?}");
        }
        // One octet of a frame at a time, header and payload.
        let mut waiting = Waiting::new(role, &keepalive());
        let message = from_peer_of(role, &[&b"\x82\x7e\x01\x00"[..], &[7; 256]].concat());
        for (turn, octet) in (1..).zip(&message) {
            waiting.until(turn * 19_999);
            waiting.reads_octets(&[*octet]);
        }
        assert_eq!(waiting.sent, []);
        assert_eq!(waiting.end.events.len(), 1);
    }
}

#[test]
fn each_role_takes_what_is_read_to_its_destination_for_life() {
    for role in ROLES {
        let mut waiting = Waiting::new(role, &keepalive());
        let message =
            from_peer_of(role, &[&b"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00"[..], &[7; 65536]].concat());
        waiting.reads_octets(&message[..20_000]);
        for (turn, piece) in (1..).zip(message[20_000..].chunks(10_000)) {
            waiting.until(turn * 19_999);
            assert_eq!(waiting.end.destination().expect("a large payload").append(piece), piece.len());
            waiting.reads_octets(&[]);
        }
        assert_eq!(waiting.sent, []);
        assert_eq!(waiting.end.events.len(), 1);
    }
}

#[test]
fn server_takes_the_end_of_a_message_for_life_only_once() {
    let mut server = Connection::server(&keepalive());
    server.handle_timeout(seconds(0));
    let message = from_peer_of(Role::Server, &[&b"\x82\x7e\x75\x30"[..], &[7; 30_000]].concat());
    let (front, rest) = message.split_at(20_000);
    assert_eq!(server.receive(&mut front.to_vec()).unwrap().consumed, front.len());
    assert_eq!(server.destination().expect("a large payload").append(rest), rest.len());
    assert!(server.receive(&mut []).unwrap().event.is_some());
    server.handle_timeout(seconds(10));
    assert!(server.receive(&mut []).unwrap().event.is_none());
    server.handle_timeout(seconds(20));
    server.handle_timeout(seconds(30));
    assert!(server.queued() > 0, "a Ping after two halves without an octet");
}

// (d) row 16, CM-52
#[test]
fn each_role_fails_when_the_peer_does_not_answer_its_ping() {
    for role in ROLES {
        let mut waiting = Waiting::new(role, &keepalive());
        waiting.until(39_999);
        assert_eq!(waiting.end.phase(), TransportPhase::ReadWrite);
        waiting.takes_output = false;
        waiting.until(40_000);
        assert_eq!(waiting.end.phase(), TransportPhase::Flush, "the peer is told");
        assert_eq!(waiting.end.failure(), Some(Failure::DeadPeer));
        assert_eq!(described(&waiting.end.write_frames()), ["close 1011"]);
        assert_eq!(waiting.end.phase(), TransportPhase::Drop, "and not waited for");
        let report = waiting.end.close_report().expect("it has ended");
        assert_eq!((report.clean, report.failure), (false, Some(Failure::DeadPeer)));
        assert_eq!((report.closed_by, report.received), (ClosedBy::Local, ReceivedClose::Abnormal));
        assert_eq!(report.received.number(), 1006);
        assert_eq!(report.sent, Some(Some(CloseCode::INTERNAL_ERROR)));
        assert_eq!(waiting.end.next_deadline(), None);
        assert_eq!(waiting.end.receive(&mut []), Err(Failure::DeadPeer));
    }
}

// (d) row 16
#[test]
fn each_role_gives_the_close_of_a_dead_connection_one_second_to_leave() {
    for role in ROLES {
        let mut waiting = Waiting::new(role, &keepalive());
        waiting.until(39_999);
        waiting.takes_output = false;
        waiting.until(40_999);
        assert_eq!(waiting.end.phase(), TransportPhase::Flush);
        // What comes now comes too late.
        waiting.end.discarded(100);
        waiting.until(41_000);
        assert_eq!((waiting.end.phase(), waiting.end.queued()), (TransportPhase::Drop, 0));
        assert_eq!(waiting.end.failure(), Some(Failure::DeadPeer));
    }
}

// CM-52
#[test]
fn each_role_finds_a_dead_peer_within_one_and_a_half_intervals_and_the_timeout() {
    for role in ROLES {
        for interval in [1, 2, 7, 20] {
            for timeout in [1, 3, 10, 11, 40] {
                for last in [0, 1, 499, 500, 501, 999, 3333, 9_999, 10_001] {
                    let config = keepalive()
                        .ping_interval(Some(Duration::from_secs(interval)))
                        .dead_peer_timeout(Some(Duration::from_secs(timeout)));
                    let mut waiting = Waiting::new(role, &config);
                    // It answers every Ping until then, and a little late.
                    while waiting.millis() < last {
                        waiting.until(last.min(waiting.millis() + 700));
                        waiting.reads(b"\x8a\x00");
                    }
                    let (least, most) =
                        ((interval + timeout) * SECOND, interval * 3 / 2 * SECOND + timeout * SECOND);
                    let most = most + if interval % 2 == 1 { SECOND / 2 } else { 0 };
                    let lasted = waiting.lasts(1000 * SECOND).expect("it is found");
                    assert!(
                        (least..=most).contains(&lasted),
                        "{lasted} ms after {last} with {interval} s and {timeout} s"
                    );
                    assert_eq!(waiting.end.failure(), Some(Failure::DeadPeer));
                }
            }
        }
    }
}

// 6455-5.5.3-4 6455-5.5.3-3
#[test]
fn each_role_takes_any_octet_for_an_answer_to_its_ping() {
    // The Pong, one with another payload, an empty one, a message, the first octet of a header.
    let answers: [&[u8]; 5] = [b"\x8a\x09keepalive", b"\x8a\x02no", b"\x8a\x00", b"\x81\x02hi", b"\x81"];
    for role in ROLES {
        for answer in answers {
            for at in [20_000, 20_001, 29_999, 30_000, 30_001, 39_999] {
                let mut waiting = Waiting::new(role, &keepalive());
                waiting.until(at);
                assert_eq!(waiting.sent, [ping_at(20_000)]);
                match answer {
                    [octet] => waiting.reads_octets(&[*octet | 0x80]),
                    frame => waiting.reads(frame),
                }
                waiting.sent.clear();
                waiting.until(at + 30 * SECOND);
                assert_eq!(waiting.end.phase(), TransportPhase::ReadWrite, "{answer:?} at {at}");
                let &[(next, _)] = &waiting.sent[..] else {
                    panic!("{answer:?} at {at}: {:?}", waiting.sent)
                };
                assert!((20_000..=30_000).contains(&(next - at)), "{answer:?} at {at}: {next}");
            }
        }
    }
}

#[test]
fn each_role_receives_the_pong_of_its_own_ping_as_an_event() {
    for role in ROLES {
        let mut waiting = Waiting::new(role, &keepalive());
        waiting.until(21_000);
        waiting.reads(b"\x8a\x09keepalive\x8a\x04mine");
        assert_eq!(waiting.end.events, ["pong keepalive", "pong mine"]);
    }
}

#[test]
fn each_role_waits_for_a_dead_peer_only_from_the_last_octet_of_its_ping() {
    for role in ROLES {
        let mut waiting = Waiting::new(role, &keepalive());
        waiting.takes_output = false;
        waiting.until(20_000);
        assert_eq!(waiting.end.write(5).len(), 5);
        waiting.until(50_000);
        let rest = waiting.end.write_all();
        assert_eq!(rest.len() + 5, as_sent_by(role, b"\x89\x09keepalive").len());
        waiting.until(69_999);
        assert_eq!(waiting.end.phase(), TransportPhase::ReadWrite);
        waiting.until(70_000);
        assert_eq!(waiting.end.failure(), Some(Failure::DeadPeer));
    }
}

#[test]
fn each_role_does_not_call_a_peer_dead_that_was_not_read_from() {
    let config = keepalive().high_water_mark(100).write_timeout(None);
    for role in ROLES {
        // Full before the Ping is due, and full while it is waited for.
        for full_at in [0, 5_000, 20_000, 25_000, 39_999] {
            let mut waiting = Waiting::new(role, &config);
            waiting.until(full_at);
            waiting.takes_output = false;
            waiting.end.send(&[1; 200][..]).expect("there is room");
            assert!(waiting.end.is_full());
            waiting.until(400 * SECOND);
            assert_eq!(waiting.end.phase(), TransportPhase::ReadWrite, "{role:?} {full_at}");
            // Now it is read from, and the time begins anew.
            waiting.takes_output = true;
            waiting.look();
            waiting.until(419_999);
            assert_eq!(waiting.end.phase(), TransportPhase::ReadWrite, "{role:?} {full_at}");
            let lasted = waiting.lasts(1000 * SECOND).expect("it is found");
            assert!(lasted <= 30 * SECOND, "{role:?} {full_at}: {lasted}");
            assert_eq!(waiting.end.failure(), Some(Failure::DeadPeer));
        }
    }
}

// CM-25
#[test]
fn each_role_reads_before_it_judges_a_peer_that_answered_in_time() {
    for role in ROLES {
        let mut waiting = Waiting::new(role, &keepalive());
        waiting.until(20_000);
        assert_eq!(waiting.sent, [ping_at(20_000)]);
        // The driver is away for ten times the interval, and reads the Pong first.
        waiting.now = Duration::from_secs(220);
        waiting.reads(b"\x8a\x09keepalive");
        assert_eq!(waiting.end.phase(), TransportPhase::ReadWrite);
        waiting.until(259_999);
        assert_eq!(waiting.end.phase(), TransportPhase::ReadWrite);

        // Nobody answered.
        let mut waiting = Waiting::new(role, &keepalive());
        waiting.until(20_000);
        waiting.now = Duration::from_secs(220);
        waiting.reads_octets(&[]);
        assert_eq!(waiting.end.failure(), Some(Failure::DeadPeer));
    }
}

#[test]
fn each_role_judges_nothing_when_it_only_asks_for_the_time() {
    for role in ROLES {
        let mut waiting = Waiting::new(role, &keepalive());
        waiting.until(20_000);
        // Away, and then there is output to be watched: that is armed, and the peer's answer not read yet.
        waiting.end.send("news").unwrap();
        assert_eq!(waiting.end.next_deadline(), Some(Timestamp::ORIGIN));
        waiting.end.handle_timeout(seconds(220));
        assert_eq!(waiting.end.failure(), None);
        assert_eq!(
            waiting.end.next_deadline(),
            Some(seconds(30)),
            "what is overdue is still to be looked at"
        );
    }
}

#[test]
fn each_role_sends_no_ping_when_that_is_off() {
    for role in ROLES {
        let mut waiting = Waiting::new(role, &quiet());
        assert_eq!(waiting.end.next_deadline(), None);
        waiting.until(365 * 24 * 3600 * SECOND);
        assert_eq!(waiting.sent, []);
        assert_eq!(waiting.end.phase(), TransportPhase::ReadWrite);

        let mut waiting = Waiting::new(role, &keepalive().ping_interval(Some(Duration::MAX)));
        waiting.until(365 * 24 * 3600 * SECOND);
        assert_eq!(waiting.sent, []);
    }
}

#[test]
fn each_role_goes_on_pinging_when_no_peer_is_dead() {
    for role in ROLES {
        let mut waiting = Waiting::new(role, &keepalive().dead_peer_timeout(None));
        waiting.until(100_000);
        assert_eq!(waiting.sent, [20, 40, 60, 80, 100].map(|at| ping_at(at * SECOND)));
        assert_eq!(waiting.end.phase(), TransportPhase::ReadWrite);
    }
}

#[test]
fn each_role_sends_one_ping_and_not_another_before_it_was_answered() {
    for role in ROLES {
        let mut waiting = Waiting::new(role, &keepalive().dead_peer_timeout(Some(Duration::from_secs(100))));
        waiting.until(119_999);
        assert_eq!(waiting.sent, [ping_at(20_000)]);
        waiting.until(120_000);
        assert_eq!(waiting.end.failure(), Some(Failure::DeadPeer));
    }
}

#[test]
fn each_role_gives_a_peer_two_milliseconds_at_least() {
    for role in ROLES {
        let timeout = |timeout| keepalive().dead_peer_timeout(Some(timeout));
        for config in [timeout(Duration::ZERO), timeout(Duration::from_nanos(1))] {
            let mut waiting = Waiting::new(role, &config);
            waiting.until(20_001);
            assert_eq!((&waiting.sent[..], waiting.end.failure()), (&[ping_at(20_000)][..], None));
            waiting.until(20_002);
            assert_eq!(waiting.end.failure(), Some(Failure::DeadPeer));

            // While there is always more to read, no two deadlines are at the same time.
            let mut waiting = Waiting::new(role, &config);
            waiting.until(20_000);
            for later in 2..100 {
                let now = Timestamp::from_origin(Duration::from_millis(20_000 + later));
                waiting.end.handle_timeout_while_busy(now);
                assert!(waiting.end.next_deadline() > Some(now), "{role:?}: {later} ms");
            }
            assert_eq!(waiting.end.failure(), None);
        }
    }
}

#[test]
fn each_role_takes_no_time_at_all_for_two_milliseconds() {
    for role in ROLES {
        let config = keepalive().ping_interval(Some(Duration::ZERO)).dead_peer_timeout(None);
        let mut waiting = Waiting::new(role, &config);
        waiting.until(10);
        assert_eq!(waiting.sent, [2, 4, 6, 8, 10].map(ping_at));
    }
}

#[test]
fn each_role_sends_no_ping_once_it_is_closing() {
    for role in ROLES {
        let mut waiting = Waiting::new(role, &keepalive().close_timeout(Duration::from_secs(500)));
        waiting.until(15_000);
        waiting.end.close(&CloseFrame::with_code(CloseCode::NORMAL)).unwrap();
        waiting.until(514_999);
        assert_eq!(waiting.sent, [(15_000, "close 1000".to_owned())]);
        waiting.until(515_000);
        assert_eq!(waiting.end.failure(), Some(Failure::CloseTimeout));
    }
}

#[test]
fn each_role_sends_its_ping_between_the_fragments_of_a_message() {
    use sansocket::connection::{Fin, Fragment};
    for role in ROLES {
        let mut waiting = Waiting::new(role, &keepalive());
        waiting.end.send_fragment(Fragment::Text("a"), Fin::More).unwrap();
        waiting.until(25_000);
        waiting.end.send_fragment(Fragment::Text("b"), Fin::Last).unwrap();
        waiting.look();
        let sent: Vec<_> = waiting.sent.iter().map(|(_, frame)| frame.as_str()).collect();
        assert_eq!(sent, ["text more a", "ping keepalive", "continuation b"]);
    }
}

#[test]
fn each_role_sends_no_ping_when_nothing_can_be_written() {
    for role in ROLES {
        let mut waiting = Waiting::new(role, &keepalive());
        waiting.end.write_failed();
        waiting.until(1000 * SECOND);
        assert_eq!((&waiting.sent[..], waiting.end.queued()), (&[][..], 0));
        assert!(frames(&waiting.end.write_all()).is_empty());
    }
}

#[test]
fn each_role_queues_no_second_ping_behind_one_that_does_not_leave() {
    for role in ROLES {
        for dead in [None, Some(Duration::from_secs(20))] {
            let config = keepalive().dead_peer_timeout(dead).write_timeout(None);
            let mut waiting = Waiting::new(role, &config);
            waiting.takes_output = false;
            waiting.until(10_000 * SECOND);
            assert_eq!(described(&waiting.end.write_frames()), ["ping keepalive"], "{role:?} {dead:?}");
        }
    }
}

#[test]
fn each_role_calls_nobody_dead_while_there_may_be_more_to_read() {
    for role in ROLES {
        let mut waiting = Waiting::new(role, &keepalive());
        waiting.until(39_999);
        for second in 40..60 {
            waiting.end.handle_timeout_while_busy(seconds(second));
            assert_eq!(waiting.end.failure(), None);
            let next = waiting.end.next_deadline().expect("it is looked at again");
            assert!(next > seconds(second) && next <= seconds(second + 1), "{next:?}");
        }
        // All has been read, and nothing was there.
        waiting.now = Duration::from_secs(60);
        waiting.until(61_000);
        assert_eq!(waiting.end.failure(), Some(Failure::DeadPeer));
    }
}

#[test]
fn each_role_puts_its_ping_off_while_there_may_be_more_to_read() {
    for role in ROLES {
        let mut waiting = Waiting::new(role, &keepalive());
        waiting.until(19_999);
        waiting.end.handle_timeout_while_busy(seconds(20));
        assert_eq!((waiting.end.queued(), waiting.end.next_deadline()), (0, Some(seconds(21))));
        waiting.until(21_000);
        assert_eq!(waiting.sent, [ping_at(21_000)]);
    }
}
