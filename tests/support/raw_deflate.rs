//! RFC 1951 by the letter, and what a payload of RFC 7692 §7.2.2 is: the oracle for compressed messages, and a writer of
//! blocks that no encoder would write. Nothing here is shared with the code under test.

/// What a compressed payload stands for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Inflated {
    pub(crate) octets: Vec<u8>,
    /// The largest distance of any reference; zero if there is none.
    pub(crate) farthest: usize,
    pub(crate) blocks: Vec<Block>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Block {
    Stored,
    Fixed,
    Dynamic,
}

/// The message that `payload` is when it may refer to the octets `before` it; `None` if it is none.
///
/// It is one exactly if its last block is a stored one whose length would begin where the payload ends, so that the
/// octets that the sender left out are that length; or if its last block is a final one that ends there, or if it has no
/// octet at all.
pub(crate) fn message(payload: &[u8], before: &[u8]) -> Option<Inflated> {
    let with_tail = [payload, &[0x00, 0x00, 0xff, 0xff]].concat();
    let mut bits = Bits { octets: &with_tail, at: 0 };
    let mut output = Output { octets: before.to_vec(), farthest: 0 };
    let mut blocks = Vec::new();
    let mut whole = payload.is_empty();
    while !whole {
        let last = bits.take(1)? == 1;
        match bits.take(2)? {
            0 => {
                blocks.push(Block::Stored);
                bits.align();
                whole = bits.at == 8 * payload.len();
                let (len, complement) = (bits.take(16)?, bits.take(16)?);
                if len != !complement & 0xffff {
                    return None;
                }
                for _ in 0..len {
                    output.octets.push(bits.take(8)? as u8);
                }
            }
            1 => {
                blocks.push(Block::Fixed);
                let lens: Vec<u8> = (0..288)
                    .map(|symbol| [8, 9, 7, 8][FIXED.partition_point(|&end| end <= symbol)])
                    .collect();
                inflate_block(&mut bits, &mut output, &Code::new(&lens, true)?, &Code::new(&[5; 32], true)?)?;
            }
            2 => {
                blocks.push(Block::Dynamic);
                let (symbols, distances) = dynamic_codes(&mut bits)?;
                inflate_block(&mut bits, &mut output, &symbols, &distances)?;
            }
            _ => return None,
        }
        if last && !whole {
            bits.align();
            whole = bits.at == 8 * payload.len();
        }
    }
    let octets = output.octets.split_off(before.len());
    Some(Inflated { octets, farthest: output.farthest, blocks })
}

struct Output {
    octets: Vec<u8>,
    farthest: usize,
}

fn inflate_block(bits: &mut Bits<'_>, output: &mut Output, symbols: &Code, distances: &Code) -> Option<()> {
    loop {
        match symbols.decode(bits)? {
            literal @ 0..=255 => output.octets.push(literal as u8),
            256 => return Some(()),
            symbol => {
                let &(base, extra) = LENGTHS.get(usize::from(symbol - 257))?;
                let len = base + bits.take(extra)?;
                let &(base, extra) = DISTANCES.get(usize::from(distances.decode(bits)?))?;
                let distance = (base + bits.take(extra)?) as usize;
                output.farthest = output.farthest.max(distance);
                let from = output.octets.len().checked_sub(distance)?;
                for at in from..from + len as usize {
                    output.octets.push(output.octets[at]);
                }
            }
        }
    }
}

/// RFC 1951 §3.2.7.
fn dynamic_codes(bits: &mut Bits<'_>) -> Option<(Code, Code)> {
    let (symbols, distances) = (bits.take(5)? as usize + 257, bits.take(5)? as usize + 1);
    let given = bits.take(4)? as usize + 4;
    if symbols > 286 || distances > 30 {
        return None;
    }
    let mut lens = [0; 19];
    for &place in &CODE_LENGTH_ORDER[..given] {
        lens[place] = bits.take(3)? as u8;
    }
    let code = Code::new(&lens, false)?;
    let mut lens: Vec<u8> = Vec::new();
    while lens.len() < symbols + distances {
        let (len, times) = match code.decode(bits)? {
            16 => (*lens.last()?, 3 + bits.take(2)?),
            17 => (0, 3 + bits.take(3)?),
            18 => (0, 11 + bits.take(7)?),
            len => (len as u8, 1),
        };
        lens.extend((0..times).map(|_| len));
    }
    if lens.len() > symbols + distances || lens[256] == 0 {
        return None;
    }
    Some((Code::new(&lens[..symbols], true)?, Code::new(&lens[symbols..], true)?))
}

/// A prefix code: how many symbols each length has, and the symbols in the order of their codes.
struct Code {
    counts: [u16; 16],
    symbols: Vec<u16>,
}

impl Code {
    /// A code with a gap is none, but for a single symbol of one bit, or no symbol, where that `may` be.
    fn new(lens: &[u8], may: bool) -> Option<Self> {
        let mut counts = [0_u16; 16];
        for &len in lens {
            counts[usize::from(len)] += 1;
        }
        counts[0] = 0;
        let mut left = 1_i32;
        for &count in &counts[1..] {
            left = 2 * left - i32::from(count);
            if left < 0 {
                return None;
            }
        }
        let longest = counts.iter().rposition(|&count| count > 0).unwrap_or(0);
        if left > 0 && !(may && longest <= 1) {
            return None;
        }
        let mut symbols: Vec<u16> = (0..lens.len() as u16).filter(|&at| lens[usize::from(at)] > 0).collect();
        symbols.sort_by_key(|&at| (lens[usize::from(at)], at));
        Some(Self { counts, symbols })
    }

    fn decode(&self, bits: &mut Bits<'_>) -> Option<u16> {
        let (mut code, mut first, mut index) = (0_u32, 0_u32, 0_u32);
        for &count in &self.counts[1..] {
            code |= bits.take(1)?;
            let count = u32::from(count);
            if code < first + count {
                return self.symbols.get((index + code - first) as usize).copied();
            }
            index += count;
            first = (first + count) << 1;
            code <<= 1;
        }
        None
    }
}

struct Bits<'a> {
    octets: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    /// The next bits, the first one lowest; `None` at the end.
    fn take(&mut self, count: u32) -> Option<u32> {
        let mut value = 0;
        for place in 0..count {
            let octet = *self.octets.get(self.at / 8)?;
            value |= u32::from(octet >> (self.at % 8) & 1) << place;
            self.at += 1;
        }
        Some(value)
    }

    fn align(&mut self) {
        self.at = self.at.next_multiple_of(8);
    }
}

/// What stands in a block with the fixed code.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Symbol {
    Literal(u8),
    /// `len` octets, 3 to 10, from `distance` octets before.
    Reference {
        len: u32,
        distance: u32,
    },
}

/// Writes blocks bit by bit.
#[derive(Debug, Default)]
pub(crate) struct BlockWriter {
    octets: Vec<u8>,
    used: u32,
}

impl BlockWriter {
    pub(crate) fn bits(&mut self, value: u32, count: u32) -> &mut Self {
        for place in 0..count {
            if self.used.is_multiple_of(8) {
                self.octets.push(0);
            }
            let octet = self.octets.last_mut().expect("there is room for the bit");
            *octet |= (((value >> place) & 1) << (self.used % 8)) as u8;
            self.used += 1;
        }
        self
    }

    /// A code stands with its highest bit first.
    pub(crate) fn code(&mut self, code: u32, count: u32) -> &mut Self {
        self.bits(code.reverse_bits() >> (32 - count), count)
    }

    /// A block with the fixed code.
    pub(crate) fn fixed(&mut self, last: bool, symbols: &[Symbol]) -> &mut Self {
        self.bits(u32::from(last), 1).bits(1, 2);
        for &symbol in symbols {
            match symbol {
                Symbol::Literal(low @ 0..=143) => self.code(0x30 + u32::from(low), 8),
                Symbol::Literal(high) => self.code(0x190 + u32::from(high) - 144, 9),
                Symbol::Reference { len, distance } => {
                    assert!((3..=10).contains(&len), "lengths without extra bits");
                    let code = DISTANCES.partition_point(|&(base, _)| base <= distance) - 1;
                    let (base, extra) = DISTANCES[code];
                    self.code(len - 2, 7).code(code as u32, 5).bits(distance - base, extra)
                }
            };
        }
        self.code(0, 7)
    }

    /// The beginning of an empty stored block, whose length the sender leaves out.
    pub(crate) fn flush(&mut self) -> &mut Self {
        self.bits(0, 3);
        self.align()
    }

    pub(crate) fn align(&mut self) -> &mut Self {
        self.used = self.used.next_multiple_of(8);
        self
    }

    pub(crate) fn octets(&self) -> Vec<u8> {
        self.octets.clone()
    }
}

/// RFC 1951 §3.2.6: where the ranges of equal lengths end.
const FIXED: [u16; 3] = [144, 256, 280];

/// RFC 1951 §3.2.5: the smallest value of each symbol, and how many bits follow it.
const LENGTHS: [(u32, u32); 29] = [
    (3, 0),
    (4, 0),
    (5, 0),
    (6, 0),
    (7, 0),
    (8, 0),
    (9, 0),
    (10, 0),
    (11, 1),
    (13, 1),
    (15, 1),
    (17, 1),
    (19, 2),
    (23, 2),
    (27, 2),
    (31, 2),
    (35, 3),
    (43, 3),
    (51, 3),
    (59, 3),
    (67, 4),
    (83, 4),
    (99, 4),
    (115, 4),
    (131, 5),
    (163, 5),
    (195, 5),
    (227, 5),
    (258, 0),
];

const DISTANCES: [(u32, u32); 30] = {
    let mut table = [(1, 0); 30];
    let mut code = 1;
    while code < 30 {
        let (base, extra) = table[code - 1];
        table[code] = (base + (1 << extra), if code < 4 { 0 } else { code as u32 / 2 - 1 });
        code += 1;
    }
    table
};

/// RFC 1951 §3.2.7.
const CODE_LENGTH_ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
