//! Copying what is mostly short, in line.
//!
//! `copy_from_slice` calls the C library unless the length is known. For a message of some octets the call, and its choice
//! among many ways, cost more than the copy.

/// Writes `source` to `destination`, like [`slice::copy_from_slice`].
///
/// Up to [`SHORT`] octets by a chunk from each end, as wide as fits, and the two overlap: no call, no loop.
///
/// # Panics
///
/// If the lengths differ.
#[inline]
pub(crate) fn copy(destination: &mut [u8], source: &[u8]) {
    assert_eq!(destination.len(), source.len(), "copying keeps the length");
    let len = source.len();
    if len <= 8 {
        if len >= 4 {
            ends::<4>(destination, source);
        } else if len >= 1 {
            destination[0] = source[0];
            destination[len / 2] = source[len / 2];
            destination[len - 1] = source[len - 1];
        }
    } else if len > SHORT {
        destination.copy_from_slice(source);
    } else if len > 32 {
        ends::<32>(destination, source);
    } else if len > 16 {
        ends::<16>(destination, source);
    } else {
        ends::<8>(destination, source);
    }
}

/// `N` octets from each end.
///
/// INVARIANT: there are between `N` and `2 * N` octets, by the conditions under which this is called.
#[inline(always)]
fn ends<const N: usize>(destination: &mut [u8], source: &[u8]) {
    *destination.first_chunk_mut::<N>().expect(LONG_ENOUGH) = *source.first_chunk().expect(LONG_ENOUGH);
    *destination.last_chunk_mut::<N>().expect(LONG_ENOUGH) = *source.last_chunk().expect(LONG_ENOUGH);
}

/// Above this many octets the C library is as fast.
const SHORT: usize = 64;

const LONG_ENOUGH: &str = "the length was compared";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_is_copied_whole_and_nothing_else_changes() {
        let source: [u8; 500] = core::array::from_fn(|i| i as u8 | 1);
        let mut destination = [0; 500];
        for len in 0..=300 {
            for to in 64..128 {
                // The two are aligned alike once, and unlike else.
                let (from, end) = (127 - to, to + len);
                copy(&mut destination[to..end], &source[from..from + len]);
                assert!(destination[to..end] == source[from..from + len], "{len} octets to {to}");
                let outside = destination[to - 64..to].iter().chain(&destination[end..end + 64]);
                assert!(outside.copied().all(|octet| octet == 0), "{len} octets to {to}");
                destination[to..end].fill(0);
            }
        }
    }

    #[test]
    #[should_panic(expected = "keeps the length")]
    fn lengths_that_differ_are_refused() {
        copy(&mut [0; 9], &[0; 8]);
    }
}
