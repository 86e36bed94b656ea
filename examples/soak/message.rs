//! The messages: each says which it is, and has a checksum.

use std::sync::LazyLock;

use sansocket::{Message, MessageKind, Role};

use crate::plan::{Random, index};

/// What is the same on both ends of a connection: what the messages of one end of it are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Messages {
    pub(crate) seed: u64,
    pub(crate) id: u64,
    pub(crate) sender: Role,
    /// The longest, in octets.
    pub(crate) longest: u64,
}

/// What is wrong with a message that should have been a certain one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mismatch {
    /// It is whole, and has this number.
    Number(u64),
    /// It is of another connection, or of the other end.
    Foreign,
    /// Its octets are none that were sent.
    Corrupt,
}

impl Messages {
    /// Kind and length of a message, and where its octets come from.
    fn shape(&self, number: u64) -> (MessageKind, usize, u64) {
        let mut random = Random::new(&[self.seed, self.id, index(self.sender) as u64, number]);
        let kind = if random.percent(50) { MessageKind::Text } else { MessageKind::Binary };
        let len = match random.below(1000) {
            0..50 => 0,
            50..250 => random.below(HEADER_LEN as u64),
            250..750 => random.below(1 << 10),
            750..930 => random.below(16 << 10),
            930..992 => random.below(128 << 10),
            992..999 => random.below((1 << 20) + 1),
            _ => 1 << 20,
        };
        (kind, len.min(self.longest) as usize, random.next())
    }

    pub(crate) fn len(&self, number: u64) -> usize {
        self.shape(number).1
    }

    /// Whether nobody can take it for another one. Those that are too short to say which they are may be the same.
    pub(crate) fn is_unique(&self, number: u64) -> bool {
        self.len(number) >= HEADER_LEN
    }

    /// `number` of the connection's messages in this direction.
    pub(crate) fn message(&self, number: u64) -> Message {
        let (kind, len, from) = self.shape(number);
        let mut payload = Vec::with_capacity(len);
        if len >= HEADER_LEN {
            payload.resize(HEADER_LEN, 0);
        }
        fill(kind, &mut payload, len, from);
        if len >= HEADER_LEN {
            let (id, sender, hash) = (self.id, index(self.sender), checksum(&payload[HEADER_LEN..]));
            let header = format!("{id:016x} {sender} {number:010x} {len:08x} {hash:016x} ");
            payload[..HEADER_LEN].copy_from_slice(header.as_bytes());
        }
        match kind {
            // INVARIANT: the header is ASCII, and so is what text is filled with.
            MessageKind::Text => Message::text(String::from_utf8(payload).expect("ASCII")),
            MessageKind::Binary => Message::binary(payload),
        }
    }

    /// Whether this is that message: its kind, its length, its number and its checksum; a short one octet by octet.
    pub(crate) fn check(&self, number: u64, kind: MessageKind, payload: &[u8]) -> Result<(), Mismatch> {
        let (expected_kind, len, from) = self.shape(number);
        let is_expected = (kind, payload.len()) == (expected_kind, len);
        let Some((header, body)) = payload.split_at_checked(HEADER_LEN) else {
            let mut short = Vec::with_capacity(len);
            fill(kind, &mut short, len, from);
            return if is_expected && payload == short { Ok(()) } else { Err(Mismatch::Corrupt) };
        };
        let field = |range| u64::from_str_radix(std::str::from_utf8(&header[range]).ok()?, 16).ok();
        let fields =
            (|| Some((field(0..16)?, field(17..18)?, field(19..29)?, field(30..38)?, field(39..55)?)))();
        match fields {
            Some((id, sender, found, length, hash))
                if length == payload.len() as u64 && hash == checksum(body) =>
            {
                if id != self.id || sender != index(self.sender) as u64 {
                    Err(Mismatch::Foreign)
                } else if found != number {
                    Err(Mismatch::Number(found))
                } else if is_expected {
                    Ok(())
                } else {
                    Err(Mismatch::Corrupt)
                }
            }
            _ => Err(Mismatch::Corrupt),
        }
    }
}

/// Fills the stores, which stay.
pub(crate) fn prepare() {
    LazyLock::force(&TEXT);
    LazyLock::force(&BINARY);
}

/// Appends up to `len` octets of the store of this kind, from somewhere in it.
fn fill(kind: MessageKind, payload: &mut Vec<u8>, len: usize, from: u64) {
    let store = match kind {
        MessageKind::Text => &*TEXT,
        MessageKind::Binary => &*BINARY,
    };
    let mut at = from as usize % store.len();
    while payload.len() < len {
        let piece = (len - payload.len()).min(store.len() - at);
        payload.extend_from_slice(&store[at..at + piece]);
        at = 0;
    }
}

/// FNV-1a over words of eight octets, its upper bits folded back.
fn checksum(octets: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325 ^ octets.len() as u64;
    let mut mix = |word: u64| {
        hash = (hash ^ word).wrapping_mul(0x0100_0000_01b3);
        hash ^= hash >> 29;
    };
    let (words, rest) = octets.as_chunks();
    for word in words {
        mix(u64::from_le_bytes(*word));
    }
    for octet in rest {
        mix(u64::from(*octet));
    }
    hash
}

/// Connection, sender, number, length, checksum: in hexadecimal digits, since text has it too.
const HEADER_LEN: usize = 56;

/// Not a power of two, so that long messages do not repeat where chunks of the library do.
const STORE_LEN: usize = 99_991;

/// Words, which can be compressed.
static TEXT: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut random = Random::new(&[1]);
    let mut text = Vec::new();
    while text.len() < STORE_LEN {
        text.extend_from_slice(format!("\"key{}\": {}, ", random.below(40), random.below(10_000)).as_bytes());
    }
    text.truncate(STORE_LEN);
    text
});

/// Octets, which cannot.
static BINARY: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut random = Random::new(&[2]);
    (0..STORE_LEN).map(|_| random.next() as u8).collect()
});
