//! The only unsafe code: XOR with a masking-key at the width of the machine, and text that was validated once.
//!
//! Most payloads are short, so the short ways are in line, ask nothing about the CPU and have no loop: a chunk from each
//! end, as wide as fits, and the two overlap. Longer ones go through one function, compiled for the CPU's registers, whose
//! last chunk overlaps too: octet by octet, a tail costs more than all that is before it.
//!
//! Every function here has a safe face and a byte-wise oracle in the tests below.
#![allow(unsafe_code)]

/// XORs `data` in place with `key`, octet `i` with `key[i % 4]` (RFC 6455 §5.3).
#[inline]
pub(crate) fn xor(data: &mut [u8], key: [u8; 4]) {
    let doubled = doubled(key);
    if data.len() <= 8 {
        if data.len() >= 4 {
            xor_ends::<4>(data, doubled);
        } else {
            for (octet, key) in data.iter_mut().zip(key) {
                *octet ^= key;
            }
        }
    } else if data.len() > SHORT {
        xor_long(data, doubled);
    } else if data.len() > 32 {
        xor_ends::<32>(data, doubled);
    } else if data.len() > 16 {
        xor_ends::<16>(data, doubled);
    } else {
        xor_ends::<8>(data, doubled);
    }
}

/// Writes `source` XORed with `key` to `destination`: masking and copying in one pass.
///
/// # Panics
///
/// If the lengths differ.
#[inline]
pub(crate) fn xor_copy(destination: &mut [u8], source: &[u8], key: [u8; 4]) {
    assert_eq!(destination.len(), source.len(), "masking while copying keeps the length");
    let doubled = doubled(key);
    if source.len() <= 8 {
        if source.len() >= 4 {
            xor_copy_ends::<4>(destination, source, doubled);
        } else {
            for ((octet, source), key) in destination.iter_mut().zip(source).zip(key) {
                *octet = source ^ key;
            }
        }
    } else if source.len() > SHORT {
        xor_copy_long(destination, source, doubled);
    } else if source.len() > 32 {
        xor_copy_ends::<32>(destination, source, doubled);
    } else if source.len() > 16 {
        xor_copy_ends::<16>(destination, source, doubled);
    } else {
        xor_copy_ends::<8>(destination, source, doubled);
    }
}

/// Views octets as the text they have already been found to be.
///
/// INVARIANT: the caller has run the whole of `text` through [`crate::utf8`], as one message or one
/// Close reason, and has not changed it since. Text is validated once, as it arrives; this is what saves the
/// second pass.
#[inline]
pub(crate) fn validated_str(text: &[u8]) -> &str {
    debug_assert!(core::str::from_utf8(text).is_ok());
    // SAFETY: by the invariant above the octets are valid UTF-8. Callers are inside this crate and few: the
    // receive path, where `utf8` is what produces the location, the reason of a Close frame, which is checked where it is
    // decoded, and `Utf8Bytes`, whose constructors check.
    unsafe { core::str::from_utf8_unchecked(text) }
}

#[inline(always)]
fn xor_long(data: &mut [u8], key: u64) {
    #[cfg(all(target_arch = "x86_64", feature = "std"))]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the line above has just seen that this CPU has AVX2.
        return unsafe { xor_long_avx2(data, key) };
    }
    xor_long_narrow(data, key);
}

#[inline(always)]
fn xor_copy_long(destination: &mut [u8], source: &[u8], key: u64) {
    #[cfg(all(target_arch = "x86_64", feature = "std"))]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the line above has just seen that this CPU has AVX2.
        return unsafe { xor_copy_long_avx2(destination, source, key) };
    }
    xor_copy_long_narrow(destination, source, key);
}

/// The same loop, compiled for 32-octet registers.
#[cfg(all(target_arch = "x86_64", feature = "std"))]
#[target_feature(enable = "avx2")]
#[inline(never)]
fn xor_long_avx2(data: &mut [u8], key: u64) {
    xor_blocks(data, key);
}

/// The same loop, compiled for 32-octet registers.
#[cfg(all(target_arch = "x86_64", feature = "std"))]
#[target_feature(enable = "avx2")]
#[inline(never)]
fn xor_copy_long_avx2(destination: &mut [u8], source: &[u8], key: u64) {
    xor_copy_blocks(destination, source, key);
}

/// The same loop, compiled for what every CPU of this target has.
#[inline(never)]
fn xor_long_narrow(data: &mut [u8], key: u64) {
    xor_blocks(data, key);
}

/// The same loop, compiled for what every CPU of this target has.
#[inline(never)]
fn xor_copy_long_narrow(destination: &mut [u8], source: &[u8], key: u64) {
    xor_copy_blocks(destination, source, key);
}

/// Two blocks if that is enough; otherwise block by block, the last one overlapping.
#[inline(always)]
fn xor_blocks(data: &mut [u8], key: u64) {
    assert!(data.len() > BLOCK, "short payloads have ways of their own");
    if data.len() <= 2 * BLOCK {
        return xor_ends::<BLOCK>(data, key);
    }
    if data.len() < ALIGNED {
        return xor_blocks_from_here(data, key);
    }
    let unaligned = data.as_ptr().addr() % BLOCK;
    if unaligned.is_multiple_of(REGISTER) {
        return xor_blocks_from_here(data, key);
    }
    // The first block overlaps the others, which are then aligned.
    let first = masked(*data.first_chunk::<BLOCK>().expect(LONG_ENOUGH), key);
    let begin = BLOCK - unaligned;
    xor_blocks_from_here(&mut data[begin..], advanced(key, begin));
    *data.first_chunk_mut().expect(LONG_ENOUGH) = first;
}

/// Two blocks if that is enough; otherwise block by block, the last one overlapping.
#[inline(always)]
fn xor_copy_blocks(destination: &mut [u8], source: &[u8], key: u64) {
    let source = &source[..destination.len()];
    assert!(source.len() > BLOCK, "short payloads have ways of their own");
    if source.len() <= 2 * BLOCK {
        return xor_copy_ends::<BLOCK>(destination, source, key);
    }
    if source.len() < ALIGNED {
        return xor_copy_blocks_from_here(destination, source, key);
    }
    let unaligned = destination.as_ptr().addr() % BLOCK;
    if unaligned.is_multiple_of(REGISTER) {
        return xor_copy_blocks_from_here(destination, source, key);
    }
    // The first block overlaps the others, which are then aligned where they are written.
    *destination.first_chunk_mut().expect(LONG_ENOUGH) =
        masked(*source.first_chunk::<BLOCK>().expect(LONG_ENOUGH), key);
    let begin = BLOCK - unaligned;
    xor_copy_blocks_from_here(&mut destination[begin..], &source[begin..], advanced(key, begin));
}

#[inline(always)]
fn xor_blocks_from_here(data: &mut [u8], key: u64) {
    let before_last = data.len() - 1;
    let last = masked(*data.last_chunk::<BLOCK>().expect(LONG_ENOUGH), advanced(key, data.len() - BLOCK));
    for block in data[..before_last].as_chunks_mut::<BLOCK>().0 {
        *block = masked(*block, key);
    }
    *data.last_chunk_mut().expect(LONG_ENOUGH) = last;
}

#[inline(always)]
fn xor_copy_blocks_from_here(destination: &mut [u8], source: &[u8], key: u64) {
    let before_last = source.len() - 1;
    let blocks = destination[..before_last].as_chunks_mut::<BLOCK>().0;
    for (block, source) in blocks.iter_mut().zip(source[..before_last].as_chunks::<BLOCK>().0) {
        *block = masked(*source, key);
    }
    *destination.last_chunk_mut().expect(LONG_ENOUGH) =
        masked(*source.last_chunk::<BLOCK>().expect(LONG_ENOUGH), advanced(key, source.len() - BLOCK));
}

/// `N` octets from each end. They overlap, so both are read before one is written.
///
/// INVARIANT: there are between `N` and `2 * N` octets, by the conditions under which this is called.
#[inline(always)]
fn xor_ends<const N: usize>(data: &mut [u8], key: u64) {
    let last_key = advanced(key, data.len() - N);
    let first = masked(*data.first_chunk::<N>().expect(LONG_ENOUGH), key);
    let last = masked(*data.last_chunk::<N>().expect(LONG_ENOUGH), last_key);
    *data.first_chunk_mut().expect(LONG_ENOUGH) = first;
    *data.last_chunk_mut().expect(LONG_ENOUGH) = last;
}

/// `N` octets from each end.
///
/// INVARIANT: there are between `N` and `2 * N` octets, by the conditions under which this is called.
#[inline(always)]
fn xor_copy_ends<const N: usize>(destination: &mut [u8], source: &[u8], key: u64) {
    let last_key = advanced(key, source.len() - N);
    let first = masked(*source.first_chunk::<N>().expect(LONG_ENOUGH), key);
    let last = masked(*source.last_chunk::<N>().expect(LONG_ENOUGH), last_key);
    *destination.first_chunk_mut().expect(LONG_ENOUGH) = first;
    *destination.last_chunk_mut().expect(LONG_ENOUGH) = last;
}

/// `N`, four or a multiple of eight, octets; the compiler makes registers of them.
#[inline(always)]
fn masked<const N: usize>(mut octets: [u8; N], key: u64) -> [u8; N] {
    let (words, half) = octets.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_le_bytes(*word) ^ key).to_le_bytes();
    }
    for word in half.as_chunks_mut::<4>().0 {
        *word = (u32::from_le_bytes(*word) ^ key as u32).to_le_bytes();
    }
    octets
}

/// The key twice, the octet to begin with lowest.
#[inline(always)]
fn doubled(key: [u8; 4]) -> u64 {
    let key = u64::from(u32::from_le_bytes(key));
    key << 32 | key
}

/// The doubled key for what follows after so many octets.
#[inline(always)]
fn advanced(key: u64, octets: usize) -> u64 {
    key.rotate_right(8 * (octets % 8) as u32)
}

/// Up to this many octets a call costs more than wider registers save.
const SHORT: usize = 64;

/// What the long way does at once: a cache line, two registers of AVX2.
const BLOCK: usize = 64;

/// Writes that begin at a multiple of it never cross a cache line.
const REGISTER: usize = 32;

/// From this many octets on, crossing cache lines costs more than the block by which it is avoided.
const ALIGNED: usize = 512;

const LONG_ENOUGH: &str = "the length was compared";

#[cfg(test)]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;
    use core::ops::Range;

    use super::*;

    /// A way to mask, the lengths it is for, in place and while copying.
    struct Way {
        name: &'static str,
        lens: Range<usize>,
        in_place: fn(&mut [u8], [u8; 4]),
        copying: fn(&mut [u8], &[u8], [u8; 4]),
    }

    /// Whatever can be chosen on this CPU, and the choice itself.
    fn ways() -> Vec<Way> {
        vec![
            Way { name: "chosen", lens: 0..LONGEST, in_place: xor, copying: xor_copy },
            Way {
                name: "narrow",
                lens: SHORT + 1..LONGEST,
                in_place: |data, key| xor_long_narrow(data, doubled(key)),
                copying: |to, from, key| xor_copy_long_narrow(to, from, doubled(key)),
            },
            #[cfg(all(target_arch = "x86_64", feature = "std"))]
            Way {
                name: "AVX2",
                lens: SHORT + 1..if std::arch::is_x86_feature_detected!("avx2") { LONGEST } else { 0 },
                // SAFETY: without AVX2 there is no length that this is called for.
                in_place: |data, key| unsafe { xor_long_avx2(data, doubled(key)) },
                // SAFETY: as above.
                copying: |to, from, key| unsafe { xor_copy_long_avx2(to, from, doubled(key)) },
            },
        ]
    }

    // 6455-5.3-5 6455-5.3-6 CM-18
    #[test]
    fn masking_equals_the_bytewise_definition_for_every_length_alignment_and_key_phase() {
        let payload: Vec<u8> = (0..=255u8).cycle().step_by(7).take(LONGEST).collect();
        let untouched = [0x5a; 16];
        let mut buffer = vec![0x5a; LONGEST + 3 * BLOCK];
        let aligned = buffer.as_ptr().align_offset(BLOCK) + BLOCK;
        // Where it is copied from is aligned otherwise.
        let mut source = vec![0; LONGEST + BLOCK];
        for phase in 0..4 {
            let mut key = [0x37, 0xfa, 0x80, 0];
            key.rotate_left(phase);
            let expected: Vec<u8> = payload.iter().enumerate().map(|(i, octet)| octet ^ key[i % 4]).collect();
            for Way { name, lens, in_place, copying } in ways() {
                for (len, start) in
                    lens.flat_map(|len| (aligned..aligned + BLOCK).map(move |start| (len, start)))
                {
                    let end = start + len;
                    buffer[start..end].copy_from_slice(&payload[..len]);
                    in_place(&mut buffer[start..end], key);
                    assert!(buffer[start..end] == expected[..len], "{name}, {len} octets at {start}");
                    buffer[start..end].fill(0x5a);
                    let from = aligned + BLOCK - 1 - start;
                    source[from..from + len].copy_from_slice(&payload[..len]);
                    copying(&mut buffer[start..end], &source[from..from + len], key);
                    assert!(buffer[start..end] == expected[..len], "{name}, {len} octets to {start}");
                    assert_eq!(buffer[start - 16..start], untouched, "nothing before the payload changes");
                    assert_eq!(buffer[end..end + 16], untouched, "nor behind it");
                    buffer[start..end].fill(0x5a);
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "keeps the length")]
    fn masking_while_copying_refuses_lengths_that_differ() {
        xor_copy(&mut [0; 9], &[0; 8], [1, 2, 3, 4]);
    }

    /// Long enough for the aligned way, whatever the loop has been unrolled to.
    const LONGEST: usize = 2 * ALIGNED + 2 * BLOCK;
}
