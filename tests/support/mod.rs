//! What the tests of the core share: frames as visible octets, keys that are known, and the every-split harness.
#![allow(dead_code, unused_imports, reason = "each test binary uses its own part of this")]

pub(crate) mod allocations;
#[cfg(feature = "deflate")]
pub(crate) mod deflate;
pub(crate) mod every_split;
pub(crate) mod frames;
pub(crate) mod keys;
#[cfg(feature = "deflate")]
pub(crate) mod raw_deflate;

use sansocket::connection::Connection;
use sansocket::{Config, Role};

pub(crate) use every_split::{
    Event, Transcript, every_split, every_split_after, every_split_from_peer, every_split_of,
};
pub(crate) use frames::{KEY, client_frame, client_frame_with, from_peer, masked, server_frame, wire_frames};
pub(crate) use keys::{SECOND_KEY, known_keys};

pub(crate) const BOTH_ROLES: [Role; 2] = [Role::Client, Role::Server];

/// This end of a connection that has just been opened; a client's keys are the [`known_keys`].
pub(crate) fn connection(role: Role, config: &Config) -> Connection {
    match role {
        Role::Client => Connection::client(config, known_keys()),
        Role::Server => Connection::server(config),
    }
}

/// How many octets of header a masking-key adds to what the peer of `role` sends.
pub(crate) fn key_len(role: Role) -> usize {
    match role {
        Role::Client => 0,
        Role::Server => 4,
    }
}

/// Writes everything that is queued.
pub(crate) fn drain(connection: &mut Connection) -> Vec<u8> {
    let mut written = Vec::new();
    let queued = connection.queued();
    loop {
        let mut slices = [&[][..]; 4];
        let filled = connection.slices(&mut slices);
        let octets = slices[..filled].concat();
        if octets.is_empty() {
            break;
        }
        connection.advance(octets.len());
        written.extend(octets);
    }
    assert_eq!(written.len(), queued, "all that is queued is given as slices");
    assert_eq!(connection.queued(), 0);
    written
}
