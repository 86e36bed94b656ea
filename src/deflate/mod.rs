//! permessage-deflate, the compression of messages: RFC 7692.
//!
//! The opening handshake makes an [`Agreement`] of what a [`DeflateConfig`] wants and the peer agrees to; the
//! connection takes it from there.

mod agreement;
mod compress;
mod config;
mod inflate;
mod pool;
mod window;

pub use agreement::{Agreement, Direction};
pub(crate) use compress::{Compressed, Compressor, Part};
pub use config::{Compression, DeflateConfig, States};
pub(crate) use inflate::{Decompressor, Inflated};
