//! The columns of tables: payload sizes, and how many messages are in flight on each connection.

use std::fmt;

use crate::frames::Payload;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cell {
    pub payload: Payload,
    pub in_flight: usize,
}

impl Cell {
    pub const ALL: [Self; 13] = [
        binary(16, 1),
        binary(125, 1),
        binary(1 << 10, 1),
        binary(16 << 10, 1),
        binary(64 << 10, 1),
        binary(1 << 20, 1),
        binary(16, 32),
        binary(125, 32),
        Self { payload: Payload { len: 125, is_text: true }, in_flight: 32 },
        binary(1 << 10, 32),
        binary(16 << 10, 4),
        binary(64 << 10, 4),
        binary(1 << 20, 4),
    ];

    /// As it is chosen on the command line: `16x32`, `125x32t` for text.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|cell| {
            let text = if cell.payload.is_text { "t" } else { "" };
            format!("{}x{}{text}", cell.payload.len, cell.in_flight) == name
        })
    }

    /// Few messages fit into the time of others.
    pub fn is_large(self) -> bool {
        self.payload.len >= 1 << 20
    }
}

const fn binary(len: usize, in_flight: usize) -> Cell {
    Cell { payload: Payload { len, is_text: false }, in_flight }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (len, unit) = match self.payload.len {
            len @ 0..=0x3ff => (len, "B"),
            len @ 0x400..=0xf_ffff => (len >> 10, "KiB"),
            len => (len >> 20, "MiB"),
        };
        let text = if self.payload.is_text { " text" } else { "" };
        write!(f, "{len} {unit}{text} ×{}", self.in_flight)
    }
}
