//! Heads of HTTP messages that come in pieces: the result is that of the whole.

use sansocket::handshake::{HandshakeError, HeadLimits, HeadReader, RequestHead, ResponseHead};
use sansocket_fuzz::Input;

/// How a head is read.
pub(crate) struct Head {
    pub(crate) limits: HeadLimits,
    /// How many octets come at a time, over and over.
    pub(crate) pieces: Vec<usize>,
}

impl Head {
    pub(crate) fn parse(input: &mut Input<'_>) -> Self {
        let [flags, first, second] = input.array();
        let mut limits = HeadLimits::default();
        if flags & 1 != 0 {
            limits.max_bytes = usize::from(flags) * 2;
        }
        if flags & 2 != 0 {
            limits.max_headers = usize::from(flags >> 2 & 7);
        }
        Self { limits, pieces: vec![1 + usize::from(first), 1 + usize::from(second)] }
    }
}

type Read<T> = Option<Result<(T, usize), HandshakeError>>;

pub(crate) fn read_request<'a>(
    octets: &'a [u8],
    limits: HeadLimits,
    pieces: &[usize],
) -> Read<RequestHead<'a>> {
    read(octets, pieces, || {
        let mut reader = HeadReader::new(limits);
        move |octets| reader.request(octets).transpose()
    })
}

pub(crate) fn read_response<'a>(
    octets: &'a [u8],
    limits: HeadLimits,
    pieces: &[usize],
) -> Read<ResponseHead<'a>> {
    read(octets, pieces, || {
        let mut reader = HeadReader::new(limits);
        move |octets| reader.response(octets).transpose()
    })
}

/// Whole, and in pieces: the first result that is one.
fn read<'a, T: PartialEq + std::fmt::Debug, R: FnMut(&'a [u8]) -> Read<T>>(
    octets: &'a [u8],
    pieces: &[usize],
    reader: impl Fn() -> R,
) -> Read<T> {
    let whole = reader()(octets);
    let mut in_pieces = reader();
    let (mut len, mut found) = (0, None);
    for piece in pieces.iter().cycle() {
        found = in_pieces(&octets[..len]);
        if found.is_some() || len == octets.len() {
            break;
        }
        len = octets.len().min(len + piece);
    }
    assert_eq!(found, whole, "the result depends on how the head is cut");
    if let Some(Err(_)) = &found {
        assert_eq!(in_pieces(&octets[..len]), found, "the same once more");
    }
    whole
}
