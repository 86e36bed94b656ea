//! Masking-keys that a test knows beforehand.

use sansocket::connection::KeySource;
use sansocket::frame::MaskingKey;

use super::frames::KEY;

/// 37 fa 21 3d, then a1 b2 c3 d4, then 00 00 00 03, 00 00 00 04 and so on: a frame that took no key, or two, shows.
pub(crate) fn known_keys() -> KeySource {
    let mut taken = 0u32;
    KeySource::injected(move || {
        taken += 1;
        MaskingKey::new(match taken {
            1 => KEY,
            2 => SECOND_KEY,
            more => more.to_be_bytes(),
        })
    })
}

pub(crate) const SECOND_KEY: [u8; 4] = [0xa1, 0xb2, 0xc3, 0xd4];
