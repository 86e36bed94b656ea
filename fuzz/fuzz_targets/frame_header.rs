//! Any octets as a frame header, and any header as octets: RFC 6455 §5.2.
//!
//! Every beginning of a header is either "more is needed" or has the verdict of the whole; what is accepted is what stands
//! there, in its shortest form, and is written back as it came; what is refused breaks the rule that is named.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sansocket::ProtocolError;
use sansocket::frame::{
    ControlOpcode, DataOpcode, Expect, FrameHeader, MAX_HEADER_LEN, MaskingKey, Opcode, Rsv,
};
use sansocket_fuzz::Input;

fuzz_target!(|octets: &[u8]| {
    let mut input = Input::new(octets);
    let expect = expect(&mut input);
    decode(input.rest(), &expect);
    encode(&mut input, expect);
});

fn expect(input: &mut Input<'_>) -> Expect {
    let flags = input.octet();
    Expect {
        masked: flags & 1 != 0,
        rsv: if flags & 2 != 0 { Rsv::RSV1 } else { Rsv::NONE },
        message_open: flags & 4 != 0,
        max_frame_len: input.choice(&LENGTHS),
        max_message_len: input.choice(&LENGTHS),
        max_compressed_len: (flags & 8 != 0).then(|| input.choice(&LENGTHS)),
    }
}

fn decode(octets: &[u8], expect: &Expect) {
    let whole = FrameHeader::decode(octets, expect);
    let mut decided_at = None;
    for len in 0..=octets.len().min(MAX_HEADER_LEN + 2) {
        let verdict = FrameHeader::decode(&octets[..len], expect);
        assert!(
            verdict == Ok(None) || verdict == whole,
            "{len} of {octets:02x?}: {verdict:?}, then {whole:?}"
        );
        assert!(verdict != Ok(None) || decided_at.is_none(), "a verdict is taken back");
        if verdict != Ok(None) {
            decided_at.get_or_insert(len);
        }
    }
    let Some(decided_at) = decided_at else {
        assert_eq!(whole, Ok(None));
        return assert!(octets.len() < MAX_HEADER_LEN, "a header is never that long");
    };
    match whole {
        Ok(Some((header, len))) => {
            assert_eq!(decided_at, len, "it is accepted with its last octet");
            accept(&header, &octets[..len], expect);
        }
        Ok(None) => panic!("a beginning was decided"),
        Err(error) => refuse(error, &octets[..decided_at], expect),
    }
}

/// What was accepted, read once more and more simply.
fn accept(header: &FrameHeader, octets: &[u8], expect: &Expect) {
    assert_eq!(header.encode().as_slice(), octets, "written back as it came");
    let (first, second) = (octets[0], octets[1]);
    let (at, payload_len) = length(octets).expect("the length is whole");
    assert_eq!(header.payload_len(), payload_len);
    assert!(payload_len >> 63 == 0 && is_minimal(octets));
    assert_eq!((header.fin(), header.opcode().bits()), (first & 0x80 != 0, first & 0x0f));
    assert_eq!(header.rsv().contains(Rsv::RSV1), first & 0x40 != 0);
    assert_eq!(first & 0x30, 0);
    assert_eq!(second & 0x80 != 0, expect.masked);
    assert_eq!(header.masking_key().map(MaskingKey::octets), octets[at..].first_chunk().copied());
    assert_eq!(octets.len(), at + if expect.masked { 4 } else { 0 });
    match header.opcode() {
        Opcode::Control(_) => assert!(header.fin() && payload_len <= 125 && first & 0x70 == 0),
        Opcode::Data(opcode) => {
            assert_eq!(opcode == DataOpcode::Continuation, expect.message_open);
            let compressed = first & 0x40 != 0;
            assert!(!compressed || (expect.rsv == Rsv::RSV1 && opcode != DataOpcode::Continuation));
            assert!(payload_len <= expect.max_frame_len as u64);
            assert!(payload_len <= max_message_len(expect, compressed));
        }
    }
}

/// The rule that is named is broken by these octets, and the last of them shows it.
fn refuse(error: ProtocolError, octets: &[u8], expect: &Expect) {
    let first = octets[0];
    let (opcode, is_control) = (first & 0x0f, first & 0x08 != 0);
    let is_short = |len7: u8| octets.len() == 2 && octets[1] & 0x7f == len7;
    // The last octet of the length was needed, and no more.
    let at_length = length(octets).filter(|(at, _)| *at == octets.len()).map(|(_, len)| len);
    let broken = match error {
        ProtocolError::ReservedBits => {
            let expected = if expect.rsv == Rsv::RSV1 && !is_control && opcode != 0 { 0x40 } else { 0 };
            octets.len() == 1 && first & 0x70 & !expected != 0
        }
        ProtocolError::UnknownOpcode(found) => {
            octets.len() == 1 && found == opcode && matches!(opcode, 3..=7 | 11..=15)
        }
        ProtocolError::FragmentedControlFrame => octets.len() == 1 && is_control && first & 0x80 == 0,
        ProtocolError::UnexpectedContinuation => octets.len() == 1 && opcode == 0 && !expect.message_open,
        ProtocolError::ExpectedContinuation => {
            octets.len() == 1 && matches!(opcode, 1 | 2) && expect.message_open
        }
        ProtocolError::UnmaskedFrame => octets.len() == 2 && expect.masked && octets[1] & 0x80 == 0,
        ProtocolError::MaskedFrame => octets.len() == 2 && !expect.masked && octets[1] & 0x80 != 0,
        ProtocolError::ControlFrameTooLong => is_control && (is_short(126) || is_short(127)),
        ProtocolError::HalfCloseCode => opcode == 8 && is_short(1),
        ProtocolError::LengthNotMinimal => at_length.is_some() && !is_minimal(octets),
        ProtocolError::LengthTopBit => at_length.is_some_and(|len| len >> 63 != 0),
        ProtocolError::FrameTooBig => at_length.is_some_and(|len| len > expect.max_frame_len as u64),
        ProtocolError::MessageTooBig => {
            at_length.is_some_and(|len| len > max_message_len(expect, first & 0x40 != 0))
        }
        _ => false,
    };
    assert!(broken, "{error:?} for {octets:02x?}, {expect:?}");
}

/// Any header that can be built is accepted by whoever expects it, in the shortest form.
fn encode(input: &mut Input<'_>, expect: Expect) {
    let [kind, bits] = input.array();
    // Every length is as likely as those that need one bit more.
    let payload_len = u64::from_be_bytes(input.array()) >> (bits & 63);
    let key = expect.masked.then(|| MaskingKey::new(input.array()));
    let opcode = match kind & 7 {
        0 => Opcode::Data(DataOpcode::Continuation),
        1 => Opcode::Data(DataOpcode::Text),
        2 => Opcode::Data(DataOpcode::Binary),
        3 => Opcode::Control(ControlOpcode::Close),
        4 => Opcode::Control(ControlOpcode::Ping),
        _ => Opcode::Control(ControlOpcode::Pong),
    };
    let fin = kind & 8 != 0;
    let rsv = if kind & 16 != 0 { Rsv::RSV1 } else { Rsv::NONE };
    let header = match opcode {
        Opcode::Data(opcode) => FrameHeader::data(fin, rsv, opcode, key, payload_len),
        Opcode::Control(opcode) => FrameHeader::control(opcode, key, payload_len as usize),
    };
    let Some(header) = header else {
        let longest = if matches!(opcode, Opcode::Data(_)) { u64::MAX >> 1 } else { 125 };
        return assert!(payload_len > longest, "a header that must be possible");
    };
    let encoded = header.encode();
    let octets = encoded.as_slice();
    let len_octets = match payload_len {
        0..=125 => 0,
        126..=0xffff => 2,
        _ => 8,
    };
    assert_eq!(octets.len(), 2 + len_octets + if key.is_some() { 4 } else { 0 });
    let expect = Expect {
        rsv: Rsv::RSV1,
        message_open: opcode == Opcode::Data(DataOpcode::Continuation),
        max_frame_len: usize::MAX,
        max_message_len: usize::MAX,
        max_compressed_len: None,
        ..expect
    };
    let expected = match opcode {
        // RFC 7692 §6.1: RSV1 belongs to the first frame of a message.
        Opcode::Data(DataOpcode::Continuation) if rsv == Rsv::RSV1 => Err(ProtocolError::ReservedBits),
        Opcode::Control(ControlOpcode::Close) if payload_len == 1 => Err(ProtocolError::HalfCloseCode),
        _ => Ok(Some((header, octets.len()))),
    };
    assert_eq!(FrameHeader::decode(octets, &expect), expected);
}

/// Where the length ends, and what it says.
fn length(octets: &[u8]) -> Option<(usize, u64)> {
    match *octets {
        [_, second, a, b, ..] if second & 0x7f == 126 => Some((4, u64::from(u16::from_be_bytes([a, b])))),
        [_, second, ref rest @ ..] if second & 0x7f == 127 => {
            rest.first_chunk().map(|len| (10, u64::from_be_bytes(*len)))
        }
        [_, second, ..] if second & 0x7f < 126 => Some((2, u64::from(second & 0x7f))),
        _ => None,
    }
}

fn is_minimal(octets: &[u8]) -> bool {
    match length(octets) {
        Some((4, len)) => len > 125,
        Some((10, len)) => len > 0xffff,
        _ => true,
    }
}

fn max_message_len(expect: &Expect, compressed: bool) -> u64 {
    match expect.max_compressed_len {
        Some(max_compressed_len) if compressed => max_compressed_len as u64,
        _ => expect.max_message_len as u64,
    }
}

const LENGTHS: [usize; 10] = [usize::MAX, 16 << 20, 65536, 65535, 65534, 126, 125, 10, 1, 0];
