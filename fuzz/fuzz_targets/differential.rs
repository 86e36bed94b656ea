//! The same octets to this crate, to tungstenite and to fastwebsockets.
//!
//! They receive the same, and fail in the same frame or not at all. Where they need not is a [`Difference`], listed in
//! README.md.
//!
//! [`Difference`]: sansocket_fuzz::Difference
#![no_main]

use libfuzzer_sys::fuzz_target;
use sansocket_fuzz::differences;

fuzz_target!(|octets: &[u8]| {
    let _ = differences(octets);
});
