//! What a frame is: RFC 6455 §5.2, §11.8.

/// What a frame is (RFC 6455 §5.2). The reserved opcodes cannot be represented.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Opcode {
    /// A data frame: a message or a fragment of one.
    Data(DataOpcode),
    /// A control frame.
    Control(ControlOpcode),
}

/// The opcodes of data frames (RFC 6455 §5.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DataOpcode {
    /// 0x0: a further fragment of the open message.
    Continuation,
    /// 0x1: a text message or its first fragment.
    Text,
    /// 0x2: a binary message or its first fragment.
    Binary,
}

/// The opcodes of control frames (RFC 6455 §5.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ControlOpcode {
    /// 0x8
    Close,
    /// 0x9
    Ping,
    /// 0xA
    Pong,
}

impl Opcode {
    /// The opcode for the low four bits of a frame's first octet; `None` for the reserved ones.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Option<Self> {
        match bits {
            0x0 => Some(Self::Data(DataOpcode::Continuation)),
            0x1 => Some(Self::Data(DataOpcode::Text)),
            0x2 => Some(Self::Data(DataOpcode::Binary)),
            0x8 => Some(Self::Control(ControlOpcode::Close)),
            0x9 => Some(Self::Control(ControlOpcode::Ping)),
            0xA => Some(Self::Control(ControlOpcode::Pong)),
            _ => None,
        }
    }

    /// The low four bits of a frame's first octet.
    #[must_use]
    pub const fn bits(self) -> u8 {
        match self {
            Self::Data(DataOpcode::Continuation) => 0x0,
            Self::Data(DataOpcode::Text) => 0x1,
            Self::Data(DataOpcode::Binary) => 0x2,
            Self::Control(ControlOpcode::Close) => 0x8,
            Self::Control(ControlOpcode::Ping) => 0x9,
            Self::Control(ControlOpcode::Pong) => 0xA,
        }
    }
}

impl From<DataOpcode> for Opcode {
    fn from(opcode: DataOpcode) -> Self {
        Self::Data(opcode)
    }
}

impl From<ControlOpcode> for Opcode {
    fn from(opcode: ControlOpcode) -> Self {
        Self::Control(opcode)
    }
}
