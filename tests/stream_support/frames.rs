//! Frames as the peer of a role sends them, and a strict reading of what the role has sent.

use sansocket::Role;

/// The masking-key of RFC 6455 §5.7.
pub(crate) const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

pub(crate) const TEXT: u8 = 0x81;
pub(crate) const BINARY: u8 = 0x82;
pub(crate) const CLOSE: u8 = 0x88;
pub(crate) const PING: u8 = 0x89;
pub(crate) const PONG: u8 = 0x8a;
pub(crate) const FIRST_TEXT: u8 = 0x01;
pub(crate) const MIDDLE: u8 = 0x00;
pub(crate) const LAST: u8 = 0x80;

/// A frame from the peer of `role`: masked if the peer is the client.
pub(crate) fn to(role: Role, first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    let mask = if role == Role::Server { 0x80 } else { 0 };
    match payload.len() {
        len @ ..126 => frame.push(mask | len as u8),
        len @ ..0x1_0000 => {
            frame.push(mask | 126);
            frame.extend((len as u16).to_be_bytes());
        }
        len => {
            frame.push(mask | 127);
            frame.extend((len as u64).to_be_bytes());
        }
    }
    if role == Role::Server {
        frame.extend(KEY);
        frame.extend(payload.iter().zip(KEY.iter().cycle()).map(|(octet, key)| octet ^ key));
    } else {
        frame.extend(payload);
    }
    frame
}

pub(crate) fn close_payload(code: u16, reason: &str) -> Vec<u8> {
    [&code.to_be_bytes(), reason.as_bytes()].concat()
}

/// A frame that `role` has sent: its first octet and its payload, unmasked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame(pub(crate) u8, pub(crate) Vec<u8>);

/// What `role` has sent, as frames. Panics if it is cut off, masked wrongly or longer than it must be.
pub(crate) fn frames(role: Role, octets: &[u8]) -> Vec<Frame> {
    let (frames, rest) = whole_frames(role, octets);
    assert!(rest.is_empty(), "{} octets of a frame that is not whole", rest.len());
    frames
}

/// The whole frames at the beginning of what `role` has sent, and what is left.
pub(crate) fn whole_frames(role: Role, octets: &[u8]) -> (Vec<Frame>, &[u8]) {
    let mut frames = Vec::new();
    let mut rest = octets;
    while let Some((frame, behind)) = frame(role, rest) {
        frames.push(frame);
        rest = behind;
    }
    (frames, rest)
}

fn frame(role: Role, octets: &[u8]) -> Option<(Frame, &[u8])> {
    let (head, rest) = octets.split_at_checked(2)?;
    assert_eq!(head[1] & 0x80 != 0, role == Role::Client, "the mask bit");
    let (len, rest) = match head[1] & 0x7f {
        126 => {
            let (len, rest) = rest.split_first_chunk()?;
            (u64::from(u16::from_be_bytes(*len)), rest)
        }
        127 => {
            let (len, rest) = rest.split_first_chunk()?;
            (u64::from_be_bytes(*len), rest)
        }
        len => (u64::from(len), rest),
    };
    let (key, rest) = match role {
        Role::Client => rest.split_first_chunk().map(|(key, rest)| (*key, rest))?,
        Role::Server => ([0; 4], rest),
    };
    let (payload, rest) = rest.split_at_checked(usize::try_from(len).ok()?)?;
    let payload = payload.iter().zip(key.iter().cycle()).map(|(octet, key)| octet ^ key).collect();
    Some((Frame(head[0], payload), rest))
}

/// Messages in frames, put together by a peer that allows only control frames between the fragments of one.
pub(crate) fn messages(frames: &[Frame]) -> Vec<Vec<u8>> {
    let mut messages = Vec::new();
    let mut open: Option<Vec<u8>> = None;
    for Frame(first, payload) in frames {
        match first & 0x0f {
            8.. => continue,
            0 => open.as_mut().expect("a message is open").extend(payload),
            _ => assert!(open.replace(payload.clone()).is_none(), "a message inside a message"),
        }
        if first & 0x80 != 0 {
            messages.extend(open.take());
        }
    }
    assert!(open.is_none(), "a message without an end");
    messages
}

/// Octets that differ from their neighbours.
pub(crate) fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i ^ i >> 8 ^ i >> 16) as u8).collect()
}
