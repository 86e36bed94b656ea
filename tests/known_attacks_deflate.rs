//! What has been reported against the compression of other implementations, against this one (RFC 7692 §7.2.2).
//!
//! Each test is named after the behaviour, and prints its figure: `cargo test --all-features --test known_attacks_deflate --
//! --nocapture`. Published advisories behind them: limits that look at a compressed message before it is inflated
//! (CVE-2018-1000518, GHSA-hxp9-w8x3-p566), or one octet late.
#![cfg(all(feature = "deflate", feature = "test-util", feature = "tokio"))]

#[path = "support/allocations.rs"]
mod allocations;
mod attack_support;
#[path = "support/spared.rs"]
mod spared;

use allocations::{Counting, held_by, peak_of};
use attack_support::{End, ROLES};
use miniz_oxide::deflate::core::{
    CompressorOxide, TDEFLFlush, compress_to_output, create_comp_flags_from_zip_params,
};
use sansocket::deflate::{Agreement, DeflateConfig};
use sansocket::test_util::Frame;
use sansocket::{Config, Limits, ProtocolError, Role};
use spared::fill_spare;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// Zeros as the payload of a compressed message.
fn zeros(len: usize) -> Vec<u8> {
    let mut compressor = CompressorOxide::new(create_comp_flags_from_zip_params(9, -15, 0));
    let mut payload = Vec::new();
    let piece = vec![0; MIB];
    let mut left = len;
    while left > 0 {
        let now = left.min(piece.len());
        left -= now;
        let flush = if left == 0 { TDEFLFlush::Sync } else { TDEFLFlush::None };
        compress_to_output(&mut compressor, &piece[..now], flush, |octets| {
            payload.extend_from_slice(octets);
            true
        });
    }
    payload.truncate(payload.len() - 4);
    payload
}

fn end(role: Role, config: &Config) -> End {
    let mut end = End::new(role, config);
    end.connection = end.connection.with_deflate(&Agreement::new(DeflateConfig::default()));
    end
}

// 7692-7.2.2-9, CM-65
#[test]
fn both_receive_a_decompression_bomb_and_stop_at_the_limit() {
    let config = Config::default().limits(Limits::default().max_message_len(MIB));
    let bomb = zeros(100 * MIB);
    let exact = zeros(MIB);
    for role in ROLES {
        for fragment in [usize::MAX, 1000, 1] {
            let frames = |payload: &[u8]| -> Vec<u8> {
                let message = Frame::binary(payload).with_rsv(4);
                message.in_fragments(fragment).iter().flat_map(|frame| frame.octets(role.peer())).collect()
            };
            let mut whole = end(role, &config);
            assert_eq!(whole.receive(&frames(&exact)).unwrap(), [MIB], "the limit is inclusive");
            drop(whole);
            for (what, payload) in [("100 MiB", &bomb), ("one octet too many", &zeros(MIB + 1))] {
                let octets = frames(payload);
                let mut end = end(role, &config);
                end.input.reserve(octets.len());
                let (peak, received) = peak_of(|| end.receive(&octets));
                assert_eq!(received, Err(ProtocolError::MessageTooBig.into()));
                println!(
                    "{role:?}, {what} in {} octets with a limit of 1 MiB: {peak} octets at the peak",
                    payload.len()
                );
                // The message, which may be there twice while it grows, and a state that inflates.
                assert!(peak <= 2 * MIB + 200 * KIB, "{peak} octets");
            }
        }
    }
}

// CM-65
#[test]
fn both_receive_many_small_bombs_and_hold_nothing() {
    let bomb = Frame::binary(zeros(MIB)).with_rsv(4);
    for role in ROLES {
        let octets = bomb.octets(role.peer());
        let mut end = end(role, &Config::default());
        end.receive(&octets).unwrap();
        end.connection.release_buffers();
        fill_spare();
        let (held, ()) = held_by(|| {
            for _ in 0..100 {
                assert_eq!(end.receive(&octets).unwrap(), [MIB]);
            }
            end.receive(&[]).unwrap();
            end.connection.release_buffers();
        });
        println!("{role:?}, 100 MiB by a hundred messages of {} octets: {held} octets held", octets.len());
        assert!(held <= KIB, "{held} octets");
    }
}

// CM-65
#[test]
fn both_receive_compressed_octets_that_turn_into_nothing_and_stop() {
    // An empty stored block, which a sender may flush as often as it likes.
    let nothing = Frame::continuation([0x00, 0x00, 0x00, 0xff, 0xff].repeat(1000)).not_final();
    let config = Config::default().limits(Limits::default().max_message_len(10 * KIB));
    for role in ROLES {
        let mut end = end(role, &config);
        end.receive(&Frame::binary("").not_final().with_rsv(4).octets(role.peer())).unwrap();
        let octets = nothing.octets(role.peer());
        let mut taken = 0;
        let (peak, failure) = peak_of(|| {
            loop {
                if let Err(failure) = end.receive(&octets) {
                    break failure;
                }
                taken += octets.len();
            }
        });
        println!("{role:?}, {taken} compressed octets that turn into nothing: {peak} octets, then {failure}");
        // Eight times the limit, and 64 KiB.
        assert!(taken <= (80 + 64) * KIB + octets.len());
        assert!(peak <= 200 * KIB, "{peak} octets");
    }
}
