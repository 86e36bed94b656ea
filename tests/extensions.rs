//! The grammar of `Sec-WebSocket-Extensions`: RFC 6455 §9.1, §4.3.

use proptest::prelude::*;
use sansocket::handshake::{Extension, HandshakeError};

type Parsed = Vec<(String, Vec<(String, Option<String>)>)>;
type Literal<'a> = (&'a str, &'a [(&'a str, Option<&'a str>)]);

fn parse(lines: &[&[u8]]) -> Result<Parsed, HandshakeError> {
    let headers: Vec<(&str, &[u8])> = lines.iter().map(|line| ("sec-websocket-extensions", *line)).collect();
    Extension::parse(&headers).map(|extensions| {
        let owned = |(name, value): (&str, Option<&str>)| (name.to_owned(), value.map(str::to_owned));
        extensions.iter().map(|one| (one.name().to_owned(), one.parameters().map(owned).collect())).collect()
    })
}

fn expected(list: &[Literal<'_>]) -> Result<Parsed, HandshakeError> {
    let owned = |(name, value): &(&str, Option<&str>)| (name.to_string(), value.map(str::to_owned));
    Ok(list.iter().map(|(name, params)| (name.to_string(), params.iter().map(owned).collect())).collect())
}

#[test]
fn server_receives_extensions_in_every_right_form() {
    // 6455-9.1-3 6455-9.1-7 6455-9.1-9 6455-4.3-1
    assert_eq!(parse(&[]), expected(&[]));
    assert_eq!(parse(&[b""]), expected(&[]));
    assert_eq!(parse(&[b" ,\t, "]), expected(&[]));
    assert_eq!(parse(&[b"foo"]), expected(&[("foo", &[])]));
    assert_eq!(parse(&[b"foo, bar; baz=2"]), expected(&[("foo", &[]), ("bar", &[("baz", Some("2"))])]));
    assert_eq!(
        parse(&[b"permessage-deflate; client_max_window_bits; server_max_window_bits=\"10\""]),
        expected(&[(
            "permessage-deflate",
            &[("client_max_window_bits", None), ("server_max_window_bits", Some("10"))]
        )])
    );
    assert_eq!(
        parse(&[b"a ;b\t=\t\"c\" ; d = e\t,,f"]),
        expected(&[("a", &[("b", Some("c")), ("d", Some("e"))]), ("f", &[])])
    );
    // RFC 6455 §9.1 permits the same name twice, as alternatives of an offer.
    assert_eq!(parse(&[b"a;x=1, a"]), expected(&[("a", &[("x", Some("1"))]), ("a", &[])]));
    assert_eq!(parse(&[br#"a;b="\1\\0""#]), Err(HandshakeError::Extensions));
    assert_eq!(parse(&[br#"a;b="\1\0""#]), expected(&[("a", &[("b", Some("10"))])]));
}

#[test]
fn server_receives_extensions_on_several_lines_as_one_list() {
    // 6455-9.1-3 6455-11.3.2-1
    let joined = parse(&[b"foo;a, bar;b=\"1\", foo"]);
    assert_eq!(parse(&[b"foo;a", b"bar;b=\"1\"", b"foo"]), joined);
    assert_eq!(parse(&[b"foo;a, bar;b=\"1\"", b"", b", foo,"]), joined);
}

#[test]
fn server_receives_extensions_that_break_the_grammar() {
    // 6455-9.1-1 6455-9.1-2 6455-4.3-1
    let table: &[&[u8]] = &[
        b";",
        b";a",
        b"a;",
        b"a; ",
        b"a;;b",
        b"a b",
        b"a;b c",
        b"a;b=",
        b"a;b= ;c",
        b"a;=",
        b"a;=1",
        b"a;=\"1\"",
        b"a=1",
        b"a;b==1",
        b"a;b=1=2",
        b"a;b=1 2",
        b"a;b=\"1",
        b"a;b=1\"",
        b"a;b=\"",
        b"a;b=\"\"",
        b"a;b=\"1\"2",
        b"a;b=\"1\" 2",
        b"a;b=\"x y\"",
        b"a;b=\"x,y\"",
        b"a;b=\"x;y\"",
        b"a;b=\"x\\",
        b"a;b=\"x\\\"",
        b"a;b=\"\\ \"",
        b"a;b=\"\\\"\"",
        b"\"a\"",
        b"a;\"b\"",
        b"a/b",
        b"a;b=c/d",
        b"a;b=\xc3\xa9",
        b"\xff",
        b"a;b=\"\xff\"",
        b"a\0",
        b"a\r\n ;b",
        b"a;b\x0b=1",
    ];
    for line in table {
        assert_eq!(parse(&[line]), Err(HandshakeError::Extensions), "{:?}", String::from_utf8_lossy(line));
        assert_eq!(parse(&[b"x-foo", line]), Err(HandshakeError::Extensions));
        assert_eq!(parse(&[&[b"x-foo, ", *line].concat()]), Err(HandshakeError::Extensions));
    }
    // A quoted string does not go on in the next line.
    assert_eq!(parse(&[b"a;b=\"1", b"2\""]), Err(HandshakeError::Extensions));
}

#[test]
fn server_receives_a_very_long_list() {
    // 6455-10.4-1
    let line = "a;b=\"c\",".repeat(20_000);
    assert_eq!(parse(&[line.as_bytes()]), Err(HandshakeError::TooManyExtensions));
    let line = "\"".repeat(100_001);
    assert_eq!(parse(&[line.as_bytes()]), Err(HandshakeError::Extensions));
    let line = format!("a{}", ";b".repeat(50_000));
    assert_eq!(parse(&[line.as_bytes()]), Err(HandshakeError::TooManyExtensions));
}

#[test]
fn server_receives_64_extensions_with_256_parameters_and_no_more() {
    // 6455-10.4-1
    let four = ["a;b;c=1;d;e"; 64];
    let parsed = parse(&[four.join(",").as_bytes()]).unwrap();
    assert_eq!((parsed.len(), parsed.iter().map(|(_, parameters)| parameters.len()).sum()), (64, 256));
    let lines: Vec<_> = four.iter().map(|one| one.as_bytes()).collect();
    assert_eq!(parse(&lines).unwrap(), parsed, "over many lines as well");
    assert_eq!(parse(&[format!("a{}", ";b".repeat(256)).as_bytes()]).unwrap()[0].1.len(), 256);

    let too_many = Err(HandshakeError::TooManyExtensions);
    assert_eq!(parse(&[["a"; 65].join(",").as_bytes()]), too_many);
    assert_eq!(parse(&[&lines[..], &[b"a"]].concat()), too_many);
    assert_eq!(parse(&[format!("a{}", ";b".repeat(257)).as_bytes()]), too_many);
    assert_eq!(parse(&[format!("{};f", four.join(",")).as_bytes()]), too_many);
    // What is wrong before the limit is called wrong; what stands behind is not looked at.
    assert_eq!(parse(&[format!("a b,{}", four.join(",")).as_bytes()]), Err(HandshakeError::Extensions));
    assert_eq!(parse(&[format!("{},a b", four.join(",")).as_bytes()]), too_many);
}

fn token() -> impl Strategy<Value = String> {
    "[!#$%&'*+.^_`|~0-9A-Za-z-]{1,8}"
}

proptest! {
    #[test]
    fn server_receives_any_extension_line_without_a_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..64),
        near in "[a;,=\" \\\\\t]{0,24}",
    ) {
        // 6455-10.7-1
        let _ = parse(&[&bytes]);
        let _ = parse(&[near.as_bytes(), &bytes]);
    }

    #[test]
    fn server_receives_extensions_as_they_were_written(
        list in proptest::collection::vec(
            (token(), proptest::collection::vec((token(), proptest::option::of(token())), 0..4)),
            0..4,
        ),
        quoted in any::<bool>(),
        space in "[ \t]{0,2}",
        split in any::<bool>(),
    ) {
        // 6455-9.1-3
        let lines: Vec<String> = list
            .iter()
            .map(|(name, parameters)| {
                let mut line = name.clone();
                for (name, value) in parameters {
                    line += &format!("{space};{space}{name}");
                    match value {
                        Some(value) if quoted => line += &format!("{space}={space}\"{value}\""),
                        Some(value) => line += &format!("{space}={space}{value}"),
                        None => {}
                    }
                }
                line
            })
            .collect();
        let lines = if split { lines } else { vec![lines.join(&format!("{space},{space}"))] };
        let lines: Vec<&[u8]> = lines.iter().map(String::as_bytes).collect();
        prop_assert_eq!(parse(&lines), Ok(list));
    }
}
