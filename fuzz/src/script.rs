//! Frames made of octets: mostly right ones, so that a fuzzer comes further than the first rule.

use sansocket::Role;

use crate::Input;
use crate::frames::{KEY, from_peer, masked, server_frame};

/// The wire that the rest of the input describes, as the peer of `role` sends it: as it stands there, or frame by frame.
///
/// A frame is its first octet, its shape, and its payload unmasked.
///
/// | shape | frame |
/// |---|---|
/// | 0 to 125 | with as much payload, or what there is |
/// | 126, then a number and a piece | with the piece repeated up to one of the [`LONG`] lengths |
/// | 127, then a number | so many octets as they are |
/// | 128 to 191 | with less than 64 octets of payload, their number in a longer form |
/// | 192 to 223 | with less than 32 octets of payload, and the other mask bit |
/// | 224 to 254 | with a length that is a power of two, and no payload |
/// | 255 | with a length above 63 bits |
#[must_use]
pub fn frames_of(role: Role, is_raw: bool, input: &mut Input<'_>) -> Vec<u8> {
    if is_raw {
        return input.rest().to_vec();
    }
    let mut wire = Vec::new();
    while !input.is_empty() && wire.len() < MAX_LEN {
        let [first, shape] = input.array();
        let long = if shape & 1 == 0 { 126 } else { 127 };
        match shape {
            0..=125 => wire.extend(from_peer(role, &server_frame(first, input.take(shape.into())))),
            126 => {
                let len = input.choice(&LONG);
                let piece = input.short();
                let payload: Vec<u8> = piece.iter().copied().cycle().take(len).collect();
                wire.extend(from_peer(role, &server_frame(first, &payload)));
            }
            127 => {
                wire.push(first);
                wire.extend(input.short());
            }
            128..=191 => {
                let payload = input.take(usize::from(shape - 128));
                let mut frame = vec![first, long];
                frame.resize(if long == 126 { 3 } else { 9 }, 0);
                frame.push(payload.len() as u8);
                frame.extend(payload);
                wire.extend(from_peer(role, &frame));
            }
            192..=223 => {
                let frame = server_frame(first, input.take(usize::from(shape - 192)));
                wire.extend(match role {
                    Role::Client => masked(&frame),
                    Role::Server => frame,
                });
            }
            224.. => {
                let len = if shape == 255 { u64::MAX - 9 } else { 1_u64 << (2 * (shape - 224)) };
                let header = [&[first, 127][..], &len.to_be_bytes()].concat();
                wire.extend(from_peer(role, &header));
                debug_assert!(role == Role::Client || wire.ends_with(&KEY));
            }
        }
    }
    wire
}

/// On both sides of the lengths of lengths, of what is copied, and of what is held.
const LONG: [usize; 10] = [126, 127, 255, 256, 1000, 4096, 16384, 16385, 65535, 65536];
const MAX_LEN: usize = 96 << 10;
