//! Any octets from a server: RFC 6455 §5.2, §6.2.
//!
//! No panic, bounded memory, and the same events, output and end however the octets are cut, read and answered.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sansocket::Role;
use sansocket_fuzz::{Compressed, receive};

fuzz_target!(|octets: &[u8]| {
    receive(Role::Client, Compressed::No, octets);
});
