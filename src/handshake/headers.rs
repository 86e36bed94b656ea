//! The face that already parsed requests and responses show to the handshake: header values by name, and the
//! version of HTTP.

use alloc::vec::Vec;

/// The headers of a request or a response that somebody else has parsed.
///
/// Implemented for slices, arrays and vectors of `(name, value)` pairs and of [`httparse::Header`], for the
/// heads that `HeadReader` yields, and for `http::HeaderMap` (feature `http`).
///
/// ```
/// use sansocket::handshake::Headers;
///
/// let headers = [("Connection", "keep-alive"), ("Host", "example.com"), ("connection", "Upgrade")];
/// let connection: Vec<&[u8]> = headers.values_of("connection").collect();
/// assert_eq!(connection, [&b"keep-alive"[..], b"Upgrade"]);
/// ```
pub trait Headers {
    // Not `values`: `http::HeaderMap` has a method of that name, which would hide it.
    /// All values of the header `name`, in the order in which they were received, one for each line. Names are
    /// compared without regard to case.
    fn values_of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> + 'a;
}

impl<H: Headers + ?Sized> Headers for &H {
    fn values_of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> + 'a {
        (**self).values_of(name)
    }
}

impl<N: AsRef<str>, V: AsRef<[u8]>> Headers for [(N, V)] {
    fn values_of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> + 'a {
        self.iter()
            .filter(move |(own, _)| own.as_ref().eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_ref())
    }
}

impl Headers for [httparse::Header<'_>] {
    fn values_of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> + 'a {
        self.iter().filter(move |header| header.name.eq_ignore_ascii_case(name)).map(|header| header.value)
    }
}

impl<T, const N: usize> Headers for [T; N]
where
    [T]: Headers,
{
    fn values_of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> + 'a {
        self.as_slice().values_of(name)
    }
}

impl<T> Headers for Vec<T>
where
    [T]: Headers,
{
    fn values_of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> + 'a {
        self.as_slice().values_of(name)
    }
}

#[cfg(feature = "http")]
impl Headers for ::http::HeaderMap {
    fn values_of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> + 'a {
        self.get_all(name).iter().map(::http::HeaderValue::as_bytes)
    }
}

/// The version of HTTP that a message came with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Version {
    /// HTTP/1.0, or older.
    Http10,
    /// HTTP/1.1, the only one that knows `Upgrade`.
    Http11,
    /// HTTP/2.
    Http2,
    /// HTTP/3.
    Http3,
}

impl Version {
    /// The version of a message that [`httparse`] has read, from the digit behind `HTTP/1.`; `None` for a digit
    /// that is neither 0 nor 1.
    #[must_use]
    pub const fn from_minor(minor: u8) -> Option<Self> {
        match minor {
            0 => Some(Version::Http10),
            1 => Some(Version::Http11),
            _ => None,
        }
    }
}

#[cfg(feature = "http")]
impl From<::http::Version> for Version {
    fn from(version: ::http::Version) -> Self {
        match version {
            ::http::Version::HTTP_11 => Version::Http11,
            ::http::Version::HTTP_2 => Version::Http2,
            ::http::Version::HTTP_3 => Version::Http3,
            _ => Version::Http10,
        }
    }
}
