//! What the programs share.

pub mod cells;
pub mod cpus;
pub mod frame_header;
pub mod frames;
pub mod markdown;
pub mod statistics;
pub mod streams;
