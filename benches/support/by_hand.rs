//! The bounds: the same work by hand, for one kind of frame, with nothing that a connection needs besides.
#![allow(dead_code, reason = "each bench uses its part")]

/// A whole frame of a client's at the front of some input.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frame {
    pub(crate) is_text: bool,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// Parses the frame at the front of `input` and unmasks its payload in place; `None` unless it is a whole message.
#[inline]
pub(crate) fn receive(input: &mut [u8]) -> Option<Frame> {
    let (is_text, key, start, len) = header(input)?;
    let end = start + len;
    unmask(input.get_mut(start..end)?, key);
    Some(Frame { is_text, start, end })
}

/// Whether it is text, the key, where the payload begins and how long it is.
#[inline]
pub(crate) fn header(input: &[u8]) -> Option<(bool, [u8; 4], usize, usize)> {
    let [first @ (0x81 | 0x82), second @ 0x80..=0xff, ..] = *input else { return None };
    let (len, at) = match second & 0x7f {
        126 => (usize::from(u16::from_be_bytes(*input.get(2..)?.first_chunk()?)), 4),
        127 => (usize::try_from(u64::from_be_bytes(*input.get(2..)?.first_chunk()?)).ok()?, 10),
        short => (usize::from(short), 2),
    };
    let key = *input.get(at..)?.first_chunk()?;
    Some((first == 0x81, key, at + 4, len))
}

/// Writes a header to the front of `output`, which has room for it; says how long it is.
#[inline]
pub(crate) fn write_header(output: &mut [u8], first: u8, len: usize, key: Option<[u8; 4]>) -> usize {
    let mask = if key.is_some() { 0x80 } else { 0 };
    output[0] = first;
    let at = match len {
        0..=125 => {
            output[1] = mask | len as u8;
            2
        }
        126..=0xffff => {
            output[1] = mask | 126;
            output[2..4].copy_from_slice(&(len as u16).to_be_bytes());
            4
        }
        _ => {
            output[1] = mask | 127;
            output[2..10].copy_from_slice(&(len as u64).to_be_bytes());
            10
        }
    };
    let Some(key) = key else { return at };
    output[at..at + 4].copy_from_slice(&key);
    at + 4
}

/// The fastest way in safe code: words, and one that overlaps for the tail.
#[inline]
pub(crate) fn unmask(data: &mut [u8], key: [u8; 4]) {
    #[cfg(target_arch = "x86_64")]
    if data.len() >= 64 && std::arch::is_x86_feature_detected!("avx2") {
        return avx2::overlapped(data, key);
    }
    overlapped(data, key);
}

/// The same while copying.
#[inline]
pub(crate) fn mask_copy(to: &mut [u8], from: &[u8], key: [u8; 4]) {
    #[cfg(target_arch = "x86_64")]
    if to.len() >= 64 && std::arch::is_x86_feature_detected!("avx2") {
        return avx2::overlapped_copy(to, from, key);
    }
    overlapped_copy(to, from, key);
}

/// Words, then single octets.
#[inline(always)]
pub(crate) fn words(data: &mut [u8], key: [u8; 4]) {
    let word = doubled(u32::from_le_bytes(key));
    let (words, tail) = data.as_chunks_mut::<8>();
    for octets in words {
        *octets = (u64::from_le_bytes(*octets) ^ word).to_le_bytes();
    }
    for (octet, key) in tail.iter_mut().zip(key.iter().cycle()) {
        *octet ^= key;
    }
}

/// Words, then single octets.
#[inline(always)]
pub(crate) fn words_copy(to: &mut [u8], from: &[u8], key: [u8; 4]) {
    let word = doubled(u32::from_le_bytes(key));
    let (words, tail) = to.as_chunks_mut::<8>();
    let (from_words, from_tail) = from.as_chunks::<8>();
    for (octets, from) in words.iter_mut().zip(from_words) {
        *octets = (u64::from_le_bytes(*from) ^ word).to_le_bytes();
    }
    for ((octet, from), key) in tail.iter_mut().zip(from_tail).zip(key.iter().cycle()) {
        *octet = from ^ key;
    }
}

/// Words; the last one, taken before, overlaps.
#[inline(always)]
pub(crate) fn overlapped(data: &mut [u8], key: [u8; 4]) {
    let Some(last) = data.last_chunk().map(|last| u64::from_le_bytes(*last)) else {
        return words(data, key);
    };
    let key = u32::from_le_bytes(key);
    let last = last ^ doubled(key.rotate_right(8 * (data.len() as u32 % 4)));
    let word = doubled(key);
    for octets in data.as_chunks_mut::<8>().0 {
        *octets = (u64::from_le_bytes(*octets) ^ word).to_le_bytes();
    }
    if let Some(octets) = data.last_chunk_mut() {
        *octets = last.to_le_bytes();
    }
}

/// Words; the last one overlaps.
#[inline(always)]
pub(crate) fn overlapped_copy(to: &mut [u8], from: &[u8], key: [u8; 4]) {
    let Some(last) = from.last_chunk().map(|last| u64::from_le_bytes(*last)) else {
        return words_copy(to, from, key);
    };
    let key = u32::from_le_bytes(key);
    let last = last ^ doubled(key.rotate_right(8 * (from.len() as u32 % 4)));
    let word = doubled(key);
    for (octets, from) in to.as_chunks_mut::<8>().0.iter_mut().zip(from.as_chunks::<8>().0) {
        *octets = (u64::from_le_bytes(*from) ^ word).to_le_bytes();
    }
    if let Some(octets) = to.last_chunk_mut() {
        *octets = last.to_le_bytes();
    }
}

#[inline(always)]
fn doubled(key: u32) -> u64 {
    u64::from(key) << 32 | u64::from(key)
}

/// The same loops, compiled for 32-octet registers. Whoever calls them has seen that the CPU has AVX2.
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code, reason = "the compiler does not know the CPU")]
pub(crate) mod avx2 {
    macro_rules! compiled {
        ($name:ident($($argument:ident: $kind:ty),*)) => {
            #[inline]
            pub(crate) fn $name($($argument: $kind),*) {
                #[target_feature(enable = "avx2")]
                fn compiled($($argument: $kind),*) {
                    super::$name($($argument),*);
                }
                assert!(std::arch::is_x86_feature_detected!("avx2"));
                // SAFETY: the line above has just seen that this CPU has AVX2.
                unsafe { compiled($($argument),*) }
            }
        };
    }

    compiled!(words(data: &mut [u8], key: [u8; 4]));
    compiled!(words_copy(to: &mut [u8], from: &[u8], key: [u8; 4]));
    compiled!(overlapped(data: &mut [u8], key: [u8; 4]));
    compiled!(overlapped_copy(to: &mut [u8], from: &[u8], key: [u8; 4]));
}
