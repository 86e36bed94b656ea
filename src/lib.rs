//! A WebSocket (RFC 6455) as a sans-I/O core with thin layers that move bytes.
#![cfg_attr(not(feature = "std"), no_std)]
#![cfg_attr(docsrs, feature(doc_cfg))]

extern crate alloc;

mod close_code;
mod config;
pub mod connection;
mod error;
pub mod frame;
pub mod handshake;
mod role;
mod simd;
#[cfg(feature = "tokio")]
pub mod stream;
mod utf8;

pub use close_code::{CloseCode, InvalidCloseCode};
pub use config::{Config, Limits};
pub use connection::{Message, MessageKind};
pub use error::{Failure, ProtocolError, SendError};
pub use role::Role;
pub use utf8::Utf8Bytes;
