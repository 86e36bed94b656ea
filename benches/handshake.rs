//! The opening handshake, RFC 6455 §4: a browser's request accepted, from octets and from parsed headers; a client's
//! request and its answer.
//!
//! `cargo bench --bench handshake`

#[path = "support/measure.rs"]
mod measure;

use std::hint::black_box;

use criterion::Criterion;
use sansocket::handshake::{
    Acceptance, ClientRequest, HeadLimits, HeadReader, Key, Negotiated, Request, ServerOptions, Version,
    accept, accept_value,
};

fn main() {
    let mut criterion = measure::criterion();
    server(&mut criterion);
    client(&mut criterion);
    criterion.final_summary();
}

fn server(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("handshake server");
    let options = ServerOptions::new();
    let octets = request_octets();
    group.bench_function("from octets", |bencher| {
        bencher.iter(|| from_octets(black_box(&octets), &options).to_bytes());
    });
    let headers = HEADERS.as_slice();
    group.bench_function("from parsed headers", |bencher| {
        bencher.iter(|| {
            let request = Request { method: b"GET", version: Version::Http11, headers: black_box(headers) };
            accept(&request, &options).expect("a browser's request").to_bytes()
        });
    });
    group.bench_function("httparse alone", |bencher| {
        bencher.iter(|| {
            let mut headers = [httparse::EMPTY_HEADER; 64];
            let mut request = httparse::Request::new(&mut headers);
            black_box(request.parse(black_box(&octets)))
        });
    });
    group.bench_function("the accept value alone", |bencher| {
        bencher.iter(|| accept_value(black_box(KEY.as_bytes())));
    });
    group.finish();
}

fn client(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("handshake client");
    let key = Key::from_nonce(*b"the sample nonce");
    let request = ClientRequest::new("wss://server.example.com/chat?room=7").expect("a URI");
    group.bench_function("encode", |bencher| {
        bencher.iter(|| black_box(&request).encode(black_box(&key)));
    });
    let response = from_octets(&request_octets(), &ServerOptions::new()).to_bytes();
    group.bench_function("check, from octets", |bencher| {
        bencher.iter(|| check(&request, &key, black_box(&response)));
    });
    group.bench_function("encode and check", |bencher| {
        bencher.iter(|| {
            black_box(request.encode(black_box(&key)));
            check(&request, &key, black_box(&response))
        });
    });
    group.finish();
}

fn from_octets(octets: &[u8], options: &ServerOptions) -> Acceptance {
    let mut reader = HeadReader::new(HeadLimits::default());
    let (head, _) = reader.request(octets).expect("a correct head").expect("a whole one");
    accept(&head.as_request(), options).expect("a browser's request")
}

fn check(request: &ClientRequest, key: &Key, octets: &[u8]) -> Negotiated {
    let mut reader = HeadReader::new(HeadLimits::default());
    let (head, _) = reader.response(octets).expect("a correct head").expect("a whole one");
    request.check(key, &head.as_response()).expect("the right answer")
}

fn request_octets() -> Vec<u8> {
    let mut octets = b"GET /chat?room=7 HTTP/1.1\r\n".to_vec();
    for (name, value) in HEADERS {
        octets.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    octets.extend_from_slice(b"\r\n");
    octets
}

/// As a browser sends them.
const HEADERS: [(&str, &str); 14] = [
    ("Host", "server.example.com"),
    ("Connection", "Upgrade"),
    ("Pragma", "no-cache"),
    ("Cache-Control", "no-cache"),
    (
        "User-Agent",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/139.0.0.0 Safari/537.36",
    ),
    ("Upgrade", "websocket"),
    ("Origin", "https://server.example.com"),
    ("Sec-WebSocket-Version", "13"),
    ("Accept-Encoding", "gzip, deflate, br, zstd"),
    ("Accept-Language", "de-DE,de;q=0.9,en-US;q=0.8,en;q=0.7"),
    ("Cookie", "session=0123456789abcdef0123456789abcdef; theme=dark; consent=yes"),
    ("Sec-WebSocket-Key", KEY),
    ("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits"),
    ("DNT", "1"),
];

/// The one of RFC 6455 §1.3.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
