//! Masking what is sent: RFC 6455 §5.1, §5.3, §10.3.

#[path = "support/wire.rs"]
mod wire;

#[cfg(feature = "std")]
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use sansocket::connection::{Connection, Fin, Fragment, KeySource};
use sansocket::frame::{CloseFrame, MaskingKey};
use sansocket::{CloseCode, Config, Role, SendError};
use wire::{End, Frame, KEY, described, frames};

fn written(connection: &mut Connection) -> Vec<u8> {
    let mut slices = [&[][..]; 64];
    let filled = connection.slices(&mut slices);
    let written = slices[..filled].concat();
    connection.advance(written.len());
    written
}

/// The keys of as many frames as these, from the operating system.
#[cfg(feature = "std")]
fn fresh_keys(frames_sent: usize) -> Vec<u32> {
    let mut client = Connection::client(&Config::default(), KeySource::operating_system());
    (0..frames_sent)
        .map(|i| {
            match i % 4 {
                0 => client.send("text"),
                1 => client.send(b""),
                2 => client.send_fragment(Fragment::Binary(b"all"), Fin::Last),
                _ => client.ping(b""),
            }
            .expect("it is open");
            let frame = frames(&written(&mut client)).pop().expect("one was sent");
            u32::from_be_bytes(frame.key.expect("it is masked"))
        })
        .collect()
}

// 6455-5.3-2 6455-5.3-3 6455-5.3-4 6455-10.3-1 CM-38
#[cfg(feature = "std")]
#[test]
fn client_sends_a_fresh_unpredictable_key_with_each_of_10_000_frames() {
    let keys = fresh_keys(10_000);
    // Chance lets 0.012 of them meet; three have a probability of 3e-7.
    let distinct: HashSet<_> = keys.iter().collect();
    assert!(distinct.len() >= 9_998, "{} of 10,000 keys differ", distinct.len());

    // A counter, a linear generator's increments or a constant XOR between neighbours would repeat.
    let steps: HashSet<_> = keys.windows(2).map(|pair| pair[1].wrapping_sub(pair[0])).collect();
    let flips: HashSet<_> = keys.windows(2).map(|pair| pair[1] ^ pair[0]).collect();
    assert!(steps.len() >= 9_990 && flips.len() >= 9_990, "{} {}", steps.len(), flips.len());

    // Every bit is set in half of them: 500 is ten standard deviations.
    for bit in 0..32 {
        let set = keys.iter().filter(|key| *key >> bit & 1 == 1).count();
        assert!((4_500..=5_500).contains(&set), "bit {bit} is set in {set} of 10,000 keys");
    }
}

// 6455-5.3-2 CM-38
#[cfg(feature = "std")]
#[test]
fn clients_on_one_thread_and_on_others_send_different_keys() {
    let mut sets = vec![fresh_keys(1_000), fresh_keys(1_000)];
    let threads: Vec<_> = (0..2).map(|_| std::thread::spawn(|| fresh_keys(1_000))).collect();
    sets.extend(threads.into_iter().map(|thread| thread.join().unwrap()));
    let distinct: HashSet<_> = sets.concat().into_iter().collect();
    assert!(distinct.len() >= 3_998, "{} of 4,000 keys differ", distinct.len());
}

/// Everything that an end can put on the wire, a frame at least of each kind and cause.
fn every_kind_of_frame(role: Role) -> Vec<Frame> {
    let mut end = End::with(role, &Config::default().fragment_len(Some(30_000)));
    end.send("text").expect("it is open, and nothing is too long");
    end.send("").expect("it is open, and nothing is too long");
    end.send(vec![1; 70_000]).expect("it is open, and nothing is too long");
    end.send(&[2; 20_000]).expect("it is open, and nothing is too long");
    end.send_fragment(Fragment::Text("frag"), Fin::More).expect("it is open, and nothing is too long");
    end.send_fragment(Fragment::Text(""), Fin::Last).expect("it is open, and nothing is too long");
    end.ping(b"ping").expect("it is open, and nothing is too long");
    end.ping(b"").expect("it is open, and nothing is too long");
    end.pong(b"unasked").expect("it is open, and nothing is too long");
    // Of what has begun, a part; and above 16 KiB of queued output this Pong goes ahead.
    let mut octets = end.write(3);
    end.read_frames(b"\x89\x05ahead");
    octets.extend(end.write_all());
    let mut sent = frames(&octets);
    end.read_frames(b"\x89\x08in order");
    end.close(&CloseFrame::new(CloseCode::NORMAL, "bye").expect("it is open, and nothing is too long"))
        .expect("it is open, and nothing is too long");
    sent.extend(end.write_frames());

    let mut answering = End::new(role);
    answering.read_frames(b"\x88\x02\x03\xe8");
    sent.extend(answering.write_frames());

    let mut failing = End::new(role);
    failing.read_frames(b"\x83\x00");
    sent.extend(failing.write_frames());

    assert_eq!(
        described(&sent),
        [
            "text text",
            "pong ahead",
            "text",
            "binary more of 30000",
            "continuation more of 30000",
            "continuation of 10000",
            "binary of 20000",
            "text more frag",
            "continuation",
            "ping ping",
            "ping",
            "pong unasked",
            "pong in order",
            "close 1000 bye",
            "close 1000",
            "close 1002",
        ]
    );
    sent
}

// 6455-5.1-1 6455-5.3-1 6455-5.5.1-5 6455-6.1-7
#[test]
fn client_sends_every_kind_of_frame_masked() {
    for frame in every_kind_of_frame(Role::Client) {
        assert_eq!(frame.key, Some(KEY), "{}", frame.describe());
    }
}

// 6455-5.1-4
#[test]
fn server_sends_no_frame_masked() {
    for frame in every_kind_of_frame(Role::Server) {
        assert_eq!(frame.key, None, "{}", frame.describe());
    }
}

/// Keys `01 01 01 01`, `02 02 02 02` …, and how many were asked for.
fn numbered_keys() -> (KeySource, Arc<AtomicU8>) {
    let asked = Arc::new(AtomicU8::new(0));
    let count = asked.clone();
    let keys = KeySource::injected(move || MaskingKey::new([count.fetch_add(1, Ordering::Relaxed) + 1; 4]));
    (keys, asked)
}

// 6455-5.3-2 6455-5.3-5 6455-5.3-6
#[test]
fn client_sends_each_frame_masked_from_its_beginning_with_the_next_key() {
    let (keys, asked) = numbered_keys();
    let mut client = Connection::client(&Config::default().fragment_len(Some(3)), keys);
    client.send(b"\x00\x00\x00\x00\x00").unwrap();
    client.ping(b"\x00\x01").unwrap();
    client.send(b"").unwrap();
    client.close(&CloseFrame::EMPTY).unwrap();
    assert_eq!(
        written(&mut client),
        b"\x02\x83\x01\x01\x01\x01\x01\x01\x01\
          \x80\x82\x02\x02\x02\x02\x02\x02\
          \x89\x82\x03\x03\x03\x03\x03\x02\
          \x82\x80\x04\x04\x04\x04\
          \x88\x80\x05\x05\x05\x05"
    );
    assert_eq!(asked.load(Ordering::Relaxed), 5, "a key for every frame and no more");
}

// 6455-5.3-5 CM-17
#[test]
fn client_sends_two_fragments_masked_as_in_the_example_with_the_index_at_zero_again() {
    let mut keys = [[0xa1, 0xb2, 0xc3, 0xd4], KEY].into_iter().collect::<Vec<_>>();
    let keys = KeySource::injected(move || MaskingKey::new(keys.pop().unwrap()));
    let mut client = Connection::client(&Config::default(), keys);
    client.send_fragment(Fragment::Text("Hel"), Fin::More).unwrap();
    client.send_fragment(Fragment::Text("lo"), Fin::Last).unwrap();
    assert_eq!(written(&mut client), b"\x01\x83\x37\xfa\x21\x3d\x7f\x9f\x4d\x80\x82\xa1\xb2\xc3\xd4\xcd\xdd");
}

// 6455-5.3-2
#[test]
fn client_takes_no_key_for_a_frame_that_it_refuses_to_send() {
    let (keys, asked) = numbered_keys();
    let mut client = Connection::client(&Config::default().high_water_mark(10), keys);
    assert_eq!(client.ping(&[0; 126]), Err(SendError::ControlPayloadTooLong));
    client.send("above the mark").unwrap();
    assert_eq!(client.send("refused"), Err(SendError::QueueFull));
    assert_eq!(client.ping(b"refused"), Err(SendError::QueueFull));
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}

// 6455-5.3-5 6455-5.3-6
#[test]
fn client_sends_large_payloads_masked_alike_wherever_a_write_ends() {
    for len in [16_385, 65_535, 65_536, 65_537, 131_071, 131_073, 200_003] {
        let payload: Vec<u8> = (0..len).map(|i: usize| (i * 13 + i / 256) as u8).collect();
        for taken in [997, 65_536, 65_543, usize::MAX] {
            let mut client = End::new(Role::Client);
            client.send(payload.clone()).unwrap();
            let mut octets = Vec::new();
            while client.queued() > 0 {
                octets.extend(client.write(taken));
            }
            let frames = frames(&octets);
            assert_eq!(frames.len(), 1);
            assert!(frames[0].payload == payload, "{len} octets, {taken} at a time");
        }
    }
}

#[test]
fn a_key_source_shows_no_key() {
    let (keys, _) = numbered_keys();
    assert_eq!(format!("{keys:?}"), "KeySource::injected");
    #[cfg(feature = "std")]
    assert_eq!(format!("{:?}", KeySource::operating_system()), "KeySource::operating_system");
    assert_eq!(format!("{:?}", MaskingKey::new(KEY)), "MaskingKey(..)");
}
