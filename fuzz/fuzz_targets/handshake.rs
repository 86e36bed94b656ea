//! Any octets as opening handshakes, and any handshake as octets: RFC 6455 §4, RFC 7692 §5, §7.1.
//!
//! No panic; the same result however a head is cut; what one end accepts was asked for, and what one end writes the other
//! accepts and understands alike; and what is parsed and written back means the same.
#![no_main]

mod heads;

use heads::{Head, read_request, read_response};
use libfuzzer_sys::fuzz_target;
use sansocket::deflate::{Agreement, DeflateConfig};
use sansocket::handshake::{
    Acceptance, ClientRequest, Extension, HeadLimits, HeadReader, Headers, Key, Negotiated, Origin,
    OriginPolicy, Request, Response, ServerOptions, Version, accept, resource_name,
};
use sansocket_fuzz::Input;

fuzz_target!(|octets: &[u8]| {
    let mut input = Input::new(octets);
    match input.octet() % 5 {
        0 => receive_request(&mut input),
        1 => receive_headers(&mut input),
        2 => receive_response(&mut input),
        3 => meet(&mut input),
        _ => parse(&mut input),
    }
});

/// A server reads any octets.
fn receive_request(input: &mut Input<'_>) {
    let options = server_options(input);
    let Head { limits, pieces } = Head::parse(input);
    let octets = input.rest();
    let Some(Ok((head, len))) = read_request(octets, limits, &pieces) else { return };
    assert!(octets[..len].ends_with(b"\r\n\r\n"));
    judge(&head.as_request(), &options);
}

/// A server gets any headers from another HTTP layer.
fn receive_headers(input: &mut Input<'_>) {
    let options = server_options(input);
    let [method, version] = input.array();
    let mut headers = REQUEST.to_vec();
    while !input.is_empty() {
        let how = input.octet();
        let name = NAMES[usize::from(how & 0x7f) % NAMES.len()];
        if how & 0x80 == 0 {
            headers.retain(|(own, _)| *own != name);
        }
        headers.push((name, input.short()));
    }
    let request = Request {
        method: if method == 0 { b"GET" } else { b"HEAD" },
        version: if version == 0 { Version::Http11 } else { Version::Http2 },
        headers: &headers,
    };
    judge(&request, &options);
}

/// The answer is one that a client can read; if it accepts, the client that asked understands it alike.
fn judge<H: Headers + ?Sized>(request: &Request<'_, H>, options: &ServerOptions) {
    let acceptance = match accept(request, options) {
        Ok(acceptance) => acceptance,
        Err(refusal) => {
            let octets = refusal.to_bytes();
            let mut reader = HeadReader::new(HeadLimits::default());
            let (head, len) = reader.response(&octets).expect("it is well-formed").expect("it is whole");
            assert_eq!(head.status(), refusal.status());
            assert_ne!(head.status(), 101);
            let body = if request.method == b"HEAD" { "" } else { refusal.body() };
            return assert_eq!(&octets[len..], body.as_bytes());
        }
    };
    assert_eq!(request.method, b"GET");
    let key = only(request.headers, "sec-websocket-key").trim_ascii();
    assert_eq!(only(request.headers, "sec-websocket-version").trim_ascii(), b"13");
    if acceptance.deflate().is_some() {
        let offered = Extension::parse(request.headers).expect("it was accepted");
        assert!(offered.iter().any(|extension| extension.name() == "permessage-deflate"));
    }
    let Some(key) = key_of(key) else { return };
    // The same once more, from this crate's client.
    let offered: Vec<&str> = acceptance.offered_subprotocols().collect();
    let mut client = ClientRequest::new("ws://server.example.com/").expect("it is right");
    client = client.subprotocols(&offered).expect("they were offered");
    let mut acceptance = acceptance.clone();
    acceptance.decline_deflate();
    assert_eq!(answer(&client, &key, &acceptance), acceptance.negotiated());
}

/// A client reads any octets.
fn receive_response(input: &mut Input<'_>) {
    let Some((client, offered)) = client_request(input) else { return };
    let Head { limits, pieces } = Head::parse(input);
    let Some(Ok((head, _))) = read_response(input.rest(), limits, &pieces) else { return };
    let key = Key::from_nonce(*NONCE);
    let Ok(negotiated) = client.check(&key, &head.as_response()) else { return };
    assert_eq!((head.status(), head.version()), (101, Version::Http11));
    assert_eq!(only(&head, "sec-websocket-accept").trim_ascii(), key.accept_value().as_bytes());
    assert!(only(&head, "upgrade").trim_ascii().eq_ignore_ascii_case(b"websocket"));
    let subprotocol = head.values_of("sec-websocket-protocol").next().map(<[u8]>::trim_ascii);
    assert_eq!(negotiated.subprotocol().map(str::as_bytes), subprotocol);
    if let Some(subprotocol) = negotiated.subprotocol() {
        assert!(offered.subprotocols.iter().any(|offered| offered == subprotocol));
    }
    assert!(negotiated.deflate().is_none() || offered.deflate.is_some());
    let extensions = Extension::parse(&head).expect("it was accepted");
    assert_eq!(extensions.len(), usize::from(negotiated.deflate().is_some()));
}

/// A client and a server of this crate agree on whatever they agree on.
fn meet(input: &mut Input<'_>) {
    let options = server_options(input);
    let Some((client, _)) = client_request(input) else { return };
    let key = Key::from_nonce(input.array());
    let octets = client.encode(&key);
    let Head { limits, pieces } = Head::parse(input);
    let Some(Ok((head, len))) = read_request(&octets, limits, &pieces) else {
        assert!(octets.len() > limits.max_bytes || limits.max_headers < client.headers(&key).count());
        return;
    };
    assert_eq!(len, octets.len());
    assert_eq!((head.method(), head.resource()), ("GET", client.resource()));
    assert!(
        head.headers().eq(client
            .headers(&key)
            .collect::<Vec<_>>()
            .iter()
            .map(|(name, value)| (*name, &value[..])))
    );
    let Ok(acceptance) = accept(&head.as_request(), &options) else {
        // Only what the options do not want.
        return assert!(accept(&head.as_request(), &ServerOptions::new()).is_ok());
    };
    let negotiated = answer(&client, &key, &acceptance);
    assert_eq!(negotiated.subprotocol(), acceptance.subprotocol());
    let directions = |agreement: &Agreement| (agreement.server(), agreement.client());
    assert_eq!(negotiated.deflate().map(directions), acceptance.deflate().map(directions));
    // Another key has another answer.
    let other = Key::from_nonce(*NONCE);
    let octets = acceptance.to_bytes();
    let mut reader = HeadReader::new(HeadLimits::default());
    let (head, _) = reader.response(&octets).expect("it is well-formed").expect("it is whole");
    assert_eq!(client.check(&other, &head.as_response()).is_ok(), other == key);
}

/// What the client makes of the 101.
fn answer(client: &ClientRequest, key: &Key, acceptance: &Acceptance) -> Negotiated {
    let octets = acceptance.to_bytes();
    let mut reader = HeadReader::new(HeadLimits::default());
    let (head, len) = reader.response(&octets).expect("it is well-formed").expect("it is whole");
    assert_eq!((len, head.status()), (octets.len(), 101));
    let negotiated = client.check(key, &head.as_response()).expect("it answers what was asked");
    // So it does as pairs.
    let pairs: Vec<_> = acceptance.headers().collect();
    let response = Response { status: acceptance.status(), version: Version::Http11, headers: &pairs };
    assert_eq!(client.check(key, &response).as_ref(), Ok(&negotiated));
    negotiated
}

/// Small grammars, read and written back.
fn parse(input: &mut Input<'_>) {
    let line = input.short();
    if let Ok(extensions) = Extension::parse(&[("Sec-WebSocket-Extensions", line)]) {
        let written = extensions.iter().map(written).collect::<Vec<_>>().join(" ,,\t");
        let headers = [("sec-websocket-extensions", written.as_bytes())];
        assert_eq!(Extension::parse(&headers).as_ref(), Ok(&extensions), "{written}");
    }
    let text = String::from_utf8_lossy(input.short());
    if let Ok(origin) = Origin::new(&text) {
        assert_eq!(Origin::new(origin.as_str()).as_ref(), Ok(&origin));
        assert_eq!(origin.as_str(), origin.as_str().to_ascii_lowercase());
        assert!(origin.as_str() == "null" || origin.as_str().matches('/').count() == 2);
    }
    if let Some(resource) = resource_name(&text) {
        assert!(resource.starts_with('/') && !resource.contains(['#', ' ', '\r', '\n']));
        assert_eq!(resource_name(&resource).as_deref(), Some(&*resource));
    }
    let Ok(request) = ClientRequest::new(&text) else { return };
    assert!(request.port() > 0 && request.resource().starts_with('/') && request.resource().is_ascii());
    assert_eq!(resource_name(request.resource()).as_deref(), Some(request.resource()));
    let scheme = if request.secure() { "wss" } else { "ws" };
    let again = format!("{scheme}://{}{}", request.authority(), request.resource());
    assert_eq!(ClientRequest::new(&again).as_ref(), Ok(&request), "{again}");
}

fn written(extension: &Extension<'_>) -> String {
    let parameters = extension.parameters().map(|(name, value)| match value {
        // RFC 6455 §9.1: in quotes it means the same.
        Some(value) if value.len() % 2 == 0 => format!(" ; {name} = \"{value}\""),
        Some(value) => format!(";{name}={value}"),
        None => format!("; {name}"),
    });
    std::iter::once(extension.name().to_owned()).chain(parameters).collect()
}

fn server_options(input: &mut Input<'_>) -> ServerOptions {
    let flags = input.octet();
    let mut options = ServerOptions::new().require_subprotocol(flags & 1 != 0).require_origin(flags & 2 != 0);
    if flags & 4 != 0 {
        options = options.subprotocols(["chat", "superchat", "a"]).expect("they are different");
    }
    if flags & 8 != 0 {
        let policy = OriginPolicy::allow_list(["http://example.com", "https://a.example:8443", "null"]);
        options = options.origins(policy.expect("they are origins"));
    }
    if flags & 16 != 0 {
        options = options.deflate(deflate_config(input));
    }
    if flags & 32 != 0
        && let Ok(with_header) = options.clone().header("Server", input.short())
    {
        options = with_header;
    }
    options
}

/// What a client offers, as the input says it.
struct Offered {
    subprotocols: Vec<String>,
    deflate: Option<DeflateConfig>,
}

/// `None` if it cannot be built.
fn client_request(input: &mut Input<'_>) -> Option<(ClientRequest, Offered)> {
    let flags = input.octet();
    let text = |input: &mut Input<'_>| String::from_utf8_lossy(input.short()).into_owned();
    let uri = if flags & 1 == 0 { "ws://server.example.com/chat".to_owned() } else { text(input) };
    let mut request = ClientRequest::new(&uri).ok()?;
    let subprotocols: Vec<String> = (0..flags >> 1 & 3).map(|_| text(input)).collect();
    request = request.subprotocols(&subprotocols).ok()?;
    if flags & 8 != 0 {
        request = request.origin(&text(input)).ok()?;
    }
    if flags & 16 != 0 {
        request = request.header(&text(input), input.short()).ok()?;
    }
    let deflate = (flags & 32 != 0).then(|| deflate_config(input));
    if let Some(config) = deflate {
        request = request.deflate(config);
    }
    Some((request, Offered { subprotocols, deflate }))
}

fn deflate_config(input: &mut Input<'_>) -> DeflateConfig {
    let [windows, flags] = input.array();
    DeflateConfig::default()
        .send_window_bits(8 + (windows & 7))
        .receive_window_bits(8 + (windows >> 3 & 7))
        .send_context_takeover(flags & 1 == 0)
        .receive_context_takeover(flags & 2 == 0)
        .fallback_offer(flags & 4 == 0)
        .answer_unasked(flags & 8 == 0)
}

/// The one value of a header that must be there once.
fn only<'a, H: Headers + ?Sized>(headers: &'a H, name: &'a str) -> &'a [u8] {
    let values: Vec<&[u8]> = headers.values_of(name).collect();
    assert_eq!(values.len(), 1, "{name}");
    values[0]
}

/// The key with this text, if its padding is that of an encoder.
fn key_of(text: &[u8]) -> Option<Key> {
    assert_eq!(text.len(), 24, "a key of another length was accepted");
    let digit = |octet: &u8| ALPHABET.iter().position(|digit| digit == octet).expect("a digit of base64");
    let mut bits = text[..22].iter().fold(0_u128, |bits, octet| bits << 6 | digit(octet) as u128);
    // 132 bits, of which the first four have left at the front.
    let front = (digit(&text[0]) as u128) >> 2;
    if bits & 15 != 0 {
        return None;
    }
    bits = bits >> 4 | front << 124;
    let key = Key::from_nonce(bits.to_be_bytes());
    assert_eq!(key.as_bytes(), text);
    Some(key)
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const NONCE: &[u8; 16] = b"the sample nonce";
const REQUEST: [(&str, &[u8]); 5] = [
    ("Host", b"server.example.com"),
    ("Upgrade", b"websocket"),
    ("Connection", b"Upgrade"),
    ("Sec-WebSocket-Key", b"dGhlIHNhbXBsZSBub25jZQ=="),
    ("Sec-WebSocket-Version", b"13"),
];
const NAMES: [&str; 11] = [
    "Host",
    "Upgrade",
    "Connection",
    "Sec-WebSocket-Key",
    "Sec-WebSocket-Version",
    "Sec-WebSocket-Protocol",
    "Sec-WebSocket-Extensions",
    "Origin",
    "Content-Length",
    "Transfer-Encoding",
    "X-Other",
];
