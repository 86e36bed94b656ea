//! The one thing about DEFLATE that miniz is not as strict about as zlib: which sets of code lengths are right.

/// Whether a block of the message describes a set of codes that zlib refuses: one that is over-subscribed or incomplete,
/// has more symbols than there are, or no end of block. RFC 1951 §3.2.7.
pub(crate) fn are_refused(compressed: &[u8]) -> bool {
    let mut bits = Bits { octets: compressed, at: 0 };
    walk(&mut bits).is_some_and(|refused| refused)
}

/// `None` if the octets end first, or are wrong in another way.
fn walk(bits: &mut Bits<'_>) -> Option<bool> {
    loop {
        let is_final = bits.take(1)? == 1;
        match bits.take(2)? {
            0 => {
                bits.align();
                let len = bits.take(16)?;
                bits.take(16)?;
                bits.at += 8 * len;
            }
            1 => {
                let literals: Vec<usize> = (0..288)
                    .map(|n| 8 + usize::from(n > 143) - usize::from(n > 255) * 2 + usize::from(n > 279))
                    .collect();
                skip(bits, &Codes::new(&literals), &Codes::new(&[5; 30]))?;
            }
            2 => match dynamic(bits)? {
                Some((literals, distances)) => skip(bits, &literals, &distances)?,
                None => return Some(true),
            },
            _ => return None,
        }
        if is_final {
            // The next block starts at an octet.
            bits.align();
        }
    }
}

/// The codes of a block; `Some(None)` if zlib refuses them.
fn dynamic(bits: &mut Bits<'_>) -> Option<Option<(Codes, Codes)>> {
    let (literals, distances, lengths) = (257 + bits.take(5)?, 1 + bits.take(5)?, 4 + bits.take(4)?);
    if literals > 286 || distances > 30 {
        return Some(None);
    }
    let mut described = [0; 19];
    for &symbol in &ORDER[..lengths] {
        described[symbol] = bits.take(3)?;
    }
    let codes = Codes::new(&described);
    if codes.left != 0 {
        return Some(None);
    }
    let mut all = Vec::new();
    while all.len() < literals + distances {
        let (len, times) = match codes.decode(bits)? {
            16 if all.is_empty() => return Some(None),
            16 => (all[all.len() - 1], 3 + bits.take(2)?),
            17 => (0, 3 + bits.take(3)?),
            18 => (0, 11 + bits.take(7)?),
            len => (len, 1),
        };
        all.extend(std::iter::repeat_n(len, times));
    }
    if all.len() > literals + distances || all[256] == 0 {
        return Some(None);
    }
    let (literals, distances) = (Codes::new(&all[..literals]), Codes::new(&all[literals..]));
    let right = |codes: &Codes| codes.left == 0 || (codes.left > 0 && codes.symbols.len() == codes.counts[1]);
    Some((right(&literals) && right(&distances)).then_some((literals, distances)))
}

/// Everything up to the end of the block.
fn skip(bits: &mut Bits<'_>, literals: &Codes, distances: &Codes) -> Option<()> {
    loop {
        match literals.decode(bits)? {
            0..256 => {}
            256 => return Some(()),
            257..=264 | 285 => distance(bits, distances)?,
            symbol @ 265..285 => {
                bits.take((symbol - 261) / 4)?;
                distance(bits, distances)?;
            }
            _ => return None,
        }
    }
}

fn distance(bits: &mut Bits<'_>, distances: &Codes) -> Option<()> {
    let symbol = distances.decode(bits).filter(|&symbol| symbol < 30)?;
    bits.take((symbol / 2).saturating_sub(1)).map(|_| ())
}

struct Bits<'a> {
    octets: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn take(&mut self, count: usize) -> Option<usize> {
        (0..count).try_fold(0, |bits, place| {
            let octet = *self.octets.get(self.at / 8)?;
            let bit = usize::from(octet >> (self.at % 8) & 1);
            self.at += 1;
            Some(bits | bit << place)
        })
    }

    fn align(&mut self) {
        self.at = self.at.next_multiple_of(8);
    }
}

/// A canonical code: how many codes of each length, and their symbols in order.
struct Codes {
    counts: [usize; 16],
    symbols: Vec<usize>,
    /// How many codes of 15 bits are missing; fewer than none if there are too many.
    left: i64,
}

impl Codes {
    fn new(lengths: &[usize]) -> Self {
        let (mut counts, mut symbols, mut left) = ([0; 16], Vec::new(), 1 << 15);
        for (len, count) in counts.iter_mut().enumerate().skip(1) {
            let begun = symbols.len();
            symbols.extend((0..lengths.len()).filter(|&symbol| lengths[symbol] == len));
            *count = symbols.len() - begun;
            left -= (*count as i64) << (15 - len);
        }
        Self { counts, symbols, left }
    }

    fn decode(&self, bits: &mut Bits<'_>) -> Option<usize> {
        let (mut code, mut first, mut index) = (0, 0, 0);
        for count in &self.counts[1..] {
            code |= bits.take(1)?;
            if code < first + count {
                return self.symbols.get(index + (code - first)).copied();
            }
            index += count;
            first = (first + count) << 1;
            code <<= 1;
        }
        None
    }
}

const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
