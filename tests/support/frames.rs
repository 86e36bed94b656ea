//! Frames as they stand on the wire. Nothing here is shared with the code under test.

use sansocket::Role;

/// The masking-key of the examples in RFC 6455 §5.7.
pub(crate) const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A server's frame: its first octet, the length in its shortest form, the payload.
pub(crate) fn server_frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        len @ 0..=125 => frame.push(len as u8),
        len @ 126..=65535 => {
            frame.push(0x7e);
            frame.extend((len as u16).to_be_bytes());
        }
        len => {
            frame.push(0x7f);
            frame.extend((len as u64).to_be_bytes());
        }
    }
    frame.extend(payload);
    frame
}

/// A client's frame, masked with [`KEY`].
pub(crate) fn client_frame(first: u8, payload: &[u8]) -> Vec<u8> {
    client_frame_with(KEY, first, payload)
}

/// A client's frame, masked with `key`.
pub(crate) fn client_frame_with(key: [u8; 4], first: u8, payload: &[u8]) -> Vec<u8> {
    masked_with(key, &server_frame(first, payload))
}

/// What the peer of `role` sends for one frame that is written down unmasked: as it is if that is a server.
pub(crate) fn from_peer(role: Role, frame: &[u8]) -> Vec<u8> {
    match role {
        Role::Client => frame.to_vec(),
        Role::Server => masked(frame),
    }
}

/// The frame as a client sends it: MASK set, [`KEY`] behind the length, the payload masked.
///
/// The frame may be wrong in any way and may end anywhere, but has to be one frame.
pub(crate) fn masked(frame: &[u8]) -> Vec<u8> {
    masked_with(KEY, frame)
}

fn masked_with(key: [u8; 4], frame: &[u8]) -> Vec<u8> {
    let mut masked = frame.to_vec();
    if let Some(second) = masked.get_mut(1) {
        *second |= 0x80;
    }
    let at = payload_at(frame);
    if frame.len() >= at {
        mask(&mut masked[at..], key);
        masked.splice(at..at, key);
    }
    masked
}

/// Output cut into its frames, without their masks; each must be masked exactly if `role` is the client.
///
/// # Panics
///
/// If it does not end where a frame ends.
pub(crate) fn wire_frames(role: Role, mut output: &[u8]) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    while !output.is_empty() {
        assert_eq!(output[1] & 0x80 != 0, role == Role::Client, "a client masks every frame, a server none");
        let at = payload_at(output);
        let mut frame = output[..at].to_vec();
        frame[1] &= 0x7f;
        let payload_len = match frame[1] {
            126 => usize::from(u16::from_be_bytes([frame[2], frame[3]])),
            127 => usize::try_from(u64::from_be_bytes(frame[2..10].try_into().expect("eight octets")))
                .expect("it is in memory"),
            short => usize::from(short),
        };
        let (key, at) = match role {
            Role::Client => (output[at..at + 4].try_into().expect("four octets"), at + 4),
            Role::Server => ([0; 4], at),
        };
        let mut payload = output[at..at + payload_len].to_vec();
        mask(&mut payload, key);
        frame.extend(payload);
        frames.push(frame);
        output = &output[at + payload_len..];
    }
    frames
}

/// Where the payload of an unmasked frame begins.
fn payload_at(frame: &[u8]) -> usize {
    match frame.get(1).map(|second| second & 0x7f) {
        Some(126) => 4,
        Some(127) => 10,
        _ => 2,
    }
}

/// RFC 6455 §5.3, word for word.
fn mask(payload: &mut [u8], key: [u8; 4]) {
    for (i, octet) in payload.iter_mut().enumerate() {
        *octet ^= key[i % 4];
    }
}
