//! Pings and Pongs as they are sent, and the bound on answers: RFC 6455 §5.5.2, §5.5.3.

#[path = "support/wire.rs"]
mod wire;

use proptest::prelude::*;
use sansocket::frame::CloseFrame;
use sansocket::{CloseCode, Config, Role, SendError};
use wire::{End, ROLES, described, frames, from_peer_of};

/// While less than this is queued, every Ping is answered in order.
const IN_ORDER: usize = 16 << 10;

/// The longest control frame: header, key, payload.
const LONGEST_CONTROL_FRAME: usize = 2 + 4 + 125;

/// A Ping as a server sends it.
fn ping(payload: &[u8]) -> Vec<u8> {
    [&[0x89, payload.len() as u8], payload].concat()
}

// 6455-5.5.2-1 6455-5.5.2-4 6455-5.5.3-1 CM-34
#[test]
fn each_role_sends_a_pong_with_the_payload_of_the_ping() {
    let table: [(&[u8], &[u8], &[u8]); 4] = [
        (b"", b"\x8a\x00", b"\x8a\x80\x37\xfa\x21\x3d"),
        (b"Hello", b"\x8a\x05\x48\x65\x6c\x6c\x6f", b"\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"),
        (b"\x00", b"\x8a\x01\x00", b"\x8a\x81\x37\xfa\x21\x3d\x37"),
        // No UTF-8, and none is needed.
        (b"\xff\xc3\x28", b"\x8a\x03\xff\xc3\x28", b"\x8a\x83\x37\xfa\x21\x3d\xc8\x39\x09"),
    ];
    for (payload, by_server, by_client) in table {
        for (role, expected) in [(Role::Server, by_server), (Role::Client, by_client)] {
            let mut end = End::new(role);
            end.read_frames(&ping(payload));
            assert_eq!(end.write_all(), expected, "{role:?}");
        }
    }
    for role in ROLES {
        let mut end = End::new(role);
        end.read_frames(&ping(&[0xfe; 125]));
        assert_eq!(end.write_frames()[0].payload, [0xfe; 125]);
    }
}

// 6455-5.5.2-3 6455-5.5.3-3
#[test]
fn each_role_sends_pings_and_unasked_pongs_behind_what_is_queued() {
    for role in ROLES {
        let mut end = End::new(role);
        end.send("first").unwrap();
        end.ping(b"second").unwrap();
        end.pong(b"third").unwrap();
        end.send("fourth").unwrap();
        assert_eq!(
            described(&end.write_frames()),
            ["text first", "ping second", "pong third", "text fourth"]
        );
    }
}

// 6455-5.5.3-3 CM-36
#[test]
fn each_role_sends_nothing_for_a_pong() {
    for role in ROLES {
        let mut end = End::new(role);
        end.read_frames(b"\x8a\x07unasked\x8a\x00");
        assert_eq!(end.events, ["pong unasked", "pong "]);
        assert_eq!(end.queued(), 0);
    }
}

// 6455-5.5.2-1 6455-5.5.3-2
#[test]
fn each_role_sends_a_pong_for_every_ping_of_a_burst_in_order() {
    for role in ROLES {
        let mut end = End::new(role);
        let burst: Vec<u8> = (0..1000).flat_map(|i| ping(format!("{i}").as_bytes())).collect();
        end.read_frames(&burst);
        let expected: Vec<_> = (0..1000).map(|i| format!("pong {i}")).collect();
        assert!(end.queued() < IN_ORDER);
        assert_eq!(described(&end.write_frames()), expected, "{role:?}");
    }
}

// 6455-5.5.3-2
#[test]
fn each_role_sends_the_pong_in_order_until_16_kib_are_queued_and_ahead_from_there() {
    for role in ROLES {
        for (queued, ahead) in [(IN_ORDER - 1, false), (IN_ORDER, true)] {
            let header = if role == Role::Client { 8 } else { 4 };
            let mut end = End::new(role);
            end.send(vec![b'x'; queued / 2 - header]).unwrap();
            end.send(vec![b'y'; queued - queued / 2 - header]).unwrap();
            assert_eq!(end.queued(), queued);
            end.read_frames(b"\x89\x04ping");
            let sent = described(&end.write_frames());
            let position = sent.iter().position(|frame| frame == "pong ping");
            assert_eq!(position, Some(if ahead { 0 } else { 2 }), "{role:?} {queued}");
        }
    }
}

// 6455-5.5.2-2 6455-5.5.3-2 CM-26
#[test]
fn each_role_sends_only_the_newest_pong_at_the_next_frame_boundary() {
    for role in ROLES {
        // The header, part of the payload, all but its last octet.
        for begun in [0, 1, 5, 20_000, 39_999] {
            let mut end = End::new(role);
            end.send(vec![1; 40_000]).unwrap();
            end.send(vec![2; 30_000]).unwrap();
            let mut octets = end.write(begun);
            end.read_frames(b"\x89\x03old\x89\x05older\x89\x06newest");
            octets.extend(end.write_all());
            let sent = described(&frames(&octets));
            let expected = match begun {
                0 => ["pong newest", "binary of 40000", "binary of 30000"],
                _ => ["binary of 40000", "pong newest", "binary of 30000"],
            };
            assert_eq!(sent, expected, "{role:?} {begun}");
        }
    }
}

// 6455-5.5.3-2
#[test]
fn each_role_sends_a_pong_that_has_begun_to_leave_and_the_newest_behind_it() {
    for role in ROLES {
        let mut end = End::new(role);
        end.send(vec![1; 40_000]).unwrap();
        end.read_frames(b"\x89\x05begun");
        let mut octets = end.write(3);
        end.read_frames(b"\x89\x03old\x89\x06newest");
        octets.extend(end.write_all());
        assert_eq!(described(&frames(&octets)), ["pong begun", "pong newest", "binary of 40000"]);
    }
}

// 6455-5.5.1-6 6455-5.5.2-1
#[test]
fn each_role_sends_pongs_after_its_own_close() {
    for role in ROLES {
        let mut end = End::new(role);
        end.close(&CloseFrame::with_code(CloseCode::NORMAL)).unwrap();
        end.read_frames(b"\x89\x06queued");
        let mut sent = end.write_frames();
        end.read_frames(b"\x89\x04sent\x89\x05again");
        sent.extend(end.write_frames());
        assert_eq!(described(&sent), ["close 1000", "pong queued", "pong sent", "pong again"]);
    }
}

// 6455-5.5.1-15 6455-5.5.2-1
#[test]
fn each_role_sends_no_pong_after_the_peers_close() {
    for role in ROLES {
        for close_first in [false, true] {
            let mut end = End::new(role);
            end.send(&[1; 20_000]).unwrap();
            if close_first {
                end.close(&CloseFrame::with_code(CloseCode::NORMAL)).unwrap();
            }
            end.read_frames(b"\x89\x06before\x88\x02\x03\xe8\x89\x05after");
            end.read_frames(b"\x89\x05later");
            assert_eq!(
                described(&end.write_frames()),
                ["pong before", "binary of 20000", "close 1000"],
                "{role:?}: one Close, whoever was first"
            );
            end.read_frames(b"\x89\x04last");
            assert_eq!(end.queued(), 0);
        }
    }
}

// 6455-5.5.2-1 6455-7.1.7-5
#[test]
fn each_role_sends_no_pong_after_it_failed_the_connection() {
    for role in ROLES {
        let mut end = End::new(role);
        end.read_frames(b"\x89\x06before\x83\x00\x89\x05after");
        end.read_frames(b"\x89\x05later");
        assert_eq!(described(&end.write_frames()), ["pong before", "close 1002"]);
    }
}

// 6455-5.5.2-1
#[test]
fn each_role_sends_pongs_above_the_high_water_mark() {
    for role in ROLES {
        let mut end = End::with(role, &Config::default().high_water_mark(1));
        end.send("Hello").unwrap();
        assert_eq!(end.ping(b"mine"), Err(SendError::QueueFull));
        end.read_frames(b"\x89\x05yours");
        assert_eq!(described(&end.write_frames()), ["text Hello", "pong yours"]);
    }
}

// 6455-5.5.3-2 6455-10.4-1 CM-28
#[test]
fn each_role_sends_bounded_output_for_a_million_pings_that_it_cannot_answer() {
    for role in ROLES {
        for before in [0, 300_000] {
            let mut end = End::new(role);
            if before > 0 {
                end.send(vec![1; before]).unwrap();
            }
            let already = end.queued();
            let bound = IN_ORDER.max(already) + 2 * LONGEST_CONTROL_FRAME;
            for thousand in 0..1_000_000 / 1000 {
                let burst: Vec<u8> =
                    (0..1000).flat_map(|i| ping(format!("{}", thousand * 1000 + i).as_bytes())).collect();
                end.events.clear();
                end.read(&from_peer_of(role, &burst));
                assert!(end.queued() <= bound, "{} octets are queued", end.queued());
            }
            let sent = described(&end.write_frames());
            let buffer = end.release_buffers().unwrap();
            assert!(buffer.len() <= 2 * IN_ORDER + 2 * LONGEST_CONTROL_FRAME, "{} octets", buffer.len());
            if before > 0 {
                assert_eq!(sent, ["pong 999999", "binary of 300000"]);
            } else {
                assert_eq!(sent[0], "pong 999999", "ahead, as the newest");
                for (i, pong) in sent[1..].iter().enumerate() {
                    assert_eq!(*pong, format!("pong {i}"), "the first ones in order");
                }
            }
        }
    }
}

/// One thing that happens between an end, its caller, its peer and its transport.
#[derive(Debug, Clone)]
enum Step {
    Ping { len: usize },
    Send { len: usize },
    Write { octets: usize },
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => (4..=125usize).prop_map(|len| Step::Ping { len }),
        2 => (0..500usize).prop_map(|len| Step::Send { len }),
        2 => (10_000..90_000usize).prop_map(|len| Step::Send { len }),
        3 => (1..200usize).prop_map(|octets| Step::Write { octets }),
        2 => (0..60_000usize).prop_map(|octets| Step::Write { octets }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    // 6455-5.4-6 6455-5.5.2-1 6455-5.5.3-1 6455-5.5.3-2 CM-22
    #[test]
    fn each_role_sends_whole_frames_and_the_pongs_it_owes_under_any_partial_writes(
        steps in prop::collection::vec(any_step(), 1..80),
    ) {
        for role in ROLES {
            let mut end = End::with(role, &Config::default().high_water_mark(usize::MAX));
            let mut octets = Vec::new();
            let mut lens = Vec::new();
            let (mut in_order, mut newest) = (Vec::new(), None);
            let mut pings = 0u32;
            for step in &steps {
                match *step {
                    Step::Ping { len } => {
                        pings += 1;
                        let mut payload = vec![0xee; len];
                        payload[..4].copy_from_slice(&pings.to_be_bytes());
                        if end.queued() < IN_ORDER {
                            in_order.push(payload.clone());
                        }
                        newest = Some(payload.clone());
                        end.read_frames(&ping(&payload));
                    }
                    Step::Send { len } => {
                        lens.push(len);
                        end.send(vec![lens.len() as u8; len]).unwrap();
                    }
                    Step::Write { octets: limit } => octets.extend(end.write(limit)),
                }
            }
            octets.extend(end.write_all());
            let (pongs, messages): (Vec<_>, Vec<_>) =
                frames(&octets).into_iter().partition(|frame| frame.opcode == 0xa);

            let sent: Vec<_> = messages.iter().map(|frame| (frame.opcode, frame.payload.len())).collect();
            let expected: Vec<_> = lens.iter().map(|len| (0x2, *len)).collect();
            prop_assert_eq!(sent, expected);
            for (i, frame) in messages.iter().enumerate() {
                prop_assert!(frame.payload.iter().all(|octet| *octet == (i + 1) as u8));
            }

            let mut answered: Vec<_> = pongs.into_iter().map(|frame| frame.payload).collect();
            let owed_in_order: Vec<_> =
                answered.iter().filter(|pong| in_order.contains(pong)).cloned().collect();
            prop_assert_eq!(&owed_in_order, &in_order, "answered in order while little is queued");
            prop_assert!(newest.is_none_or(|newest| answered.contains(&newest)), "the newest is answered");
            answered.sort();
            let count = answered.len();
            answered.dedup();
            prop_assert_eq!(answered.len(), count, "no ping is answered twice");
        }
    }
}
