//! What the fuzz targets share: how octets turn into settings and frames, and one end that is driven in many ways.

mod input;

pub use input::Input;
