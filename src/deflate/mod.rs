//! permessage-deflate, the compression of messages: RFC 7692.
//!
//! The opening handshake makes an [`Agreement`] of what a [`DeflateConfig`] wants and the peer agrees to; the
//! connection takes it from there.

mod agreement;
mod config;

pub use agreement::{Agreement, Direction};
pub use config::{Compression, DeflateConfig, States};
