//! What the load generator sends, and what it expects back: made once, before the clock starts.

/// The messages of a connection, over and over: so many different ones as there are in flight.
pub struct Frames {
    /// Masked frames, twice in a row when they are small, so that any of them can be followed by all others in one write.
    pub sent: Vec<u8>,
    /// How much of `sent` is all frames once.
    pub period: usize,
    /// The reply to each, in order: the same payload without a mask, or for a raw server the frame itself.
    replies: Vec<Vec<u8>>,
    reply_header_len: usize,
}

impl Frames {
    pub fn new(payload: Payload, in_flight: usize, raw_replies: bool) -> Self {
        let (mut sent, mut replies) = (Vec::new(), Vec::new());
        for index in 0..in_flight {
            let octets = payload.octets(index);
            // Not secret: nobody is to be protected from here. Never zero, and different for each.
            let key = (index as u32).wrapping_mul(0x9e37_79b9).wrapping_add(0x1234_5678).to_be_bytes();
            let mut frame = header(payload.is_text, octets.len(), true);
            frame.extend_from_slice(&key);
            frame.extend(octets.iter().zip(key.iter().cycle()).map(|(octet, key)| octet ^ key));
            sent.extend_from_slice(&frame);
            replies.push(match raw_replies {
                true => frame,
                false => [header(payload.is_text, octets.len(), false), octets].concat(),
            });
        }
        let period = sent.len();
        if period <= 1 << 20 {
            sent.extend_from_within(..);
        }
        let reply_header_len = header(payload.is_text, payload.len, false).len();
        Self { sent, period, replies, reply_header_len }
    }

    pub fn sent_len(&self) -> usize {
        self.period / self.replies.len()
    }

    pub fn reply_len(&self) -> usize {
        self.replies[0].len()
    }

    /// What can be sent from this place on, at most so much.
    pub fn from(&self, position: usize, len: usize) -> &[u8] {
        &self.sent[position..self.sent.len().min(position + len)]
    }

    /// Compares what came, all of it or only the header of each frame, with what should: `position` is where it stands
    /// among all octets received.
    ///
    /// # Panics
    ///
    /// If anything differs: then no figure means anything.
    pub fn verify(&self, mut position: usize, mut octets: &[u8], verify: Verify) {
        let len = self.reply_len();
        while !octets.is_empty() {
            let (index, offset) = (position / len % self.replies.len(), position % len);
            let there = octets.len().min(len - offset);
            let checked = match verify {
                Verify::Contents => there,
                Verify::Lengths => there.min(self.reply_header_len.saturating_sub(offset)),
            };
            let expected = &self.replies[index][offset..offset + checked];
            if octets[..checked] != *expected {
                let same =
                    octets.iter().zip(expected).take_while(|(octet, expected)| octet == expected).count();
                panic!("an echo differs, at octet {} of frame {index}", offset + same);
            }
            position += there;
            octets = &octets[there..];
        }
    }
}

/// How thoroughly replies are looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verify {
    /// Every octet.
    Contents,
    /// The header of every frame.
    Lengths,
}

/// What a message consists of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Payload {
    pub len: usize,
    pub is_text: bool,
}

impl Payload {
    fn octets(self, index: usize) -> Vec<u8> {
        if self.is_text {
            // Mostly ASCII, as messages are, with some that is not; padded where a character would not fit.
            let text = format!("{{\"number\":{index},\"name\":\"Zoë Müller\",\"city\":\"København\"}},");
            let mut octets: Vec<u8> = Vec::with_capacity(self.len);
            for character in text.chars().cycle() {
                let mut encoded = [0; 4];
                let encoded = character.encode_utf8(&mut encoded).as_bytes();
                if octets.len() + encoded.len() > self.len {
                    break;
                }
                octets.extend_from_slice(encoded);
            }
            octets.resize(self.len, b' ');
            octets
        } else {
            let mut state = index as u64 + 1;
            let mut octet = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 56) as u8
            };
            (0..self.len).map(|_| octet()).collect()
        }
    }
}

/// RFC 6455 §5.2, without the masking-key.
fn header(is_text: bool, len: usize, is_masked: bool) -> Vec<u8> {
    let mask = if is_masked { 0x80 } else { 0 };
    let mut header = vec![if is_text { 0x81 } else { 0x82 }];
    match len {
        0..=125 => header.push(mask | len as u8),
        126..=0xffff => {
            header.push(mask | 126);
            header.extend_from_slice(&(len as u16).to_be_bytes());
        }
        _ => {
            header.push(mask | 127);
            header.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: Payload = Payload { len: 125, is_text: true };

    /// Replies of two periods, one after the other.
    fn replies(frames: &Frames) -> Vec<u8> {
        frames.replies.concat().repeat(2)
    }

    #[test]
    fn text_is_utf8_of_the_length_asked_for() {
        for index in 0..32 {
            let octets = TEXT.octets(index);
            assert!(
                octets.len() == TEXT.len && std::str::from_utf8(&octets).is_ok_and(|text| !text.is_ascii())
            );
        }
    }

    #[test]
    fn replies_verify_however_they_are_cut() {
        for raw in [false, true] {
            let frames = Frames::new(TEXT, 3, raw);
            let replies = replies(&frames);
            for cut in 0..replies.len() {
                for verify in [Verify::Contents, Verify::Lengths] {
                    frames.verify(0, &replies[..cut], verify);
                    frames.verify(cut, &replies[cut..], verify);
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "an echo differs, at octet 126 of frame 1")]
    fn a_wrong_octet_is_found() {
        let frames = Frames::new(TEXT, 2, false);
        let mut replies = replies(&frames);
        replies[frames.reply_len() * 2 - 1] ^= 1;
        frames.verify(0, &replies, Verify::Contents);
    }
}
