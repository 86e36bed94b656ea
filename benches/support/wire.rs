//! Bursts of frames as a client has sent them.
#![allow(dead_code, reason = "each bench uses its part")]

/// Frames without fragments, one behind the other: what one read of a full buffer gives.
pub(crate) struct Burst {
    pub(crate) octets: Vec<u8>,
    pub(crate) frames: usize,
}

/// What the frames of a burst are, by the first octet of their headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Text = 0x81,
    Binary = 0x82,
}

impl Kind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Binary => "binary",
        }
    }
}

/// As many masked frames with `len` octets of payload as fit one read, but at least one, each with a key of its own.
///
/// The payloads are ASCII, and stay it when they are masked: no octet of a key is above 0x7f. So the same octets can be
/// received again and again, unmasked in place each time.
pub(crate) fn burst(kind: Kind, len: usize) -> Burst {
    first_of_burst(kind, len, usize::MAX)
}

/// The first so many of the same frames: the whole burst if there are no more.
pub(crate) fn first_of_burst(kind: Kind, len: usize, most: usize) -> Burst {
    let mut octets = Vec::new();
    let mut frames = 0;
    let mut key = 0x37fa_213d_u32;
    while frames < most {
        key = key.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let masking_key = (key & 0x7f7f_7f7f).to_be_bytes();
        let before = octets.len();
        push_header(&mut octets, kind, len, Some(masking_key));
        octets.extend(payload(len).iter().zip(masking_key.iter().cycle()).map(|(octet, key)| octet ^ key));
        if octets.len() > READ_LEN && frames > 0 {
            octets.truncate(before);
            break;
        }
        frames += 1;
    }
    Burst { octets, frames }
}

/// ASCII text.
pub(crate) fn payload(len: usize) -> Vec<u8> {
    b"The quick brown fox jumps over the lazy dog. ".iter().copied().cycle().take(len).collect()
}

fn push_header(octets: &mut Vec<u8>, kind: Kind, len: usize, key: Option<[u8; 4]>) {
    let mask = if key.is_some() { 0x80 } else { 0 };
    octets.push(kind as u8);
    match len {
        0..=125 => octets.push(mask | len as u8),
        126..=0xffff => {
            octets.push(mask | 126);
            octets.extend_from_slice(&(len as u16).to_be_bytes());
        }
        _ => {
            octets.push(mask | 127);
            octets.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    octets.extend(key.into_iter().flatten());
}

/// How much the layer over tokio reads at once.
pub(crate) const READ_LEN: usize = 256 << 10;
