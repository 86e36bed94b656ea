//! What the fuzz targets share: how octets turn into settings and frames, and one end that is driven in many ways.

#[path = "../../tests/support/allocations.rs"]
mod allocations;
mod differential;
#[allow(dead_code, reason = "a part is used")]
#[path = "../../tests/support/frames.rs"]
mod frames;
mod input;
pub mod pair;
mod receive;
mod script;

pub use differential::{Difference, Peer, differences};
pub use input::Input;
pub use receive::{Compressed, receive};
pub use script::frames_of;

#[global_allocator]
static ALLOCATOR: allocations::Counting = allocations::Counting;
