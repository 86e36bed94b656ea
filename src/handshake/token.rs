//! Tokens and comma-separated lists, the grammar that the handshake's headers share: RFC 9110 §5.6.

/// Whether `byte` may stand in a token (RFC 9110 §5.6.2).
pub(super) const fn is_token_byte(byte: u8) -> bool {
    matches!(
        byte,
        b'!' | b'#'
            | b'$'
            | b'%'
            | b'&'
            | b'\''
            | b'*'
            | b'+'
            | b'-'
            | b'.'
            | b'^'
            | b'_'
            | b'`'
            | b'|'
            | b'~'
    ) || byte.is_ascii_alphanumeric()
}

/// `value` as text when it is one whole token.
pub(super) fn token(value: &[u8]) -> Option<&str> {
    if value.is_empty() || !value.iter().all(|&byte| is_token_byte(byte)) {
        return None;
    }
    core::str::from_utf8(value).ok()
}

/// Whether `byte` is optional white space (RFC 9110 §5.6.3).
pub(super) const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// `value` without the spaces and tabs around it. Other white space is never part of a header's value, so it
/// stays and fails whatever looks at it next.
pub(super) fn trim(mut value: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = value
        && is_space(*first)
    {
        value = rest;
    }
    while let [rest @ .., last] = value
        && is_space(*last)
    {
        value = rest;
    }
    value
}

/// The elements of a list header: all its lines as one list in order, each element trimmed, empty ones left
/// out (RFC 9110 §5.6.1).
pub(super) fn elements<'a>(lines: impl Iterator<Item = &'a [u8]>) -> impl Iterator<Item = &'a [u8]> {
    lines.flat_map(|line| Elements { rest: Some(line) })
}

/// Whether one element of the list is `wanted`, whatever its case. Elements are compared as a whole: neither
/// `upgraded` nor `"upgrade"` in quotes is `upgrade`.
pub(super) fn has_token<'a>(lines: impl Iterator<Item = &'a [u8]>, wanted: &str) -> bool {
    elements(lines).any(|element| element.eq_ignore_ascii_case(wanted.as_bytes()))
}

/// The trimmed value of a header that must stand there exactly once.
pub(super) fn only<'a>(mut lines: impl Iterator<Item = &'a [u8]>) -> Option<&'a [u8]> {
    let value = lines.next()?;
    if lines.next().is_some() {
        return None;
    }
    Some(trim(value))
}

/// Splits one line at the commas that stand outside quoted strings.
struct Elements<'a> {
    rest: Option<&'a [u8]>,
}

impl<'a> Iterator for Elements<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        loop {
            let line = self.rest.take()?;
            let element = match comma_outside_quotes(line) {
                Some(comma) => {
                    let (element, from_comma) = line.split_at(comma);
                    self.rest = from_comma.get(1..);
                    element
                }
                None => line,
            };
            let element = trim(element);
            if !element.is_empty() {
                return Some(element);
            }
        }
    }
}

fn comma_outside_quotes(line: &[u8]) -> Option<usize> {
    let mut quoted = false;
    let mut escaped = false;
    for (at, &byte) in line.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b',' if !quoted => return Some(at),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn split<'a>(lines: &[&'a str]) -> Vec<&'a str> {
        elements(lines.iter().map(|line| line.as_bytes()))
            .map(|element| core::str::from_utf8(element).expect("split from text"))
            .collect()
    }

    #[test]
    fn list_is_split_at_commas_outside_quotes() {
        assert_eq!(split(&["a, b"]), ["a", "b"]);
        assert_eq!(split(&["a", "b"]), ["a", "b"]);
        assert_eq!(split(&[" \ta\t, ,,b , "]), ["a", "b"]);
        assert_eq!(split(&["a;x=\"1,2\", b"]), ["a;x=\"1,2\"", "b"]);
        assert_eq!(split(&["a;x=\"1\\\",2\", b"]), ["a;x=\"1\\\",2\"", "b"]);
        assert_eq!(split(&["\"a, b", "c"]), ["\"a, b", "c"]);
        assert_eq!(split(&["", " , "]), Vec::<&str>::new());
    }

    #[test]
    fn token_is_compared_as_a_whole_and_without_case() {
        // CM-5
        let has = |line: &str| has_token([line.as_bytes()].into_iter(), "upgrade");
        assert!(has("keep-alive, Upgrade"));
        assert!(has("UPGRADE"));
        assert!(!has("upgraded"));
        assert!(!has("\"upgrade\""));
        assert!(!has("up grade"));
    }

    #[test]
    fn token_holds_no_separator() {
        assert_eq!(token(b"v10.stomp"), Some("v10.stomp"));
        assert_eq!(token(b"!#$%&'*+-.^_`|~09azAZ"), Some("!#$%&'*+-.^_`|~09azAZ"));
        for separator in b"()<>@,;:\\\"/[]?={} \t\0\r\n\x7f\x80\xff" {
            assert_eq!(token(&[b'a', *separator]), None, "{separator:#x}");
        }
        assert_eq!(token(b""), None);
    }

    #[test]
    fn only_wants_exactly_one_line() {
        assert_eq!(only([&b" x\t"[..]].into_iter()), Some(&b"x"[..]));
        assert_eq!(only([&b"x"[..], b"x"].into_iter()), None);
        assert_eq!(only([].into_iter()), None);
    }
}
