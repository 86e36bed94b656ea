//! One frame on the wire, without history: RFC 6455 §5.2, §5.3, §5.5.1.
//!
//! These are the building blocks under [`connection`](crate::connection): usable on their own, without I/O and
//! without allocation. What a frame means after the ones before it is the connection's matter.
//!
//! ```text
//!  octet 0        1          2–3 or 2–9           then, if masked     then
//! ┌───┬───┬──────┬────┬────┬────────────────────┬───────────────────┬──────────┐
//! │FIN│RSV│opcode│MASK│len7│ extended length    │ masking-key       │ payload  │
//! │ 1 │ 3 │ 4    │ 1  │ 7  │ 0, 16 or 64        │ 0 or 32           │          │  bits
//! └───┴───┴──────┴────┴────┴────────────────────┴───────────────────┴──────────┘
//! ```

mod close;
mod header;
mod mask;
mod opcode;

pub use close::{CloseFrame, ReasonTooLong, truncated_reason};
pub use header::{EncodedHeader, Expect, FrameHeader, MAX_CONTROL_PAYLOAD_LEN, MAX_HEADER_LEN, Rsv};
pub(crate) use header::{WholeMessage, short_header};
pub use mask::MaskingKey;
pub use opcode::{ControlOpcode, DataOpcode, Opcode};

pub use crate::utf8::{InvalidUtf8, Utf8Validator};
