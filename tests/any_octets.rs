//! Whatever the peer sends: no panic, bounded memory, progress, and the same at every split (RFC 6455 §6.2, §10.4).

mod support;

use proptest::collection::vec;
use proptest::prelude::*;
use sansocket::connection::TransportPhase;
use sansocket::{Config, Limits, Role};
use support::allocations::{Counting, peak_of};
use support::{client_frame_with, connection, every_split, server_frame};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn role() -> impl Strategy<Value = Role> {
    prop_oneof![Just(Role::Client), Just(Role::Server)]
}

/// What a frame is made of; whether it fits the ones before it is seen to later.
#[derive(Debug, Clone)]
struct Made {
    first: u8,
    payload: Vec<u8>,
    key: [u8; 4],
    changed: Option<(prop::sample::Index, u8)>,
}

/// Mostly a first octet that may stand there.
fn first_octet() -> impl Strategy<Value = u8> {
    prop_oneof![
        100 => proptest::sample::select(vec![0x00, 0x80, 0x01, 0x81, 0x02, 0x82, 0x89, 0x8a]),
        1 => Just(0x88),
        1 => any::<u8>(),
    ]
}

/// Mostly text, which may be cut inside a character.
fn payload(up_to: usize) -> impl Strategy<Value = Vec<u8>> {
    let text = vec(proptest::sample::select("aé€😀".chars().collect::<Vec<_>>()), 0..up_to / 4)
        .prop_map(|text| text.into_iter().collect::<String>().into_bytes());
    let cut = (text.clone(), any::<prop::sample::Index>()).prop_map(|(mut text, at)| {
        text.truncate(at.index(text.len() + 1));
        text
    });
    prop_oneof![
        50 => text,
        1 => cut,
        1 => vec(any::<u8>(), 0..up_to),
        1 => vec(any::<u8>(), 0..3).prop_map(|reason| [&b"\x03\xe8"[..], &reason].concat()),
    ]
}

fn made(up_to: usize) -> impl Strategy<Value = Made> {
    let changed = proptest::option::weighted(0.01, any::<(prop::sample::Index, u8)>());
    (first_octet(), payload(up_to), any::<[u8; 4]>(), changed)
        .prop_map(|(first, payload, key, changed)| Made { first, payload, key, changed })
}

/// Frames as the peer of `role` sends them, in a sequence that RFC 6455 §5.4 allows, but for those that were changed.
fn sequence(role: Role, made: Vec<Made>) -> Vec<Vec<u8>> {
    let mut message_open = false;
    let mut frames = Vec::new();
    for Made { mut first, payload, key, changed } in made {
        if first & 0x0f < 3 {
            match (message_open, first & 0x0f) {
                (true, _) => first &= 0xf0,
                (false, 0) => first |= 0x01,
                (false, _) => {}
            }
            message_open = first & 0x80 == 0;
        }
        let mut frame = match role {
            Role::Client => server_frame(first, &payload),
            Role::Server => client_frame_with(key, first, &payload),
        };
        if let Some((at, octet)) = changed {
            let at = at.index(frame.len());
            frame[at] = octet;
        }
        frames.push(frame);
    }
    frames
}

fn frames(up_to: usize, count: usize) -> impl Strategy<Value = (Role, Vec<Vec<u8>>)> {
    (role(), vec(made(up_to), 0..count)).prop_map(|(role, made)| (role, sequence(role, made)))
}

fn limited() -> Config {
    Config::default().limits(Limits::default().max_message_len(400).max_frame_len(300).max_empty_fragments(3))
}

fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases(400))]

    // 6455-6.2-1 6455-5.2-11 6455-10.7-1 CM-15 CM-16
    #[test]
    fn both_receive_any_frames_alike_at_every_split((role, frames) in frames(40, 12)) {
        every_split(role, &limited(), &frames);
    }

    // 6455-6.2-1 6455-10.7-1
    #[test]
    fn both_receive_any_octets_alike_at_every_split(role in role(), octets in vec(any::<u8>(), 0..60)) {
        every_split(role, &limited(), &[octets]);
    }

    // 6455-6.2-1 6455-10.4-1
    #[test]
    fn both_receive_any_frames_and_make_progress_in_bounded_memory(
        (role, frames) in frames(120, 200),
        pieces in vec(1..700usize, 1..20),
        reads_to_destination in any::<bool>(),
        looks_ahead in any::<bool>(),
    ) {
        let input = frames.concat();
        let mut connection = connection(role, &limited());
        let mut unread = Vec::with_capacity(1000);
        let (peak, ()) = peak_of(|| {
            let mut at = 0;
            for &len in pieces.iter().cycle() {
                if at == input.len() || connection.phase() != TransportPhase::ReadWrite {
                    break;
                }
                let piece = &input[at..input.len().min(at + len)];
                let place = if reads_to_destination && unread.is_empty() { connection.destination() } else { None };
                match place {
                    Some(mut destination) if destination.room() > 0 => {
                        let room = destination.room().min(piece.len());
                        destination.append(&piece[..room]);
                        at += room;
                    }
                    _ => {
                        unread.extend_from_slice(piece);
                        at += piece.len();
                    }
                }
                if looks_ahead {
                    connection.answer_pings_ahead(&unread);
                }
                while let Ok(received) = connection.receive(&mut unread) {
                    if let Some(located) = received.event {
                        let _ = connection.event(located, &unread);
                    }
                    unread.drain(..received.consumed);
                    if received.event.is_none() {
                        assert!(unread.len() <= 13, "{} octets are left", unread.len());
                        break;
                    }
                }
            }
        });
        prop_assert!(peak <= 4096 + 4 * connection.queued(), "{} octets for messages of 400", peak);
    }
}
