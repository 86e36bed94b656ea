//! Any octets from a peer with which compression was agreed on: RFC 7692 §6.
//!
//! No panic, bounded memory, and the same events, output and end however the octets are cut, read and answered.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sansocket::Role;
use sansocket_fuzz::{Compressed, receive};

fuzz_target!(|octets: &[u8]| {
    let Some((&first, octets)) = octets.split_first() else { return };
    let role = if first & 1 == 0 { Role::Server } else { Role::Client };
    receive(role, Compressed::Yes, octets);
});
