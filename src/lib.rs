//! A WebSocket (RFC 6455) as a sans-I/O core with thin layers that move bytes.
#![cfg_attr(not(feature = "std"), no_std)]
#![cfg_attr(docsrs, feature(doc_cfg))]

extern crate alloc;

mod close_code;
pub mod handshake;
mod role;

pub use close_code::{CloseCode, InvalidCloseCode};
pub use role::Role;
