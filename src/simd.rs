//! The only unsafe code: XOR with a masking-key at the width of the machine, and text that was validated once.
//!
//! Every function here has a safe face and a byte-wise oracle in the tests below.
#![allow(unsafe_code)]

/// XORs `data` in place with `key`, octet `i` with `key[i % 4]` (RFC 6455 §5.3).
#[inline]
pub(crate) fn xor(data: &mut [u8], key: [u8; 4]) {
    #[cfg(all(target_arch = "x86_64", feature = "std"))]
    if data.len() >= WIDE && std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the line above has just seen that this CPU has AVX2.
        return unsafe { xor_avx2(data, key) };
    }
    xor_words(data, key);
}

/// Writes `source` XORed with `key` to `destination`: masking and copying in one pass.
///
/// # Panics
///
/// If the lengths differ.
#[inline]
pub(crate) fn xor_copy(destination: &mut [u8], source: &[u8], key: [u8; 4]) {
    assert_eq!(destination.len(), source.len(), "masking while copying keeps the length");
    #[cfg(all(target_arch = "x86_64", feature = "std"))]
    if source.len() >= WIDE && std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the line above has just seen that this CPU has AVX2.
        return unsafe { xor_copy_avx2(destination, source, key) };
    }
    xor_copy_words(destination, source, key);
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
    // receive path, where `utf8` is what produces the location, and `Utf8Bytes`, whose constructors check.
    unsafe { core::str::from_utf8_unchecked(text) }
}

/// The same loop, compiled for 32-octet registers.
#[cfg(all(target_arch = "x86_64", feature = "std"))]
#[target_feature(enable = "avx2")]
fn xor_avx2(data: &mut [u8], key: [u8; 4]) {
    xor_words(data, key);
}

/// The same loop, compiled for 32-octet registers.
#[cfg(all(target_arch = "x86_64", feature = "std"))]
#[target_feature(enable = "avx2")]
fn xor_copy_avx2(destination: &mut [u8], source: &[u8], key: [u8; 4]) {
    xor_copy_words(destination, source, key);
}

#[inline(always)]
fn xor_words(data: &mut [u8], key: [u8; 4]) {
    let word = doubled(key);
    let (words, tail) = data.as_chunks_mut::<8>();
    for octets in words {
        *octets = (u64::from_ne_bytes(*octets) ^ word).to_ne_bytes();
    }
    for (octet, key) in tail.iter_mut().zip(key.iter().cycle()) {
        *octet ^= key;
    }
}

#[inline(always)]
fn xor_copy_words(destination: &mut [u8], source: &[u8], key: [u8; 4]) {
    let word = doubled(key);
    let (words, tail) = destination.as_chunks_mut::<8>();
    let (source_words, source_tail) = source.as_chunks::<8>();
    for (octets, source) in words.iter_mut().zip(source_words) {
        *octets = (u64::from_ne_bytes(*source) ^ word).to_ne_bytes();
    }
    for ((octet, source), key) in tail.iter_mut().zip(source_tail).zip(key.iter().cycle()) {
        *octet = source ^ key;
    }
}

/// The key twice, in memory order whatever the endianness.
#[inline(always)]
fn doubled([a, b, c, d]: [u8; 4]) -> u64 {
    u64::from_ne_bytes([a, b, c, d, a, b, c, d])
}

/// From this many octets on the wide loop is worth the test for it.
#[cfg(all(target_arch = "x86_64", feature = "std"))]
const WIDE: usize = 64;

#[cfg(test)]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;

    use super::*;

    fn xor_bytewise(data: &[u8], key: [u8; 4]) -> Vec<u8> {
        data.iter().enumerate().map(|(i, octet)| octet ^ key[i % 4]).collect()
    }

    // 6455-5.3-5 6455-5.3-6 CM-18
    #[test]
    fn masking_equals_the_bytewise_definition_for_every_length_and_alignment() {
        let bytes: Vec<u8> = (0..=255u8).cycle().skip(3).step_by(7).take(340).collect();
        for key in [[0x37, 0xfa, 0x21, 0x3d], [0, 0, 0, 0], [0xff, 0, 0x80, 1]] {
            for start in 0..40 {
                for len in 0..=300 {
                    let source = &bytes[start..start + len];
                    let expected = xor_bytewise(source, key);

                    let mut in_place = bytes.clone();
                    xor(&mut in_place[start..start + len], key);
                    assert_eq!(&in_place[start..start + len], expected, "start {start} len {len}");
                    assert_eq!(&in_place[..start], &bytes[..start], "nothing before the payload changes");
                    assert_eq!(&in_place[start + len..], &bytes[start + len..], "nor behind it");

                    let mut copied = vec![0; len];
                    xor_copy(&mut copied, source, key);
                    assert_eq!(copied, expected, "start {start} len {len}");
                }
            }
        }
    }

    #[test]
    fn the_narrow_loop_gives_what_the_wide_one_gives() {
        let source: Vec<u8> = (0..1000u32).map(|i| (i * 31 % 251) as u8).collect();
        for len in [0, 63, 64, 65, 999, 1000] {
            let mut narrow = source[..len].to_vec();
            xor_words(&mut narrow, [1, 2, 3, 4]);
            let mut chosen = source[..len].to_vec();
            xor(&mut chosen, [1, 2, 3, 4]);
            assert_eq!(narrow, chosen);
            assert_eq!(narrow, xor_bytewise(&source[..len], [1, 2, 3, 4]));
        }
    }
}
