//! What has been reported against the opening handshakes of other implementations, against this one.
//!
//! Each test is named after the behaviour, and prints its figure: `cargo test --all-features --test
//! known_attacks_handshake -- --nocapture`. Published advisories behind them:
//!
//! - a long header, parsed anew with each piece of it: CVE-2023-43669 (RUSTSEC-2023-0065);
//! - more headers than there is room for: CVE-2024-37890;
//! - white space in a list, split by backtracking: CVE-2021-32640;
//! - a quoted string without its end, matched by backtracking: CVE-2020-7662, CVE-2020-7663;
//! - the accept value computed from something else than the text of the key, or not compared: found in several, without
//!   an advisory.
#![cfg(all(feature = "test-util", feature = "tokio"))]
#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests")]

#[path = "support/allocations.rs"]
mod allocations;
mod attack_support;

use std::cell::Cell;
use std::future::Future;
use std::pin::pin;

use allocations::{Counting, allocated_by, peak_of};
use attack_support::{Counts, Flood, driven, flood, once, paused};
use sansocket::Role;
use sansocket::handshake::{
    ClientRequest, HandshakeError, HeadLimits, HeadReader, Headers, Request, ServerOptions, Version,
    accept as judge, accept_value,
};
use sansocket::stream::{AcceptError, ConnectError, Connector, accept};
use sansocket::test_util::Peer;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const KIB: usize = 1 << 10;

const REQUEST: &[u8] = b"GET /chat HTTP/1.1\r\n\
    Host: server.example.com\r\n\
    Upgrade: websocket\r\n\
    Connection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n";

/// Octets that are sent once, and then the last of them without end.
fn endless(begin: &[u8], period: &[u8]) -> Vec<u8> {
    [begin, &period.repeat((1000 * KIB) / period.len())].concat()
}

fn handshake_error<T>(accepted: Result<T, AcceptError>) -> HandshakeError {
    match accepted.map(|_| ()) {
        Err(AcceptError::Refused(refusal)) => refusal.reason().clone(),
        other => panic!("{other:?}"),
    }
}

/// What comes of an attempt over a flood, and what that takes at the peak.
fn refused<T, F: Future<Output = T>>(octets: Vec<u8>, begin: impl FnOnce(Flood) -> F) -> (T, Counts, usize) {
    let runtime = paused();
    let _entered = runtime.enter();
    let (io, counts) = flood(octets);
    counts.send(20_000_000);
    counts.take_output();
    let (peak, result) = peak_of(|| driven(begin(io)));
    (result.expect("it is refused, and the rest discarded up to a bound"), counts, peak)
}

// 6455-10.4-1, 6455-10.4-2
#[test]
fn server_receives_a_head_without_end() {
    let floods: [(&str, Vec<u8>, HandshakeError); 5] = [
        ("a line without end", endless(b"GET /", b"x"), HandshakeError::HeadTooLarge),
        ("a header without end", endless(&[REQUEST, b"X: "].concat(), b"x"), HandshakeError::HeadTooLarge),
        ("a name without end", endless(REQUEST, b"x"), HandshakeError::HeadTooLarge),
        ("headers without end", endless(REQUEST, b"a: b\r\n"), HandshakeError::TooManyHeaders),
        ("white space without end", endless(&[REQUEST, b"X:"].concat(), b" "), HandshakeError::HeadTooLarge),
    ];
    for (what, octets, expected) in floods {
        let (accepted, counts, peak) = refused(octets, accept);
        let (read, in_all) = (counts.read_before_output(), counts.read());
        println!(
            "server, {what}: refused after {read} octets, {in_all} read in all, {peak} octets at the peak"
        );
        // Up to a read more than the limit, and what is discarded so that the answer arrives.
        assert!(read <= 64 * KIB && in_all <= (4 << 20) + 512 * KIB, "{read}, {in_all}");
        assert_eq!(handshake_error(accepted), expected, "{what}");
        assert!(peak <= 128 * KIB, "{peak} octets");
    }
}

// 6455-10.4-1
#[test]
fn client_receives_a_head_without_end() {
    let head = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n";
    let interim = b"HTTP/1.1 100 Continue\r\n\r\n";
    let floods: [(&str, Vec<u8>, HandshakeError); 4] = [
        ("a line without end", endless(b"HTTP/1.1 101 ", b"x"), HandshakeError::HeadTooLarge),
        ("a header without end", endless(&[&head[..], b"X: "].concat(), b"x"), HandshakeError::HeadTooLarge),
        ("headers without end", endless(head, b"a: b\r\n"), HandshakeError::TooManyHeaders),
        ("interim responses without end", interim.to_vec(), HandshakeError::HeadTooLarge),
    ];
    for (what, octets, expected) in floods {
        let request = ClientRequest::new("ws://server.example.com/chat").unwrap();
        let connector = Connector::default();
        let (connected, counts, peak) = refused(octets, |io| connector.connect_over(io, &request));
        let read = counts.read();
        println!("client, {what}: left after {read} octets, {peak} octets at the peak");
        assert!(read <= 64 * KIB, "{read}");
        let error = match connected.map(|_| ()) {
            Err(ConnectError::Handshake(error, _)) => error,
            other => panic!("{what}: {other:?}"),
        };
        assert_eq!(error, expected, "{what}");
        assert!(peak <= 128 * KIB, "{peak} octets");
    }
}

// 6455-10.4-1
#[test]
fn server_receives_a_long_head_octet_by_octet_and_looks_at_each_once() {
    let runtime = paused();
    let _entered = runtime.enter();
    let (io, counts) = flood(endless(&[REQUEST, b"X: "].concat(), b"x"));
    counts.send(40 * KIB);
    counts.read_at_most(1);
    counts.take_output();
    let (allocated, (peak, ())) = allocated_by(|| {
        peak_of(|| {
            // It is refused, and what comes behind is discarded as long as there is any.
            assert!(once(pin!(accept(io)).as_mut()).is_pending());
        })
    });
    assert_eq!(counts.read_before_output(), 32 * KIB + 1);
    println!(
        "server, a head of 32 KiB octet by octet: {allocated} octets allocated in all, {peak} at the peak"
    );
    assert!(allocated <= 160 * KIB, "{allocated} octets");

    // What was looked at is not looked at again: it may be anything by then.
    let mut head = [REQUEST, b"X: ", &vec![b'x'; 30 * KIB], b"\r\n\r\n"].concat();
    let whole = head.clone();
    let mut reader = HeadReader::new(HeadLimits::default());
    for len in 1..head.len() {
        assert_eq!(reader.request(&head[..len]).map(|found| found.is_some()), Ok(false));
        head[len - 1] = b'\0';
    }
    assert_eq!(reader.request(&whole).unwrap().map(|(_, len)| len), Some(whole.len()));
}

/// Headers that count how many octets of values they have handed out.
struct Counted<'a> {
    lines: Vec<(&'a str, Vec<u8>)>,
    octets: Cell<usize>,
}

impl Headers for Counted<'_> {
    fn values_of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> + 'a {
        let own = self.lines.iter().filter(move |(own, _)| own.eq_ignore_ascii_case(name));
        own.map(|(_, value)| {
            self.octets.set(self.octets.get() + value.len());
            &value[..]
        })
    }
}

/// Judges a request with one header more; what was allocated, in all and at the peak, and how often its value was gone
/// through.
fn judged(name: &'static str, value: Vec<u8>) -> (Result<(), HandshakeError>, usize, usize, usize) {
    let len = value.len();
    let mut lines: Vec<(&str, Vec<u8>)> = vec![
        ("Host", b"server.example.com".to_vec()),
        ("Upgrade", b"websocket".to_vec()),
        ("Connection", b"Upgrade".to_vec()),
        ("Sec-WebSocket-Key", b"dGhlIHNhbXBsZSBub25jZQ==".to_vec()),
        ("Sec-WebSocket-Version", b"13".to_vec()),
    ];
    lines.retain(|(own, _)| *own != name);
    lines.push((name, value));
    let headers = Counted { lines, octets: Cell::new(0) };
    let options = ServerOptions::new().subprotocols(["chat"]).unwrap();
    #[cfg(feature = "deflate")]
    let options = options.deflate(sansocket::deflate::DeflateConfig::default());
    let request = Request { method: b"GET", version: Version::Http11, headers: &headers };
    let (allocated, (peak, judged)) = allocated_by(|| peak_of(|| judge(&request, &options).map(drop)));
    (judged.map_err(|refusal| refusal.reason().clone()), allocated, peak, headers.octets.get() / len)
}

/// A header's name, and its value of about a length.
type Crafted = (&'static str, &'static str, fn(usize) -> Vec<u8>);

/// Values that make parsers which go back take time by the square of their length, or by a power of two.
const CRAFTED: [Crafted; 9] = [
    ("a quoted string without its end", "Sec-WebSocket-Extensions", |len| {
        [b"a; b=\"".to_vec(), b"\\c".repeat(len / 2)].concat()
    }),
    ("quotes", "Sec-WebSocket-Extensions", |len| b"\"".repeat(len)),
    ("backslashes", "Sec-WebSocket-Extensions", |len| [b"a; b=\"".to_vec(), b"\\".repeat(len)].concat()),
    ("parameters", "Sec-WebSocket-Extensions", |len| {
        [b"permessage-deflate".to_vec(), b";a".repeat(len / 2)].concat()
    }),
    ("offers", "Sec-WebSocket-Extensions", |len| {
        b"permessage-deflate;client_max_window_bits=7,".repeat(len / 44)
    }),
    ("white space", "Sec-WebSocket-Protocol", |len| {
        [b"b".to_vec(), b" ".repeat(len), b"x".to_vec()].concat()
    }),
    ("commas", "Sec-WebSocket-Protocol", |len| b",".repeat(len)),
    ("many names", "Sec-WebSocket-Protocol", |len| {
        (0..len / 7).flat_map(|number| format!("p{number:05},").into_bytes()).collect()
    }),
    ("many tokens", "Connection", |len| [b"a, ".repeat(len / 3), b"upgrade".to_vec()].concat()),
];

// 6455-10.4-1
#[test]
fn server_receives_crafted_headers_and_goes_through_each_a_fixed_number_of_times() {
    for (what, name, value) in CRAFTED {
        let mut costs = Vec::new();
        for len in [32 * KIB, 64 * KIB, 128 * KIB] {
            let (result, allocated, peak, passes) = judged(name, value(len));
            println!(
                "{what} in {len} octets of {name}: {passes} passes, {peak} octets at the peak, {result:?}"
            );
            // A value without quotes has place of its own, twice while it grows; of lists only so much is looked at.
            assert!(peak <= 2 * len + 32 * KIB, "{peak} octets at the peak");
            assert!(passes <= 2, "{passes} passes over {what}");
            costs.push(allocated);
        }
        // By steps of doubling a vector may be once too large.
        assert!(costs[2] <= 5 * costs[0] + KIB, "{what}: {costs:?}");
    }
}

/// What a server may wrongly answer to a key: the accept value is the hash of the key's text (RFC 6455 §4.2.2).
fn wrong_accept_values(key: &str) -> Vec<(&'static str, String)> {
    let right = accept_value(key.as_bytes());
    let nonce = decode(key);
    let hex = |octets: &[u8]| octets.iter().map(|octet| format!("{octet:02x}")).collect::<String>();
    vec![
        ("of the decoded key", accept_value(&nonce).as_str().to_owned()),
        ("of the key in lower case", accept_value(key.to_ascii_lowercase().as_bytes()).as_str().to_owned()),
        (
            "of the key without padding",
            accept_value(key.trim_end_matches('=').as_bytes()).as_str().to_owned(),
        ),
        ("of the key with its quotes", accept_value(format!("\"{key}\"").as_bytes()).as_str().to_owned()),
        ("of another key", accept_value(b"dGhlIHNhbXBsZSBub25jZQ==").as_str().to_owned()),
        ("in hexadecimal", hex(&decode(right.as_str()))),
        ("in lower case", right.as_str().to_ascii_lowercase()),
        ("without padding", right.as_str().trim_end_matches('=').to_owned()),
        ("with more behind it", format!("{}x", right.as_str())),
        ("the key itself", key.to_owned()),
        ("nothing", String::new()),
    ]
}

/// RFC 4648 §4, word for word.
fn decode(text: &str) -> Vec<u8> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits: Vec<_> =
        text.bytes().filter_map(|octet| ALPHABET.iter().position(|&own| own == octet)).collect();
    let bits: Vec<_> =
        digits.iter().flat_map(|digit| (0..6).rev().map(move |bit| digit >> bit & 1)).collect();
    bits.chunks_exact(8).map(|octet| octet.iter().fold(0, |sum, bit| sum << 1 | *bit as u8)).collect()
}

// 6455-4.1-36, CM-6, CM-7
#[tokio::test]
async fn client_receives_an_accept_value_computed_from_anything_but_the_text_of_its_key() {
    let cases = wrong_accept_values("AQIDBAUGBwgJCgsMDQ4PEA==").len();
    for case in 0..cases {
        let (io, mut server) = Peer::new(Role::Server);
        let request = ClientRequest::new("ws://server.example.com/chat").unwrap();
        let connector = Connector::default();
        let answering = async {
            let head = server.receive_until("\r\n\r\n").await.unwrap();
            let head = String::from_utf8(head).unwrap();
            let key = head.split("Sec-WebSocket-Key: ").nth(1).unwrap().split("\r\n").next().unwrap();
            let (what, value) = wrong_accept_values(key).swap_remove(case);
            server.send(format!(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Accept: {value}\r\n\r\n"
            ));
            // No frame, and no Close either: the transport just ends.
            server.expect_end().await.unwrap();
            what
        };
        let (connected, what) = tokio::join!(connector.connect_over(io, &request), answering);
        assert!(
            matches!(&connected, Err(ConnectError::Handshake(HandshakeError::Accept, _))),
            "{what}: {:?}",
            connected.map(drop)
        );
    }
    println!("{cases} accept values that are wrong: none is taken");
}

// 6455-4.2.2-18, CM-6
#[tokio::test]
async fn server_sends_the_hash_of_the_text_of_a_key_that_decodes_to_the_same_nonce() {
    // The pad bits of the second are not zero: the same sixteen octets, another text (erratum 3150).
    let mut answers = Vec::new();
    for key in ["AQIDBAUGBwgJCgsMDQ4PEA==", "AQIDBAUGBwgJCgsMDQ4PEC=="] {
        let (io, mut client) = Peer::new(Role::Client);
        let request = String::from_utf8(REQUEST.to_vec()).unwrap().replace("dGhlIHNhbXBsZSBub25jZQ==", key);
        client.send(format!("{request}\r\n"));
        let (accepted, head) = tokio::join!(accept(io), client.receive_until("\r\n\r\n"));
        accepted.unwrap();
        let head = String::from_utf8(head.unwrap()).unwrap();
        let expected = accept_value(key.as_bytes());
        assert!(head.contains(&format!("Sec-WebSocket-Accept: {}\r\n", expected.as_str())), "{head}");
        answers.push(expected.as_str().to_owned());
        assert_eq!(decode(key), (1..=16).collect::<Vec<u8>>());
    }
    println!("two texts of one nonce: {answers:?}");
    assert_ne!(answers[0], answers[1]);
}
